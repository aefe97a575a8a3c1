// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's console (`xen/include/public/io/console.h`), as whoever serves it could play with it. Its page
//! is mapped beside `xenconsoled`, whose event channel it is: the guest notices what has changed when it says
//! something.

use std::cell::Cell;
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use anyhow::Result;
use xen_sys::io::console::xencons_interface;

use super::moves::{ConsoleWord, Move};
use super::random::Random;
use crate::page::{Access, Page};

/// The grant of the page, which the toolstack makes (`GNTTAB_RESERVED_CONSOLE`).
const REFERENCE: u32 = 0;

/// Bytes that can be typed and not taken.
const INPUT: u32 = 1024;

/// The page, and what the guest's own indices were before they were changed, each with what was written over
/// it: if that is still there, the guest has not written it since.
pub(crate) struct Console {
    page: Page,
    before: [Cell<Option<(u32, u32)>>; 2],
}

impl Console {
    /// That of a guest.
    pub(crate) fn of(domain: u16) -> Result<Self> {
        let page = Page::of_guest(domain, REFERENCE, Access::ReadWrite)?;
        Ok(Self { page, before: Default::default() })
    }

    /// Makes a move; false if that is none of a console's.
    pub(crate) fn play(&self, play: &Move) -> bool {
        match *play {
            Move::Console(word, distance) => {
                let now = self.word(word);
                let changed = now.wrapping_add(distance);
                if let Some(before) = self.before(word) {
                    let first = before.get().filter(|(_, ours)| *ours == now).map_or(now, |(first, _)| first);
                    before.set(Some((first, changed)));
                }
                self.set(word, changed);
            }
            Move::Type(seed) => self.type_in(seed),
            Move::Settle => self.settle(),
            _ => return false,
        }
        true
    }

    /// Where an index of the guest's own is remembered.
    fn before(&self, word: ConsoleWord) -> Option<&Cell<Option<(u32, u32)>>> {
        match word {
            ConsoleWord::InputTaken => self.before.first(),
            ConsoleWord::OutputMade => self.before.last(),
            ConsoleWord::InputMade | ConsoleWord::OutputTaken => None,
        }
    }

    /// The guest's indices are its own again; what was typed and written is taken.
    pub(crate) fn settle(&self) {
        for word in [ConsoleWord::InputTaken, ConsoleWord::OutputMade] {
            let before = self.before(word).and_then(Cell::take);
            if let Some((first, _)) = before.filter(|(_, ours)| *ours == self.word(word)) {
                self.set(word, first);
            }
        }
        self.set(ConsoleWord::InputMade, self.word(ConsoleWord::InputTaken));
        self.set(ConsoleWord::OutputTaken, self.word(ConsoleWord::OutputMade));
    }

    fn type_in(&self, seed: u64) {
        let mut random = Random::new(seed);
        let made = self.word(ConsoleWord::InputMade);
        let count = random.below(200) as u32;
        for place in 0..count {
            let at = made.wrapping_add(place) % INPUT;
            self.page.write(offset_of!(xencons_interface, r#in) + at as usize, &[random.next() as u8]);
        }
        self.set(ConsoleWord::InputMade, made.wrapping_add(count));
    }

    fn word(&self, word: ConsoleWord) -> u32 {
        self.page.word(place(word)).load(Ordering::Acquire)
    }

    fn set(&self, word: ConsoleWord, value: u32) {
        self.page.word(place(word)).store(value, Ordering::Release);
    }
}

fn place(word: ConsoleWord) -> usize {
    match word {
        ConsoleWord::InputTaken => offset_of!(xencons_interface, in_cons),
        ConsoleWord::InputMade => offset_of!(xencons_interface, in_prod),
        ConsoleWord::OutputTaken => offset_of!(xencons_interface, out_cons),
        ConsoleWord::OutputMade => offset_of!(xencons_interface, out_prod),
    }
}
