// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stream of TCP costs, counted by Xen's own trace.

use anyhow::{Context, Result, ensure};

use super::LabTest;
use super::shared::Shared;
use super::traced::{Cost, NATIVE_TSC};
use crate::env::Env;
use crate::guest::Job;
use crate::guest::beside::{Beside, When};
use crate::guest::session::Session;
use crate::image::{Image, build};

/// A test of what a MiB of TCP costs.
#[derive(Clone, Copy, Debug)]
pub struct NetworkCostTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    /// Entries into Xen for each 10 MiB, all but sleeps and the machine's own interrupts, that are
    /// allowed.
    limit: u64,
    long: bool,
}

/// All of them. An entry is a notification of the backend or a timer, which is set before a sleep. Linux
/// needs 7 to 9 notifications alone for a MiB.
pub const TESTS: [NetworkCostTest; 2] = [
    NetworkCostTest { name: "a_mib_sent_costs_few_entries/pv", env: Env::Pv, limit: 45, long: false },
    NetworkCostTest { name: "a_mib_sent_costs_few_entries/pvh", env: Env::Pvh, limit: 45, long: true },
];

/// Seconds of the shorter and of the longer run.
const SECONDS: [u32; 2] = [1, 5];

impl LabTest for NetworkCostTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        self.compare(shared)
    }
}

impl NetworkCostTest {
    /// What the bytes cost that the longer run moves more.
    fn compare(&self, shared: &mut Shared<'_>) -> Result<()> {
        let image = build::build_by_name(shared.project, "iperf")?;
        let session = shared.session()?;
        let [short, long] = SECONDS;
        let (short, long) = (self.stream(session, &image, short)?, self.stream(session, &image, long)?);
        let entries = self.entries(long.cost).saturating_sub(self.entries(short.cost));
        let bytes = long.bytes.saturating_sub(short.bytes);
        ensure!(bytes >= 10 << 20, "too few bytes to tell: {short:?} {long:?}");
        let each = entries * (10 << 20) / bytes;
        ensure!(each <= self.limit, "10 MiB cost {each} entries, not {} ({short:?} {long:?})", self.limit);
        Ok(())
    }

    fn stream(&self, session: &mut Session, image: &Image, seconds: u32) -> Result<Stream> {
        let job = Job {
            command_line: format!("client=192.0.2.1 time={seconds}"),
            network: true,
            beside: Some(Beside {
                when: When::Said("network 0: "),
                command: "iperf3 -s -1",
                ends_guest: false,
            }),
            settings: NATIVE_TSC,
            ..Job::new(self.env, image.clone())
        };
        let (cost, console) = Cost::and_console_of_run(session, &job)?;
        let told = console
            .lines()
            .find_map(|line| line.strip_prefix("iperf: sent ")?.split(' ').next()?.parse().ok());
        Ok(Stream { cost, bytes: told.context("the guest does not tell of bytes")? })
    }

    /// Hypercalls of a PV domain, or exits of any other; how often it sleeps is for the backend's speed to
    /// say.
    const fn entries(&self, cost: Cost) -> u64 {
        match self.env {
            Env::Pv => cost.other.saturating_sub(cost.waits),
            _ => cost.other,
        }
    }
}

/// A run.
#[derive(Clone, Copy, Debug)]
struct Stream {
    cost: Cost,
    bytes: u64,
}
