// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding functions: on the first bus, and behind the bridges that firmware has set up (PCI-to-PCI Bridge
//! Architecture Specification 1.2, chapter 3; PCI Express Base Specification 4.0, 7.5.3).

use super::{ADDRESS, Configuration, ENABLE, Function, PciAddress};
use crate::hal::Ports;

/// Devices of a bus.
const DEVICES: u8 = 32;
/// Functions of a device.
const FUNCTIONS: u8 = 8;

/// Header type in bits 16 to 22 of register 0x0c, and above it the bit for more functions than one.
const HEADER: u8 = 0x0c;
const MULTIFUNCTION: u32 = 1 << 23;
const TYPE: u32 = 0x7f << 16;
const BRIDGE: u32 = 1 << 16;
/// Register with the numbers of the buses: primary, secondary, subordinate.
const BUSES: u8 = 0x18;

/// The capability of PCI Express, and its port types from which a single device can be reached.
const EXPRESS: u8 = 0x10;
const ROOT_PORT: u32 = 4;
const DOWNSTREAM_PORT: u32 = 6;

/// Every function that answers, on the first bus and behind bridges; a bridge comes before what is behind it.
/// Each bus is looked at once: bridges whose numbers make a loop, or are not set, lead nowhere.
pub fn functions<P: Ports + ?Sized>(ports: &P) -> impl Iterator<Item = Function> + '_ {
    let mut walk = Walk::new(ports);
    core::iter::from_fn(move || walk.next())
}

/// A walk over all buses.
struct Walk<'a, P: Ports + ?Sized> {
    ports: &'a P,
    /// A bit for each bus that was found. Those beyond the one at `next` have not been looked at.
    found: Buses,
    /// A bit for each bus with room for one device.
    single: Buses,
    /// What is looked at next, until the walk is over.
    next: Option<PciAddress>,
    /// The device at `next` has more functions than one.
    has_more: bool,
}

/// A set of buses.
#[derive(Clone, Copy, Default)]
struct Buses([u128; 2]);

impl Buses {
    fn has(&self, bus: u8) -> bool {
        let Self([low, high]) = self;
        (if bus < 128 { low } else { high }) & Self::bit(bus) != 0
    }

    fn add(&mut self, bus: u8) {
        let Self([low, high]) = self;
        *(if bus < 128 { low } else { high }) |= Self::bit(bus);
    }

    const fn bit(bus: u8) -> u128 {
        1 << (bus % 128)
    }
}

impl<'a, P: Ports + ?Sized> Walk<'a, P> {
    fn new(ports: &'a P) -> Self {
        let mut found = Buses::default();
        found.add(0);
        Self {
            ports,
            found,
            single: Buses::default(),
            next: is_there(ports).then_some(PciAddress { bus: 0, device: 0, function: 0 }),
            has_more: false,
        }
    }

    fn next(&mut self) -> Option<Function> {
        while let Some(address) = self.next {
            let function = function(self.ports, address);
            let header =
                function.map(|_| Configuration::new(self.ports, address).read(HEADER)).unwrap_or_default();
            if address.function == 0 {
                self.has_more = header & MULTIFUNCTION != 0;
            }
            if header & TYPE == BRIDGE {
                self.note_bridge(address);
            }
            self.next = self.after(address);
            if function.is_some() {
                return function;
            }
        }
        None
    }

    fn after(&self, PciAddress { bus, device, function }: PciAddress) -> Option<PciAddress> {
        let devices = if self.single.has(bus) { 1 } else { DEVICES };
        if self.has_more && function + 1 < FUNCTIONS {
            return Some(PciAddress { bus, device, function: function + 1 });
        }
        if device + 1 < devices {
            return Some(PciAddress { bus, device: device + 1, function: 0 });
        }
        // A bridge leads to a higher number than its own bus has.
        let bus = (bus..=u8::MAX).skip(1).find(|bus| self.found.has(*bus))?;
        Some(PciAddress { bus, device: 0, function: 0 })
    }

    /// Notes down the bus behind a bridge.
    fn note_bridge(&mut self, address: PciAddress) {
        let configuration = Configuration::new(self.ports, address);
        let [_, secondary, subordinate, _] = configuration.read(BUSES).to_le_bytes();
        // A bus that no bridge can lead to has not been set up.
        if secondary <= address.bus || subordinate < secondary || self.found.has(secondary) {
            return;
        }
        self.found.add(secondary);
        let mut express = configuration.capabilities().filter(|(_, header)| *header as u8 == EXPRESS);
        let kind = express.next().map(|(_, header)| header >> 20 & 0xf);
        if matches!(kind, Some(ROOT_PORT | DOWNSTREAM_PORT)) {
            self.single.add(secondary);
        }
    }
}

