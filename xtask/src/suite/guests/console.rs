// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consoles: both ways, under a flood, and with nobody at the other end.

use super::GuestTest;
use crate::env::Env;

/// Has nobody read the guest's console for some seconds.
const UNREAD: &str = "reader=$(pidof xenconsoled) && kill -STOP $reader && \
    xenstore-write /local/domain/$DOMID/data/unread 1; status=$?; sleep 7; kill -CONT $reader && exit $status";

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
    // The last words take ten seconds if need be; nobody reads for seven.
    GuestTest::new("the_verdict_of_one_vcpu_arrives_though_others_write_and_nobody_reads", "console")
        .words("unread")
        .in_pv_and_pvh()
        .vcpus(4)
        .beside("about to be unread", UNREAD)
        .telling(&["about to be unread"]),
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
