// SPDX-License-Identifier: MIT OR Apache-2.0
//! What applications find: tasks, random numbers.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("tasks_wait_yield_and_end_as_documented", "tasks")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::PvShim, Env::Pvhvm, Env::QemuXen])
        .words("loglevel=debug")
        .telling(&[
            "a task blocked its vCPU",
            "ok       a task that asks for the past keeps nobody waiting",
            "spins (1 times",
        ]),
    GuestTest::new("a_program_with_embassys_main_runs_until_it_is_asked_to_end", "embassy")
        .in_pv()
        .beside("tick 3", "xl shutdown $DOMID")
        .telling(&["1 vCPU"]),
    GuestTest::new("random_numbers_differ_and_all_their_bits_move", "entropy")
        .envs(&[Env::Pv, Env::Kvm, Env::Fv])
        .long_envs(&[
            Env::Pvh,
            Env::Dom0Pv,
            Env::Dom0Pvh,
            Env::PvShim,
            Env::Pvhvm,
            Env::HvmPvDrivers,
            Env::Hvm,
            Env::QemuXen,
        ]),
    GuestTest::new("random_numbers_without_rdseed_come_from_rdrand", "entropy")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pv, Env::PvShim, Env::Pvhvm, Env::QemuXen, Env::Kvm])
        .words("entropy=rdrand")
        .telling(&["prism::boot: entropy: RDRAND + jitter"]),
    GuestTest::new("random_numbers_from_jitter_alone_are_called_weak", "entropy")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::PvShim, Env::Pvhvm, Env::QemuXen, Env::Kvm])
        .words("entropy=jitter")
        .telling(&["prism::boot: entropy: weak: jitter only", "warning: random numbers are weak"]),
];
