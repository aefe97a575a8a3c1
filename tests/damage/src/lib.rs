// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts what is taken: the `#[global_allocator]` of a test that
/// [plays](play).
#[derive(Clone, Copy, Debug)]
pub struct Counting;

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(taken, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Numbers that look random, and are the same for the same seed: xorshift64*, by Marsaglia and Vigna.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed, which is not 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// Where fields are, and what is written to them.
#[derive(Clone, Debug)]
pub struct Fields {
    /// The part that all else depends on.
    pub head: Range<usize>,
    /// One change in so many is made there.
    pub one_in: usize,
    /// Where the others are made: [`said`] finds such places.
    pub places: Vec<usize>,
    /// Numbers that somebody may stumble over. Their first 1, 2 or 4 bytes are written.
    pub numbers: &'static [u32],
}

impl Fields {
    /// Changes up to four fields, as somebody does who knows what they mean.
    pub fn damage(&self, image: &mut [u8], random: &mut Random) {
        for _ in 0..=random.below(4) {
            let place = if random.below(self.one_in) == 0 {
                self.head.start + random.below(self.head.len())
            } else {
                self.places[random.below(self.places.len())]
            };
            let number = self.numbers[random.below(self.numbers.len())];
            let length = [1, 2, 4][random.below(3)];
            let Some(field) = image.get_mut(place..place + length) else { continue };
            field.copy_from_slice(&number.to_le_bytes()[..length]);
        }
    }
}

/// The places of bytes that say something: those that are not among `silent`.
pub fn said(image: &[u8], silent: &[u8]) -> Vec<usize> {
    let said = image.iter().enumerate().filter(|(_, byte)| !silent.contains(byte));
    said.map(|(place, _)| place).collect()
}

/// How often a test plays: as often as `ROUNDS` in the environment says, or as usual.
pub fn rounds(usual: usize) -> usize {
    std::env::var("ROUNDS").map_or(usual, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

/// What is allowed to those who read what was damaged.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Bytes of memory that they may take at a time.
    pub memory: usize,
    /// Parts of what is told of panics that are known, such as the file they are in.
    pub panics: &'static [&'static str],
}

/// For each seed from 1 to `rounds` has `damaged` make something that is damaged, and `reads` use all of
/// it, which gives what else is wrong, if anything is. Tests that play must not run at the same time.
///
/// # Panics
///
/// If more is taken than is allowed, or anything panics that is not known, or is wrong: it tells of the
/// seeds.
pub fn play<T>(
    name: &str,
    rounds: usize,
    allowed: Allowed,
    mut damaged: impl FnMut(usize, &mut Random) -> T,
    mut reads: impl FnMut(T) -> Option<String>,
) {
    static LAST: Mutex<String> = Mutex::new(String::new());
    panic::set_hook(Box::new(|told| *LAST.lock().expect("nobody panics with it") = told.to_string()));
    let mut news = Vec::new();
    for seed in 1..=rounds {
        let input = damaged(seed, &mut Random::new(seed as u64));
        let before = TAKEN.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let ended = panic::catch_unwind(AssertUnwindSafe(|| reads(input)));
        let taken = MOST.load(Ordering::Relaxed) - before;
        let last = LAST.lock().expect("nobody panics with it").clone();
        match ended {
            Err(_) if allowed.panics.iter().any(|known| last.contains(known)) => {}
            Err(_) => news.push(format!("seed {seed}: {last}")),
            Ok(wrong) => news.extend(wrong.map(|wrong| format!("seed {seed}: {wrong}"))),
        }
        if taken > allowed.memory {
            news.push(format!("seed {seed}: {taken} bytes taken"));
        }
    }
    let _ = panic::take_hook();
    assert!(news.is_empty(), "{name}: {news:#?}");
}
