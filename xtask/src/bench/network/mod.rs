// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clients in dom0 see of a guest, and what it costs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::baseline::Baseline;
use super::cost::Cost;
use super::{Contender, Measured};
use crate::env::Env;
use crate::guest::beside::{Beside, READY, When};
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::{Image, build};
use crate::project::Project;
use crate::verdict::Verdict;

/// What the picture shows.
pub(super) const TITLE: &str = "A paravirtual network interface";

/// Something that is measured.
pub(super) struct Workload {
    /// As the scripts name it.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    /// From what its client says: units that the guest did, and those that arrived in a second.
    pub(super) parse: fn(&str) -> Option<(f64, f64)>,
}

/// Guests that serve, and what their clients are.
pub(super) struct Stage {
    /// The application of ours.
    pub(super) app: &'static str,
    pub(super) clients: &'static str,
    pub(super) workloads: &'static [Workload],
}

const STAGES: &[Stage] = &[
    Stage {
        app: "iperf",
        clients: concat!(include_str!("../cost.sh"), include_str!("measure.sh"), include_str!("streams.sh")),
        workloads: &[
            Workload { key: "ping", name: "ping (a packet)", parse: of_ping },
            Workload { key: "out", name: "TCP out (a MiB)", parse: of_iperf3 },
            Workload { key: "in", name: "TCP in (a MiB)", parse: of_iperf3 },
            Workload { key: "flood", name: "UDP flood out (a packet)", parse: of_datagrams },
        ],
    },
    Stage {
        app: "httpd",
        clients: concat!(include_str!("../cost.sh"), include_str!("measure.sh"), include_str!("web.sh")),
        workloads: &[
            Workload { key: "request", name: "HTTP, one by one (a request)", parse: of_wrk },
            Workload { key: "http", name: "HTTP, 16 connections (a request)", parse: of_wrk },
        ],
    },
];

/// Bytes in a datagram of the flood, as the script has it.
const DATAGRAM: u32 = 1400;

/// Time that the guest of a stage may take.
const LIMIT: Duration = Duration::from_secs(240);

/// Readings of the time-stamp counter do not trap.
const SETTINGS: &[&str] = &["tsc_mode = \"native\""];

/// One that serves: an image for each stage.
struct Server {
    stages: &'static [Stage],
    images: Vec<Image>,
    ramdisk: Option<&'static str>,
    command_line: String,
}

/// Prism's applications, and Linux with iperf3 and nginx.
pub(super) fn contenders(project: &Project, session: &mut Session) -> Result<[Box<dyn Contender>; 2]> {
    servers(project, session, STAGES)
}

/// Prism's applications of these stages, and Linux with the like.
pub(super) fn servers(
    project: &Project,
    session: &mut Session,
    stages: &'static [Stage],
) -> Result<[Box<dyn Contender>; 2]> {
    let images =
        stages.iter().map(|stage| build::build_by_name(project, stage.app)).collect::<Result<_>>()?;
    let command_line = "ip=192.0.2.2/24".to_owned();
    let ours = Server { stages, images, ramdisk: None, command_line };
    let Baseline { image, ramdisk, words } = Baseline::make(project, session)?;
    let linux = Server {
        stages,
        images: vec![image; stages.len()],
        ramdisk: Some(ramdisk),
        command_line: format!("{words}serve"),
    };
    Ok([Box::new(ours), Box::new(linux)])
}

impl Contender for Server {
    fn run(&self, session: &mut Session, env: Env) -> Result<Vec<Measured>> {
        let mut measured = Vec::new();
        for (stage, image) in self.stages.iter().zip(&self.images) {
            let job = Job {
                command_line: self.command_line.clone(),
                memory: 256,
                ramdisk: self.ramdisk,
                network: true,
                settings: SETTINGS,
                beside: Some(Beside { when: When::Said(READY), command: stage.clients, ends_guest: true }),
                limit: LIMIT,
                ..Job::new(env, image.clone())
            };
            let outcome = xl::run(session, &job)?;
            let clients = outcome.companion.clone();
            let said = clients.as_ref().map(|clients| clients.output.as_str()).unwrap_or_default();
            ensure!(
                outcome.verdict == Verdict::Success
                    && clients.as_ref().is_some_and(|clients| clients.status == Some(0)),
                "{} failed ({:?}):\n{}{}{said}",
                image.name,
                outcome.ending,
                outcome.console,
                outcome.machine
            );
            for workload in stage.workloads {
                let found = workload.measured(said);
                measured.push(found.with_context(|| format!("{} is missing:\n{said}", workload.key))?);
            }
        }
        Ok(measured)
    }
}

