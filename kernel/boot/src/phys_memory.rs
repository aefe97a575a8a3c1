// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest-physical memory as the parsers see it: read by copy, never trusted.

/// Guest-physical memory at boot, read by copy. Nothing in it is trusted.
///
/// In PV guests "physical" means pseudo-physical; the image is linked so that
/// these are also the virtual addresses of the bootstrap mapping.
pub trait PhysMemory {
    /// Copies `buf.len()` bytes from `address`; false if any of them is not readable.
    ///
    /// On false the contents of `buf` are unspecified.
    #[must_use]
    fn read(&self, address: u64, buf: &mut [u8]) -> bool;
}

/// A piece of memory held in a slice, for tests and fuzzing: `bytes` begins at address `base`,
/// everything else is unreadable.
#[derive(Clone, Copy, Debug)]
pub struct SliceMemory<'a> {
    /// Physical address of the first byte.
    pub base: u64,
    /// What lies there.
    pub bytes: &'a [u8],
}

impl PhysMemory for SliceMemory<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let found = address
            .checked_sub(self.base)
            .and_then(|offset| usize::try_from(offset).ok())
            .and_then(|offset| self.bytes.get(offset..))
            .and_then(|rest| rest.get(..buf.len()));
        if let Some(found) = found {
            buf.copy_from_slice(found);
        }
        found.is_some()
    }
}
