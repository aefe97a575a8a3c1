// SPDX-License-Identifier: MIT OR Apache-2.0
//! A number by which a file is known to have changed.

/// A number made of others, for [`OpenFile::tag`](crate::OpenFile::tag): FNV-1a, a word at a time.
pub fn tag_of(numbers: &[u64]) -> u64 {
    let add = |tag: u64, number: &u64| (tag ^ number).wrapping_mul(0x0100_0000_01b3);
    numbers.iter().fold(0xcbf2_9ce4_8422_2325, add)
}
