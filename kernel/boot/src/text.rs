// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounded text from untrusted bytes.

use core::{fmt, ops::Deref};

use arrayvec::ArrayString;

use crate::{PAGE_SIZE, PhysMemory, bytes::as_usize};

/// At most `N` bytes of printable ASCII (blanks included), made from untrusted bytes.
///
/// A NUL ends it. Tabs and line ends become blanks, any other byte that is not printable ASCII
/// becomes `?`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text<const N: usize> {
    text: ArrayString<N>,
    truncated: bool,
    replaced: bool,
}

impl<const N: usize> Text<N> {
    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: ArrayString::new_const(), truncated: false, replaced: false }
    }

    /// The text up to the first NUL, or all of it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut text = Self::new();
        text.append(bytes);
        text
    }

    /// The text at `address`, up to the first NUL or `most` bytes; `None` if some of it cannot be
    /// read.
    #[must_use]
    pub fn read(memory: &impl PhysMemory, address: u64, most: u64) -> Option<Self> {
        let end = address.saturating_add(most);
        let mut text = Self::new();
        let mut at = address;
        while at < end {
            // Pieces end at multiples of their size: none reaches into a page without need.
            let next = (at / PIECE).checked_add(1)?.checked_mul(PIECE)?.min(end);
            let mut piece = [0; as_usize(PIECE)];
            let piece = piece.get_mut(..as_usize(next.checked_sub(at)?))?;
            if !memory.read(at, piece) {
                return None;
            }
            if text.append(piece) {
                break;
            }
            at = next;
        }
        Some(text)
    }

    /// Appends up to a NUL; true if the text has come to its end, by a NUL or for want of room.
    fn append(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if byte == 0 {
                return true;
            }
            let character = match byte {
                b' '..=b'~' => char::from(byte),
                b'\t' | b'\n' | b'\r' => ' ',
                _ => {
                    self.replaced = true;
                    '?'
                }
            };
            if self.text.try_push(character).is_err() {
                self.truncated = true;
                return true;
            }
        }
        false
    }

    /// Appends `more`, as far as there is room.
    pub fn push(&mut self, more: &str) {
        let _ended = self.append(more.as_bytes());
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there was more than `N` bytes of it.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    /// Whether some byte was not printable ASCII.
    #[must_use]
    pub const fn replaced(&self) -> bool {
        self.replaced
    }
}

/// How many bytes [`Text::read`] copies at a time; divides a page.
const PIECE: u64 = 64;
const _: () = assert!(PAGE_SIZE.is_multiple_of(PIECE));

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
