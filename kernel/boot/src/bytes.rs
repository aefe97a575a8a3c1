// SPDX-License-Identifier: MIT OR Apache-2.0
//! Little-endian fields in byte copies of structures.

use crate::PhysMemory;

/// A byte copy of a structure; a field beyond its end reads as 0.
pub(crate) struct Record<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Record<N> {
    /// Copies the structure at `address`.
    pub(crate) fn read(memory: &impl PhysMemory, address: u64) -> Option<Self> {
        Self::read_part(memory, address, N)
    }

    /// Copies the first `length` bytes of the structure at `address`; the others are 0.
    pub(crate) fn read_part(memory: &impl PhysMemory, address: u64, length: usize) -> Option<Self> {
        let mut bytes = [0; N];
        memory.read(address, bytes.get_mut(..length)?).then_some(Self(bytes))
    }

    /// `length` bytes at `offset`.
    pub(crate) fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        offset.checked_add(length).and_then(|end| self.0.get(offset..end)).unwrap_or(&[])
    }

    /// The byte at `offset`.
    pub(crate) fn u8(&self, offset: usize) -> u8 {
        self.0.get(offset).copied().unwrap_or(0)
    }

    /// The 16-bit number at `offset`.
    pub(crate) fn u16(&self, offset: usize) -> u16 {
        self.0.get(offset..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u16::from_le_bytes)
    }

    /// The 32-bit number at `offset`.
    pub(crate) fn u32(&self, offset: usize) -> u32 {
        u32_at(&self.0, offset).unwrap_or(0)
    }

    /// The 64-bit number at `offset`.
    pub(crate) fn u64(&self, offset: usize) -> u64 {
        u64_at(&self.0, offset).unwrap_or(0)
    }
}

/// The little-endian 32-bit number at `offset`, if `bytes` holds it.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The little-endian 64-bit number at `offset`, if `bytes` holds it.
fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// A length as the 64-bit number that it is on this machine.
pub(crate) const fn as_u64(length: usize) -> u64 {
    length as u64
}

/// A 64-bit number as the length that it is on this machine.
pub(crate) const fn as_usize(number: u64) -> usize {
    number as usize
}

const _: () = assert!(usize::BITS == u64::BITS, "addresses and lengths have 64 bits on x86-64");
