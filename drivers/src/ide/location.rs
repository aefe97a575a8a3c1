// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the channels of a controller are, and what their drives are called.

use alloc::format;
use alloc::string::String;

use crate::pci::{Configuration, Function};
use crate::ports::Ports;

use super::channel::Places;

impl Function {
    /// An IDE controller.
    pub fn is_ide(&self) -> bool {
        self.class == 0x0101
    }
}

/// The old places of the two channels.
const OLD: [Places; 2] = [
    Places { command: 0x1f0, control: 0x3f6, bus_master: None, line: 14 },
    Places { command: 0x170, control: 0x376, bus_master: None, line: 15 },
];

/// Where the channels of an IDE controller are, at their old places; its bus-master ports are
/// switched on, if somebody has placed them.
pub fn places<P: Ports + ?Sized>(ports: &P, function: &Function) -> [Places; 2] {
    /// Command register: I/O ports, bus master.
    const SWITCH_ON: u32 = 1 << 0 | 1 << 2;
    /// The base address register of the bus-master ports. Bit 0 says that they are I/O ports.
    const BUS_MASTER: u8 = 0x20;
    let configuration = Configuration::new(ports, function.place);
    let base = configuration.read(BUS_MASTER);
    let base = u16::try_from(base & !0xf).ok().filter(|port| base & 1 != 0 && *port != 0);
    if base.is_some() {
        // The upper half is status bits, cleared by writing ones.
        configuration.write(0x04, configuration.read(0x04) & 0xffff | SWITCH_ON);
    }
    let [first, second] = OLD;
    [
        Places { bus_master: base, ..first },
        Places { bus_master: base.and_then(|base| base.checked_add(8)), ..second },
    ]
}

/// The name of drive `drive` (0 or 1) of channel `channel`: `hda` to `hdd`.
pub fn name(channel: u8, drive: u8) -> String {
    format!("hd{}", char::from(b'a'.saturating_add(channel.saturating_mul(2)).saturating_add(drive)))
}

/// The number that toolstacks give such a disk (`docs/man/xen-vbd-interface.7`).
pub fn number(channel: u8, drive: u8) -> u32 {
    let major = if channel == 0 { 3 } else { 22 };
    major << 8 | u32::from(drive & 1) << 6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::Place;
    use crate::pci::tests::FakePorts;

    #[test]
    fn names_and_numbers_are_those_of_paravirtual_disks_in_the_same_place() {
        let disks: Vec<_> = [(0, 0), (0, 1), (1, 0), (1, 1)]
            .map(|(channel, drive)| (name(channel, drive), number(channel, drive)))
            .into();
        let expected = [("hda", 0x300), ("hdb", 0x340), ("hdc", 0x1600), ("hdd", 0x1640)];
        assert_eq!(disks, expected.map(|(name, number)| (name.to_owned(), number)));
    }

    #[test]
    fn bus_master_ports_that_nobody_placed_are_not_used() {
        let ports = FakePorts::default();
        let place = Place { bus: 0, device: 1, function: 1 };
        let function = Function { place, vendor: 0x8086, device: 0x7010, class: 0x0101 };
        ports.plug(place, 0x04, 0);
        ports.plug(place, 0x20, 1);
        assert_eq!(places(&ports, &function)[0].bus_master, None);
        ports.plug(place, 0x20, 0xc041);
        let both = places(&ports, &function).map(|places| places.bus_master);
        assert_eq!(both, [Some(0xc040), Some(0xc048)]);
    }
}
