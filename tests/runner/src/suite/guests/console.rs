// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consoles: both ways, under a flood, and with nobody at the other end.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("who_types_on_the_console_is_greeted", "console")
        .envs(&[Env::Pv, Env::Pvh, Env::Fv])
        .long_envs(&[Env::Pvhvm])
        .typing("Who is there", "Ada\nbye\n")
        .telling(&["Hello, Ada!"]),
    GuestTest::new("a_screen_and_a_keyboard_are_a_console", "console")
        .words("console=vga,serial")
        .envs(&[Env::Fv])
        .typing_on_keyboard("Who is there", "Ada\nbye\n")
        .telling(&["screen: Environment: PC", "screen: Who is there?", "Hello, Ada!"]),
    GuestTest::new("two_thousand_lines_arrive_whole_and_in_order", "console")
        .words("flood=2000")
        .envs(&[Env::Pv, Env::QemuXen, Env::Fv])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::Kvm])
        .telling(&["line 000000 of 2000:", "line 001999 of 2000:", "\n0 bytes were dropped"]),
    GuestTest::new("words_that_nobody_knows_are_warned_of_and_ignored", "hello")
        .words("loglevel=chatty zebra=7 name=all")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Fv])
        .telling(&["loglevel=chatty is not understood", "ignoring zebra", "Hello, all!"]),
    GuestTest::new("only_the_chosen_console_is_used", "hello")
        .words("console=xen")
        .envs(&[Env::Dom0Pv, Env::Dom0Pvh])
        .telling(&["Hello, world!"]),
];
