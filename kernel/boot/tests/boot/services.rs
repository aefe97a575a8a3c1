// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::capabilities::{Hypervisor, Machine, Platform, XenCapabilities};
use prism_boot::services::{Clock, Console, DeviceBus, Shutdown, Timer, Upcall};
use prism_boot::{Capabilities, Door, Services};

fn pvh_on_xen(xen: XenCapabilities) -> Capabilities {
    Capabilities { hypervisor: Hypervisor::Xen, xen: Some(xen), ..Capabilities::new(Door::Pvh, Machine::Hvm) }
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
fn the_best_way_has_no_excuses() {
    let found = pvh_on_xen(XenCapabilities { pvclock: true, ..Default::default() });
    assert_eq!(Services::choose(&found).clock.to_string(), "Xen pvclock");
}

#[test]
fn a_machine_that_offers_nothing_still_has_every_service() {
    let services = Services::choose(&Capabilities::new(Door::Multiboot1, Machine::Hvm));
    assert_eq!(services.clock.chosen, Clock::TscByPit);
    assert_eq!(services.timer.chosen, Timer::Polling);
    assert_eq!(services.upcall.chosen, Upcall::None);
    assert_eq!(services.console.chosen, Console::Vga);
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
    found.platform = Platform { pci_host_bridge: true, serial_port: true, ..Default::default() };
    let services = Services::choose(&found);
    assert_eq!(services.console.chosen, Console::Serial);
    assert_eq!(services.clock.chosen, Clock::TscByPit);
    assert_ne!(services.shutdown.chosen, Shutdown::Xen);
}

#[test]
fn each_bus_is_chosen_by_its_own_devices() {
    let mut found = Capabilities::new(Door::Pvh, Machine::Hvm);
    found.devices.virtio_block = 1;
    found.devices.ethernet = 1;
    let services = Services::choose(&found);
    assert_eq!((services.disk.chosen, services.network.chosen), (DeviceBus::Virtio, DeviceBus::Emulated));
}

#[test]
fn all_services_print_one_line_each() {
    let text = Services::choose(&Capabilities::new(Door::Pvh, Machine::Hvm)).to_string();
    assert_eq!(text.lines().count(), 7);
    assert!(text.starts_with("clock: TSC measured by the PIT (not TSC: CPUID does not tell its frequency; "));
}
