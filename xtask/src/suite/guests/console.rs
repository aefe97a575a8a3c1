// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consoles: both ways, under a flood, and with nobody at the other end.

use super::GuestTest;
use super::part::Part;
use crate::env::Env;
use crate::guest::Backend;

/// Has nobody read the guest's console for some seconds.
const UNREAD: &str = "reader=$(pidof xenconsoled) && kill -STOP $reader && \
    xenstore-write /local/domain/$DOMID/data/unread 1; status=$?; sleep 7; kill -CONT $reader && exit $status";

/// Commands and keys, as they are typed.
pub(super) const SHELL: &str = "help\nmemory\ntasks\ndevices\ninterfaces\nlog debug\nlog info\ndate\nversion\nenv\nzebra\n\
    echo one wrong\x17two\x01\x05 thr\u{eb}\x08ee\necho b\x1b[Da\x1b[C c\nthrown away\x03t\t\x15upt\t\n\x1b[A\n\
    ping 192.0.2.1 2\ntop\nqpoweroff\n";

/// What a shell tells wherever it runs.
pub(super) const SHELL_TELLS: &[&str] = &[
    "\nmemory                      memory and heap, in KiB",
    "\nheap  ",
    " prism::console::flush_kept",
    " tasks, busy for ",
    "\nlog level: debug",
    " UTC",
    "\nPrism ",
    "\nspectrum: ",
    "\nzebra: no such command; help lists them",
    "polls/s",
];

/// What becomes of the lines that are edited.
const EDITED: &[&str] =
    &["\none two three", "\nab c", "prism> ^C", "\ntasks  top", "prism> uptime", "\nup 00:"];

/// Words for nobody.
const IGNORED: Part = Part::new("words_that_nobody_knows_are_warned_of_and_ignored", &[Env::Fv])
    .words("loglevel=chatty zebra=7")
    .telling(&["loglevel=chatty is not understood", "ignoring zebra"]);

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("who_types_on_the_console_is_greeted", "console")
        .envs(&[Env::Pvh, Env::Fv])
        .long_envs(&[Env::Pv, Env::Pvhvm])
        .typing("Who is there", "Ada\nbye\n")
        .telling(&["Hello, Ada!"]),
    GuestTest::new("a_screen_and_a_keyboard_are_a_console", "console")
        .words("console=vga,serial")
        .envs(&[Env::Fv])
        .typing_on_keyboard("Who is there", "Ada\nbye\n")
        .telling(&["screen: Environment: PC", "screen: Who is there?", "Hello, Ada!"]),
    GuestTest::new("a_shell_tells_what_a_guest_is_and_does", "shell")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm])
        .disk(Backend::Kernel)
        .met_by("true")
        .typing("network 0: ", SHELL)
        .telling(SHELL_TELLS)
        .showing(&[
            Part::new("a_line_is_edited", &[Env::Pv]).long_envs(&[Env::Pvh, Env::Pvhvm]).telling(EDITED),
            Part { envs: &[Env::Pv], ..IGNORED }.long_envs(&[Env::Pvh]),
            Part::new("the_log_appears_above_the_line_that_is_typed", &[Env::Pv])
                .long_envs(&[Env::Pvh, Env::Pvhvm])
                .telling(&["\u{1b}[Kprism::network: network 0: "]),
            Part::new("a_shell_knows_devices_and_pings", &[Env::Pv])
                .long_envs(&[Env::Pvh, Env::Pvhvm])
                .telling(&[
                    "\nxvda         blkfront ",
                    "\nnetwork 0    netfront",
                    "\nnetwork 0: netfront",
                    ", 192.0.2.2/24",
                    "\n56 bytes from 192.0.2.1: number 2, ",
                    "\n2 of 2 came back; ",
                ]),
        ]),
    GuestTest::new("a_shell_works_on_a_serial_port", "shell")
        .envs(&[Env::Fv])
        .typing("shell: ready", SHELL)
        .telling(SHELL_TELLS)
        .showing(&[IGNORED, Part::new("a_line_is_edited_on_a_serial_port", &[Env::Fv]).telling(EDITED)]),
    GuestTest::new("two_thousand_lines_arrive_whole_and_in_order", "console")
        .words("flood=2000")
        .envs(&[Env::Pv, Env::QemuXen, Env::Fv])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::Kvm])
        .telling(&["line 000000 of 2000:", "line 001999 of 2000:", "\n0 bytes were dropped"]),
    // The last words take ten seconds if need be; nobody reads for seven.
    GuestTest::new("the_verdict_of_one_vcpu_arrives_though_others_write_and_nobody_reads", "console")
        .words("unread")
        .in_pv()
        .vcpus(4)
        .beside("about to be unread", UNREAD)
        .telling(&["about to be unread"]),
    GuestTest::new("only_the_chosen_console_is_used", "hello")
        .words("console=xen")
        .envs(&[Env::Dom0Pv, Env::Dom0Pvh])
        .telling(&["Hello, world!"]),
];
