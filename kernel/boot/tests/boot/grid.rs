// SPDX-License-Identifier: MIT OR Apache-2.0
//! What probing finds in each environment, and the grid it must make.

use prism_boot::capabilities::{CpuVendor, Devices, Hypervisor, MachineKind, Platform, XenCapabilities};
use prism_boot::{BootProtocol, Capabilities, Grid, Services};

fn xen() -> XenCapabilities {
    XenCapabilities {
        version: (4, 20),
        single_shot_timer: true,
        set_timer: true,
        pvclock: true,
        console_ring: true,
        console_io: true,
        xenstore: true,
        ..XenCapabilities::default()
    }
}

fn hvm_xen() -> XenCapabilities {
    XenCapabilities { callback_vector: true, ..xen() }
}

fn initial_domain(xen: XenCapabilities) -> XenCapabilities {
    XenCapabilities { initial_domain: true, console_ring: false, xenstore: false, ..xen }
}

/// A PC as QEMU makes it, with an IDE controller and a NIC.
fn pc(protocol: BootProtocol, hypervisor: Hypervisor) -> Capabilities {
    Capabilities {
        vendor: CpuVendor::Amd,
        hypervisor,
        platform: Platform {
            pci_host_bridge: true,
            local_apic: true,
            pic: true,
            serial_port: true,
            ..Platform::default()
        },
        devices: Devices { ide: 1, e1000: 1, ..Devices::default() },
        ..Capabilities::new(protocol, MachineKind::Hvm)
    }
}

fn on_xen(protocol: BootProtocol, machine: MachineKind, xen: XenCapabilities) -> Capabilities {
    Capabilities {
        vendor: CpuVendor::Amd,
        hypervisor: Hypervisor::Xen,
        xen: Some(xen),
        ..Capabilities::new(protocol, machine)
    }
}

fn dom0_pv() -> Capabilities {
    on_xen(BootProtocol::Pv, MachineKind::Pv, initial_domain(xen()))
}

/// The machine's own PCI devices are in sight of the initial domain.
fn dom0_pvh() -> Capabilities {
    Capabilities { xen: Some(initial_domain(hvm_xen())), ..pc(BootProtocol::Pvh, Hypervisor::Xen) }
}

fn pv() -> Capabilities {
    on_xen(BootProtocol::Pv, MachineKind::Pv, xen())
}

fn pvh() -> Capabilities {
    on_xen(BootProtocol::Pvh, MachineKind::Hvm, hvm_xen())
}

fn pv_shim() -> Capabilities {
    on_xen(BootProtocol::Pv, MachineKind::Pv, XenCapabilities { in_container: true, ..xen() })
}

fn pvhvm() -> Capabilities {
    let mut found = Capabilities { xen: Some(hvm_xen()), ..pc(BootProtocol::Pvh, Hypervisor::Xen) };
    found.platform.xen_platform_device = true;
    found
}

/// Xen is there and would offer everything, but there is no platform device.
fn hvm() -> Capabilities {
    Capabilities { xen: Some(hvm_xen()), ..pc(BootProtocol::Pvh, Hypervisor::Xen) }
}

fn qemu_xen() -> Capabilities {
    Capabilities { kvm_clock: true, ..pvhvm() }
}

fn kvm() -> Capabilities {
    Capabilities {
        kvm_clock: true,
        devices: Devices { virtio_block: 1, virtio_net: 1, ide: 1, ..Devices::default() },
        ..pc(BootProtocol::Pvh, Hypervisor::Kvm)
    }
}

fn fv() -> Capabilities {
    pc(BootProtocol::Pvh, Hypervisor::Tcg)
}

fn grid(found: &Capabilities) -> Grid {
    Grid::new(found, &Services::choose(found))
}

fn printed(found: &Capabilities) -> String {
    grid(found).to_string()
}

fn letters(found: &Capabilities) -> String {
    grid(found).rows.iter().map(|row| row.level.letter()).collect()
}

#[test]
fn the_initial_pv_domain_has_no_devices_and_is_paravirtual() {
    assert_eq!(
        printed(&dom0_pv()),
        "Spectrum:
  disk, network                -  none; initial domain
  interrupts, timers           P  event channels by PV callback; single-shot VCPUOP timer
  platform, boot               P  none; PV entry
  privileged, page tables      P  hypercalls, direct paging
"
    );
}

#[test]
fn the_initial_pvh_domain_sees_the_machines_own_devices_and_leaves_them_alone() {
    assert_eq!(
        printed(&dom0_pvh()),
        "Spectrum:
  disk, network                -  none; initial domain
  interrupts, timers           P  event channels by callback vector; single-shot VCPUOP timer
  platform, boot               P  none; PVH entry
  privileged, page tables      H  hardware (SVM), the guest's own page tables
"
    );
}

