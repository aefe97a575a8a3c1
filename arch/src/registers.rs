// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access to registers of devices (MMIO).

/// Registers that are mapped, and nobody's memory. Beyond the end, or at an address that is no multiple of
/// the access's size, reads are all ones and writes have no effect.
#[derive(Debug)]
pub struct DeviceRegisters {
    start: u64,
    length: usize,
}

impl DeviceRegisters {
    /// The `length` bytes at `start`.
    ///
    /// # Safety
    ///
    /// They are mapped for as long as this lives, and no memory that Rust uses lies there.
    pub unsafe fn at(start: u64, length: usize) -> Self {
        Self { start, length }
    }

    /// Those from `offset` on; `None` if it lies beyond the end.
    pub fn after(self, offset: usize) -> Option<Self> {
        let length = self.length.checked_sub(offset)?;
        Some(Self { start: self.start + offset as u64, length })
    }

    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Reads a byte.
    pub fn read_u8(&self, offset: usize) -> u8 {
        self.read(offset).unwrap_or(!0)
    }

    /// Writes a byte.
    pub fn write_u8(&self, offset: usize, value: u8) {
        self.write(offset, value);
    }

    /// Reads two bytes.
    pub fn read_u16(&self, offset: usize) -> u16 {
        self.read(offset).unwrap_or(!0)
    }

    /// Writes two bytes.
    pub fn write_u16(&self, offset: usize, value: u16) {
        self.write(offset, value);
    }

    /// Reads four bytes.
    pub fn read_u32(&self, offset: usize) -> u32 {
        self.read(offset).unwrap_or(!0)
    }

    /// Writes four bytes.
    pub fn write_u32(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }

    fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        // SAFETY: mapped and inside, by `at` and `pointer`, and each value of the types above is valid. What
        // reads do besides is the device's.
        self.pointer(offset).map(|pointer: *mut T| unsafe { pointer.read_volatile() })
    }

    fn write<T: Copy>(&self, offset: usize, value: T) {
        if let Some(pointer) = self.pointer::<T>(offset) {
            // SAFETY: as above. What the device then does to memory is for its driver to answer for.
            unsafe { pointer.write_volatile(value) };
        }
    }

    fn pointer<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let address = self.start as usize + offset.min(self.length);
        let inside = end <= self.length && address.is_multiple_of(size_of::<T>());
        inside.then(|| core::ptr::with_exposed_provenance_mut(address))
    }
}
