// SPDX-License-Identifier: MIT OR Apache-2.0
//! Test patterns out of a seed and a position: a block at a wrong position does not match.

use prism::disks::Buffer;

/// The eight bytes at `offset`, a multiple of 8.
fn word(seed: u64, offset: u64) -> [u8; 8] {
    mixed(seed ^ mixed(offset)).to_le_bytes()
}

/// The finalizer of SplitMix64: a number that looks random.
pub(crate) fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Fills a buffer for byte `offset` of the disk.
pub(crate) fn fill(buffer: &mut Buffer, seed: u64, offset: u64) {
    let mut at = offset;
    for piece in buffer.pieces_mut() {
        let (words, _) = piece.as_chunks_mut::<8>();
        for place in words {
            *place = word(seed, at);
            at += 8;
        }
    }
}

/// The first byte on the disk that is not as [`fill`] makes it.
pub(crate) fn first_difference(buffer: &Buffer, seed: u64, offset: u64) -> Option<u64> {
    let mut at = offset;
    for piece in buffer.pieces() {
        if let Some(wrong) = first_difference_in(piece, seed, at) {
            return Some(wrong);
        }
        at += piece.len() as u64;
    }
    None
}

/// The same for bytes that lie at `offset` of the disk.
pub(crate) fn first_difference_in(bytes: &[u8], seed: u64, offset: u64) -> Option<u64> {
    let (words, _) = bytes.as_chunks::<8>();
    let places = (offset..).step_by(8);
    words.iter().zip(places).find(|(found, at)| **found != word(seed, *at)).map(|(_, at)| at)
}
