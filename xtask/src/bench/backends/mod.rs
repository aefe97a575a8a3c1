// SPDX-License-Identifier: MIT OR Apache-2.0
//! Driver domains: what they cost while a Linux has its disk, or its interface, from them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::baseline::Baseline;
use super::cost::Cost;
use super::network::{self, Workload};
use super::{Contender, Measured, disks};
use crate::env::Env;
use crate::guest::beside::{Beside, READY, When};
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::{Image, build};
use crate::project::Project;
use crate::verdict::Verdict;

/// What the picture shows.
pub(super) const TITLE: &str = "Driver domains that serve a Linux";

/// Where driver domains are at home.
pub(super) const ENVS: [Env; 2] = [Env::Pv, Env::Pvh];

/// MiB that Prism's have, and Linux's.
const MEMORY: [u32; 2] = [16, 256];

/// Transfers of the disk, in the order of the script.
const TRANSFERS: [&str; 5] = [
    "4 KiB random, QD1 (a read)",
    "4 KiB random, QD32 (a read)",
    "4 KiB random, QD32 (a write)",
    "64 KiB sequential, QD4 (a read)",
    "64 KiB sequential, QD4 (a write)",
];

/// What clients in dom0 do with the Linux, whose interface is served.
const CLIENTS: [Workload; 5] = [
    Workload { key: "ping", name: "ping (a packet)", parse: network::of_ping },
    Workload { key: "out", name: "TCP out (a MiB)", parse: network::of_iperf3 },
    Workload { key: "in", name: "TCP in (a MiB)", parse: network::of_iperf3 },
    Workload { key: "flood", name: "UDP flood out (a packet)", parse: of_arrived },
    Workload { key: "flood-in", name: "UDP flood in (a packet)", parse: of_arrived },
];

/// The disk is one of dom0's that answers at once. Readings of the time-stamp counter do not trap.
const DISK: &[&str] =
    &["driver_domain = 1", "tsc_mode = \"native\"", "disk = [ \"/dev/nullb0,raw,xvda,w\" ]"];
const NETWORK: &[&str] = &["driver_domain = 1", "tsc_mode = \"native\""];

const DISK_CLIENT: &str = concat!(
    include_str!("../cost.sh"),
    include_str!("front.sh"),
    include_str!("disk.sh"),
    include_str!("../disks/marks.sh"),
    include_str!("disk_end.sh")
);
const NETWORK_CLIENTS: &str = concat!(
    include_str!("../cost.sh"),
    include_str!("front.sh"),
    include_str!("../network/measure.sh"),
    include_str!("network.sh"),
    include_str!("../network/streams.sh"),
    include_str!("network_end.sh")
);

/// Time that a driver domain may take.
const LIMIT: Duration = Duration::from_secs(900);

/// A pair of driver domains: for disks, and for networks.
struct DriverDomains {
    images: [Image; 2],
    command_lines: [String; 2],
    ramdisk: Option<&'static str>,
    /// MiB.
    memory: u32,
}

/// Prism's applications `storage` and `router`, and Linux with its drivers.
pub(super) fn contenders(project: &Project, session: &mut Session) -> Result<[Box<dyn Contender>; 2]> {
    session.agent().check("modprobe null_blk")?;
    let [storage, router] = ["storage", "router"].map(|name| build::build_by_name(project, name));
    let [memory, of_linux] = MEMORY;
    let ours = DriverDomains {
        images: [storage?, router?],
        command_lines: Default::default(),
        ramdisk: None,
        memory,
    };
    let Baseline { image, ramdisk, words } = Baseline::make(project, session)?;
    let linux = DriverDomains {
        images: [image.clone(), image],
        command_lines: ["disk", "network"].map(|what| format!("{words}backend={what}")),
        ramdisk: Some(ramdisk),
        memory: of_linux,
    };
    Ok([Box::new(ours), Box::new(linux)])
}

