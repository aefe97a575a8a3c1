// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boards other than a PC with everything: QEMU's `microvm`, whose virtio devices have their registers in
//! memory, those whose console is a virtio device, and the ways in which QEMU's Xen tells a guest of events.

use super::GuestTest;
use super::console::{SHELL, SHELL_TELLS};
use crate::env::Env;
use crate::guest::Backend;
use crate::guest::board::{Board, Bus, Console};

/// Devices are told of by ACPI, lines arrive at two I/O APICs.
const MICRO: Board = Board::of("microvm");
/// Devices are told of by the command line, lines arrive at the 8259s.
const WITHOUT_ACPI: Board = Board::of("microvm,acpi=off");
/// Lines arrive at the I/O APIC of the MP table.
const WITHOUT_PIC: Board = Board::of("microvm,acpi=off,pic=off");
/// Devices are those of virtio 1; they are not by default.
const MODERN: Board = MICRO.with_options(&["-global", "virtio-mmio.force-legacy=false"]);

/// There is nothing but a virtio console to be read.
const VIRTIO_CONSOLE: Board = Board::of("microvm,isa-serial=off").with_console(Console::Virtio);
const MODERN_CONSOLE: Board = VIRTIO_CONSOLE.with_options(&["-global", "virtio-mmio.force-legacy=false"]);
/// A virtio console on PCI is read, and a serial port is not.
const CONSOLE_ON_PCI: Board = Board::USUAL.with_console(Console::Virtio).with_options(&["-serial", "null"]);
/// A virtio console that serves other purposes, as an agent's, beside the serial port that is read.
const CONSOLE_WITHOUT_PORT: Board = Board::USUAL.with_options(&["-device", "virtio-serial-pci"]);

/// Registers for notifications on PCI lie a page apart, and there are 4 MiB of them.
const DISTANT_DOORBELLS: Board = Board::USUAL.with_options(&["-global", "virtio-pci.page-per-vq=on"]);
/// A controller of SCSI disks has the class of a virtio disk.
const SCSI_CONTROLLER: Board = Board::USUAL.with_options(&["-device", "virtio-scsi-pci"]);

/// Devices are where libvirt puts them: each behind a root port.
const ROOT_PORTS: Board = Board::of("q35").behind_root_ports();
/// So are an 82574L and an NVMe controller.
const E1000E: Board = ROOT_PORTS.with_card("e1000e,romfile=").with_disks(Bus::Nvme);
/// The disk is a virtio SCSI controller's.
const VIRTIO_SCSI: Board = Board::USUAL.with_disks(Bus::VirtioScsi);
/// The disk is an NVMe controller's.
const NVME: Board = Board::USUAL.with_disks(Bus::Nvme);

const ENVS: &[Env] = &[Env::Kvm, Env::Fv];

const SMOKE: GuestTest = GuestTest::new("", "smoke").envs(ENVS).not_telling(&["assuming 1 GHz"]);

/// A disk in memory, whose interrupts arrive.
const DISK: GuestTest = GuestTest::new("", "disk")
    .envs(ENVS)
    .disk(Backend::Kernel)
    .words("loglevel=debug list fill=vda,7 flush=vda verify=vda,7 sha256=vda");

const WEB: GuestTest = GuestTest::new("", "httpd").envs(ENVS).visited_by(include_str!("network/web.sh"));

/// A server of a disk's file.
const SITE: GuestTest = GuestTest::new("", "httpd")
    .disk_with_files()
    .visited_by(super::network::FETCH)
    .telling(super::network::FETCHED);

