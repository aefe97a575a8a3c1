// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of the file.

/// What a header begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"prismkv1");

/// Bytes of a header: four words and their sum.
pub(crate) const BYTES: usize = 40;

/// Headers that no disk lives to see.
const LAST: u64 = u64::MAX / 2;

/// What is known of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Headers that were written.
    pub(crate) sequence: u64,
    pub(crate) length: u64,
    /// 1 if the file was made completely: one that was not is made again.
    pub(crate) complete: u64,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; BYTES] {
        let words = [MAGIC, self.sequence, self.length, self.complete];
        let mut bytes = [0; BYTES];
        let places = bytes.as_chunks_mut::<8>().0.iter_mut();
        places
            .zip(words.into_iter().chain([sum(words)]))
            .for_each(|(place, word)| *place = word.to_le_bytes());
        bytes
    }

    /// The header that was written; `None` if none was, or not wholly.
    pub(crate) fn decode(bytes: &[u8; BYTES]) -> Option<Self> {
        let (chunks, _) = bytes.as_chunks::<8>();
        let word = |index: usize| chunks.get(index).map(|chunk| u64::from_le_bytes(*chunk));
        let words = [word(0)?, word(1)?, word(2)?, word(3)?];
        let [magic, sequence, length, complete] = words;
        (magic == MAGIC && word(4)? == sum(words)).then_some(Self { sequence, length, complete })
    }

    /// Whether it can have been written where there is room for so many bytes, and others can follow it.
    pub(crate) fn is_possible(&self, room: u64) -> bool {
        self.length <= room && self.sequence <= LAST
    }

    /// Whether nothing is in a block where headers lie, or what is left of one of ours.
    pub(crate) fn may_replace(block: &[u8]) -> bool {
        block.starts_with(&MAGIC.to_le_bytes()) || block.iter().all(|byte| *byte == 0)
    }
}

/// A sum by which a torn header is found out.
fn sum(words: [u64; 4]) -> u64 {
    words.iter().fold(1, |sum: u64, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { sequence: 7, length: 1 << 20, complete: 1 };

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(Header::decode(&HEADER.encode()), Some(HEADER));
        assert_eq!(Header::decode(&[0; BYTES]), None);
    }

    #[test]
    fn a_torn_header_is_none() {
        let (old, new) = (Header { sequence: 5, ..HEADER }.encode(), HEADER.encode());
        for torn in 1..BYTES {
            let mut bytes = old;
            bytes[..torn].copy_from_slice(&new[..torn]);
            let found = Header::decode(&bytes);
            assert!(found.is_none() || bytes == old || bytes == new, "{torn}: {found:?}");
        }
    }

    #[test]
    fn a_header_that_cannot_have_been_written_is_told() {
        assert!(HEADER.is_possible(HEADER.length) && !HEADER.is_possible(HEADER.length - 1));
        assert!(!Header { sequence: u64::MAX, ..HEADER }.is_possible(HEADER.length));
    }

    #[test]
    fn a_strangers_block_is_not_replaced() {
        assert!(Header::may_replace(&[0; 4096]) && Header::may_replace(&HEADER.encode()));
        assert!(!Header::may_replace(b"\xebX\x90mkfs.fat"));
    }
}
