// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests of a host whose xenstored is the one in OCaml, which XenServer and XCP-ng have, and Debian's `xen`
//! service prefers. It differs in its quotas and its words for them, in who has to try a transaction again,
//! in what its ring offers, and in the order of events: guest tests that xenstored has a part in run there,
//! too.

use anyhow::{Result, ensure};

use super::LabTest;
use super::guests;
use super::shared::Shared;
use crate::env::Env;
use crate::lab::machine::Role;

/// Guest tests on such a host.
#[derive(Clone, Copy, Debug)]
pub struct OxenstoredTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    /// Which.
    cases: &'static [&'static str],
    /// Texts that they have to tell there.
    texts: &'static [&'static str],
    long: bool,
}

/// Requests, watches and transactions, and more of them than there may be; a server with a disk, an interface
/// and connections, which is saved and restored, is given a disk more, and shut down; a disk that comes and
/// goes.
const FEW: &[&str] = &[
    "xenstore_serves_a_hundred_tasks_at_once",
    "limits_of_xenstore_are_errors",
    "transactions_beside_a_writer_in_dom0_add_up",
    "a_server_with_connections_and_a_disk_is_saved_and_restored",
    "a_disk_that_is_detached_under_io_fails_and_can_come_back",
];

/// What oxenstored alone says of a quota.
const QUOTA: &[&str] = &["xenstored refused: EQUOTA"];

const fn few(name: &'static str, env: Env) -> OxenstoredTest {
    OxenstoredTest { name, env, cases: FEW, texts: QUOTA, long: false }
}

impl OxenstoredTest {
    const fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

/// All of them.
pub const TESTS: [OxenstoredTest; 3] = [
    few("guests_work_with_oxenstored/pv", Env::Pv).long(),
    few("guests_work_with_oxenstored/pvh", Env::Pvh),
    few("guests_work_with_oxenstored/pvhvm", Env::Pvhvm).long(),
];

impl LabTest for OxenstoredTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        let told = guests::run_on(shared.project, Role::Oxenstored, &guests::named(self.cases, self.env)?)?;
        for text in self.texts {
            ensure!(told.contains(text), "nobody tells: {text}\n{told}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_test_exists_where_it_is_to_run() {
        for test in TESTS {
            let cases = guests::named(test.cases, test.env).unwrap();
            assert_eq!(cases.len(), test.cases.len(), "{}", test.name);
        }
    }
}
