// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pool: what the sources gave, hashed into the key of a generator.

use core::fmt;

use chacha20::ChaCha20Rng;
use prism_boot::capabilities::{EntropySources, Randomness};
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::jitter::Jitter;
use crate::{Processor, instruction, samples};

/// Bytes given out before fresh material is mixed in.
const BYTES_PER_SEED: usize = 64 * 1024;
/// Requests answered before fresh material is mixed in.
const REQUESTS_PER_SEED: u32 = 1024;

/// Numbers of 64 bits from RDSEED in a seed: each bit of it is a random one.
const FROM_RDSEED: usize = 4;
/// Numbers of 64 bits from RDRAND in a seed: more, as it stretches what it has.
const FROM_RDRAND: usize = 8;

/// No source of random numbers works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSource;

impl fmt::Display for NoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no source of random numbers works: they could be guessed")
    }
}

impl core::error::Error for NoSource {}

/// A generator of random numbers, and the sources that it is fed by.
pub struct Pool<P> {
    processor: P,
    sources: EntropySources,
    generator: ChaCha20Rng,
    bytes_left: usize,
    requests_left: u32,
    /// The last number from either instruction: the same again means that it has failed.
    last: Option<u64>,
}

impl<P: Processor> Pool<P> {
    /// A pool fed by `sources` as [`examine`](crate::examine) found them, and by `personal`: anything
    /// that tells this machine from others and this boot from earlier ones. It need not be secret.
    pub fn new(processor: P, sources: EntropySources, personal: &[u8]) -> Self {
        let mut pool = Self {
            processor,
            sources,
            generator: ChaCha20Rng::from_seed([0; 32]),
            bytes_left: 0,
            requests_left: 0,
            last: None,
        };
        pool.seed(personal, true);
        pool
    }

    /// What each source is worth, as far as is known by now: one that fails later is no longer used.
    pub fn sources(&self) -> EntropySources {
        self.sources
    }

    /// Fills `destination` with random bytes, and says whether a source that works is behind them.
    ///
    /// # Errors
    ///
    /// [`NoSource`] if there is none: the bytes are there, but can be guessed.
    pub fn try_fill(&mut self, destination: &mut [u8]) -> Result<(), NoSource> {
        self.fill(destination);
        if self.sources.is_any_good() { Ok(()) } else { Err(NoSource) }
    }

    /// Fills `destination` with random bytes, as good as the sources are.
    pub fn fill(&mut self, destination: &mut [u8]) {
        if self.requests_left == 0 || self.bytes_left < destination.len() {
            self.mix(&[]);
        } else {
            self.stir();
        }
        self.requests_left = self.requests_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(destination.len());
        self.generator.fill_bytes(destination);
        self.forget();
    }

    /// Mixes fresh material and `extra` in. To be called when the machine may have been copied or put
    /// back to an earlier state: both copies would go on alike. Where RDSEED works, that alone parts
    /// them, and what jitter gave when the pool was made stays in its key: a time-stamp may be an exit
    /// to the hypervisor, and all vCPUs wait for a restored domain's.
    pub fn mix(&mut self, extra: &[u8]) {
        self.seed(extra, false);
    }

    fn seed(&mut self, extra: &[u8], is_first: bool) {
        let mut hash = Sha256::new();
        let mut own = [0; 32];
        self.generator.fill_bytes(&mut own);
        hash.update(own);
        self.feed_from_instructions(&mut hash);
        if is_first || self.sources.rdseed != Randomness::Good {
            self.feed_from_jitter(&mut hash);
        }
        hash.update(extra);
        self.generator = ChaCha20Rng::from_seed(hash.finalize().into());
        self.bytes_left = BYTES_PER_SEED;
        self.requests_left = REQUESTS_PER_SEED;
    }

    /// Mixes the time and, if there are any, 64 bits of RDRAND in, before each request: whatever copied this
    /// machine, or put it back to an earlier state, the copies go on differently.
    fn stir(&mut self) {
        let mut key = [0; 32];
        self.generator.fill_bytes(&mut key);
        let rdrand = self.stirring_number().unwrap_or_default().to_le_bytes();
        let fresh = self.processor.timestamp().to_le_bytes().into_iter().chain(rdrand);
        key.iter_mut().zip(fresh).for_each(|(place, byte)| *place ^= byte);
        self.generator = ChaCha20Rng::from_seed(key);
    }

    /// A number of RDRAND, if that is worth something.
    fn stirring_number(&mut self) -> Option<u64> {
        if self.sources.rdrand != Randomness::Good {
            return None;
        }
        let number = instruction::rdrand(&self.processor).flatten();
        if number.is_none() || number == self.last {
            self.sources.rdrand = Randomness::Broken;
        }
        self.last = number.or(self.last);
        number
    }

    /// Makes what was given out impossible to find from what is in memory.
    fn forget(&mut self) {
        let mut key = [0; 32];
        self.generator.fill_bytes(&mut key);
        self.generator = ChaCha20Rng::from_seed(key);
    }

    fn feed_from_instructions(&mut self, hash: &mut Sha256) {
        let EntropySources { rdseed, rdrand, .. } = self.sources;
        self.sources.rdseed = self.feed(hash, rdseed, FROM_RDSEED, instruction::rdseed);
        self.sources.rdrand = self.feed(hash, rdrand, FROM_RDRAND, instruction::rdrand);
    }

    /// Hashes `count` numbers of an instruction that is worth something, and says whether it still
    /// is.
    fn feed(
        &mut self,
        hash: &mut Sha256,
        worth: Randomness,
        count: usize,
        draw: impl Fn(&P) -> Option<Option<u64>>,
    ) -> Randomness {
        if worth != Randomness::Good {
            return worth;
        }
        for _ in 0..count {
            let number = draw(&self.processor).flatten();
            if number.is_none() || number == self.last {
                return Randomness::Broken;
            }
            hash.update(number.unwrap_or_default().to_le_bytes());
            self.last = number;
        }
        Randomness::Good
    }

    fn feed_from_jitter(&mut self, hash: &mut Sha256) {
        let mut jitter = Jitter::new(&self.processor);
        for _ in 0..samples(self.sources.rdseed, self.sources.rdrand) {
            hash.update(jitter.sample().to_le_bytes());
        }
        hash.update(self.processor.timestamp().to_le_bytes());
        if self.sources.jitter == Randomness::Good {
            self.sources.jitter = jitter.verdict();
        }
    }
}
