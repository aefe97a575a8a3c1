// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests with little memory and with much, who use all of it.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("bytes_are_copied_filled_and_compared", "memory")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh])
        .words("functions")
        .telling(&["0 calls went wrong"]),
    GuestTest::new("a_guest_without_pages_goes_on", "memory")
        .in_pv_and_pvh()
        .memory(16)
        .words("pages")
        .telling(&["small allocations go on"]),
    GuestTest::new("all_of_8_mib_is_used", "memory").in_pv_and_pvh().memory(8).words("share=70"),
    GuestTest::new("what_is_not_populated_is_not_used", "memory")
        // In PV and PVH guests a balloon that works with the rest shows it, too.
        .envs(&[Env::Pvhvm])
        .long_envs(&[Env::Pv, Env::Pvh, Env::HvmPvDrivers])
        .settings(&["maxmem = 256"])
        .words("share=95"),
    GuestTest::new("all_of_4_gib_is_used", "memory").in_pv().memory(4096).words("share=95"),
];
