// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest costs, compared with the table that the documents have of it.

use anyhow::Result;

use super::LabTest;
use super::shared::Shared;
use crate::bench::check;
use crate::env::Env;

/// A test that nothing costs more than in `docs/benchmarks.md`.
#[derive(Clone, Copy, Debug)]
pub struct CommittedTest {
    /// A sentence.
    name: &'static str,
    env: Env,
}

/// All of them.
pub const TESTS: [CommittedTest; 2] = [
    CommittedTest { name: "a_boot_and_a_read_cost_no_more_than_the_documents_say/pv", env: Env::Pv },
    CommittedTest { name: "a_boot_and_a_read_cost_no_more_than_the_documents_say/pvh", env: Env::Pvh },
];

impl LabTest for CommittedTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        false
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        let (project, disk) = (shared.project, shared.disk()?);
        check::boot_and_read(project, shared.session()?, &disk, self.env)
    }
}
