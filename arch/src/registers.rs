// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers of devices in memory.

/// Registers that are mapped, and nobody's memory.
#[derive(Debug)]
pub struct DeviceRegisters {
    start: u64,
    length: usize,
}

impl DeviceRegisters {
    /// The `length` bytes at `start`, which is a multiple of 8.
    ///
    /// # Safety
    ///
    /// They are mapped for as long as this lives, and no memory that Rust uses lies there.
    pub unsafe fn at(start: u64, length: usize) -> Self {
        Self { start, length }
    }

    /// Reads four bytes; all ones beyond the end, or at an offset that is no multiple of four.
    pub fn read_u32(&self, offset: usize) -> u32 {
        // SAFETY: mapped and inside, by `at` and `place`. What reads do besides is the device's.
        self.place(offset).map_or(!0, |place| unsafe { place.read_volatile() })
    }

    /// Writes four bytes; has no effect beyond the end, or at an offset that is no multiple of four.
    pub fn write_u32(&self, offset: usize, value: u32) {
        if let Some(place) = self.place(offset) {
            // SAFETY: as above. What the device then does to memory is for its driver to answer for.
            unsafe { place.write_volatile(value) };
        }
    }

    fn place(&self, offset: usize) -> Option<*mut u32> {
        let end = offset.checked_add(4)?;
        let inside = end <= self.length && offset.is_multiple_of(4);
        inside.then(|| core::ptr::with_exposed_provenance_mut(self.start as usize + offset))
    }
}
