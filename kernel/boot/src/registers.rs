// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks addresses of devices' registers.
//!
//! The addresses come from firmware, devices and the command line, and may be wrong.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{MAPPED_LIMIT, MemoryMap, PAGE_SIZE, PhysRange};

/// The largest size of a device's registers, in bytes.
pub const MOST: u64 = 1 << 20;

/// The first address that a CPU with so many address bits, or a pointer, cannot reach.
#[must_use]
pub fn reach(address_bits: u8) -> u64 {
    MAPPED_LIMIT.min(1 << address_bits.min(63))
}

/// Why registers cannot lie at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// They do not begin at a multiple of 8.
    Unaligned,
    /// No device has so many.
    TooLarge,
    /// The CPU or a pointer cannot reach them.
    OutOfReach,
    /// There is memory.
    Memory,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unaligned => f.write_str("registers lie at multiples of 8"),
            Self::TooLarge => write!(f, "registers have {MOST:#x} bytes at most"),
            Self::OutOfReach => f.write_str("the CPU does not reach registers there"),
            Self::Memory => f.write_str("memory is there, and no registers"),
        }
    }
}

impl core::error::Error for Unfit {}

/// The pages to map for `length` bytes of registers at `address`, below `limit`, in a machine of this
/// `memory`.
///
/// # Errors
///
/// If no device's registers can lie there.
pub fn pages<const REGIONS: usize>(
    address: u64,
    length: u64,
    limit: u64,
    memory: &MemoryMap<REGIONS>,
) -> Result<impl Iterator<Item = u64> + use<REGIONS>, Unfit> {
    let range = PhysRange::with_length(address, length).filter(|range| range.end() <= limit);
    let range = range.ok_or(Unfit::OutOfReach)?;
    match () {
        () if !address.is_multiple_of(8) => Err(Unfit::Unaligned),
        () if length > MOST => Err(Unfit::TooLarge),
        () if address < PAGE_SIZE || memory.usable().any(|usable| usable.overlaps(range)) => {
            Err(Unfit::Memory)
        }
        () => Ok((address & !(PAGE_SIZE - 1)..range.end()).step_by(PAGE_SIZE as usize)),
    }
}

/// Addresses for registers that firmware has not placed.
#[derive(Debug)]
pub struct Free(AtomicU32);

impl Free {
    /// From this address on.
    #[must_use]
    pub const fn from(address: u32) -> Self {
        Self(AtomicU32::new(address))
    }

    /// An address for `length` bytes, aligned to the next power of two; `None` if there is none. Alignment
    /// leaves holes: there is plenty of space.
    pub fn take(&self, length: u64) -> Option<u32> {
        let room = u32::try_from(length.checked_next_power_of_two()?).ok()?;
        let reach = |from: u32| from.checked_add(room.checked_mul(2)?);
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reach).ok()?;
        before.checked_next_multiple_of(room)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::Kind;

    /// 16 MiB of memory but for the first page, a hole of a page in it, and something reserved behind.
    fn memory() -> MemoryMap<8> {
        let mut memory = MemoryMap::new();
        memory.add(PhysRange::new(0x1000, 0x100_0000).unwrap(), Kind::Usable);
        memory.add(PhysRange::new(0xa_0000, 0xa_1000).unwrap(), Kind::Reserved);
        memory.add(PhysRange::new(0xfec0_0000, 0xfec0_1000).unwrap(), Kind::Reserved);
        memory
    }

    fn pages_of(address: u64, length: u64) -> Result<Vec<u64>, Unfit> {
        pages(address, length, 1 << 36, &memory()).map(Iterator::collect)
    }

    #[test]
    fn all_pages_that_registers_touch_are_mapped() {
        assert_eq!(pages_of(0xfec0_0000, 0x20), Ok([0xfec0_0000].into()));
        assert_eq!(pages_of(0xf100_0ff8, 9), Ok([0xf100_0000, 0xf100_1000].into()));
        assert_eq!(pages_of(0xf100_0000, MOST).map(|pages| pages.len()), Ok(256));
        assert_eq!(pages_of(0xa_0000, 0x1000), Ok([0xa_0000].into()), "a hole in memory is no memory");
    }

    #[test]
    fn registers_cannot_lie_in_memory_or_at_null() {
        let places = [0, 0xff8, 0x1000, 0x9_fff8, 0xff_fff8];
        assert_eq!(places.map(|address| pages_of(address, 0x10)), [const { Err(Unfit::Memory) }; 5]);
    }

    #[test]
    fn registers_cannot_lie_beyond_reach() {
        assert_eq!(pages_of((1 << 36) - 0x1000, 0x1000), Ok([(1 << 36) - 0x1000].into()));
        for (address, length) in [((1 << 36) - 0x1000, 0x1001), (1 << 36, 8), (!7, 0x1000)] {
            assert_eq!(pages_of(address, length), Err(Unfit::OutOfReach));
        }
    }

    #[test]
    fn registers_are_aligned_and_not_too_many() {
        assert_eq!(pages_of(0xf100_0004, 8), Err(Unfit::Unaligned));
        assert_eq!(pages_of(0xf100_0000, MOST + 1), Err(Unfit::TooLarge));
    }

    #[test]
    fn the_cpu_and_pointers_both_limit_what_is_reached() {
        assert_eq!([36, 63, 64, 255].map(reach), [1 << 36, MAPPED_LIMIT, MAPPED_LIMIT, MAPPED_LIMIT]);
    }

    #[test]
    fn free_addresses_are_aligned_and_do_not_overlap() {
        let free = Free::from(0xf100_0000);
        let lengths = [0x20, 0x20000, 0x100, 0x1100, 1, 0x20000];
        let mut end = 0;
        for length in lengths {
            let place = free.take(length).unwrap();
            assert!(place >= end.max(0xf100_0000), "{place:#x} is taken up to {end:#x}");
            assert!(u64::from(place).is_multiple_of(length.next_power_of_two()));
            end = place + length as u32;
        }
    }

    #[test]
    fn no_free_address_lies_beyond_32_bits() {
        let free = Free::from(0xf100_0000);
        for length in [1 << 31, 1 << 32, u64::MAX] {
            assert_eq!(free.take(length), None);
        }
        assert_eq!(free.take(1 << 30), None);
        assert_eq!(free.take(0x1000), Some(0xf100_0000), "who asks in vain takes nothing");
    }
}
