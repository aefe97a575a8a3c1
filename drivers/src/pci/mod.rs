// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCI configuration space by ports 0xCF8 and 0xCFC (PCI Local Bus Specification 3.0, 3.2.2.3.2).

mod bus;
pub mod intx;

use core::fmt;

use crate::hal::Ports;
use crate::virtio::Kind;
pub use bus::functions;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// Bit 31 of the address register: accesses to the data port go to configuration space.
const ENABLE: u32 = 1 << 31;

/// Address of a function: bus, device (0 to 31), function (0 to 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PciAddress {
    /// Bus number.
    pub bus: u8,
    /// Device number.
    pub device: u8,
    /// Function number.
    pub function: u8,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

/// A function that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it is.
    pub address: PciAddress,
    /// Who made it.
    pub vendor: u16,
    /// What they call it.
    pub device: u16,
    /// What it is: class in the upper byte, subclass in the lower.
    pub class: u16,
    /// How it is programmed: the interface of the class.
    pub interface: u8,
}

impl Function {
    /// A host bridge: where there is one, there is a PC's platform.
    pub fn is_host_bridge(&self) -> bool {
        self.class == 0x0600
    }

    /// Xen's platform device, the sign that paravirtual drivers are welcome in an HVM domain
    /// (`xen/include/public/hvm/pvdrivers.h`; QEMU `xen-platform`). XenServer has a second number for it
    /// (`PCI_DEVICE_ID_XEN_PLATFORM_XS61` in Linux's `platform-pci.c`).
    pub fn is_xen_platform(&self) -> bool {
        self.vendor == 0x5853 && matches!(self.device, 0x0001 | 0x0002)
    }

    /// The kind of a virtio device (Virtual I/O Device 1.2, 4.1.2), be it one of the time before version 1;
    /// `None` if it is none. Its class tells less: that of a disk is also a SCSI controller's, and those of
    /// consoles differ from machine to machine.
    pub fn virtio_kind(&self) -> Option<Kind> {
        match (self.vendor, self.device) {
            (0x1af4, 0x1000) => Some(Kind::Network),
            (0x1af4, 0x1001) => Some(Kind::Block),
            (0x1af4, 0x1002) => Some(Kind::Other(5)),
            (0x1af4, 0x1003) => Some(Kind::Console),
            (0x1af4, 0x1004) => Some(Kind::Scsi),
            (0x1af4, 0x1005) => Some(Kind::Other(4)),
            (0x1af4, 0x1009) => Some(Kind::Other(9)),
            (0x1af4, device @ 0x1040..0x1080) => Kind::of(u32::from(device) - 0x1040),
            _ => None,
        }
    }
}

/// The mark of a base address register for I/O ports, and its bits that are no port.
const IO_PORTS: u32 = 1;
/// Bits of the others that are no address.
const NO_ADDRESS: u32 = 0xf;
const NO_PORT: u32 = 3;

/// The command register, and in its upper half the status.
const COMMAND: u8 = 0x04;
/// Bits of the command register: the function answers at its I/O ports, at its registers in memory; uses
/// memory by itself; raises no interrupt line.
pub const ANSWER_PORTS: u32 = 1 << 0;
/// See [`ANSWER_PORTS`].
pub const ANSWER_MEMORY: u32 = 1 << 1;
/// See [`ANSWER_PORTS`].
pub const USE_MEMORY: u32 = 1 << 2;
/// See [`ANSWER_PORTS`].
pub const NO_INTERRUPT: u32 = 1 << 10;

/// A capability that means what the function's maker says.
pub const VENDOR_SPECIFIC: u8 = 0x09;

/// Memory that a function answers at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Its first byte.
    pub address: u64,
    /// In bytes; 4 GiB where there is more.
    pub length: u64,
}

/// Configuration space of one function.
pub struct Configuration<'a, P: Ports + ?Sized> {
    ports: &'a P,
    address: PciAddress,
}

impl<'a, P: Ports + ?Sized> Configuration<'a, P> {
    /// That of the function at `address`.
    pub fn new(ports: &'a P, address: PciAddress) -> Self {
        Self { ports, address }
    }

    /// Has the function answer, and use memory by itself.
    pub fn switch_on(&self) {
        self.command(ANSWER_PORTS | ANSWER_MEMORY | USE_MEMORY);
    }

    /// Sets bits of the command register.
    pub fn command(&self, bits: u32) {
        // The upper half is status bits, cleared by writing ones.
        self.write(COMMAND, self.read(COMMAND) & 0xffff | bits);
    }

