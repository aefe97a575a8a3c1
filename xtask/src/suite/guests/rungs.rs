// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lower rungs: guests that a BIOS finds on a disk or a CD, emulated devices, events by an
//! interrupt line, and rungs that are forced.

use super::GuestTest;
use crate::env::Env;
use crate::guest::Boot;

/// SHA-256 of a MiB of zeros, which is what a guest's IDE disk holds if it was given none.
const ZEROS: &[&str] = &["sha256 hda 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"];

/// Emulated disks are SATA's. A BIOS reads such a disk by DMA, and an IDE disk word by word, which takes a
/// minute or two.
pub(super) const AHCI: &[&str] = &["hdtype = \"ahci\""];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("smoke_finds_everything_in_order_on_a_disk", "smoke")
        .booting_from(Boot::Disk)
        .envs(&[Env::Kvm, Env::Fv])
        .long_envs(&[Env::Pvhvm, Env::HvmPvDrivers, Env::Hvm])
        .telling(&["entered by Multiboot2"]),
    GuestTest::new("hello_says_hello_from_a_cd", "hello")
        .booting_from(Boot::Cd)
        .words("name=\"you all\"")
        .envs(&[Env::Fv])
        .long_envs(&[Env::Hvm])
        .telling(&["entered by Multiboot2", "Hello, you all"]),
    GuestTest::new("spectrum_prints_the_right_grid_on_a_disk", "spectrum")
        .booting_from(Boot::Disk)
        .envs(&[Env::Fv])
        .long_envs(&[Env::Pvhvm, Env::HvmPvDrivers, Env::Hvm, Env::Kvm])
        .with_grid(),
    GuestTest::new("an_emulated_disk_is_read", "disk")
        .words("list sha256=hda")
        .envs(&[Env::Fv])
        .long_envs(&[Env::Hvm])
        .telling(ZEROS),
    GuestTest::new("an_emulated_disk_keeps_what_is_written", "disk")
        .words("fill=hda,5 flush=hda verify=hda,5 fill=hda,6 verify=hda,6")
        .envs(&[Env::Hvm])
        .telling(&["verified 1048576 bytes of hda"]),
    GuestTest::new("an_ahci_disk_is_read", "disk")
        .words("list sha256=hda")
        .envs(&[])
        .long_envs(&[Env::Hvm])
        .settings(AHCI)
        .telling(&[
            "AHCI controller at ",
            "sha256 hda 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58",
        ]),
    GuestTest::new("an_ahci_disk_keeps_what_is_written", "disk")
        .words("fill=hda,5 flush=hda verify=hda,5 fill=hda,6 verify=hda,6")
        .envs(&[Env::Hvm])
        .settings(AHCI)
        .telling(&["verified 1048576 bytes of hda"]),
    GuestTest::new("smoke_finds_everything_in_order_on_an_ahci_disk", "smoke")
        .booting_from(Boot::Disk)
        .envs(&[])
        .long_envs(&[Env::Hvm, Env::Pvhvm, Env::HvmPvDrivers])
        .settings(AHCI)
        .telling(&["entered by Multiboot2"]),
    // Not in guests of a lab machine: UEFI makes the machine's QEMU 10 end with an assertion of its own
    // (tcg_handle_interrupt: bql_locked).
    GuestTest::new("smoke_finds_everything_in_order_by_uefi", "smoke")
        .booting_from(Boot::Uefi)
        .envs(&[Env::Fv])
        .memory(256)
        .telling(&["entered by Multiboot2"]),
    GuestTest::new("events_come_by_a_line_of_the_io_apic_that_firmware_tells_of", "disk")
        .booting_from(Boot::Disk)
        .words("sha256=xvda irqchip=ioapic loglevel=debug")
        .envs(&[])
        .long_envs(&[Env::HvmPvDrivers])
        .settings(AHCI)
        .telling(&["irqchip: I/O APIC", "upcall: event channels by interrupt line", ": interrupt 1"]),
    GuestTest::new("a_virtio_disk_is_read", "disk")
        .words("list sha256=vda flush=vda")
        .envs(&[Env::Kvm])
        .telling(&["sha256 vda 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"]),
    GuestTest::new("a_lower_rung_can_be_forced", "spectrum")
        .words("pv_level=hvm")
        .envs(&[Env::Pvhvm])
        .telling(&["Xen: not used (forbidden by the command line)", "one-shot APIC timer"]),
    GuestTest::new("paravirtual_drivers_work_without_a_vector", "spectrum")
        .words("pv_level=pv-drivers")
        .envs(&[Env::Pvhvm])
        .telling(&["event channels by interrupt line", "xenbus (blkfront, netfront)"]),
];