impl Contender for DriverDomains {
    fn run(&self, session: &mut Session, env: Env) -> Result<Vec<Measured>> {
        let ([storage, router], [of_storage, of_router]) = (&self.images, &self.command_lines);
        let job = Job { settings: DISK, ..self.job(env, storage, of_storage, DISK_CLIENT) };
        let said = clients(session, &job)?;
        let mut measured = transfers(&said).with_context(|| format!("something is missing:\n{said}"))?;
        let job =
            Job { settings: NETWORK, network: true, ..self.job(env, router, of_router, NETWORK_CLIENTS) };
        let said = clients(session, &job)?;
        for workload in CLIENTS {
            let found = workload.measured(&said);
            measured.push(found.with_context(|| format!("{} is missing:\n{said}", workload.key))?);
        }
        Ok(measured)
    }
}

impl DriverDomains {
    fn job(&self, env: Env, image: &Image, command_line: &str, command: &'static str) -> Job {
        Job {
            command_line: command_line.to_owned(),
            memory: self.memory,
            ramdisk: self.ramdisk,
            beside: Some(Beside { when: When::Said(READY), command, ends_guest: true }),
            limit: LIMIT,
            ..Job::new(env, image.clone())
        }
    }
}

/// What is said by those who use the driver domain.
fn clients(session: &mut Session, job: &Job) -> Result<String> {
    let outcome = xl::run(session, job)?;
    let clients = outcome.companion.clone();
    let said = clients.as_ref().map(|clients| clients.output.clone()).unwrap_or_default();
    ensure!(
        outcome.verdict == Verdict::Success && clients.is_some_and(|clients| clients.status == Some(0)),
        "{} failed ({:?}):\n{}{}{said}",
        job.image.name,
        outcome.ending,
        outcome.console,
        outcome.machine
    );
    Ok(said)
}

/// From the traces, of which the first is of nothing at all, and the Linux's console behind them.
fn transfers(said: &str) -> Option<Vec<Measured>> {
    let (traces, console) = said.split_once("=== console\n")?;
    let costs: [Cost; TRANSFERS.len()] = disks::costs(traces)?;
    let runs: [(f64, f64); TRANSFERS.len()] = disks::runs(console)?;
    let all = TRANSFERS.into_iter().zip(runs).zip(costs);
    let measured =
        all.map(|((name, (units, took)), cost)| Measured { name, rate: units * 1e9 / took, units, cost });
    Some(measured.collect())
}

/// `iperf3 -u -J`: packets that arrived.
fn of_arrived(said: &str) -> Option<(f64, f64)> {
    let (_, rate) = network::of_datagrams(said)?;
    let report: serde_json::Value = serde_json::from_str(said).ok()?;
    Some((rate * report["end"]["sum_received"]["seconds"].as_f64()?, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_and_the_times_before_them_are_of_the_same_transfers() {
        let trace = |calls: u32| {
            format!("=== trace\n|-- Domain 2 --|\n-- v0 --\n running: 1 0.01s 7\n hypercall {calls}\n")
        };
        let run = |number: u32| format!("bench: {} requests, {} ns\n", 10 * number, 1000 * number);
        let said = format!(
            "{}=== console\n{}bench: 0 requests, 5 ns\n",
            (1..=6).map(trace).collect::<String>(),
            (1..=5).map(run).collect::<String>()
        );
        let measured = transfers(&said).unwrap();
        assert_eq!(measured.len(), 5);
        assert_eq!((measured[4].units, measured[4].rate, measured[4].cost.entries), (50.0, 1e7, 5));
        assert!(transfers("=== console\n").is_none());
    }

    #[test]
    fn only_datagrams_that_arrive_count() {
        let flood =
            r#"{"end": {"sum_sent": {"bytes": 14000}, "sum_received": {"bytes": 7000, "seconds": 2}}}"#;
        assert_eq!(of_arrived(flood), Some((5.0, 2.5)));
    }
}
