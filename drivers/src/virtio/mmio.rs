// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is behind a virtio device's registers in memory (Virtual I/O Device 1.2, 4.2.2).

use core::fmt;

use crate::registers::Registers;
use crate::virtio::Kind;

const MAGIC: usize = 0x000;
const VERSION: usize = 0x004;
const DEVICE: usize = 0x008;

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
    fn an_empty_slot_is_nothing_wrong() {
        assert_eq!(kind(&Fake([MAGIC_VALUE, 1, 0])), Ok(None));
    }

    #[test]
    fn other_registers_are_left_alone() {
        assert_eq!(kind(&Fake([!0; 3])), Err(Wrong::Magic(!0)));
        assert_eq!(kind(&Fake([0x1234, 2, 2])), Err(Wrong::Magic(0x1234)));
        assert_eq!(kind(&Fake([MAGIC_VALUE, 3, 2])), Err(Wrong::Version(3)));
    }
}
