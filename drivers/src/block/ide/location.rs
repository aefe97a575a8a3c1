// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O ports of the channels of a controller, and the names of their drives.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::hal::Ports;
use crate::pci::{Configuration, Function};

use super::channel::Resources;

impl Function {
    /// An IDE controller.
    pub fn is_ide(&self) -> bool {
        self.class == 0x0101
    }
}

/// The old resources of the two channels.
const OLD: [Resources; 2] = [
    Resources { command: 0x1f0, control: 0x3f6, bus_master: None, line: 14 },
    Resources { command: 0x170, control: 0x376, bus_master: None, line: 15 },
];

/// Where we put the bus-master ports if nobody has placed them: a machine without firmware. That is
/// where firmware puts them if it has them to itself.
const BUS_MASTER_BASE: u16 = 0xc000;

/// Where the channels of an IDE controller are, at their old resources; its bus-master ports are placed,
/// unless somebody has, and switched on.
pub fn resources<P: Ports + ?Sized>(ports: &P, function: &Function) -> [Resources; 2] {
    /// Command register: I/O ports, bus master.
    const SWITCH_ON: u32 = 1 << 0 | 1 << 2;
    /// The base address register of the bus-master ports.
    const BUS_MASTER: u8 = 0x20;
    /// Its mark for I/O ports.
    const IO_PORTS: u32 = 1;
    let configuration = Configuration::new(ports, function.address);
    if configuration.read(BUS_MASTER) == IO_PORTS {
        configuration.write(BUS_MASTER, u32::from(BUS_MASTER_BASE) | IO_PORTS);
    }
    let base = configuration.read(BUS_MASTER);
    let base = u16::try_from(base & !0xf).ok().filter(|port| base & IO_PORTS != 0 && *port != 0);
    if base.is_some() {
        // The upper half is status bits, cleared by writing ones.
        configuration.write(0x04, configuration.read(0x04) & 0xffff | SWITCH_ON);
    }
    let [first, second] = OLD;
    [
        Resources { bus_master: base, ..first },
        Resources { bus_master: base.and_then(|base| base.checked_add(8)), ..second },
    ]
}

/// The name of the disk at a position, two for each channel: `hda`, `hdb` and so on.
pub fn name(position: u8) -> String {
    format!("hd{}", char::from(b'a'.saturating_add(position)))
}

/// The number that toolstacks give such a disk (`docs/man/xen-vbd-interface.7`).
pub fn number(position: u8) -> u32 {
    const MAJORS: [u32; 10] = [3, 22, 33, 34, 56, 57, 88, 89, 90, 91];
    let (channel, drive) = (position / 2, position % 2);
    let major = MAJORS.get(usize::from(channel)).copied().unwrap_or(u32::from(channel) << 8);
    major << 8 | u32::from(drive) << 6
}

/// Positions that there are for emulated disks: hda to hdt.
const MAX: u8 = 20;

/// The positions that emulated disks have, whatever their controllers.
#[derive(Debug, Default)]
pub struct Positions(AtomicU32);

impl Positions {
    /// None is taken.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The position of a disk that its controller has at `own`: that one, as toolstacks name it so; if
    /// another controller has a disk there too, the first one behind IDE's four. `None` if there are too
    /// many.
    pub fn take(&self, own: u8) -> Option<u8> {
        let take = |position: &u8| self.0.fetch_or(1 << position, Ordering::Relaxed) & 1 << position == 0;
        let mut positions = core::iter::once(own).chain(4..MAX).filter(|position| *position < MAX);
        positions.find(take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;
    use crate::pci::tests::FakePorts;

    #[test]
    fn names_and_numbers_are_those_of_paravirtual_disks_in_the_same_place() {
        let disks = [0, 1, 2, 3, 5].map(|position| (name(position), number(position)));
        let expected = [("hda", 0x300), ("hdb", 0x340), ("hdc", 0x1600), ("hdd", 0x1640), ("hdf", 0x2140)];
        assert_eq!(disks, expected.map(|(name, number)| (name.to_owned(), number)));
    }

    #[test]
    fn a_disk_has_the_position_that_its_controller_gives_it_or_one_behind_ides() {
        let positions = Positions::new();
        assert_eq!([0, 1, 0, 1, 5, 5, 4].map(|own| positions.take(own)), [0, 1, 4, 5, 6, 7, 8].map(Some));
        assert_eq!(positions.take(3), Some(3));
    }

    #[test]
    fn there_are_twenty_positions() {
        let positions = Positions::new();
        assert_eq!([19, 20, 255].map(|own| positions.take(own)), [19, 4, 5].map(Some));
        let more = (0..20).map_while(|_| positions.take(u8::MAX)).last();
        assert_eq!((more, positions.take(7), positions.take(2)), (Some(18), None, Some(2)));
    }

    fn bus_master(register: u32) -> [Option<u16>; 2] {
        let ports = FakePorts::default();
        let address = PciAddress { bus: 0, device: 1, function: 1 };
        let function = Function { address, vendor: 0x8086, device: 0x7010, class: 0x0101, interface: 0x80 };
        ports.plug(address, 0x04, 0);
        ports.plug(address, 0x20, register);
        resources(&ports, &function).map(|resources| resources.bus_master)
    }

    #[test]
    fn bus_master_ports_are_used_where_they_are() {
        assert_eq!(bus_master(0xc041), [Some(0xc040), Some(0xc048)]);
    }

    #[test]
    fn bus_master_ports_that_nobody_placed_are_placed() {
        assert_eq!(bus_master(0x0001), [Some(0xc000), Some(0xc008)]);
    }

    #[test]
    fn a_controller_without_bus_master_ports_has_none() {
        assert_eq!(bus_master(0), [None, None]);
    }
}