    /// Where the registers of base address register `index` (0 to 5) are in memory. If nobody has placed
    /// them, they are placed at `free`, a multiple of their length; behind a bridge they would not be found
    /// there.
    pub fn registers(&self, index: u8, free: u32) -> Option<u64> {
        let register = 0x10 + index.min(5) * 4;
        if self.read(register) & IO_PORTS != 0 {
            return None;
        }
        self.placed(register).or_else(|| {
            if self.address.bus == 0 {
                self.write(register, free);
            }
            self.placed(register)
        })
    }

    /// The memory of base address register `index`; `None` if there is none, or nobody has placed it. The
    /// function does not answer for a moment: nobody may use it yet.
    pub fn memory(&self, index: u8) -> Option<Memory> {
        let register = (index <= 5).then(|| 0x10 + index * 4)?;
        let address = self.placed(register)?;
        let (command, before) = (self.read(COMMAND) & 0xffff, self.read(register));
        self.write(COMMAND, command & !(ANSWER_PORTS | ANSWER_MEMORY));
        self.write(register, !0);
        let mask = self.read(register) & !NO_ADDRESS;
        self.write(register, before);
        self.write(COMMAND, command);
        Some(Memory { address, length: u64::from(!mask) + 1 })
    }

    /// Where the base address register at `register` has memory.
    fn placed(&self, register: u8) -> Option<u64> {
        /// Where the address has 64 bits.
        const LONG: u32 = 2 << 1;
        let low = self.read(register);
        let is_long = low & (LONG | IO_PORTS) == LONG;
        let high = if is_long { u64::from(self.read(register + 4)) << 32 } else { 0 };
        let address = high | u64::from(low & !NO_ADDRESS);
        (low & IO_PORTS == 0 && address != 0).then_some(address)
    }

    /// The function's capabilities: where each is, and its first four bytes. A list without an end ends when
    /// there cannot be more.
    pub fn capabilities(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        /// Bit of the status: there are some.
        const SOME: u32 = 1 << 20;
        const FIRST: u8 = 0x34;
        /// Configuration space has room for no more behind its header.
        const HEADER: u8 = 0x40;
        const MAX: usize = 48;
        let place = |pointer: u8| Some(pointer & !3).filter(|place| *place >= HEADER);
        let first = (self.read(COMMAND) & SOME != 0).then(|| place(self.read(FIRST) as u8)).flatten();
        let mut next = first;
        core::iter::from_fn(move || {
            let here = next?;
            let header = self.read(here);
            next = place((header >> 8) as u8);
            Some((here, header))
        })
        .take(MAX)
    }

    /// The first I/O port of base address register `index` (0 to 5). If nobody has placed them, they are
    /// placed at `free`, a multiple of their number.
    pub fn ports(&self, index: u8, free: u16) -> Option<u16> {
        let register = 0x10 + index.min(5) * 4;
        if self.read(register) & IO_PORTS == 0 {
            return None;
        }
        if self.read(register) & !NO_PORT == 0 && self.address.bus == 0 {
            self.write(register, u32::from(free));
        }
        u16::try_from(self.read(register) & !NO_PORT).ok().filter(|port| *port != 0)
    }

    /// Reads the four bytes at `register`, whose lowest two bits are ignored.
    pub fn read(&self, register: u8) -> u32 {
        self.select(register);
        self.ports.read_u32(DATA)
    }

    /// Writes the four bytes at `register`.
    pub fn write(&self, register: u8, value: u32) {
        self.select(register);
        self.ports.write_u32(DATA, value);
    }

