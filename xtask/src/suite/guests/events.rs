// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events and timers in numbers, however events are kept.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("no_event_is_lost_and_no_timer_is_early", "events")
        .envs(&[Env::Pv, Env::Pvh, Env::HvmPvDrivers])
        .long_envs(&[Env::Dom0Pv, Env::Dom0Pvh, Env::Pvhvm])
        .telling(&["events: FIFO", "10000 events sent, 10000 echoed, 0 lost"]),
    GuestTest::new("no_event_is_lost_where_there_is_no_fifo_abi", "events")
        .envs(&[Env::QemuXen])
        .long_envs(&[Env::PvShim])
        .words("events=fifo")
        .telling(&["events: 2-level", "10000 events sent, 10000 echoed, 0 lost"]),
    GuestTest::new("no_event_is_lost_in_the_2_level_abi", "events")
        .in_pv()
        .words("events=2l")
        .telling(&["events: 2-level", "10000 events sent, 10000 echoed, 0 lost"]),
    GuestTest::new("a_domain_with_few_ports_lives", "events")
        .in_pv()
        .words("few")
        .settings(&["max_event_channels = 8"])
        .telling(&["events: FIFO", "channels opened before Xen said Some(ENOSPC)"]),
    GuestTest::new("a_domain_with_few_ports_lives_in_the_2_level_abi", "events")
        .in_pvh()
        .words("few events=2l")
        .settings(&["max_event_channels = 8"])
        .telling(&["events: 2-level", "channels opened before Xen said Some(ENOSPC)"]),
];
