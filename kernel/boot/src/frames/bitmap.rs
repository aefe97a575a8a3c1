// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bit for each frame, searched and changed 64 at a time.

use core::iter;

use crate::bytes::{as_u64, as_usize};
use crate::{PAGE_SIZE, PhysRange};

/// Frames to a word of the bitmap.
pub(super) const WORD: u64 = 64;

/// What a bit says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The bit is set: the frame is free.
    Free,
    /// The bit is clear: the frame is taken, or no frame of ours.
    Taken,
}

impl Mark {
    /// The bits with this mark, as ones.
    const fn select(self, word: u64) -> u64 {
        match self {
            Self::Free => word,
            Self::Taken => !word,
        }
    }
}

/// Frame numbers from `start` up to but not including `end`; none if `end` is not the larger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Frames {
    /// The frames of a range of whole pages.
    pub(super) const fn within(range: PhysRange) -> Self {
        Self { start: range.start() / PAGE_SIZE, end: range.end() / PAGE_SIZE }
    }

    pub(super) const fn encloses(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    pub(super) const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Index of the word that holds the first frame's bit.
    const fn word(self) -> usize {
        as_usize(self.start / WORD)
    }

    /// The first frame whose bit is in the next word.
    const fn next_word(self) -> u64 {
        (self.start / WORD).saturating_add(1).saturating_mul(WORD)
    }

    /// The bits of those frames that share a word with the first one; not for empty ranges.
    fn bits(self) -> u64 {
        let count = self.end.min(self.next_word()).saturating_sub(self.start);
        let unused = u32::try_from(WORD.saturating_sub(count)).unwrap_or(0);
        u64::MAX.wrapping_shr(unused).wrapping_shl((self.start % WORD) as u32)
    }
}

/// The marks of all frames from 0 on.
#[derive(Clone, Debug)]
pub(super) struct Bitmap<B> {
    words: B,
    /// No word before this one has a free frame.
    first_free_word: usize,
    /// None from this one on has.
    end_of_free_words: usize,
}

impl<B: AsRef<[u64]> + AsMut<[u64]>> Bitmap<B> {
    /// All frames taken.
    pub(super) fn new(mut words: B) -> Self {
        words.as_mut().fill(0);
        Self { words, first_free_word: 0, end_of_free_words: 0 }
    }

    /// Number of words.
    pub(super) fn words(&self) -> u64 {
        as_u64(self.words.as_ref().len())
    }

    /// All frames there is a bit for.
    fn all(&self) -> Frames {
        Frames { start: 0, end: self.words().saturating_mul(WORD) }
    }

    /// Marks `frames` and tells how many of them were not marked so before.
    pub(super) fn set(&mut self, frames: Frames, mark: Mark) -> u64 {
        let mut rest = Frames { start: frames.start, end: frames.end.min(self.all().end) };
        if mark == Mark::Free {
            self.first_free_word = self.first_free_word.min(rest.word());
            self.end_of_free_words = self.end_of_free_words.max(as_usize(rest.end.div_ceil(WORD)));
        }
        let mut changed = 0_u64;
        while rest.start < rest.end {
            let Some(word) = self.words.as_mut().get_mut(rest.word()) else { break };
            let other = rest.bits() & !mark.select(*word);
            *word ^= other;
            changed = changed.saturating_add(other.count_ones().into());
            rest.start = rest.next_word();
        }
        self.skip_words_without_free_frames();
        changed
    }

    fn skip_words_without_free_frames(&mut self) {
        let words = self.words.as_ref().get(self.first_free_word..).unwrap_or(&[]);
        let without = words.iter().take_while(|word| **word == 0).count();
        self.first_free_word = self.first_free_word.saturating_add(without);
    }

    /// The first of `frames` with this mark.
    pub(super) fn first(&self, mark: Mark, frames: Frames) -> Option<u64> {
        let mut rest = frames;
        while rest.start < rest.end {
            let word = self.words.as_ref().get(rest.word())?;
            let found = mark.select(*word) & rest.bits();
            if found != 0 {
                let first_of_word = rest.next_word().saturating_sub(WORD);
                return Some(first_of_word.saturating_add(found.trailing_zeros().into()));
            }
            rest.start = rest.next_word();
        }
        None
    }

    /// The highest frame that is free.
    pub(super) fn last_free(&mut self) -> Option<u64> {
        let words = self.words.as_ref();
        let index = words.get(..self.end_of_free_words)?.iter().rposition(|word| *word != 0)?;
        // The next search begins here.
        self.end_of_free_words = index.saturating_add(1);
        let bit = words.get(index)?.checked_ilog2()?;
        Some(as_u64(index).saturating_mul(WORD).saturating_add(bit.into()))
    }

    /// The lowest `count` free frames in a row that end at or below `limit` and begin at a multiple
    /// of `align`, which is not 0; none if `count` is 0.
    pub(super) fn find(&self, count: u64, align: u64, limit: u64) -> Option<Frames> {
        if count == 0 {
            return None;
        }
        let mut rest = self.all();
        rest.end = rest.end.min(limit);
        rest.start = as_u64(self.first_free_word).saturating_mul(WORD);
        loop {
            let start = self.first(Mark::Free, rest)?.checked_next_multiple_of(align)?;
            let wanted = Frames { start, end: start.checked_add(count).filter(|end| *end <= rest.end)? };
            match self.first(Mark::Taken, wanted) {
                Some(taken) => rest.start = taken,
                None => return Some(wanted),
            }
        }
    }

    /// The first run of free frames from frame `start` on.
    pub(super) fn run_from(&self, start: u64) -> Option<Frames> {
        let all = Frames { start, ..self.all() };
        let rest = Frames { start: self.first(Mark::Free, all)?, ..all };
        let end = self.first(Mark::Taken, rest).unwrap_or(rest.end);
        Some(Frames { end, ..rest })
    }

    /// All runs of free frames, lowest first.
    pub(super) fn runs(&self) -> impl Iterator<Item = Frames> {
        let mut start = 0;
        iter::from_fn(move || {
            let run = self.run_from(start)?;
            start = run.end;
            Some(run)
        })
    }
}
