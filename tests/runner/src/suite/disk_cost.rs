// SPDX-License-Identifier: MIT OR Apache-2.0
//! What reading a disk costs, counted by Xen's own trace.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::LabTest;
use super::traced::{Cost, NATIVE_TSC};
use crate::env::Env;
use crate::guest::Job;
use crate::guest::session::Session;
use crate::image::build;
use crate::lab::machine::Role;
use crate::project::Project;
use crate::scratch::Scratch;

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
}

const fn test(name: &'static str, env: Env, depth: u32, limit: u64) -> DiskCostTest {
    DiskCostTest { name, env, depth, limit }
}

/// All of them. One request at a time costs a notification and a sleep; of many at once most find
/// the backend at work, and their answers come together.
pub const TESTS: [DiskCostTest; 4] = [
    test("a_read_costs_a_notification_and_a_sleep/pv", Env::Pv, 1, 2200),
    test("a_read_costs_a_notification_and_a_sleep/pvh", Env::Pvh, 1, 2300),
    test("reads_at_once_share_notifications/pv", Env::Pv, 32, 100),
    test("reads_at_once_share_notifications/pvh", Env::Pvh, 32, 100),
];

/// Requests of the shorter and of the longer run.
const REQUESTS: [u64; 2] = [100, 1100];

impl LabTest for DiskCostTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        false
    }

    fn run(&self, project: &Project) -> Result<()> {
        self.compare(project)
    }
}

impl DiskCostTest {
    /// What 1000 requests more cost.
    fn compare(&self, project: &Project) -> Result<()> {
        let image = build::build_by_name(project, "disk")?;
        let scratch = Scratch::new()?;
        let disk = scratch.path().join("disk");
        fs::write(&disk, vec![0; 16 << 20]).context("cannot write a disk")?;
        let lab = project.lab();
        let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, std::slice::from_ref(&disk))?;
        let mut cost = |requests: u64| {
            let job = Job {
                command_line: format!("read=xvda,{},{requests}", self.depth),
                disks: vec![disk.clone()],
                settings: NATIVE_TSC,
                ..Job::new(self.env, image.clone())
            };
            Cost::of_run(&mut session, &job)
        };
        // The first guest of a machine meets a toolstack and a xenstored that are not warm yet.
        cost(1)?;
        let [short, long] = REQUESTS;
        let (short, long) = (cost(short)?, cost(long)?);
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
