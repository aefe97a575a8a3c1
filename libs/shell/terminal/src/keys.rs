// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys, out of the bytes that a terminal sends: UTF-8, control characters as Unix's shells take them, and
//! the control sequences of ECMA-48 (section 5.4) that xterm sends for keys ("XTerm Control Sequences",
//! "PC-Style Function Keys").

use core::mem::{replace, take};
use core::str::from_utf8;

/// A key, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Types this character, which is no control character.
    Char(char),
    /// Ends the line.
    Enter,
    /// Completes the word.
    Tab,
    /// Erases the character before the cursor.
    Backspace,
    /// Erases the character at the cursor.
    Delete,
    /// Moves the cursor to the left.
    Left,
    /// Moves the cursor to the right.
    Right,
    /// Moves the cursor to the beginning: also ^A.
    Home,
    /// Moves the cursor to the end: also ^E.
    End,
    /// The line before in the history: also ^P.
    Up,
    /// The next line in the history: also ^N.
    Down,
    /// Erases all before the cursor: ^U.
    EraseToStart,
    /// Erases all from the cursor on: ^K.
    EraseToEnd,
    /// Erases the word before the cursor: ^W.
    EraseWord,
    /// Interrupts: ^C.
    Interrupt,
    /// Erases the character at the cursor, or ends the input if there is none: ^D.
    DeleteOrEnd,
}

/// Bytes of the longest control sequence; what goes on for longer is none.
const LONGEST: u8 = 16;

/// Makes keys of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// The bytes of a character that is not complete.
    partial: [u8; 4],
    partial_length: usize,
    /// The last byte was `\r`: a `\n` behind it is of the same line end.
    after_return: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// Behind `ESC`.
    Escape,
    /// Behind `ESC O`.
    Single,
    /// In a control sequence, of so many bytes, with this as its first number.
    Sequence { length: u8, number: u8, is_first: bool },
}

impl Decoder {
    /// Takes the next byte, and returns the key that it completes. Invalid UTF-8, unknown sequences and other
    /// control characters are ignored.
    pub fn push(&mut self, byte: u8) -> Option<Key> {
        let after_return = replace(&mut self.after_return, byte == b'\r');
        match (take(&mut self.state), byte) {
            // A control character ends a sequence, and counts.
            (_, ..0x20 | 0x7f) => self.control(byte, after_return),
            (State::Text, _) => self.text(byte),
            (State::Escape, b'[') => {
                self.state = State::Sequence { length: 0, number: 0, is_first: true };
                None
            }
            (State::Escape, b'O') => {
                self.state = State::Single;
                None
            }
            // With Alt, or broken.
            (State::Escape, _) => None,
            (State::Single, _) => cursor_key(byte),
            (State::Sequence { number, .. }, b'@'..=b'~') => match byte {
                b'~' => numbered_key(number),
                _ => cursor_key(byte),
            },
            (State::Sequence { length: LONGEST.., .. }, _) => None,
            (State::Sequence { length, number, is_first }, b' '..=b'?') => {
                let digit = byte.is_ascii_digit() && is_first;
                let more = number.saturating_mul(10).saturating_add(byte.wrapping_sub(b'0'));
                let number = if digit { more } else { number };
                self.state = State::Sequence { length: length + 1, number, is_first: digit };
                None
            }
            (State::Sequence { .. }, _) => self.text(byte),
        }
    }

    fn control(&mut self, byte: u8, after_return: bool) -> Option<Key> {
        self.partial_length = 0;
        Some(match byte {
            b'\n' if after_return => return None,
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            _ => match byte | 0x40 {
                b'A' => Key::Home,
                b'B' => Key::Left,
                b'C' => Key::Interrupt,
                b'D' => Key::DeleteOrEnd,
                b'E' => Key::End,
                b'F' => Key::Right,
                b'K' => Key::EraseToEnd,
                b'N' => Key::Down,
                b'P' => Key::Up,
                b'U' => Key::EraseToStart,
                b'W' => Key::EraseWord,
                _ => return None,
            },
        })
    }

    fn text(&mut self, byte: u8) -> Option<Key> {
        if byte.is_ascii() {
            self.partial_length = 0;
            return Some(Key::Char(char::from(byte)));
        }
        let is_first = byte >= 0xc0;
        if is_first {
            self.partial_length = 0;
        }
        *self.partial.get_mut(self.partial_length)? = byte;
        self.partial_length += 1;
        match from_utf8(self.partial.get(..self.partial_length)?) {
            Ok(text) => {
                self.partial_length = 0;
                text.chars().next().filter(|character| !character.is_control()).map(Key::Char)
            }
            Err(error) => {
                if error.error_len().is_some() {
                    self.partial_length = 0;
                }
                None
            }
        }
    }
}

/// The key whose sequence ends with this letter.
fn cursor_key(letter: u8) -> Option<Key> {
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        _ => return None,
    })
}

/// The key whose sequence has this number, and ends with `~`.
fn numbered_key(number: u8) -> Option<Key> {
    Some(match number {
        1 | 7 => Key::Home,
        3 => Key::Delete,
        4 | 8 => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    fn text(bytes: &[u8]) -> Vec<char> {
        let typed = keys(bytes).into_iter();
        typed.filter_map(|key| if let Key::Char(character) = key { Some(character) } else { None }).collect()
    }

    #[test]
    fn cursor_keys_of_xterm_vt100_and_the_console_of_linux_are_known() {
        use Key::{Delete, Down, End, Home, Left, Right, Up};
        assert_eq!(keys(b"\x1b[A\x1b[B\x1b[C\x1b[D"), [Up, Down, Right, Left]);
        assert_eq!(keys(b"\x1bOA\x1bOH\x1bOF"), [Up, Home, End]);
        assert_eq!(
            keys(b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~\x1b[3~"),
            [Home, End, Home, End, Home, End, Delete]
        );
        assert_eq!(keys(b"\x1b[1;5C\x1b[3;2~"), [Right, Delete]);
    }

    #[test]
    fn a_line_end_is_one_whatever_it_is_made_of() {
        assert_eq!(keys(b"\r\n\n\r\r\n").len(), 4);
        assert_eq!(keys(b"\ra\n").len(), 3);
    }

    #[test]
    fn broken_and_unknown_sequences_type_nothing() {
        assert_eq!(keys(b"\x1b[15~\x1b[Z\x1b[99999999999999~\x1b[3$~\x1bx\x1bO1"), [Key::Delete]);
        // A control character ends a sequence.
        assert_eq!(keys(b"\x1b[1;\x03\x1b\x1b[A\x1b\r"), [Key::Interrupt, Key::Up, Key::Enter]);
        // One without an end swallows no more than its length.
        assert_eq!(text(&[b"\x1b[".as_slice(), &[b';'; 17], b"ab"].concat()), ['a', 'b']);
    }

    #[test]
    fn characters_are_whole_and_none_controls_the_terminal() {
        assert_eq!(text("aé€𝄞\u{85}\u{9b}z".as_bytes()), ['a', 'é', '€', '𝄞', 'z']);
        assert_eq!(
            text(b"a\xffb\xe2\x82c\xc3\xc3\xa9\x80\x80\x80\x80\x80d\xed\xa0\x80e\xf5\x80"),
            ['a', 'b', 'c', 'é', 'd', 'e']
        );
        assert_eq!(keys(b"\xe2\x82\r\xac"), [Key::Enter]);
        assert_eq!(keys(b"\x00\x07\x1f"), []);
    }
}
