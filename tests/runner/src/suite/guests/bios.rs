// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that a BIOS finds on a disk or a CD, like any PC system.

use super::GuestTest;
use crate::env::Env;
use crate::guest::Boot;

const ENVS: &[Env] = &[Env::Pvhvm, Env::Hvm, Env::Kvm, Env::Fv];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("smoke_finds_everything_in_order_on_a_disk", "smoke")
        .booting_from(Boot::Disk)
        .words("loglevel=debug")
        .envs(ENVS)
        .telling(&["entered by Multiboot2", "timers fire"]),
    GuestTest::new("hello_says_hello_from_a_cd", "hello")
        .booting_from(Boot::Cd)
        .words("name=\"you all\"")
        .envs(&[Env::Hvm, Env::Fv])
        .telling(&["entered by Multiboot2", "Hello, you all"]),
    GuestTest::new("spectrum_prints_the_right_grid_on_a_disk", "spectrum")
        .booting_from(Boot::Disk)
        .envs(ENVS)
        .with_grid(),
];
