// SPDX-License-Identifier: MIT OR Apache-2.0
//! What applications find: tasks, random numbers.

use super::GuestTest;
use crate::env::Env;

const ENVS: &[Env] = &[Env::Pv, Env::Pvh, Env::PvShim, Env::Pvhvm, Env::QemuXen, Env::Kvm];

/// Where tasks can sleep, and be woken.
const SLEEPING: &[Env] = &[Env::Pv, Env::Pvh, Env::PvShim, Env::Pvhvm, Env::QemuXen];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("tasks_wait_yield_and_end_as_documented", "tasks")
        .envs(SLEEPING)
        .words("loglevel=debug")
        .telling(&["a task kept the vCPU for long", "more than 256 tasks are refused"]),
    GuestTest::new("random_numbers_differ_and_all_their_bits_move", "entropy"),
    GuestTest::new("random_numbers_without_rdseed_come_from_rdrand", "entropy")
        .envs(ENVS)
        .words("entropy=rdrand")
        .telling(&["prism::boot: entropy: RDRAND + jitter"]),
    GuestTest::new("random_numbers_from_jitter_alone_are_called_weak", "entropy")
        .envs(ENVS)
        .words("entropy=jitter")
        .telling(&["prism::boot: entropy: weak: jitter only"]),
];
