// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grid as the application prints it. What it is made of is in each boot report, which is looked at
//! everywhere when [`smoke`](super::smoke) runs.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[GuestTest::new("spectrum_prints_the_right_grid", "spectrum")
    .envs(&[Env::Dom0Pvh, Env::Pv, Env::Pvh, Env::Kvm])
    .long_envs(&[Env::Dom0Pv, Env::PvShim, Env::Pvhvm, Env::HvmPvDrivers, Env::Hvm, Env::QemuXen, Env::Fv])
    .with_grid()];
