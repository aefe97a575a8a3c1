// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers of a virtio device in memory (Virtual I/O Device 1.2, 4.2.2), and the legacy ones (4.2.4).

use core::fmt;

use super::queue::Areas;
use super::transport::{Error, Transport};
use crate::hal::{NarrowRegisters, Registers};
use crate::virtio::Kind;

const MAGIC: usize = 0x000;
const VERSION: usize = 0x004;
const DEVICE: usize = 0x008;
const DEVICE_FEATURES: usize = 0x010;
const DEVICE_FEATURES_SELECT: usize = 0x014;
const DRIVER_FEATURES: usize = 0x020;
const DRIVER_FEATURES_SELECT: usize = 0x024;
const QUEUE_SELECT: usize = 0x030;
const QUEUE_ALLOWED: usize = 0x034;
const QUEUE_SIZE: usize = 0x038;
const QUEUE_READY: usize = 0x044;
const NOTIFY: usize = 0x050;
const CAUSES: usize = 0x060;
const TAKE_CAUSES: usize = 0x064;
const STATUS: usize = 0x070;
const QUEUE_DESCRIPTORS: usize = 0x080;
const QUEUE_DRIVER: usize = 0x090;
const QUEUE_DEVICE: usize = 0x0a0;
const GENERATION: usize = 0x0fc;
const CONFIGURATION: usize = 0x100;

/// Those of the time before version 1.
const PAGE_SIZE: usize = 0x028;
const QUEUE_ALIGNMENT: usize = 0x03c;
const QUEUE_PAGE: usize = 0x040;
const PAGE: u32 = 4096;

/// "virt".
const MAGIC_VALUE: u32 = 0x7472_6976;

/// Why nothing is made of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// These are no such registers: the first one holds this.
    Magic(u32),
    /// They are of a version that nobody here knows.
    Version(u32),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(found) => write!(f, "no virtio registers are there, but {found:#x}"),
            Self::Version(found) => write!(f, "its registers are of version {found}; 1 and 2 are known"),
        }
    }
}

impl core::error::Error for Wrong {}

/// The kind of the device behind `registers`; `None` if the slot is empty.
///
/// # Errors
///
/// [`Wrong`]: what is there is no virtio device, or one of a version that nobody here knows.
pub fn kind(registers: &impl Registers) -> Result<Option<Kind>, Wrong> {
    match (registers.read_u32(MAGIC), registers.read_u32(VERSION)) {
        (MAGIC_VALUE, 1 | 2) => {}
        (MAGIC_VALUE, version) => return Err(Wrong::Version(version)),
        (magic, _) => return Err(Wrong::Magic(magic)),
    }
    Ok(Kind::of(registers.read_u32(DEVICE)))
}

/// The registers of a device whose [`kind`] was found.
pub struct Device<R> {
    registers: R,
    is_legacy: bool,
}

impl<R: NarrowRegisters> Device<R> {
    /// The device behind `registers`.
    pub fn new(registers: R) -> Self {
        let is_legacy = registers.read_u32(VERSION) == 1;
        Self { registers, is_legacy }
    }

    fn write(&self, register: usize, value: u32) {
        self.registers.write_u32(register, value);
    }

    fn write_address(&self, register: usize, address: u64) {
        self.write(register, address as u32);
        self.write(register + 4, (address >> 32) as u32);
    }
}

impl<R: NarrowRegisters> Transport for Device<R> {
    fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    fn features(&self) -> u64 {
        let [low, high] = [0, 1].map(|half| {
            self.write(DEVICE_FEATURES_SELECT, half);
            u64::from(self.registers.read_u32(DEVICE_FEATURES))
        });
        high << 32 | low
    }

    fn accept(&self, features: u64) {
        for (half, bits) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(DRIVER_FEATURES_SELECT, half);
            self.write(DRIVER_FEATURES, bits);
        }
        if self.is_legacy {
            self.write(PAGE_SIZE, PAGE);
        }
    }

    fn status(&self) -> u8 {
        self.registers.read_u32(STATUS) as u8
    }

    fn set_status(&self, status: u8) {
        self.write(STATUS, status.into());
    }

    fn allowed(&mut self, queue: u16) -> u32 {
        self.write(QUEUE_SELECT, queue.into());
        self.registers.read_u32(QUEUE_ALLOWED)
    }

    fn place(&self, queue: u16, size: u16, areas: Areas) -> Result<(), Error> {
        self.write(QUEUE_SELECT, queue.into());
        self.write(QUEUE_SIZE, size.into());
        if self.is_legacy {
            let page = areas.descriptors / u64::from(PAGE);
            let page = u32::try_from(page).map_err(|_| Error::NoMemory)?;
            self.write(QUEUE_ALIGNMENT, PAGE);
            self.write(QUEUE_PAGE, page);
        } else {
            self.write_address(QUEUE_DESCRIPTORS, areas.descriptors);
            self.write_address(QUEUE_DRIVER, areas.driver);
            self.write_address(QUEUE_DEVICE, areas.device);
            self.write(QUEUE_READY, 1);
        }
        Ok(())
    }

    fn notify(&self, queue: u16) {
        self.write(NOTIFY, queue.into());
    }

    fn take_causes(&self) -> u8 {
        let causes = self.registers.read_u32(CAUSES);
        if causes != 0 {
            self.write(TAKE_CAUSES, causes);
        }
        causes as u8
    }

    fn generation(&self) -> u32 {
        // Before version 1 nobody counts.
        if self.is_legacy { 0 } else { self.registers.read_u32(GENERATION) }
    }

    fn configuration_length(&self) -> usize {
        self.registers.length().saturating_sub(CONFIGURATION)
    }

    fn configuration_u8(&self, offset: usize) -> u8 {
        self.registers.read_u8(CONFIGURATION + offset)
    }

    fn configuration_u16(&self, offset: usize) -> u16 {
        self.registers.read_u16(CONFIGURATION + offset)
    }

    fn configuration_u32(&self, offset: usize) -> u32 {
        self.registers.read_u32(CONFIGURATION + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Magic, version and device.
    struct Fake([u32; 3]);

    impl Registers for Fake {
        fn read_u32(&self, offset: usize) -> u32 {
            self.0[offset / 4]
        }
        fn write_u32(&self, offset: usize, value: u32) {
            panic!("{value:#x} is written at {offset:#x} before anybody knows what is there");
        }
    }

    #[test]
    fn devices_of_both_versions_tell_what_they_are() {
        assert_eq!(kind(&Fake([MAGIC_VALUE, 1, 2])), Ok(Some(Kind::Block)));
        assert_eq!(kind(&Fake([MAGIC_VALUE, 2, 1])), Ok(Some(Kind::Network)));
        assert_eq!(kind(&Fake([MAGIC_VALUE, 2, 3])), Ok(Some(Kind::Console)));
        assert_eq!(kind(&Fake([MAGIC_VALUE, 2, 18])), Ok(Some(Kind::Other(18))));
    }

    #[test]
    fn an_empty_slot_is_no_error() {
        assert_eq!(kind(&Fake([MAGIC_VALUE, 1, 0])), Ok(None));
    }

    #[test]
    fn other_registers_are_left_alone() {
        assert_eq!(kind(&Fake([!0; 3])), Err(Wrong::Magic(!0)));
        assert_eq!(kind(&Fake([0x1234, 2, 2])), Err(Wrong::Magic(0x1234)));
        assert_eq!(kind(&Fake([MAGIC_VALUE, 3, 2])), Err(Wrong::Version(3)));
    }
}
