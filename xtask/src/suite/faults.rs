// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest must survive: a table of faults and the tests that inject them, made from the list of tests.

use std::fmt::Write;

use super::matrix::has;
use crate::env::Env;

/// Where the table is, from the project's root.
pub(super) const FILE: &str = "docs/faults.md";

/// The environments in which a fault is told of: the others are like one of them, or have no backends.
const ENVS: [Env; 3] = [Env::Pv, Env::Pvh, Env::Pvhvm];

/// A fault, and the tests that inject it.
struct Fault {
    what: &'static str,
    /// Tests that boot guests: their names without environments.
    guests: &'static [&'static str],
    /// Tests that run on the developer's machine; targets of the fuzzers by `fuzzing_finds_nothing/NAME`.
    hosts: &'static [&'static str],
    /// What is not tested, and why.
    gap: &'static str,
}

const fn fault(
    what: &'static str,
    guests: &'static [&'static str],
    hosts: &'static [&'static str],
    gap: &'static str,
) -> Fault {
    Fault { what, guests, hosts, gap }
}

/// All of them.
const FAULTS: &[Fault] = &[
    fault(
        "saved and restored, with I/O under way; twenty times",
        &[
            "a_guest_is_saved_and_restored",
            "io_survives_being_saved_and_restored",
            "a_guest_is_suspended_twenty_times",
            "three_guests_are_restored_twenty_times_and_nothing_leaks",
        ],
        &["requests_that_wait_are_done_by_the_backends_of_the_restored_guest"],
        "",
    ),
    fault(
        "a suspend that is cancelled, refused or withdrawn",
        &[
            "a_checkpoint_changes_nothing",
            "an_application_may_refuse_to_be_suspended",
            "requests_to_suspend_that_come_on_top_of_each_other_are_one",
        ],
        &["a_suspend_that_was_withdrawn_or_replaced_is_not_acknowledged"],
        "",
    ),
    fault(
        "`xl migrate`, ten times, under load",
        &[
            "a_guest_migrates",
            "a_guest_migrates_ten_times",
            "a_server_with_connections_and_a_disk_migrates",
            "three_guests_migrate_ten_times_to_their_own_host_and_nothing_leaks",
        ],
        &[],
        "PV guests are saved and restored instead: Debian's Xen has no shadow paging to migrate them live",
    ),
    fault(
        "`xl pause`, `xl unpause`",
        &["nobody_else_speaks_on_the_network", "disks_are_slow_or_without_a_cache_and_the_guest_is_held_up"],
        &["a_clock_that_jumps_ahead_is_followed"],
        "",
    ),
    fault(
        "requests to switch off, reboot, halt, and unknown ones",
        &[
            "xl_shutdown_is_obeyed",
            "halt_is_a_poweroff",
            "starting_again_is_a_reboot",
            "a_request_that_nobody_knows_is_left_alone",
        ],
        &["a_request_that_is_not_understood_is_left_alone"],
        "",
    ),
    fault(
        "`xl sysrq`, `xl trigger`, `VIRQ_DEBUG`",
        &["a_guest_tells_what_it_does_and_goes_on", "xl_sysrq_crashes_a_guest_with_a_report"],
        &["a_key_is_acknowledged_and_taken_once"],
        "",
    ),
    fault(
        "a crash; `xl destroy`",
        &[
            "a_panic_is_a_crash",
            "an_invalid_opcode_is_a_crash",
            "a_crashed_domain_is_dumped_and_destroyed",
            "of_guests_that_are_destroyed_while_they_connect_nothing_is_left",
        ],
        &[],
        "no triple fault: what would end in one is a stack that overflows, which has a report (25)",
    ),
    fault(
        "`xl block-detach`, with and without `--force`, under I/O",
        &[
            "a_disk_that_is_detached_under_io_fails_and_can_come_back",
            "a_disk_that_is_torn_away_under_io_fails_and_can_come_back",
        ],
        &["a_disk_that_is_taken_away_fails_what_was_asked_of_it"],
        "",
    ),
    fault(
        "`xl network-detach`, `network-attach`, under load",
        &["an_interface_comes_back_under_load"],
        &["an_interface_that_is_unplugged_is_away_and_the_same_when_it_comes_back"],
        "",
    ),
    fault(
        "a backend that restarts; a driver domain that is destroyed",
        &[
            "io_survives_a_restart_of_the_backend",
            "a_lease_and_its_connections_outlive_a_restart_of_the_backend",
            "a_disk_comes_back_when_its_driver_domain_is_restarted",
            "an_interface_comes_back_when_its_driver_domain_is_restarted",
        ],
        &[
            "a_backend_that_is_restarted_is_connected_again",
            "requests_that_a_backend_left_unanswered_are_done_by_the_next",
        ],
        "",
    ),
    fault(
        "a backend that never connects, closes early, or whose directory vanishes",
        &["a_guest_is_restored_without_its_disk", "a_guest_is_restored_without_its_bridge_and_its_interface"],
        &[
            "a_backend_that_never_comes_is_given_up_with_a_message",
            "a_backend_that_never_connects_is_given_up_and_everything_released",
            "a_backend_that_closes_at_any_step_is_followed",
            "a_backend_that_vanishes_at_any_step_ends_the_device",
            "a_backend_that_vanishes_at_any_step_is_done_without",
        ],
        "",
    ),
    fault(
        "xenstored is updated live",
        &["a_guest_goes_on_when_xenstored_and_xenconsoled_are_replaced"],
        &["after_a_reconnection_everything_works_again", "requests_wait_while_the_rings_are_reset"],
        "",
    ),
    fault(
        "xenstored is killed",
        &["a_server_serves_on_when_xenstored_is_killed"],
        &["answers_that_never_come_hold_up_nobody_else", "answers_to_chores_that_never_come_hold_up_no_task"],
        "",
    ),
    fault(
        "quotas of xenstore; transactions that collide",
        &[
            "limits_of_xenstore_are_errors",
            "guests_work_with_oxenstored",
            "transactions_beside_a_writer_in_dom0_add_up",
        ],
        &[
            "a_used_up_quota_of_nodes_is_an_error_in_either_xenstoreds_words",
            "a_used_up_quota_of_watches_is_an_error",
            "too_many_transactions_are_an_error",
            "collisions_are_retried_with_growing_pauses_and_not_for_ever",
        ],
        "",
    ),
    fault(
        "values in xenstore that are long, binary, empty, negative, too large",
        &[
            "targets_that_make_no_sense_do_no_harm",
            "an_adversary_plays_moves",
            "an_adversary_plays_moves_in_xenstore_and_at_the_console",
        ],
        &[
            "garbage_in_a_property_fails_the_device_and_nothing_else",
            "garbage_from_the_backend_is_no_state",
            "integers_are_digits_in_range_and_nothing_else",
            "invalid_features_are_ignored",
            "an_absurd_ring_order_is_cut_down",
            "an_impossible_disk_is_not_used",
            "fuzzing_finds_nothing/xenstore",
        ],
        "",
    ),
    fault(
        "a message of more than 4096 bytes",
        &["a_lying_xenstored_is_survived"],
        &[
            "a_message_that_is_too_long_ends_the_connection_for_everybody",
            "a_payload_of_more_than_4096_bytes_is_neither_sent_nor_read",
        ],
        "",
    ),
    fault(
        "answers in another order, to nobody, with a wrong id; events that nobody asked for",
        &["a_lying_xenstored_is_survived", "a_flooded_watch_costs_no_more_than_it_may"],
        &[
            "an_answer_with_a_wrong_id_is_dropped_and_the_asker_waits",
            "a_second_answer_is_dropped",
            "events_for_nobody_are_dropped_and_counted",
            "a_hundred_requests_at_once_each_get_their_own_answer",
        ],
        "",
    ),
    fault(
        "`xl mem-set` down, up, below what there must be",
        &[
            "memory_is_given_back_and_taken_again",
            "targets_that_make_no_sense_do_no_harm",
            "a_guest_with_less_memory_is_saved_and_restored",
        ],
        &["steps_are_bounded_and_leave_what_cannot_be_spared", "any_goal_is_approached_and_nothing_is_lost"],
        "",
    ),
    fault(
        "`xl vcpu-set` down and up",
        &["vcpus_come_and_go_with_xl_vcpu_set", "io_goes_on_while_vcpus_come_and_go"],
        &[
            "a_vcpu_that_goes_leaves_no_event_behind",
            "a_hundred_vcpus_are_asked_for_without_overrunning_xenstored",
        ],
        "",
    ),
    fault(
        "1, 2, 4, 33, 64 vCPUs",
        &[
            "four_vcpus_work_together",
            "thirty_three_vcpus_boot",
            "sixty_four_vcpus_boot_with_few_event_channels",
        ],
        &[],
        "not 128: from the 33rd on each is started the same way",
    ),
    fault(
        "dom0's clock is set; a clock that goes back or is out of range; 2038",
        &["a_guests_date_is_its_hosts", "nobody_else_speaks_on_the_network"],
        &[
            "whatever_the_clock_shows_time_never_goes_back",
            "whatever_xen_writes_the_answer_is_exact_or_none",
            "a_clock_that_is_always_being_changed_has_no_time",
            "seconds_have_64_bits",
        ],
        "the lab's host cannot be suspended: a restore is what comes next to it",
    ),
    fault(
        "a small grant table, a full one, one that Xen refuses",
        &[
            "a_grant_table_of_one_frame_is_full_early",
            "a_disk_and_an_interface_share_a_frame_of_grants_and_few_event_channels",
            "io_goes_on_with_a_smaller_grant_table",
        ],
        &[
            "requests_wait_when_the_grant_table_is_full",
            "pages_that_stay_granted_leave_half_of_a_small_table_to_others",
            "a_small_grant_table_is_left_to_others_by_half",
            "a_failed_setup_in_a_pv_domain_is_reported",
        ],
        "",
    ),
    fault(
        "few event channels",
        &[
            "a_domain_with_few_ports_lives",
            "a_domain_with_few_ports_lives_in_the_2_level_abi",
            "a_guest_of_eight_event_channels_lives_with_them",
            "a_guest_that_may_have_fewer_event_channels_says_so",
        ],
        &[
            "ports_run_out_with_an_error_and_come_back",
            "a_xen_that_has_no_port_for_what_was_bound_is_an_error",
        ],
        "",
    ),
    fault(
        "no memory",
        &["all_of_8_mib_is_used", "a_guest_without_pages_goes_on", "eight_mib_are_enough_for_a_web_server"],
        &[
            "any_page_that_there_is_no_memory_for_costs_an_attempt_or_a_request",
            "any_large_allocation_that_fails_costs_an_attempt_or_a_request",
            "any_page_that_there_is_no_memory_for_costs_an_attempt_at_most",
            "any_large_allocation_of_an_interface_that_fails_costs_an_attempt_at_most",
            "a_stack_that_there_is_no_memory_for_is_none",
            "without_memory_for_the_copy_a_request_fails",
            "with_little_memory_for_copies_a_request_is_done_in_small_pieces",
            "a_port_without_memory_is_not_left_behind",
            "growing_without_memory_or_without_xens_consent_is_an_error_and_can_be_tried_again",
            "a_buffer_that_there_is_no_memory_for_is_none",
        ],
        "",
    ),
    fault(
        "a stack that overflows, on the first vCPU and another one",
        &["overflowing_the_stack_is_a_crash", "a_vcpu_that_overflows_its_stack_is_a_crash"],
        &[],
        "",
    ),
    fault(
        "responses in a ring that make no sense; grants that are never given back",
        &[
            "pages_are_shared_with_dom0_both_ways",
            "an_adversary_plays_moves",
            "an_adversary_plays_moves_in_a_network",
            "a_backend_that_hoards_pages_is_given_up_and_others_go_on",
        ],
        &[
            "a_response_with_an_unknown_id_poisons_the_disk",
            "a_response_with_a_stale_id_poisons_the_disk",
            "a_response_to_another_operation_poisons_the_disk",
            "more_answers_than_requests_poison_the_disk",
            "an_answer_that_changes_after_it_was_given_changes_nothing",
            "a_page_that_is_kept_mapped_poisons_the_disk_and_is_not_used_again",
            "backend_that_keeps_pages_of_each_connection_is_refused_at_a_limit",
            "responses_that_cannot_be_are_caught",
            "an_answer_given_twice_is_caught",
            "a_packet_without_end_is_caught",
            "announced_extra_information_has_to_be_valid",
            "data_that_changes_after_it_was_received_changes_nothing",
            "a_backend_that_keeps_pages_of_each_connection_is_refused_at_a_limit",
            "fuzzing_finds_nothing/blkfront",
            "fuzzing_finds_nothing/netfront",
            "fuzzing_finds_nothing/ring",
        ],
        "",
    ),
    fault(
        "a storm of events",
        &["work_goes_on_in_a_storm_of_events"],
        &[
            "a_storm_of_events_keeps_nobody_from_working",
            "a_storm_interrupts_nobody_until_its_task_has_looked",
            "a_peer_that_only_raises_events_is_served_eight_times_a_second",
            "events_that_never_end_are_left_for_the_next_time",
        ],
        "",
    ),
    fault(
        "boot information that makes no sense, is missing, or overlaps",
        &["words_that_nobody_knows_are_warned_of_and_ignored"],
        &[
            "a_guest_without_pages_is_an_error",
            "structures_outside_the_guest_are_noted",
            "version_0_has_no_memory_map",
            "lists_that_lie_nowhere_are_noted",
            "absurd_counts_are_bounded_and_noted",
            "every_page_is_of_the_strictest_kind_claimed",
            "rings_that_were_not_given_are_none",
            "fuzzing_finds_nothing/boot_pv",
            "fuzzing_finds_nothing/boot_pvh",
            "fuzzing_finds_nothing/e820",
            "fuzzing_finds_nothing/command_line",
        ],
        "the toolstack writes what is right: what is wrong can be made on a host only",
    ),
    fault(
        "disks of no sectors, of more than 2 TiB, of 4 KiB sectors, read-only, that grow, without discard or flush",
        &[
            "sectors_of_4_kib_are_written_and_read",
            "a_disk_grows_while_it_is_read",
            "what_is_discarded_takes_no_room",
        ],
        &[
            "a_disk_of_no_sectors_is_empty",
            "a_disk_of_more_than_2_tib_is_read_at_its_end",
            "half_a_sector_at_the_end_is_not_used",
            "what_lies_outside_of_the_disk_is_refused_without_asking",
            "a_disk_that_cannot_discard_says_so",
            "a_flush_that_is_not_supported_after_all_becomes_a_barrier",
            "a_disk_that_grows_can_be_read_beyond_its_old_end",
        ],
        "",
    ),
    fault(
        "networks of a small or large MTU, without offload, with blank checksums, floods, no buffers",
        &[
            "packets_of_other_groups_stay_away",
            "checksums_are_right_where_nobody_else_fills_them_in",
            "a_peer_behind_a_network_that_takes_less_gets_everything",
            "a_guest_that_is_flooded_and_destroyed_disturbs_no_other",
        ],
        &[
            "an_interface_of_a_network_with_a_small_mtu_is_connected",
            "a_network_with_a_larger_mtu_does_not_get_longer_packets",
            "segments_are_not_merged_for_a_backend_that_does_not_take_them",
            "damaged_packets_are_dropped_unless_the_backend_vouches_for_them",
            "damaged_packets_do_not_use_the_pages_up",
            "a_backend_that_does_not_answer_is_notified_again_once_a_second",
        ],
        "`carrier` is not read, as Linux's netfront does not: a backend that goes is noticed by its state",
    ),
    fault(
        "all of that for long: a thousand devices, twenty restores, 100,000 grants",
        &[
            "a_thousand_disks_leave_nothing_behind",
            "a_thousand_interfaces_leave_nothing_behind",
            "three_guests_are_restored_twenty_times_and_nothing_leaks",
            "a_hundred_thousand_grants_leave_no_trace",
        ],
        &["two_hundred_connections_leave_nothing_behind"],
        "not for 24 hours: what counts is how often",
    ),
];

