// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long the same few memory accesses take: never quite the same, as caches, other guests and
//! the hypervisor get in the way. In an emulator that counts instructions it may be quite the same.

use core::hint::black_box;

use prism_boot::capabilities::Randomness;

use crate::Processor;
use crate::health::Health;

/// Samples for a 256-bit key, at a quarter of a bit each: half of what the health tests demand.
pub(crate) const ENOUGH: usize = 1024;

/// Samples where something better is there too.
pub(crate) const FEW: usize = 96;

/// Bytes that are walked over: two pages, more than stay in a CPU's store buffers.
const BYTES: usize = 8192;

/// Accesses between two time-stamps.
const STEPS: usize = 16;

/// A source of samples.
pub(crate) struct Jitter<'a, P> {
    processor: &'a P,
    memory: [u8; BYTES],
    place: usize,
    last: u64,
    health: Health,
}

impl<'a, P: Processor> Jitter<'a, P> {
    pub(crate) fn new(processor: &'a P) -> Self {
        let last = processor.timestamp();
        Self { processor, memory: [0; BYTES], place: 0, last, health: Health::default() }
    }

    /// Whether `samples` of them look healthy.
    pub(crate) fn examine(processor: &'a P, samples: usize) -> Randomness {
        let mut jitter = Self::new(processor);
        for _ in 0..samples {
            jitter.sample();
        }
        jitter.verdict()
    }

    /// How long the next few accesses took, in ticks.
    pub(crate) fn sample(&mut self) -> u64 {
        self.walk();
        let now = self.processor.timestamp();
        let elapsed = now.wrapping_sub(self.last);
        self.last = now;
        self.health.see(elapsed);
        elapsed
    }

    /// What the samples so far were worth.
    pub(crate) fn verdict(&self) -> Randomness {
        if self.health.is_good() { Randomness::Good } else { Randomness::Broken }
    }

    /// Touches places that depend on what was found in the one before, and on the time.
    fn walk(&mut self) {
        for _ in 0..STEPS {
            let step = 65 + usize::from(self.last as u8);
            self.place = (self.place + step) % BYTES;
            if let Some(byte) = self.memory.get_mut(self.place) {
                *byte = black_box(byte.wrapping_add(self.last as u8 | 1));
                self.place = (self.place + usize::from(*byte)) % BYTES;
            }
        }
    }
}
