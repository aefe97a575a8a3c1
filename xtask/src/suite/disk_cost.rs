// SPDX-License-Identifier: MIT OR Apache-2.0
//! What reading a disk costs, counted by Xen's own trace.

use anyhow::{Result, ensure};

use super::LabTest;
use super::shared::Shared;
use super::traced::{Cost, NATIVE_TSC};
use crate::env::Env;
use crate::guest::Job;
use crate::image::build;

/// A test of what requests to a disk cost.
#[derive(Clone, Copy, Debug)]
pub struct DiskCostTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    /// Requests on their way at once.
    depth: u32,
    /// Entries into Xen for each 1000 requests, all but the machine's own interrupts, that are
    /// allowed.
    limit: u64,
    long: bool,
}

const fn test(name: &'static str, env: Env, depth: u32, limit: u64) -> DiskCostTest {
    DiskCostTest { name, env, depth, limit, long: false }
}

impl DiskCostTest {
    const fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

/// All of them. One request at a time costs a notification and a sleep, which the normal run compares with
/// the documents, too; of many at once most find the backend at work, and their answers come together.
pub const TESTS: [DiskCostTest; 4] = [
    test("a_read_costs_a_notification_and_a_sleep/pv", Env::Pv, 1, 2200).long(),
    test("a_read_costs_a_notification_and_a_sleep/pvh", Env::Pvh, 1, 2300).long(),
    test("reads_at_once_share_notifications/pv", Env::Pv, 32, 100),
    test("reads_at_once_share_notifications/pvh", Env::Pvh, 32, 100).long(),
];

/// Requests on their way at once, of all tests.
const DEPTHS: [u32; 2] = [1, 32];

/// Requests of the shorter and of the longer run.
const REQUESTS: [u64; 2] = [100, 1100];

impl LabTest for DiskCostTest {
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

impl DiskCostTest {
    /// What 1000 requests more cost.
    fn compare(&self, shared: &mut Shared<'_>) -> Result<()> {
        let image = build::build_by_name(shared.project, "disk")?;
        let mut cost = |words: &[String]| {
            let job = Job {
                command_line: words.join(" "),
                disks: vec![shared.disk()?],
                settings: NATIVE_TSC,
                ..Job::new(self.env, image.clone())
            };
            shared.cost(&job)
        };
        // All of the environment's tests compare with one guest, which reads little at each depth.
        let [few, many] = REQUESTS;
        let read = |depth, requests| format!("read=xvda,{depth},{requests}");
        let words = |more| DEPTHS.map(|depth| read(depth, if more == Some(depth) { many } else { few }));
        let (short, long) = (cost(&words(None))?, cost(&words(Some(self.depth)))?);
        let entries = self.entries(long).saturating_sub(self.entries(short));
        ensure!(
            entries <= self.limit,
            "1000 requests cost {entries} entries, not {} ({short:?} {long:?})",
            self.limit
        );
        Ok(())
    }

    /// Hypercalls of a PV domain, the sleeps among them, or exits of any other. How often many
    /// requests at once sleep is for the backend's speed to say, and not counted.
    const fn entries(&self, cost: Cost) -> u64 {
        match (self.env, self.depth) {
            (Env::Pv, 1) => cost.other,
            (Env::Pv, _) => cost.other - cost.waits,
            (_, 1) => cost.waits + cost.other,
            _ => cost.other,
        }
    }
}
