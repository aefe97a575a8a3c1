// SPDX-License-Identifier: MIT OR Apache-2.0
//! What applications find: random numbers.

use super::GuestTest;
use crate::env::Env;

const ENVS: &[Env] = &[Env::Pv, Env::Pvh, Env::PvShim, Env::Pvhvm, Env::QemuXen, Env::Kvm];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("random_numbers_differ_and_all_their_bits_move", "entropy").envs(ENVS),
    GuestTest::new("random_numbers_without_rdseed_come_from_rdrand", "entropy")
        .envs(ENVS)
        .words("entropy=rdrand")
        .telling(&["prism::boot: entropy: RDRAND + jitter"]),
    GuestTest::new("random_numbers_from_jitter_alone_are_called_weak", "entropy")
        .envs(ENVS)
        .words("entropy=jitter")
        .telling(&["prism::boot: entropy: weak: jitter only"]),
];