/// Whether somebody answers at the address register, which keeps what is written to it. In a PVH domain
/// nobody does, and each access is an exit.
fn is_there<P: Ports + ?Sized>(ports: &P) -> bool {
    ports.write_u32(ADDRESS, ENABLE);
    ports.read_u32(ADDRESS) == ENABLE
}

fn function<P: Ports + ?Sized>(ports: &P, address: PciAddress) -> Option<Function> {
    let configuration = Configuration::new(ports, address);
    let identity = configuration.read(0x00);
    let (vendor, device) = (identity as u16, (identity >> 16) as u16);
    if vendor == 0xffff || vendor == 0 {
        return None;
    }
    let class = configuration.read(0x08);
    let (class, interface) = ((class >> 16) as u16, (class >> 8) as u8);
    Some(Function { address, vendor, device, class, interface })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::tests::FakePorts;

    const fn address(bus: u8, device: u8, function: u8) -> PciAddress {
        PciAddress { bus, device, function }
    }

    /// A function that is no bridge, or one to a bus up to another.
    fn plug(ports: &FakePorts, address: PciAddress, buses: Option<(u8, u8)>) {
        ports.plug(address, 0x00, 0x000c_1b36);
        ports.plug(address, 0x08, 0x0200_0000);
        ports.plug(address, 0x0c, if buses.is_some() { BRIDGE } else { 0 });
        if let Some((secondary, subordinate)) = buses {
            ports.plug(address, 0x18, u32::from_le_bytes([address.bus, secondary, subordinate, 0]));
        }
    }

    fn found(ports: &FakePorts) -> Vec<PciAddress> {
        functions(ports).map(|function| function.address).collect()
    }

    #[test]
    fn functions_behind_bridges_are_found() {
        let ports = FakePorts::default();
        plug(&ports, address(0, 1, 0), Some((1, 2)));
        plug(&ports, address(0, 2, 0), None);
        plug(&ports, address(1, 0, 0), Some((2, 2)));
        plug(&ports, address(2, 31, 0), None);
        let expected = [address(0, 1, 0), address(0, 2, 0), address(1, 0, 0), address(2, 31, 0)];
        assert_eq!(found(&ports), expected);
    }

    #[test]
    fn a_root_port_leads_to_one_device() {
        let ports = FakePorts::default();
        plug(&ports, address(0, 2, 0), Some((1, 1)));
        ports.plug(address(0, 2, 0), 0x04, 1 << 20);
        ports.plug(address(0, 2, 0), 0x34, 0x40);
        ports.plug(address(0, 2, 0), 0x40, 0x0142_0010);
        plug(&ports, address(1, 0, 0), None);
        plug(&ports, address(1, 1, 0), None);
        assert_eq!(found(&ports), [address(0, 2, 0), address(1, 0, 0)]);
    }

    #[test]
    fn a_root_port_without_a_device_is_all_that_is_found() {
        let ports = FakePorts::default();
        plug(&ports, address(0, 2, 0), Some((1, 1)));
        plug(&ports, address(0, 3, 0), Some((2, 2)));
        plug(&ports, address(2, 0, 0), None);
        assert_eq!(found(&ports), [address(0, 2, 0), address(0, 3, 0), address(2, 0, 0)]);
    }

    #[test]
    fn bridges_with_wrong_numbers_lead_nowhere() {
        for numbers in [(0, 0), (0, 255), (3, 2), (5, 5)] {
            let ports = FakePorts::default();
            plug(&ports, address(0, 1, 0), Some(numbers));
            assert_eq!(found(&ports), [address(0, 1, 0)], "{numbers:?}");
        }
    }

    #[test]
    fn a_loop_of_bridges_ends() {
        let ports = FakePorts::default();
        plug(&ports, address(0, 1, 0), Some((1, 255)));
        plug(&ports, address(0, 2, 0), Some((1, 255)));
        plug(&ports, address(1, 0, 0), Some((1, 1)));
        plug(&ports, address(1, 1, 0), Some((255, 255)));
        plug(&ports, address(255, 0, 0), Some((1, 255)));
        assert_eq!(found(&ports).len(), 5);
    }

    #[test]
    fn every_bus_at_once_is_bounded() {
        let ports = FakePorts::default();
        for bus in 0..255 {
            plug(&ports, address(bus, 0, 0), Some((bus + 1, 255)));
        }
        assert_eq!(found(&ports).len(), 255);
    }
}
