// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that loses its xenstored for good, and gets one that knows of no guest: a machine that nobody else
//! wants afterwards.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::LabTest;
use super::shared::Shared;
use crate::env::Env;
use crate::guest::hotplug::Hotplug;
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::build;
use crate::lab::machine::Role;

/// A test of such a host.
#[derive(Clone, Copy, Debug)]
pub struct DaemonsTest {
    /// A sentence.
    name: &'static str,
    env: Env,
}

/// All of them.
pub const TESTS: [DaemonsTest; 3] = [
    DaemonsTest { name: "a_server_serves_on_when_xenstored_is_killed/pv", env: Env::Pv },
    DaemonsTest { name: "a_server_serves_on_when_xenstored_is_killed/pvh", env: Env::Pvh },
    DaemonsTest { name: "a_server_serves_on_when_xenstored_is_killed/pvhvm", env: Env::Pvhvm },
];

/// What is done in dom0.
const SCRIPT: &str = include_str!("daemons/killed.sh");

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(300);

impl LabTest for DaemonsTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        true
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        let lab = shared.project.lab();
        let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, &[])?;
        let job = Job {
            network: true,
            hotplug: Hotplug::Lab,
            ..Job::new(self.env, build::build_by_name(shared.project, "httpd")?)
        };
        let name = xl::bring(&mut session, &job)?;
        let agent = session.agent();
        agent.put("/tmp/killed.sh", SCRIPT.as_bytes())?;
        let output = agent.sh(&format!("sh /tmp/killed.sh {name} 2>&1"), LIMIT)?;
        ensure!(output.status == 0, "{}", output.text());
        Ok(())
    }
}
