// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding Multiboot headers the way that boot loaders do.

/// First number of a Multiboot 1 header.
const MAGIC_1: u32 = 0x1bad_b002;

/// First number of a Multiboot 2 header.
const MAGIC_2: u32 = 0xe852_50d6;

/// Part of the file in which a Multiboot 1 header must lie, in bytes.
const WINDOW_1: usize = 8192;

/// Part of the file in which a Multiboot 2 header must lie, in bytes.
const WINDOW_2: usize = 32768;

/// Where QEMU's `-kernel` stops looking for a Multiboot 1 header.
pub const QEMU_WINDOW: usize = WINDOW_1 - 48;

/// A header's place in the file, and whether its checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes from the start of the file.
    pub offset: usize,
    /// Whether its numbers add up to zero.
    pub is_valid: bool,
}

/// The Multiboot 1 header: three numbers that add up to zero, on a 4-byte boundary.
pub fn first(image: &[u8]) -> Option<Header> {
    find(image, MAGIC_1, WINDOW_1, 4, 3)
}

/// The Multiboot 2 header: four numbers that add up to zero, on an 8-byte boundary.
pub fn second(image: &[u8]) -> Option<Header> {
    find(image, MAGIC_2, WINDOW_2, 8, 4)
}

fn find(image: &[u8], magic: u32, window: usize, alignment: usize, numbers: usize) -> Option<Header> {
    let last = image.len().min(window).checked_sub(numbers * 4)?;
    let offset = (0..=last).step_by(alignment).find(|&offset| number(image, offset) == magic)?;
    let sum = (0..numbers).fold(0_u32, |sum, index| sum.wrapping_add(number(image, offset + index * 4)));
    Some(Header { offset, is_valid: sum == 0 })
}

fn number(image: &[u8], offset: usize) -> u32 {
    let bytes = image.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(offset: usize, numbers: &[u32]) -> Vec<u8> {
        let mut image = vec![0; offset];
        numbers.iter().for_each(|number| image.extend_from_slice(&number.to_le_bytes()));
        image.resize(1 << 16, 0);
        image
    }

    #[test]
    fn a_header_is_found_up_to_the_end_of_its_window() {
        let numbers = [MAGIC_1, 3, 0_u32.wrapping_sub(MAGIC_1 + 3)];
        assert_eq!(first(&image(8180, &numbers)), Some(Header { offset: 8180, is_valid: true }));
        assert_eq!(first(&image(8184, &numbers)), None);
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        assert_eq!(second(&image(8, &[MAGIC_2, 0, 24, 1])), Some(Header { offset: 8, is_valid: false }));
    }

    #[test]
    fn an_unaligned_header_is_none() {
        assert_eq!(second(&image(4, &[MAGIC_2, 0, 24, 1])), None);
    }
}
