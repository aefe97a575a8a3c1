// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's end of a ring (`xen/sys/src/io/ring.rs`), and what a frontend's needs.

use std::mem::offset_of;
use std::sync::atomic::{Ordering, fence};

use anyhow::{Result, ensure};
use xen_sys::io::ring::{__CONST_RING_SIZE, sring};

use super::moves::Word;
use crate::page::{Page, SIZE};

/// A ring, mapped.
pub(crate) struct Ring {
    pages: Vec<Page>,
    /// Bytes of an entry.
    entry: usize,
    count: u32,
    taken: u32,
    answered: u32,
}

impl Ring {
    /// The ring in `pages`, whose entries have so many bytes.
    pub(crate) fn new(pages: Vec<Page>, entry: usize) -> Self {
        let count = __CONST_RING_SIZE(entry as u32, (pages.len() * SIZE) as u32);
        let mut ring = Self { pages, entry, count, taken: 0, answered: 0 };
        // A ring that was left and is used again goes on where it was.
        ring.answered = ring.word(Word::ResponsesMade);
        ring.taken = ring.answered;
        ring
    }

    /// Copies the next request, if there is one.
    ///
    /// # Errors
    /// If the frontend claims more than fit.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let made = self.word(Word::RequestsMade);
        let ready = made.wrapping_sub(self.taken);
        if ready == 0 {
            return Ok(None);
        }
        ensure!(ready <= self.count, "{ready} requests in a ring of {}", self.count);
        fence(Ordering::Acquire);
        let request = self.entry(self.taken);
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(request))
    }

    /// Whether there is a next request. A frontend that claims more than fit has none.
    pub(crate) fn has_next(&self) -> bool {
        (1..=self.count).contains(&self.word(Word::RequestsMade).wrapping_sub(self.taken))
    }

    /// Has the frontend raise an event with its next request.
    pub(crate) fn await_request(&self) {
        self.set(Word::RequestEvent, self.taken.wrapping_add(1));
        fence(Ordering::SeqCst);
    }

    /// Has the backend raise an event with its next response.
    pub(crate) fn await_response(&self) {
        self.set(Word::ResponseEvent, self.word(Word::ResponsesMade).wrapping_add(1));
        fence(Ordering::SeqCst);
    }

    /// Copies an entry, whoever wrote it.
    pub(crate) fn entry(&self, place: u32) -> Vec<u8> {
        let mut entry = vec![0; self.entry];
        self.copy_out(self.place(place), &mut entry);
        entry
    }

    /// Writes the next response and shows it; the place that it is in.
    pub(crate) fn answer(&mut self, response: &[u8]) -> u32 {
        let place = self.answered;
        self.overwrite(place, response);
        self.answered = place.wrapping_add(1);
        fence(Ordering::Release);
        self.set(Word::ResponsesMade, self.answered);
        place
    }

    /// Overwrites an entry.
    pub(crate) fn overwrite(&self, place: u32, bytes: &[u8]) {
        self.copy_in(self.place(place), bytes);
    }

    /// A word of the head.
    pub(crate) fn word(&self, word: Word) -> u32 {
        self.pages[0].word(offset(word)).load(Ordering::Acquire)
    }

    /// Overwrites a word of the head.
    pub(crate) fn set(&self, word: Word, value: u32) {
        self.pages[0].word(offset(word)).store(value, Ordering::Release);
    }

    /// The pages, for those who keep them.
    pub(crate) fn into_pages(self) -> Vec<Page> {
        self.pages
    }

    /// The byte at which an entry begins.
    fn place(&self, index: u32) -> usize {
        size_of::<sring>() + (index % self.count) as usize * self.entry
    }

    /// An entry may lie across two pages.
    fn copy_out(&self, start: usize, bytes: &mut [u8]) {
        for (at, byte) in (start..).zip(bytes) {
            let mut one = [0];
            self.pages[at / SIZE].read(at % SIZE, &mut one);
            [*byte] = one;
        }
    }

    fn copy_in(&self, start: usize, bytes: &[u8]) {
        for (at, byte) in (start..).zip(bytes) {
            self.pages[at / SIZE].write(at % SIZE, &[*byte]);
        }
    }
}

/// Bytes of an entry, from `offset` on; zeros beyond its end.
pub(crate) fn part<const N: usize>(entry: &[u8], offset: usize) -> [u8; N] {
    entry.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// A number of 16 bits in an entry.
pub(crate) fn u16_at(entry: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(part(entry, offset))
}

/// A number of 32 bits in an entry.
pub(crate) fn u32_at(entry: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(part(entry, offset))
}

/// A number of 64 bits in an entry.
pub(crate) fn u64_at(entry: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(part(entry, offset))
}

const fn offset(word: Word) -> usize {
    match word {
        Word::RequestsMade => offset_of!(sring, req_prod),
        Word::RequestEvent => offset_of!(sring, req_event),
        Word::ResponsesMade => offset_of!(sring, rsp_prod),
        Word::ResponseEvent => offset_of!(sring, rsp_event),
    }
}
