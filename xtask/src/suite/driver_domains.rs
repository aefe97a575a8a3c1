// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frontends of Prism's with backends of Prism's: guest tests of disks and networks whose guests have these
//! from two driver domains, which serve one guest after another. What restarts or configures Linux's backends
//! is left out; the topic `served` has driver domains restart.

use anyhow::{Result, ensure};

use super::LabTest;
use super::guests::{self, GuestCase};
use super::shared::Shared;
use crate::env::Env;

/// Guest tests on driver domains.
#[derive(Clone, Copy, Debug)]
pub struct DriverDomainsTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    cases: Cases,
    long: bool,
}

/// Guest tests, and what each shows beside.
type Cases = &'static [(&'static str, &'static [&'static str])];

/// A file on a disk of one domain is served through the other one; a disk is written in pieces of all sizes,
/// and dom0 finds the same; one goes under I/O and comes back; packets to other groups stay away.
const FEW: Cases = &[
    ("the_same_file_is_served_off_any_disk_by_the_same_words", &[]),
    ("the_guest_reads_what_linux_wrote", &["linux_reads_what_the_guest_wrote"]),
    ("a_disk_that_is_torn_away_under_io_fails_and_can_come_back", &[]),
    ("web_clients_are_served", &["packets_of_other_groups_stay_away"]),
];

/// All that is not about Linux's backends.
const ALL: Cases = &[
    ("the_same_file_is_served_off_any_disk_by_the_same_words", &[]),
    ("the_guest_reads_what_linux_wrote", &["linux_reads_what_the_guest_wrote"]),
    ("a_disk_that_is_detached_under_io_fails_and_can_come_back", &[]),
    ("a_disk_that_is_torn_away_under_io_fails_and_can_come_back", &[]),
    (
        "sectors_of_4_kib_are_written_and_read",
        &["what_is_discarded_takes_no_room", "a_disk_grows_while_it_is_read"],
    ),
    ("a_store_that_is_destroyed_again_and_again_loses_nothing", &[]),
    ("fat_is_read_and_written_and_fsck_is_content", &[]),
    ("ext4_in_a_partition_is_read", &[]),
    (
        "what_is_sent_comes_back",
        &[
            "pings_of_all_sizes_are_answered",
            "a_peer_behind_a_network_that_takes_less_gets_everything",
            "two_guests_find_each_other_by_name_and_talk",
        ],
    ),
    ("what_is_sent_comes_back_to_who_looks_for_it", &[]),
    (
        "web_clients_are_served",
        &["two_hundred_connections_in_turn_are_served", "packets_of_other_groups_stay_away"],
    ),
    ("files_of_a_fat_disk_are_served", &[]),
    ("eight_mib_are_enough_for_a_web_server", &[]),
    ("a_real_iperf_measures_both_directions", &[]),
    ("the_guest_measures_with_a_real_iperf_server", &[]),
];

/// Apart, as others write on the machine's first disk: that is the one with the file, if there is one.
const LARGE: Cases = &[("a_file_of_256_mib_off_a_partition_arrives_whole", &[])];

/// All of them.
pub const TESTS: [DriverDomainsTest; 5] = [
    DriverDomainsTest::new("frontends_work_with_driver_domains/pvh", Env::Pvh, FEW),
    DriverDomainsTest::new("disks_and_networks_of_driver_domains/pv", Env::Pv, ALL).long(),
    DriverDomainsTest::new("disks_and_networks_of_driver_domains/pvh", Env::Pvh, ALL).long(),
    DriverDomainsTest::new("a_large_file_comes_through_driver_domains/pv", Env::Pv, LARGE).long(),
    DriverDomainsTest::new("a_large_file_comes_through_driver_domains/pvh", Env::Pvh, LARGE).long(),
];

impl DriverDomainsTest {
    const fn new(name: &'static str, env: Env, cases: Cases) -> Self {
        Self { name, env, cases, long: false }
    }

    const fn long(self) -> Self {
        Self { long: true, ..self }
    }

    fn cases(&self) -> Result<Vec<GuestCase>> {
        self.cases.iter().map(|(name, parts)| guests::with_parts(name, parts, self.env)).collect()
    }
}

impl LabTest for DriverDomainsTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        let told = guests::run_on_driver_domains(shared.project, self.env, &self.cases()?)?;
        for served in ["storage: ready", "router: ready", "vbd/", "vif/"] {
            ensure!(told.contains(served), "nobody tells: {served}\n{told}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_test_exists_with_its_parts() {
        for test in TESTS {
            let cases = test.cases().unwrap();
            assert_eq!(cases.len(), test.cases.len(), "{}", test.name);
        }
    }
}
