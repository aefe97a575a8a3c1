// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyboard of a PC, behind its keyboard controller (Intel 8042; IBM PS/2 Hardware Interface
//! Technical Reference, "Keyboard and Auxiliary Device Controller"), as firmware leaves them: the
//! controller translates to scan code set 1. The layout is the American one.

use pc_keyboard::layouts::Us104Key;
use pc_keyboard::{DecodedKey, HandleControl, KeyCode, PS2Keyboard, ScancodeSet1};

use crate::hal::Ports;

const DATA: u16 = 0x60;
const STATUS: u16 = 0x64;

/// There is a byte.
const FULL: u8 = 1 << 0;
/// It is the mouse's.
const AUXILIARY: u8 = 1 << 5;

/// Bytes that are taken at a time: far more than the controller keeps.
const MAX: usize = 64;

/// A keyboard.
pub struct Keyboard<P> {
    ports: P,
    keys: PS2Keyboard<Us104Key, ScancodeSet1>,
    /// What the last key still has to type.
    rest: &'static [u8],
}

impl<P: Ports> Keyboard<P> {
    /// The keyboard; `None` if there is no controller.
    pub fn new(ports: P) -> Option<Self> {
        let keys = PS2Keyboard::new(ScancodeSet1::new(), Us104Key, HandleControl::MapLettersToUnicode);
        (ports.read_u8(STATUS) != 0xff).then_some(Self { ports, keys, rest: &[] })
    }

    /// Takes what was typed, in ASCII, up to the size of `buffer`, and returns how much that was. Keys that
    /// move the cursor type the sequences that a terminal sends for them.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut used = 0;
        for _ in 0..MAX {
            let Some(place) = buffer.get_mut(used) else { break };
            if let Some((first, rest)) = self.rest.split_first() {
                (*place, self.rest) = (*first, rest);
                used += 1;
                continue;
            }
            let status = self.ports.read_u8(STATUS);
            if status & FULL == 0 || status == 0xff {
                break;
            }
            let code = self.ports.read_u8(DATA);
            if status & AUXILIARY == 0
                && let Some(character) = self.key(code)
            {
                *place = character;
                used += 1;
            }
        }
        used
    }

    /// The character that is typed when a byte has come, if it completes one.
    fn key(&mut self, code: u8) -> Option<u8> {
        // A sequence that makes no sense is forgotten.
        let event = self.keys.add_byte(code).ok()??;
        match self.keys.process_keyevent(event)? {
            DecodedKey::Unicode(character) => u8::try_from(character).ok().filter(u8::is_ascii),
            DecodedKey::RawKey(key) => {
                self.rest = sequence(key);
                None
            }
        }
    }
}

/// What a terminal sends for a key that types no character; nothing for most.
fn sequence(key: KeyCode) -> &'static [u8] {
    match key {
        KeyCode::ArrowUp => b"\x1b[A",
        KeyCode::ArrowDown => b"\x1b[B",
        KeyCode::ArrowRight => b"\x1b[C",
        KeyCode::ArrowLeft => b"\x1b[D",
        KeyCode::Home => b"\x1b[H",
        KeyCode::End => b"\x1b[F",
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// A controller with bytes, each with whether it is the mouse's.
    struct Controller(RefCell<VecDeque<(u8, bool)>>);

    impl Controller {
        fn with(codes: &[u8]) -> Self {
            Self(RefCell::new(codes.iter().map(|code| (*code, false)).collect()))
        }
    }

    impl Ports for &Controller {
        fn read_u8(&self, port: u16) -> u8 {
            match port {
                STATUS => match self.0.borrow().front() {
                    Some((_, true)) => FULL | AUXILIARY,
                    Some((_, false)) => FULL,
                    None => 0,
                },
                DATA => self.0.borrow_mut().pop_front().map_or(0, |(code, _)| code),
                _ => 0xff,
            }
        }
        fn read_u16(&self, _: u16) -> u16 {
            !0
        }
        fn read_u32(&self, _: u16) -> u32 {
            !0
        }
        fn write_u8(&self, _: u16, _: u8) {}
        fn write_u16(&self, _: u16, _: u16) {}
        fn write_u32(&self, _: u16, _: u32) {}
    }

    fn typed(controller: &Controller) -> String {
        let mut buffer = [0; 32];
        let count = Keyboard::new(controller).unwrap().read(&mut buffer);
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    #[test]
    fn shifted_letters_and_line_ends_are_typed() {
        // Shift down, A down, A up, shift up, D, enter.
        let codes = [0x2a, 0x1e, 0x9e, 0xaa, 0x20, 0xa0, 0x1c, 0x9c];
        assert_eq!(typed(&Controller::with(&codes)), "Ad\n");
    }

    #[test]
    fn cursor_keys_type_what_terminals_send() {
        let controller = Controller::with(&[0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x4b, 0xe0, 0xcb, 0x1e, 0x9e]);
        assert_eq!(typed(&controller), "\x1b[A\x1b[Da");
        let mut keyboard = Keyboard::new(&controller).unwrap();
        controller.0.borrow_mut().extend([(0xe0, false), (0x4f, false)]);
        let mut byte = [0];
        let typed = [(); 4].map(|()| (keyboard.read(&mut byte), byte[0]));
        assert_eq!(typed, [(1, 0x1b), (1, b'['), (1, b'F'), (0, b'F')]);
    }

    #[test]
    fn other_keys_nonsense_and_the_mouse_type_nothing() {
        let controller = Controller::with(&[0x3b, 0xbb, 0xff, 0xfe, 0xe0, 0xff]);
        controller.0.borrow_mut().push_back((0x1e, true));
        assert_eq!(typed(&controller), "");
        assert!(controller.0.borrow().is_empty());
    }

    #[test]
    fn a_controller_that_never_completes_is_left() {
        let codes = [0x1e].repeat(100_000);
        let controller = Controller::with(&codes);
        typed(&controller);
        assert!(!controller.0.borrow().is_empty());
    }

    #[test]
    fn without_a_controller_there_is_no_keyboard() {
        let nothing = crate::pci::tests::FakePorts::default();
        assert!(Keyboard::new(nothing).is_none());
    }
}
