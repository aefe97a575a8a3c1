// SPDX-License-Identifier: MIT OR Apache-2.0
//! x86 I/O ports.

/// Reads and writes I/O ports. A port that no device answers reads as all ones.
pub trait Ports {
    /// Reads a byte.
    fn read_u8(&self, port: u16) -> u8;
    /// Reads two bytes.
    fn read_u16(&self, port: u16) -> u16;
    /// Reads four bytes.
    fn read_u32(&self, port: u16) -> u32;
    /// Fills `data` with pairs of bytes, read one after the other; a last odd byte is left alone.
    fn read_u16s(&self, port: u16, data: &mut [u8]) {
        for pair in data.as_chunks_mut::<2>().0 {
            *pair = self.read_u16(port).to_le_bytes();
        }
    }
    /// Writes a byte.
    fn write_u8(&self, port: u16, value: u8);
    /// Writes two bytes.
    fn write_u16(&self, port: u16, value: u16);
    /// Writes four bytes.
    fn write_u32(&self, port: u16, value: u32);
    /// Writes `data`, two bytes after two; a last odd byte is left out.
    fn write_u16s(&self, port: u16, data: &[u8]) {
        for pair in data.as_chunks::<2>().0 {
            self.write_u16(port, u16::from_le_bytes(*pair));
        }
    }
}
