// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants and xenstore in numbers.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("a_hundred_thousand_grants_leave_no_trace", "grants")
        .envs(&[Env::Pv, Env::Pvh, Env::PvShim, Env::QemuXen])
        .long_envs(&[Env::Dom0Pv, Env::Dom0Pvh, Env::Pvhvm])
        .telling(&["0 granted", "0 in quarantine, 0 lost"]),
    GuestTest::new("xenstore_serves_a_hundred_tasks_at_once", "store")
        .envs(&[Env::Pv, Env::QemuXen])
        .long_envs(&[Env::Pvh, Env::PvShim, Env::Pvhvm])
        .telling(&["100 of 100 tasks", "50 of 50 watches", "40 of 40 transactions done, the sum is 40"]),
];
