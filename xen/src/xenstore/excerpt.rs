// SPDX-License-Identifier: MIT OR Apache-2.0
//! Foreign text in messages of ours: short and printable whatever it was.

use core::fmt;

/// Bytes of the text that are kept.
const KEPT: usize = 40;

/// The beginning of a text that somebody else wrote.
///
/// ```
/// use xen::xenstore::Excerpt;
/// assert_eq!(Excerpt::of(b"0x1\n").to_string(), r#""0x1\n""#);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; KEPT],
    /// Bytes of the whole text.
    length: usize,
}

impl Excerpt {
    /// An excerpt of `text`.
    pub fn of(text: &[u8]) -> Self {
        let mut bytes = [0; KEPT];
        bytes.iter_mut().zip(text).for_each(|(kept, byte)| *kept = *byte);
        Self { bytes, length: text.len() }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.bytes.get(..self.length).unwrap_or(&self.bytes);
        write!(f, "\"{}\"", kept.escape_ascii())?;
        if self.length > KEPT { write!(f, "... ({} bytes)", self.length) } else { Ok(()) }
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_unprintable_text_is_cut_and_escaped() {
        let shown = Excerpt::of(&[0x1b; 100]).to_string();
        assert_eq!(shown, format!("\"{}\"... (100 bytes)", r"\x1b".repeat(40)));
        assert_eq!(Excerpt::of(b"").to_string(), r#""""#);
    }
}
