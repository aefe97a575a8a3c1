// SPDX-License-Identifier: MIT OR Apache-2.0
//! By which mechanism a guest does a thing: what its kernel said at boot.

use super::COLUMNS;

/// The name of a mechanism.
pub(super) type Mechanism = String;

/// The mechanisms for each column, by the console of a guest with a disk, and by one with a network too.
pub(super) fn of_consoles(disk: &str, network: &str) -> [Mechanism; COLUMNS.len()] {
    [protocol(disk), interrupt(disk), said(disk, "timer"), disk_driver(disk), network_driver(network)]
}

/// What the boot report says about a service, without why it is nothing better.
fn said(console: &str, service: &str) -> Mechanism {
    let before = format!("prism::boot: {service}: ");
    let line = console.lines().find_map(|line| line.strip_prefix(&before)).unwrap_or_default();
    line.split(" (").next().unwrap_or_default().to_owned()
}

fn protocol(console: &str) -> Mechanism {
    let protocol = console.lines().find_map(|line| line.split_once(", entered by "));
    protocol.map(|(_, protocol)| protocol.to_owned()).unwrap_or_default()
}

fn interrupt(console: &str) -> Mechanism {
    match said(console, "upcall").as_str() {
        "no event channels" => "interrupt of the local APIC",
        other => other,
    }
    .to_owned()
}

fn disk_driver(console: &str) -> Mechanism {
    match said(console, "disk").as_str() {
        "xenbus" => "blkfront",
        "emulated" if console.contains("AHCI controller") => "AHCI",
        "emulated" => "IDE",
        "virtio" => "virtio-blk",
        other => other,
    }
    .to_owned()
}

fn network_driver(console: &str) -> Mechanism {
    let nic = console.lines().find_map(|line| line.split_once("NIC at ")?.1.split_once(": "));
    match (said(console, "network").as_str(), nic) {
        ("xenbus", _) => "netfront".to_owned(),
        ("virtio", _) => "virtio-net".to_owned(),
        (_, Some((_, nic))) => nic.to_owned(),
        (other, None) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_are_what_the_guest_says() {
        let xen = "prism::boot: PVH on Xen 4.20, entered by PVH\nprism::boot: timer: one-shot (why)\n\
                   prism::boot: upcall: vector\nprism::boot: disk: xenbus\nprism::boot: network: xenbus\n";
        assert_eq!(of_consoles(xen, xen), ["PVH", "vector", "one-shot", "blkfront", "netfront"]);
        let emulated = "prism::boot: disk: emulated\nprism::boot: network: emulated\n\
                        prism::devices::nic: NIC at 0:3.0: e1000\n";
        assert_eq!(of_consoles(emulated, emulated), ["", "", "", "IDE", "e1000"]);
    }
}
