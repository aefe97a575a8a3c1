// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line that somebody is typing, kept below all other text: what others write meanwhile appears above it.
//!
//! Of a terminal this needs that it goes back to the first column (`\r`) and erases the rest of a row
//! (`ESC [ K`; ECMA-48, EL).

/// Bytes of the longest line; the rest of a longer one is not shown.
pub const MAX: usize = 512;

/// Erases the row that the cursor is in.
const ERASE: &[u8] = b"\r\x1b[K";

/// A line that is typed, or none for now.
pub struct Prompt {
    text: [u8; MAX],
    length: usize,
    /// It is the last thing on the console.
    is_shown: bool,
    /// The last thing on the console is a line end.
    is_at_start: bool,
}

impl Prompt {
    /// Without a line, after text that ended with a line end.
    pub const fn none() -> Self {
        Self { text: [0; MAX], length: 0, is_shown: false, is_at_start: true }
    }

    /// Shows `line`, in place of the one before. It has to begin with `\r`, and to fit one row.
    pub fn set(&mut self, line: &str, mut put: impl FnMut(&[u8])) {
        let line = line.as_bytes().get(..line.floor_char_boundary(MAX)).unwrap_or_default();
        self.text.iter_mut().zip(line).for_each(|(place, byte)| *place = *byte);
        self.length = line.len();
        if !self.is_shown && !self.is_at_start {
            put(b"\n");
        }
        self.show(put);
    }

    /// Leaves the line as it is, and goes on in the next one.
    pub fn end(&mut self, mut put: impl FnMut(&[u8])) {
        if self.is_shown {
            put(b"\n");
            self.is_at_start = true;
        }
        (self.length, self.is_shown) = (0, false);
    }

    /// Writes `text` above the line. Text that does not end its own line stays the last until it does.
    pub fn write(&mut self, text: &[u8], mut put: impl FnMut(&[u8])) {
        let Some(last) = text.last() else { return };
        if self.is_shown {
            put(ERASE);
        }
        put(text);
        (self.is_at_start, self.is_shown) = (*last == b'\n', false);
        if self.is_at_start && self.length != 0 {
            self.show(put);
        }
    }

    fn show(&mut self, mut put: impl FnMut(&[u8])) {
        put(self.text.get(..self.length).unwrap_or_default());
        (self.is_at_start, self.is_shown) = (false, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a console gets.
    fn written(acts: impl FnOnce(&mut Prompt, &mut dyn FnMut(&[u8]))) -> String {
        let mut all = Vec::new();
        acts(&mut Prompt::none(), &mut |bytes| all.extend(bytes));
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn text_of_others_appears_above_the_line() {
        let text = written(|prompt, put| {
            prompt.set("\r> he", &mut *put);
            prompt.write(b"log: a\n", &mut *put);
            prompt.set("\r> hel", &mut *put);
            prompt.end(&mut *put);
            prompt.write(b"log: b\n", &mut *put);
        });
        assert_eq!(text, "\r> he\r\x1b[Klog: a\n\r> he\r> hel\nlog: b\n");
    }

    #[test]
    fn text_in_pieces_stays_together() {
        let text = written(|prompt, put| {
            prompt.set("\r> ", &mut *put);
            prompt.write(b"a ", &mut *put);
            prompt.write(b"", &mut *put);
            prompt.write(b"piece\n", &mut *put);
        });
        assert_eq!(text, "\r> \r\x1b[Ka piece\n\r> ");
    }

    #[test]
    fn a_line_that_others_do_not_end_is_left_when_a_key_is_typed() {
        let text = written(|prompt, put| {
            prompt.write(b"begun", &mut *put);
            prompt.set("\r> ", &mut *put);
            prompt.write(b"50 %", &mut *put);
            prompt.set("\r> x", &mut *put);
        });
        assert_eq!(text, "begun\n\r> \r\x1b[K50 %\n\r> x");
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_at_a_character() {
        let line = format!("\r{}", "é".repeat(MAX));
        let text = written(|prompt, put| prompt.set(&line, put));
        assert_eq!(text, line[..MAX - 1]);
        assert_eq!(written(|prompt, put| prompt.end(put)), "");
    }
}
