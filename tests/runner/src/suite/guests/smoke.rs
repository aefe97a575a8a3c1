// SPDX-License-Identifier: MIT OR Apache-2.0
//! The smoke image, everywhere.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("smoke_finds_everything_in_order", "smoke"),
    GuestTest::new("smoke_finds_everything_in_order_with_the_hypercall_page", "smoke")
        .words("hypercall=page")
        .envs(&Env::XEN),
    GuestTest::new("hello_says_hello_to_whom_it_is_told", "hello").words("name=Xen").telling(&["Hello, Xen"]),
];
