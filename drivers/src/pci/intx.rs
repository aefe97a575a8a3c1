// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt lines (INTx) of PCI functions. Firmware routes them to the 8259s; without firmware, as in a
//! guest that its hypervisor loads directly, this module does.

use crate::hal::Ports;
use crate::pci::{Configuration, Function, functions};

/// Register of the line that firmware gave a function.
const LINE: u8 = 0x3c;
/// Lines that firmware may give: lower ones belong to a PC's own devices.
const LINES: core::ops::RangeInclusive<u8> = 3..=15;

/// The line that all functions share if nobody gave them any: free on every PC.
const FREE: u8 = 10;
/// Ports with a bit for each of lines 0 to 7, and of 8 to 15: whether it counts while it is up, as PCI's
/// lines do, and not only as it rises (82371SB datasheet, 2.5.5).
const LEVELS: [u16; 2] = [0x4d0, 0x4d1];

/// The line of `function`, led to the controllers; `None` if that cannot be.
pub fn line<P: Ports + ?Sized>(ports: &P, function: &Function) -> Option<u8> {
    let configuration = Configuration::new(ports, function.address);
    let given = configuration.read(LINE);
    if LINES.contains(&(given as u8)) {
        return Some(given as u8);
    }
    route(ports)?;
    configuration.write(LINE, given & !0xff | u32::from(FREE));
    Some(FREE)
}

/// Leads all four of PCI's lines to the free one.
fn route<P: Ports + ?Sized>(ports: &P) -> Option<()> {
    /// The routes, a byte each (82371SB datasheet, 2.2.6).
    const ROUTES: u8 = 0x60;
    let bridge = functions(ports).find(|function| (function.vendor, function.device) == (0x8086, 0x7000))?;
    Configuration::new(ports, bridge.address).write(ROUTES, u32::from_le_bytes([FREE; 4]));
    set_level_triggered(ports, FREE);
    Some(())
}

/// Has `line` (3 to 15) of the 8259s count while it is up, and not only as it rises.
pub fn set_level_triggered<P: Ports + ?Sized>(ports: &P, line: u8) {
    let [low, high] = LEVELS;
    let port = if line < 8 { low } else { high };
    ports.write_u8(port, ports.read_u8(port) | 1 << (line & 7));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;
    use crate::pci::tests::FakePorts;

    const CARD: Function = Function {
        address: PciAddress { bus: 0, device: 3, function: 0 },
        vendor: 0x8086,
        device: 0x100e,
        class: 0x0200,
        interface: 0,
    };
    const BRIDGE: PciAddress = PciAddress { bus: 0, device: 1, function: 0 };

    #[test]
    fn firmwares_line_is_used() {
        let ports = FakePorts::default();
        ports.plug(CARD.address, LINE, 0x010b);
        assert_eq!(line(&ports, &CARD), Some(11));
        assert!(ports.written.borrow().is_empty());
    }

    #[test]
    fn without_firmware_all_lines_are_led_to_a_free_one() {
        let ports = FakePorts::default();
        ports.plug(CARD.address, LINE, 0x0100);
        ports.plug(BRIDGE, 0, 0x7000_8086);
        assert_eq!(line(&ports, &CARD), Some(10));
        assert_eq!(Configuration::new(&ports, BRIDGE).read(0x60), 0x0a0a_0a0a);
        assert_eq!(Configuration::new(&ports, CARD.address).read(LINE), 0x010a);
        assert_eq!(line(&ports, &CARD), Some(10));
    }

    #[test]
    fn each_half_of_the_lines_has_a_port_for_its_levels() {
        let ports = FakePorts::default();
        set_level_triggered(&ports, 5);
        set_level_triggered(&ports, 11);
        // Unwritten ports of the fake read as all ones.
        assert_eq!(*ports.written.borrow(), [(0x4d0, 0xff), (0x4d1, 0xff)]);
    }

    #[test]
    fn a_machine_whose_routes_are_unknown_has_no_line() {
        let ports = FakePorts::default();
        ports.plug(CARD.address, LINE, 0x01ff);
        assert_eq!(line(&ports, &CARD), None);
    }
}