/// Emulated Xen, and what it is to tell.
const XEN: GuestTest = GuestTest::new("", "smoke").envs(&[Env::QemuXen]);
const XEN_DISK: GuestTest = GuestTest::new("", "disk").envs(&[Env::QemuXen]).disk(Backend::Kernel);

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    SMOKE
        .named("smoke_finds_everything_in_order_on_a_microvm")
        .in_fv()
        .on(MICRO)
        .telling(&["irqchip: 8259 and I/O APIC"]),
    SMOKE
        .named("smoke_finds_everything_in_order_on_a_microvm_without_acpi")
        .in_fv()
        .on(WITHOUT_ACPI)
        .telling(&["irqchip: 8259 and I/O APIC"]),
    SMOKE
        .named("smoke_finds_everything_in_order_on_a_microvm_without_acpi_and_pic")
        .in_fv()
        .on(WITHOUT_PIC)
        .telling(&["irqchip: I/O APIC (not 8259: not offered)"]),
    DISK.named("a_virtio_disk_in_memory_keeps_what_is_written")
        .envs(&[Env::Kvm, Env::Fv])
        .on(MICRO)
        .telling(&["verified 16777216 bytes of vda", "I/O APIC, input ", ": interrupt 16"]),
    DISK.named("a_virtio_disk_that_the_command_line_tells_of_keeps_what_is_written")
        .in_fv()
        .on(WITHOUT_ACPI)
        .telling(&["verified 16777216 bytes of vda", "8259, line ", ": interrupt 16"]),
    DISK.named("a_virtio_disk_without_acpi_and_pic_keeps_what_is_written")
        .in_fv()
        .on(WITHOUT_PIC)
        .telling(&["verified 16777216 bytes of vda", "I/O APIC, input ", ": interrupt 16"]),
    DISK.named("a_modern_virtio_disk_in_memory_keeps_what_is_written").in_fv().on(MODERN).telling(&[
        "verified 16777216 bytes of vda",
        "I/O APIC, input ",
        ": interrupt 16",
    ]),
    DISK.named("a_virtio_disk_without_a_line_is_looked_at")
        .in_fv()
        .on(WITHOUT_PIC)
        .words("irqchip=pic loglevel=debug fill=vda,7 verify=vda,7")
        .telling(&["verified 16777216 bytes of vda", "IRQ not routed"])
        .not_telling(&[": interrupt "]),
    SMOKE
        .named("smoke_finds_everything_in_order_where_there_is_only_a_virtio_console")
        .in_fv()
        .on(VIRTIO_CONSOLE)
        .telling(&["console at 0xfeb", "console: virtio console"]),
    SITE.named("disks_and_nics_behind_root_ports_are_found").envs(&[Env::Kvm]).on(ROOT_PORTS),
    SITE.named("a_pci_express_nic_and_an_nvme_disk_behind_root_ports_serve")
        .envs(&[Env::Fv])
        .long_envs(&[Env::Kvm])
        .on(E1000E),
    DISK.named("an_nvme_disk_keeps_what_is_written")
        .on(NVME)
        .words("loglevel=debug list mix=nvme0n1,1,32 fill=nvme0n1,7 flush=nvme0n1 verify=nvme0n1,7")
        .telling(&[
            "NVMe controller at 00:",
            "nvme0n1: 16777216 bytes, sectors of 512",
            "32 MiB, all checked",
            "verified 16777216 bytes of nvme0n1",
            ": interrupt 16",
        ]),
    SMOKE
        .named("text_goes_to_a_virtio_console_on_pci_beside_a_serial_port")
        .in_fv()
        .on(CONSOLE_ON_PCI)
        .telling(&["console at 00:", "console: 16550 serial port"]),
    GuestTest::new("a_virtio_console_gets_what_was_written_before_it_was_found", "hello")
        .envs(&[Env::Fv])
        .on(VIRTIO_CONSOLE)
        .words("loglevel=debug")
        .telling(&["CPUID's hypervisor leaves"]),
    GuestTest::new("who_types_on_a_virtio_console_is_greeted", "console")
        .envs(&[Env::Fv])
        .on(VIRTIO_CONSOLE)
        .typing("Who is there", "Ada\nbye\n")
        .telling(&["Hello, Ada!"]),
    GuestTest::new("a_shell_works_on_a_virtio_console", "shell")
        .envs(&[])
        .long_envs(&[Env::Fv])
        .on(VIRTIO_CONSOLE)
        .typing("shell: ready", SHELL)
        .telling(SHELL_TELLS),
    GuestTest::new("who_types_on_a_virtio_console_on_pci_is_greeted", "console")
        .envs(&[Env::Fv])
        .on(CONSOLE_ON_PCI)
        .typing("Who is there", "Ada\nbye\n")
        .telling(&["Hello, Ada!"]),
    GuestTest::new("two_thousand_lines_arrive_on_a_modern_virtio_console", "console")
        .words("flood=2000")
        .in_fv()
        .on(MODERN_CONSOLE)
        .telling(&["line 000000 of 2000:", "line 001999 of 2000:", "\n0 bytes were dropped"]),
    GuestTest::new("a_crash_is_reported_on_a_virtio_console", "fault")
        .in_fv()
        .on(VIRTIO_CONSOLE)
        .words("fault=panic")
        .crashing()
        .telling(&["index out of bounds", "fault::panic_on_purpose", "--- end of report ---"]),
    GuestTest::new("a_virtio_console_without_a_port_takes_nothing_from_others", "hello")
        .envs(&[Env::Fv])
        .on(CONSOLE_WITHOUT_PORT)
        .telling(&["console at 00:", "Hello, world!"])
        .not_telling(&["takes no text"]),
    GuestTest::new("a_virtio_console_is_not_used_below_its_rung", "hello")
        .envs(&[Env::Fv])
        .on(CONSOLE_WITHOUT_PORT)
        .words("pv_level=hvm")
        .not_telling(&["console at 00:"]),
    WEB.named("web_clients_are_served_by_a_microvm").envs(&[Env::Kvm]).long_envs(&[Env::Fv]).on(MICRO),
    WEB.named("web_clients_are_served_by_a_microvm_without_acpi_and_pic").in_fv().on(WITHOUT_PIC),
    WEB.named("web_clients_are_served_by_a_modern_virtio_nic_in_memory")
        .envs(&[Env::Kvm])
        .long_envs(&[Env::Fv])
        .on(MODERN),
    GuestTest::new("words_about_devices_that_are_not_there_do_no_harm", "hello")
        .envs(&[Env::Fv])
        .words(
            "virtio_mmio.device=512@0xfed00000:5 virtio_mmio.device=4K@0x200000:5 virtio_mmio.device=512@0:5 \
             virtio_mmio.device=1G@0xfeb00000:5 virtio_mmio.device=512@0xfeb00000 virtio_mmio.device \
             virtio_mmio.device=512@0x800000000000:5 virtio_mmio.device=512@0x400000000000:5",
        )
        .telling(&[
            "slot at 0xfed00000 not used: no virtio registers are there",
            "slot at 0x200000 not used: memory is there, and no registers",
            "slot at 0x800000000000 not used: the CPU does not reach registers there",
            "slot at 0x400000000000 not used: the CPU does not reach registers there",
            "virtio_mmio.device=512@0:5 is not understood",
            "virtio_mmio.device=1G@0xfeb00000:5 is not understood",
            "virtio_mmio.device=512@0xfeb00000 is not understood",
            "virtio_mmio.device= is not understood",
        ])
        .not_telling(&["ignoring virtio_mmio.device"]),
    GuestTest::new("four_vcpus_of_a_microvm_work_together", "vcpus")
        .in_fv()
        .on(MICRO)
        .vcpus(4)
        .words("messages=1000")
        .telling(&["4 of 4 tasks ran where they were started"]),
    GuestTest::new("four_vcpus_of_a_microvm_without_acpi_work_together", "vcpus")
        .in_fv()
        .on(WITHOUT_ACPI)
        .vcpus(4)
        .words("messages=1000")
        .telling(&["4 of 4 tasks ran where they were started"]),
    GuestTest::new("a_virtio_disk_on_pci_is_told_of_by_the_io_apic", "disk")
        .envs(&[Env::Kvm])
        .disk(Backend::Kernel)
        .words("irqchip=ioapic loglevel=debug fill=vda,7 verify=vda,7")
        .telling(&["verified 16777216 bytes of vda", "I/O APIC, input ", ": interrupt 16"]),
    GuestTest::new("a_virtio_disk_with_four_mib_of_registers_keeps_what_is_written", "disk")
        .envs(&[Env::Kvm])
        .on(DISTANT_DOORBELLS)
        .disk(Backend::Kernel)
        .words("fill=vda,7 verify=vda,7")
        .telling(&["verified 16777216 bytes of vda"]),
    WEB.named("web_clients_are_served_by_a_virtio_nic_with_four_mib_of_registers")
        .envs(&[])
        .long_envs(&[Env::Kvm])
        .on(DISTANT_DOORBELLS),
    GuestTest::new("an_emulated_disk_is_told_of_by_the_io_apic", "disk")
        .envs(&[Env::Fv])
        .disk(Backend::Kernel)
        .words("irqchip=ioapic loglevel=debug fill=hda,7 verify=hda,7")
        .telling(&["verified 16777216 bytes of hda", "I/O APIC, input 14: interrupt 4"]),
    DISK.named("a_virtio_scsi_disk_keeps_what_is_written")
        .on(VIRTIO_SCSI)
        .words("loglevel=debug list mix=sda,1,32 fill=sda,7 flush=sda verify=sda,7")
        .telling(&[
            "virtio SCSI controller at 00:",
            "sda: QEMU QEMU HARDDISK, target 0, LUN 0, 16777216 bytes, sectors of 512",
            "32 MiB, all checked",
            "verified 16777216 bytes of sda",
            ": interrupt 16",
        ]),
    GuestTest::new("a_virtio_controller_of_scsi_disks_is_not_taken_for_a_disk", "disk")
        .envs(&[Env::Fv])
        .on(SCSI_CONTROLLER)
        .disk(Backend::Kernel)
        .words("list fill=hda,7 verify=hda,7")
        .telling(&["verified 16777216 bytes of hda"])
        .not_telling(&["vda"]),
    XEN.named("emulated_xen_tells_of_events_by_a_vector")
        .words("upcall=vector")
        .telling(&["upcall: event channels by callback vector"]),
    XEN.named("emulated_xen_tells_of_events_by_vectors_of_vcpus")
        .words("upcall=percpu")
        .on(Board::USUAL.with_processor(&["xen-vapic=on"]))
        .vcpus(2)
        .telling(&["upcall: event channels by vCPU vector", "vcpus: 2"]),
    XEN.named("emulated_xen_tells_of_events_by_a_vector_beside_those_of_vcpus")
        .words("upcall=vector")
        .on(Board::USUAL.with_processor(&["xen-vapic=on"]))
        .vcpus(2)
        .telling(&["upcall: event channels by callback vector", "vcpus: 2"]),
    XEN.named("emulated_xen_tells_of_events_by_a_line_of_the_8259s")
        .words("upcall=intx irqchip=pic loglevel=debug")
        .telling(&["upcall: event channels by interrupt line", "irqchip: 8259 ("]),
    XEN.named("emulated_xen_tells_of_events_by_a_line_of_the_io_apic")
        .words("upcall=intx irqchip=ioapic loglevel=debug")
        .telling(&["upcall: event channels by interrupt line", "irqchip: I/O APIC"]),
    XEN.named("emulated_xen_is_asked_for_events")
        .words("upcall=poll")
        .telling(&["upcall: event channels by polling"]),
    XEN.named("emulated_xen_serves_a_processor_without_an_apic")
        .on(Board::USUAL.with_processor(&["-apic"]))
        .telling(&["irqchip: 8259 (not 8259 and I/O APIC: not offered)"]),
    XEN_DISK
        .named("emulated_xen_serves_a_disk_by_a_line_of_the_io_apic")
        .words("upcall=intx irqchip=ioapic loglevel=debug fill=xvda,7 verify=xvda,7")
        .telling(&["verified 16777216 bytes", "I/O APIC, input 10: interrupt 4"]),
    XEN_DISK
        .named("emulated_xen_serves_a_disk_by_a_line_of_the_8259s")
        .words("upcall=intx irqchip=pic loglevel=debug fill=xvda,7 verify=xvda,7")
        .telling(&["verified 16777216 bytes", "8259, line 10: interrupt 4"]),
];