/// What stands above the table.
const HEAD: &str = "# Faults that a guest survives

Made from the list of tests by `scripts/test matrix`; a test compares.

- **x**: injected on real Xen by a test of the normal run (`scripts/test`)
- **o**: injected on real Xen by a test of `scripts/test long`
- **h**: injected on a host only, where the code that meets the fault is the same for each environment
- empty: not tested there; the last column says why

A mark says that one of the tests or more run there. `scripts/test NAME` runs those with guests, `cargo test NAME`
those behind the word *host*, and `scripts/test NAME` the fuzzers among them.
[SECURITY.md](../SECURITY.md) says what is promised against whom, [the support matrix](support-matrix.md) what works.

";

/// The document, from the names of all tests in the normal run and those in the long one.
pub(super) fn document(normal: &[String], long: &[String]) -> String {
    let mut text = HEAD.to_owned();
    let names: Vec<&str> = ENVS.iter().map(|env| env.name()).collect();
    let _ = writeln!(text, "| | fault | {} | tests | what is not tested |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}---|---|", "---|".repeat(names.len()));
    for (number, fault) in (1..).zip(FAULTS) {
        let cells: Vec<&str> = ENVS.iter().map(|&env| fault.cell(env, normal, long)).collect();
        let tests = fault.tests();
        let _ =
            writeln!(text, "| {number} | {} | {} | {tests} | {} |", fault.what, cells.join(" | "), fault.gap);
    }
    text
}

