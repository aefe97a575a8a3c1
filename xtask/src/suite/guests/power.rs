// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways to end, as Xen sees them.

use super::{GuestTest, rungs};
use crate::env::Env;
use crate::guest::board::Board;
use crate::guest::{Boot, Ending};

/// What sends keys.
macro_rules! press {
    () => {
        include_str!("power/press.sh")
    };
}

/// A guest that waits until `xl` asks it to end.
const WAITING: GuestTest = GuestTest::new("", "power")
    .words("power=wait")
    .in_pv_and_pvh()
    .beside("about to: wait", "xl shutdown $DOMID");

/// A guest without a toolstack that waits until its power button is pressed.
const BUTTON: GuestTest = GuestTest::new("", "power")
    .words("power=wait")
    .envs(&[Env::Fv])
    .pressing_power_button("about to: wait")
    .telling(&["the power button was pressed"]);

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("switching_off_is_a_poweroff", "power")
        .words("power=off")
        .envs(&[Env::Pv, Env::Pvh])
        .long_envs(&[Env::PvShim, Env::Pvhvm, Env::Hvm])
        .ending_by(&Ending::Poweroff),
    GuestTest::new("starting_again_is_a_reboot", "power")
        .words("power=reboot")
        .envs(&[Env::Pvh, Env::Hvm])
        .long_envs(&[Env::Pv, Env::PvShim, Env::Pvhvm])
        .ending_by(&Ending::Reboot),
    GuestTest::new("a_request_in_xenstore_is_obeyed", "power")
        .words("power=asked-to-reboot")
        .envs(&[Env::Pv, Env::Pvh])
        .long_envs(&[Env::PvShim, Env::Pvhvm])
        .telling(&["the toolstack requests reboot"])
        .ending_by(&Ending::Reboot),
    GuestTest::new("a_request_that_nobody_knows_is_left_alone", "power")
        .words("power=asked-in-vain")
        .in_pv()
        .telling(&["unsupported request \"frobnicate\" ignored", "unsupported request \"s3\""]),
    // In the normal run, a guest that tells what it does shows it beside.
    WAITING.named("xl_shutdown_is_obeyed").envs(&[]).long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm]),
    WAITING
        .named("halt_is_a_poweroff")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside("about to: wait", "xenstore-write /local/domain/$DOMID/control/shutdown halt")
        .telling(&["the toolstack requests halt"]),
    WAITING
        .named("xl_shutdown_is_obeyed_by_a_guest_with_vectors_of_its_own")
        .envs(&[Env::Pvhvm])
        .long_envs(&[Env::Pvh])
        .words("power=wait upcall=percpu")
        .telling(&["upcall: event channels by vCPU vector"]),
    WAITING
        .named("xl_shutdown_is_obeyed_by_a_guest_that_polls")
        .envs(&[Env::Pvhvm])
        .long_envs(&[Env::Pvh])
        .words("power=wait upcall=poll")
        .telling(&["upcall: event channels by polling"]),
    // Only firmware makes ACPI's tables.
    WAITING
        .named("xl_trigger_power_is_obeyed_behind_a_bios")
        .booting_from(Boot::Disk)
        .settings(rungs::AHCI)
        .envs(&[])
        .long_envs(&[Env::Pvhvm, Env::HvmPvDrivers, Env::Hvm])
        .beside("about to: wait", "xl trigger $DOMID power")
        .telling(&["the power button was pressed"]),
    BUTTON.named("the_power_button_is_obeyed"),
    BUTTON.named("the_power_button_of_a_q35_is_obeyed").on(Board::of("q35")),
    GuestTest::new("of_guests_that_are_destroyed_while_they_connect_nothing_is_left", "httpd")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .disk_with_files()
        .hosted_by(include_str!("power/destroyed.sh")),
    WAITING.named("the_memory_of_a_guest_is_dumped").in_pv().memory(16).beside("about to: wait", DUMP),
    WAITING
        .named("a_guest_tells_what_it_does_and_goes_on")
        .vcpus(2)
        .in_pv_and_pvh()
        .beside("about to: wait", concat!(press!(), "\n", include_str!("power/ask.sh")))
        .telling(&[
            "non-maskable interrupt on vCPU 0; the guest goes on\n  the vCPU sleeps",
            "prism_arch::entry::rust_entry",
            "prism::sysrq: b reboot, c crash, h help",
            "prism::sysrq: memory\n            total KiB     used KiB     free KiB\nmemory ",
            " 0 not given back, 0 pages of others mapped",
            "  prism::hypervisor::sysrq::serve\n",
            " polls were long, tasks have spun ",
            "prism::sysrq: 0 disks of the toolstack, xenstore idle",
            "prism::sysrq: vCPU 0 runs prism::hypervisor::sysrq::serve",
            "prism::sysrq: vCPU 1 sleeps, 0 tasks",
            "non-maskable interrupt on vCPU 1; the guest goes on\n  the vCPU sleeps",
            "the toolstack requests poweroff",
        ])
        .not_telling(&["a key was ignored"]),
    WAITING
        .named("xl_sysrq_crashes_a_guest_with_a_report")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside("about to: wait", concat!(press!(), "\npress c"))
        .crashing()
        .telling(&["panic: the toolstack requests a crash (sysrq)", "prism::hypervisor::sysrq::serve"]),
    WAITING
        .named("xl_sysrq_reboots_a_guest_at_once")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside("about to: wait", concat!(press!(), "\npress b"))
        .ending_by(&Ending::Reboot)
        .telling(&["prism::sysrq: rebooting"]),
    WAITING
        .named("xl_sysrq_switches_a_guest_off_at_once")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside("about to: wait", concat!(press!(), "\npress o"))
        .ending_by(&Ending::Poweroff)
        .telling(&["prism::sysrq: switching off"]),
];

/// All memory in a file: of a PV guest `xl` has to find the list of its frames.
const DUMP: &str = "set -e
xl dump-core $DOMID /tmp/core.$DOMID
bytes=$(stat -c %s /tmp/core.$DOMID)
rm /tmp/core.$DOMID
[ $bytes -gt 16000000 ] || { echo only $bytes bytes; exit 1; }
xl shutdown $DOMID";
