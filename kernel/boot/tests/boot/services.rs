// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::capabilities::{
    Devices, EntropySources, Hypervisor, MachineKind, Platform, Randomness, XenCapabilities,
};
use prism_boot::command_line::{IrqChipLimit, PvLevel};
use prism_boot::services::{Clock, Console, DeviceBus, Shutdown, Timer, Upcall, WallClock};
use prism_boot::{BootProtocol, Capabilities, Services};

fn pvh_on_xen(xen: XenCapabilities) -> Capabilities {
    Capabilities {
        hypervisor: Hypervisor::Xen,
        xen: Some(xen),
        ..Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm)
    }
}

#[test]
fn a_service_that_is_missing_degrades_to_the_next_and_says_why() {
    let mut found =
        pvh_on_xen(XenCapabilities { callback_vector: true, set_timer: true, ..Default::default() });
    assert_eq!(
        Services::choose(&found).timer.to_string(),
        "set_timer_op timer (not single-shot VCPUOP timer: not offered)"
    );
    found.xen = None;
    found.kvm_clock = true;
    assert_eq!(Services::choose(&found).clock.to_string(), "kvmclock");
}

#[test]
fn the_best_method_has_no_reasons_against_it() {
    let found = pvh_on_xen(XenCapabilities { pvclock: true, ..Default::default() });
    assert_eq!(Services::choose(&found).clock.to_string(), "Xen pvclock");
}

#[test]
fn a_machine_that_offers_nothing_still_has_every_service() {
    let services = Services::choose(&Capabilities::new(BootProtocol::Multiboot1, MachineKind::Hvm));
    assert_eq!(services.clock.chosen, Clock::TscByPit);
    assert_eq!(services.timer.chosen, Timer::Polling);
    assert_eq!(services.upcall.chosen, Upcall::None);
    assert_eq!(services.console.chosen, Console::None);
    assert_eq!((services.disk.chosen, services.network.chosen), (DeviceBus::None, DeviceBus::None));
    assert_eq!(services.shutdown.chosen, Shutdown::KeyboardController);
}

#[test]
fn a_xen_timer_is_of_no_use_without_events() {
    let found = pvh_on_xen(XenCapabilities { single_shot_timer: true, ..Default::default() });
    let timer = Services::choose(&found).timer;
    assert_eq!(timer.chosen, Timer::Polling);
}

#[test]
fn an_emulated_platform_without_the_platform_device_gets_nothing_from_xen() {
    let mut found = pvh_on_xen(XenCapabilities { pvclock: true, console_ring: true, ..Default::default() });
    found.platform = Platform { pci_host_bridge: true, pic: true, serial_port: true, ..Default::default() };
    let services = Services::choose(&found);
    assert_eq!(services.console.chosen, Console::Serial);
    assert_eq!(services.clock.chosen, Clock::TscByPit);
    assert_ne!(services.shutdown.chosen, Shutdown::Xen);
}

#[test]
fn a_pvh_domain_with_a_device_of_the_machines_is_still_one() {
    let mut found = pvh_on_xen(XenCapabilities { pvclock: true, console_ring: true, ..Default::default() });
    found.platform = Platform { pci_host_bridge: true, io_apic: true, ..Default::default() };
    assert_eq!(Services::choose(&found).clock.chosen, Clock::Xen);
    // A loader that firmware has started says nothing of domains.
    found.protocol = BootProtocol::Multiboot2;
    assert_eq!(Services::choose(&found).clock.chosen, Clock::TscByPit);
}

#[test]
fn a_virtio_console_is_the_first_where_there_is_no_other() {
    let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
    found.platform.virtio_console = true;
    assert_eq!(Services::choose(&found).console.to_string(), "virtio console");
    found.platform.debug_port = true;
    assert_eq!(Services::choose(&found).console.chosen, Console::DebugPort);
}

#[test]
fn each_bus_is_chosen_by_its_own_devices() {
    let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
    found.devices.virtio_block = 1;
    found.devices.e1000 = 1;
    let services = Services::choose(&found);
    assert_eq!((services.disk.chosen, services.network.chosen), (DeviceBus::Virtio, DeviceBus::Emulated));
    found.devices = Devices { virtio_scsi: 1, virtio_net: 1, ide: 1, ..Devices::default() };
    let services = Services::choose(&found);
    assert_eq!((services.disk.chosen, services.network.chosen), (DeviceBus::Virtio, DeviceBus::Virtio));
}

#[test]
fn an_unsupported_disk_controller_is_named_where_there_is_no_disk() {
    let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
    found.devices.storage = 1;
    assert_eq!(
        Services::choose(&found).disk.to_string(),
        "none (not emulated: no driver for the disk controller; IDE, AHCI and NVMe have one)"
    );
    for devices in [Devices { ide: 1, ..found.devices }, Devices { nvme: 1, ..found.devices }] {
        found.devices = devices;
        assert_eq!(Services::choose(&found).disk.chosen, DeviceBus::Emulated);
    }
}

