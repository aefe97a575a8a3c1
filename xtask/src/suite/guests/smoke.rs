// SPDX-License-Identifier: MIT OR Apache-2.0
//! The smoke image, everywhere.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("smoke_finds_everything_in_order", "smoke").with_grid(),
    GuestTest::new("smoke_finds_everything_in_order_with_the_hypercall_page", "smoke")
        .words("hypercall=page")
        .envs(&[Env::Pv, Env::Pvh, Env::QemuXen])
        .long_envs(&[Env::Dom0Pv, Env::Dom0Pvh, Env::PvShim, Env::Pvhvm, Env::HvmPvDrivers, Env::Hvm]),
    GuestTest::new("hello_says_hello_to_whom_it_is_told", "hello")
        .envs(&[Env::Dom0Pv, Env::Pv, Env::Kvm])
        .long_envs(&[
            Env::Dom0Pvh,
            Env::Pvh,
            Env::PvShim,
            Env::Pvhvm,
            Env::HvmPvDrivers,
            Env::Hvm,
            Env::QemuXen,
            Env::Fv,
        ])
        .words("name=Xen")
        .telling(&["Hello, Xen"]),
];