impl Workload {
    /// From what all clients of a stage said.
    pub(super) fn measured(&self, said: &str) -> Option<Measured> {
        let key = format!("=== {}\n", self.key);
        let (_, section) = said.split_once(&key)?;
        let section = section.split("=== ").next()?;
        let (alone, rest) = section.split_once("--- traced\n")?;
        let (traced, trace) = rest.split_once("--- trace\n")?;
        let (_, rate) = (self.parse)(alone)?;
        let (units, _) = (self.parse)(traced)?;
        Some(Measured { name: self.name, rate, units, cost: Cost::of_summary(trace)? })
    }
}

/// `ping -q`: packets that were answered, and how long each was on its way.
pub(super) fn of_ping(said: &str) -> Option<(f64, f64)> {
    let (_, counts) = said.split_once("packets transmitted, ")?;
    let packets: f64 = counts.split(' ').next()?.parse().ok()?;
    let (_, times) = said.split_once("min/avg/max/mdev = ")?;
    let average: f64 = times.split('/').nth(1)?.parse().ok()?;
    (packets > 0.0).then_some((packets, 1e3 / average))
}

/// `iperf3 -J`: MiB that arrived.
pub(super) fn of_iperf3(said: &str) -> Option<(f64, f64)> {
    let report: Value = serde_json::from_str(said).ok()?;
    let received = &report["end"]["sum_received"];
    let units = received["bytes"].as_f64()? / f64::from(1 << 20);
    Some((units, units / received["seconds"].as_f64()?))
}

/// `iperf3 -u -J`: packets that left, and those that arrived.
pub(super) fn of_datagrams(said: &str) -> Option<(f64, f64)> {
    let report: Value = serde_json::from_str(said).ok()?;
    let end = &report["end"];
    let packets = |way: &str| Some(end[way]["bytes"].as_f64()? / f64::from(DATAGRAM));
    Some((packets("sum_sent")?, packets("sum_received")? / end["sum_received"]["seconds"].as_f64()?))
}

/// `wrk`: requests that were answered.
fn of_wrk(said: &str) -> Option<(f64, f64)> {
    let line = said.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = line.trim_start().split_once(" requests in ")?;
    let (_, rate) = said.split_once("Requests/sec:")?;
    let (requests, rate): (f64, f64) =
        (requests.parse().ok()?, rate.split_whitespace().next()?.parse().ok()?);
    (!rest.is_empty()).then_some((requests, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_read() {
        let ping = "500 packets transmitted, 499 received, 0.2% packet loss, time 900ms\n\
                    rtt min/avg/max/mdev = 0.5/2.0/9.0/1.0 ms, ipg/ewma 1.0/1.0 ms\n";
        assert_eq!(of_ping(ping), Some((499.0, 500.0)));
        assert_eq!(of_ping("5 packets transmitted, 0 received, 100% packet loss\n"), None);
        let iperf = r#"{"end": {"sum_received": {"bytes": 2097152, "seconds": 4}}}"#;
        assert_eq!(of_iperf3(iperf), Some((2.0, 0.5)));
        let flood =
            r#"{"end": {"sum_sent": {"bytes": 14000}, "sum_received": {"bytes": 7000, "seconds": 2}}}"#;
        assert_eq!(of_datagrams(flood), Some((10.0, 2.5)));
        assert_eq!(of_iperf3("iperf3: error - unable to connect"), None);
        let wrk = "Running 3s test\n  600 requests in 3.00s, 1.0MB read\nRequests/sec:    200.00\n";
        assert_eq!(of_wrk(wrk), Some((600.0, 200.0)));
    }

    #[test]
    fn a_workload_is_found_among_others() {
        let half = "300 requests in 3.00s, 1MB read\nRequests/sec: 100\n";
        let said = format!(
            "=== ping\nx\n--- traced\ny\n--- trace\nz\n=== http\n{half}--- traced\n{half}--- trace\n\
             |-- Domain 0 --|\n"
        );
        let [_, Stage { workloads: [_, http], .. }] = STAGES else { panic!("another stage") };
        let found = http.measured(&said).unwrap();
        assert_eq!((found.rate, found.units, found.cost), (100.0, 300.0, Cost::default()));
        assert!(http.measured("=== http\n").is_none());
    }
}