#[test]
fn an_unsupported_nic_is_named_where_there_is_no_network() {
    let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
    found.devices.ethernet = 1;
    let network = Services::choose(&found).network;
    assert_eq!(network.to_string(), "none (not emulated: no driver for the NIC; e1000 and rtl8139 have one)");
}

#[test]
fn interrupts_use_whatever_controllers_exist_and_are_allowed() {
    let lines = |pic, io_apic, lines| {
        let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
        found.platform = Platform { pic, io_apic, ..Default::default() };
        found.irqchips = lines;
        Services::choose(&found).irqchips.to_string()
    };
    assert_eq!(lines(true, true, None), "8259 and I/O APIC");
    assert_eq!(lines(true, false, None), "8259 (not 8259 and I/O APIC: not offered)");
    assert_eq!(lines(false, true, None), "I/O APIC (not 8259: not offered)");
    assert_eq!(lines(false, false, None), "none");
    let [only_pic, only_io_apic] = [IrqChipLimit::Pic, IrqChipLimit::IoApic].map(Some);
    assert_eq!(lines(true, true, only_pic), "8259 (not 8259 and I/O APIC: the command line rules it out)");
    assert_eq!(lines(true, true, only_io_apic), "I/O APIC (not 8259: the command line rules it out)");
    assert_eq!(
        lines(true, false, only_io_apic),
        "none (not 8259: the command line rules it out; not I/O APIC: not offered)"
    );
}

#[test]
fn controllers_without_pci_are_a_platform() {
    let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
    assert!(!found.has_emulated_platform());
    found.platform.pic = true;
    assert!(found.has_emulated_platform());
    found.platform = Platform { io_apic: true, ..Default::default() };
    assert!(found.has_emulated_platform());
}

#[test]
fn all_services_print_one_line_each() {
    let text = Services::choose(&Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm)).to_string();
    assert_eq!(text.lines().count(), 10);
    assert!(text.starts_with("clock: TSC measured by the PIT (not TSC: CPUID does not tell its frequency; "));
}

#[test]
fn weak_random_numbers_are_called_weak_and_predictable_ones_predictable() {
    let mut found = Capabilities::new(BootProtocol::Pvh, MachineKind::Hvm);
    assert_eq!(Services::choose(&found).entropy.chosen.name(), "none: random numbers can be guessed");
    let entropy = EntropySources { rdrand: Randomness::Broken, jitter: Randomness::Good, ..found.entropy };
    found.entropy = entropy;
    assert_eq!(
        Services::choose(&found).entropy.to_string(),
        "weak: jitter only (not RDSEED + jitter: the CPU has none; not RDRAND + jitter: it fails or repeats itself)"
    );
    found.entropy.rdseed = Randomness::Good;
    assert_eq!(Services::choose(&found).entropy.to_string(), "RDSEED + jitter");
}

#[test]
fn a_wall_clock_is_used_with_the_clock_that_it_belongs_to_only() {
    let mut found = pvh_on_xen(XenCapabilities { wall_clock: true, pvclock: true, ..Default::default() });
    assert_eq!(Services::choose(&found).wall_clock.chosen, WallClock::Xen);
    found.xen = Some(XenCapabilities { wall_clock: true, ..Default::default() });
    found.kvm_clock = true;
    assert_eq!(Services::choose(&found).wall_clock.to_string(), "none (not KVM: not offered)");
    found.platform.real_time_clock = true;
    assert_eq!(Services::choose(&found).wall_clock.chosen, WallClock::RealTimeClock);
    found.kvm_wall_clock = true;
    assert_eq!(Services::choose(&found).wall_clock.chosen, WallClock::Kvm);
}

#[test]
fn a_forbidden_level_is_not_used_where_there_is_a_lower_one() {
    let mut found = pvh_on_xen(XenCapabilities { pvclock: true, xenstore: true, ..Default::default() });
    found.pv_level = Some(PvLevel::Hvm);
    assert_eq!(Services::choose(&found).disk.chosen, DeviceBus::Xenbus, "a PVH domain has nothing else");
    found.platform = Platform { pci_host_bridge: true, xen_platform_device: true, ..Default::default() };
    found.devices.ide = 1;
    found.devices.virtio_block = 1;
    found.kvm_clock = true;
    let services = Services::choose(&found);
    assert_eq!((services.disk.chosen, services.clock.chosen), (DeviceBus::Emulated, Clock::TscByPit));
    found.pv_level = Some(PvLevel::PvDrivers);
    assert_eq!(Services::choose(&found).disk.chosen, DeviceBus::Xenbus);
}