    fn select(&self, register: u8) {
        let PciAddress { bus, device, function } = self.address;
        let place = u32::from(bus) << 16 | u32::from(device & 31) << 11 | u32::from(function & 7) << 8;
        self.ports.write_u32(ADDRESS, ENABLE | place | u32::from(register & !3));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    use super::*;

    /// A machine with some configuration registers, and a log of what was written elsewhere.
    #[derive(Default)]
    pub(crate) struct FakePorts {
        /// Nobody answers.
        is_absent: bool,
        reads: Cell<u32>,
        address: RefCell<u32>,
        pub(crate) registers: RefCell<HashMap<u32, u32>>,
        pub(crate) written: RefCell<Vec<(u16, u32)>>,
        /// By base address register, the bits that can be changed.
        masks: RefCell<HashMap<u32, u32>>,
    }

    impl FakePorts {
        pub(crate) fn plug(&self, address: PciAddress, register: u8, value: u32) {
            self.registers.borrow_mut().insert(config_address(address, register), value);
        }

        /// The base address register at `register`, which was plugged, has `length` bytes of memory.
        pub(crate) fn size(&self, address: PciAddress, register: u8, length: u32) {
            self.masks.borrow_mut().insert(config_address(address, register), !(length - 1));
        }
    }

    fn config_address(address: PciAddress, register: u8) -> u32 {
        let PciAddress { bus, device, function } = address;
        let place = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
        ENABLE | place | u32::from(register)
    }

    impl Ports for FakePorts {
        fn read_u8(&self, _port: u16) -> u8 {
            0xff
        }
        fn read_u16(&self, _port: u16) -> u16 {
            0xffff
        }
        fn read_u32(&self, port: u16) -> u32 {
            self.reads.set(self.reads.get() + 1);
            let address = *self.address.borrow();
            match port {
                ADDRESS if !self.is_absent => address,
                DATA => self.registers.borrow().get(&address).copied().unwrap_or(!0),
                _ => !0,
            }
        }
        fn write_u8(&self, port: u16, value: u8) {
            self.written.borrow_mut().push((port, value.into()));
        }
        fn write_u16(&self, port: u16, value: u16) {
            self.written.borrow_mut().push((port, value.into()));
        }
        fn write_u32(&self, port: u16, value: u32) {
            match port {
                ADDRESS => *self.address.borrow_mut() = value,
                DATA => {
                    let address = *self.address.borrow();
                    let mask = self.masks.borrow().get(&address).copied().unwrap_or(!0);
                    let mut registers = self.registers.borrow_mut();
                    let register = registers.entry(address).or_default();
                    *register = *register & !mask | value & mask;
                }
                _ => self.written.borrow_mut().push((port, value)),
            }
        }
    }

    const fn address(device: u8, function: u8) -> PciAddress {
        PciAddress { bus: 0, device, function }
    }

    #[test]
    fn a_machine_without_pci_has_no_functions_and_is_asked_once() {
        let ports = FakePorts { is_absent: true, ..FakePorts::default() };
        ports.plug(address(1, 0), 0, 0x7000_8086);
        assert_eq!((functions(&ports).count(), ports.reads.get()), (0, 1));
        assert_eq!(functions(&FakePorts::default()).count(), 0);
    }

    #[test]
    fn functions_beyond_the_first_are_found_only_where_the_header_says_so() {
        let ports = FakePorts::default();
        ports.plug(address(1, 0), 0, 0x7000_8086);
        ports.plug(address(1, 1), 0, 0x7010_8086);
        ports.plug(address(1, 0), 0x0c, 0);
        assert_eq!(functions(&ports).count(), 1);
        ports.plug(address(1, 0), 0x0c, 1 << 23);
        assert_eq!(functions(&ports).count(), 2);
    }

    #[test]
    fn registers_are_used_where_they_are_and_placed_where_they_are_not() {
        for (low, high, expected) in [
            (0xfebc_0000, 0, Some(0xfebc_0000)),
            (0xfebc_000c, 1, Some(0x1_febc_0000)),
            (0, 7, Some(0xf100_0000)),
            (0xc001, 0, None),
        ] {
            let ports = FakePorts::default();
            ports.plug(address(3, 0), 0x10, low);
            ports.plug(address(3, 0), 0x14, high);
            let configuration = Configuration::new(&ports, address(3, 0));
            assert_eq!(configuration.registers(0, 0xf100_0000), expected, "{low:#x}");
        }
    }

    #[test]
    fn what_firmware_has_not_placed_behind_a_bridge_is_nowhere() {
        let ports = FakePorts::default();
        let behind = PciAddress { bus: 1, device: 0, function: 0 };
        ports.plug(behind, 0x10, 4);
        ports.plug(behind, 0x14, 0);
        ports.plug(behind, 0x18, 1);
        let configuration = Configuration::new(&ports, behind);
        assert_eq!((configuration.registers(0, 0xf100_0000), configuration.memory(0)), (None, None));
        assert_eq!(configuration.ports(2, 0xc100), None);
        assert_eq!([0x10, 0x14, 0x18].map(|register| configuration.read(register)), [4, 0, 1]);
    }

    #[test]
    fn memory_has_an_address_and_a_length() {
        for (low, high, mask, expected) in [
            (0xfebc_0000, 0, 0x1000, Some((0xfebc_0000, 0x1000))),
            (0xfebc_000c, 1, 0x4000, Some((0x1_febc_0000, 0x4000))),
            (0, 0, 0x1000, None),
            (0xc001, 0, 0x1000, None),
        ] {
            let ports = FakePorts::default();
            ports.plug(address(3, 0), 0x10, low);
            ports.plug(address(3, 0), 0x14, high);
            ports.size(address(3, 0), 0x10, mask);
            let configuration = Configuration::new(&ports, address(3, 0));
            let expected = expected.map(|(address, length)| Memory { address, length });
            assert_eq!(configuration.memory(0), expected, "{low:#x}");
            assert_eq!(configuration.read(0x10), low);
        }
    }

    #[test]
    fn capabilities_are_found_one_after_the_other() {
        let ports = FakePorts::default();
        let configuration = Configuration::new(&ports, address(3, 0));
        ports.plug(address(3, 0), 0x04, 0x0010_0000);
        ports.plug(address(3, 0), 0x34, 0x43);
        ports.plug(address(3, 0), 0x40, 0xaaaa_5211);
        ports.plug(address(3, 0), 0x50, 0xbbbb_3f09);
        // The lowest two bits of a place mean nothing; the header is no capability.
        let expected = [(0x40, 0xaaaa_5211), (0x50, 0xbbbb_3f09)];
        assert_eq!(configuration.capabilities().collect::<Vec<_>>(), expected);
        ports.plug(address(3, 0), 0x50, 0xbbbb_4009);
        assert_eq!(configuration.capabilities().count(), 48);
        ports.plug(address(3, 0), 0x04, 0);
        assert_eq!(configuration.capabilities().count(), 0);
    }

    #[test]
    fn ports_are_used_where_they_are_and_placed_where_they_are_not() {
        // The fake keeps what is written, a NIC the mark too.
        for (before, expected) in [(0xc201, Some(0xc200)), (0xfebc_0000, None), (0xfebc_0001, None)] {
            let ports = FakePorts::default();
            ports.plug(address(3, 0), 0x10, before);
            assert_eq!(Configuration::new(&ports, address(3, 0)).ports(0, 0xc100), expected, "{before:#x}");
        }
        let ports = FakePorts::default();
        ports.plug(address(3, 0), 0x10, 1);
        assert_eq!(Configuration::new(&ports, address(3, 0)).ports(0, 0xc100), Some(0xc100));
    }

    #[test]
    fn devices_are_told_apart_by_class_and_vendor() {
        let ports = FakePorts::default();
        ports.plug(address(0, 0), 0, 0x1237_8086);
        ports.plug(address(0, 0), 8, 0x0600_0002);
        ports.plug(address(2, 0), 0, 0x0001_5853);
        ports.plug(address(2, 0), 8, 0xff80_0001);
        ports.plug(address(3, 0), 0, 0x0002_5853);
        ports.plug(address(4, 0), 0, 0x0003_5853);
        let found: Vec<_> = functions(&ports).collect();
        assert!(found[0].is_host_bridge());
        let is_platform = |function: &Function| function.is_xen_platform();
        assert_eq!(found.iter().map(is_platform).collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!(found[1].virtio_kind(), None);
    }

    #[test]
    fn virtio_devices_are_told_apart_by_their_numbers() {
        for (name, expected) in [
            (0x1000_1af4, Some(Kind::Network)),
            (0x1041_1af4, Some(Kind::Network)),
            (0x1001_1af4, Some(Kind::Block)),
            (0x1042_1af4, Some(Kind::Block)),
            (0x1003_1af4, Some(Kind::Console)),
            (0x1043_1af4, Some(Kind::Console)),
            // SCSI controllers, of a disk's class.
            (0x1004_1af4, Some(Kind::Scsi)),
            (0x1048_1af4, Some(Kind::Scsi)),
            (0x1040_1af4, None),
            // Not virtio, but of the same maker: memory shared between guests.
            (0x1110_1af4, None),
            (0x1042_8086, None),
        ] {
            let ports = FakePorts::default();
            ports.plug(address(4, 0), 0, name);
            ports.plug(address(4, 0), 8, 0x0100_0000);
            let found: Vec<_> = functions(&ports).map(|function| function.virtio_kind()).collect();
            assert_eq!(found, [expected], "{name:#x}");
        }
    }
}