impl Fault {
    fn cell(&self, env: Env, normal: &[String], long: &[String]) -> &'static str {
        let shown = |names: &[String]| self.guests.iter().any(|test| has(names, test, env));
        match () {
            () if shown(normal) => "x",
            () if shown(long) => "o",
            () if !self.hosts.is_empty() => "h",
            () => "",
        }
    }

    fn tests(&self) -> String {
        let quoted =
            |names: &[&str]| names.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
        match (self.guests, self.hosts) {
            (guests, []) => quoted(guests),
            ([], hosts) => format!("host: {}", quoted(hosts)),
            (guests, hosts) => format!("{}; host: {}", quoted(guests), quoted(hosts)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::project::Project;
    use crate::suite::named::on_hosts;
    use crate::suite::{Choice, guest_names, matrix};

    #[test]
    fn the_document_is_what_the_tests_say() {
        let (normal, long) = (guest_names(&Choice::All), guest_names(&Choice::Long));
        let path = Project::find().unwrap().root().join(FILE);
        let written = fs::read_to_string(path).unwrap();
        assert!(
            written == document(&normal, &long),
            "{FILE} is not true: scripts/test {} writes it",
            matrix::COMMAND
        );
    }

    #[test]
    fn every_test_of_a_fault_exists() {
        let all = [guest_names(&Choice::All), guest_names(&Choice::Long)].concat();
        let hosts = on_hosts();
        for fault in FAULTS {
            for test in fault.guests {
                assert!(ENVS.iter().any(|&env| has(&all, test, env)), "no guest runs {test}");
            }
            for test in fault.hosts {
                assert!(hosts.contains(*test), "no host runs {test}");
            }
        }
    }

    #[test]
    fn what_is_not_tested_has_a_reason() {
        let all = [guest_names(&Choice::All), guest_names(&Choice::Long)].concat();
        for fault in FAULTS {
            let whole = ENVS.iter().all(|&env| !fault.cell(env, &all, &all).is_empty());
            assert!(whole || !fault.gap.is_empty(), "{}: why is it not tested everywhere?", fault.what);
        }
    }
}