#[test]
fn a_pv_guest_is_paravirtual_in_every_row() {
    assert_eq!(
        printed(&pv()),
        "Spectrum:
  disk, network                P  xenbus (blkfront, netfront)
  interrupts, timers           P  event channels by PV callback; single-shot VCPUOP timer
  platform, boot               P  none; PV entry
  privileged, page tables      P  hypercalls, direct paging
"
    );
}

#[test]
fn a_pvh_guest_leaves_privileged_work_to_the_hardware() {
    assert_eq!(
        printed(&pvh()),
        "Spectrum:
  disk, network                P  xenbus (blkfront, netfront)
  interrupts, timers           P  event channels by callback vector; single-shot VCPUOP timer
  platform, boot               P  none; PVH entry
  privileged, page tables      H  hardware (SVM), the guest's own page tables
"
    );
}

#[test]
fn a_pv_guest_in_a_shim_says_so() {
    assert_eq!(letters(&pv_shim()), "PPPP");
    assert_eq!(grid(&pv_shim()).letters().to_string(), "P P P P");
    assert!(printed(&pv_shim()).contains("P  hypercalls, in a PVH container\n"));
}

#[test]
fn pvhvm_has_an_emulated_platform_and_paravirtual_services() {
    assert_eq!(
        printed(&pvhvm()),
        "Spectrum:
  disk, network                P  xenbus (blkfront, netfront)
  interrupts, timers           P  event channels by callback vector; single-shot VCPUOP timer
  platform, boot               S  PC, entered by PVH note
  privileged, page tables      H  hardware (SVM), the guest's own page tables
"
    );
}

#[test]
fn hvm_without_the_platform_device_uses_nothing_paravirtual() {
    assert_eq!(
        printed(&hvm()),
        "Spectrum:
  disk, network                S  emulated (IDE, e1000)
  interrupts, timers           S  local APIC; one-shot APIC timer, TSC measured by the PIT
  platform, boot               S  PC, entered by PVH note
  privileged, page tables      H  hardware (SVM), the guest's own page tables
"
    );
}

#[test]
fn qemus_emulation_of_xen_is_like_pvhvm() {
    assert_eq!(letters(&qemu_xen()), "PPSH");
    assert_eq!(printed(&qemu_xen()), printed(&pvhvm()));
}

#[test]
fn kvm_has_virtio_devices_and_emulated_interrupts() {
    assert_eq!(
        printed(&kvm()),
        "Spectrum:
  disk, network                P  virtio (2 devices)
  interrupts, timers           S  local APIC; one-shot APIC timer, kvmclock
  platform, boot               S  PC, entered by PVH note
  privileged, page tables      H  hardware (SVM), the guest's own page tables
"
    );
}

#[test]
fn full_virtualization_is_software_in_every_row() {
    assert_eq!(
        printed(&fv()),
        "Spectrum:
  disk, network                S  emulated (IDE, e1000)
  interrupts, timers           S  local APIC; one-shot APIC timer, TSC measured by the PIT
  platform, boot               S  PC, entered by PVH note
  privileged, page tables      S  emulated (TCG)
"
    );
}

#[test]
fn the_boot_protocol_is_named_where_the_platform_is_emulated() {
    let found = pc(BootProtocol::Multiboot2, Hypervisor::Tcg);
    assert!(printed(&found).contains("S  PC, entered by Multiboot2\n"));
}

#[test]
fn events_by_interrupt_line_leave_timers_to_the_apic() {
    let mut found = pvhvm();
    found.xen = Some(XenCapabilities { callback_vector: false, callback_intx: true, ..hvm_xen() });
    assert_eq!(letters(&found), "PSSH");
    assert!(printed(&found).contains("S  event channels by interrupt line; one-shot APIC timer\n"));
}

#[test]
fn a_machine_without_devices_says_none() {
    let found = Capabilities { devices: Devices::default(), ..fv() };
    assert!(printed(&found).contains("disk, network                -  none\n"));
}

#[test]
fn a_microvm_without_pci_has_no_platform() {
    let found = Capabilities { platform: Platform::default(), ..kvm() };
    assert!(printed(&found).contains("platform, boot               P  none; PVH entry\n"));
}

#[test]
fn emulated_devices_are_named_by_kind() {
    for (devices, named) in [
        (Devices { rtl8139: 1, ..Devices::default() }, "emulated (RTL8139)"),
        (Devices { ahci: 1, ide: 1, ..Devices::default() }, "emulated (AHCI)"),
        (Devices { nvme: 1, ahci: 1, ..Devices::default() }, "emulated (NVMe)"),
        (Devices { ide: 2, e1000: 1, rtl8139: 1, ..Devices::default() }, "emulated (IDE, e1000, RTL8139)"),
    ] {
        let found = Capabilities { devices, ..Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm) };
        let grid = Grid::new(&found, &Services::choose(&found)).to_string();
        assert!(grid.contains(&format!("{named}\n")), "{grid}");
    }
}
