// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod health;
mod instruction;
mod jitter;
mod pool;
pub mod warning;

use prism_boot::capabilities::{EntropySources, Randomness};

pub use pool::{NoSource, Pool};

use jitter::Jitter;

/// What a processor can be asked for entropy.
pub trait Processor {
    /// Executes RDSEED once: `None` if the CPU has no such instruction, `Some(None)` if it has no
    /// number just now.
    fn rdseed(&self) -> Option<Option<u64>>;

    /// Executes RDRAND once: `None` if the CPU has no such instruction, `Some(None)` if it has no
    /// number just now.
    fn rdrand(&self) -> Option<Option<u64>>;

    /// The time-stamp counter.
    fn timestamp(&self) -> u64;
}

/// Tries every source, and says what each is worth.
///
/// Takes about a thousand time-stamps where jitter is all there is, else about a hundred.
pub fn examine(processor: &impl Processor) -> EntropySources {
    let rdseed = instruction::examine(|| instruction::rdseed(processor));
    let rdrand = instruction::examine(|| instruction::rdrand(processor));
    let jitter = Jitter::examine(processor, samples(rdseed, rdrand));
    EntropySources { rdseed, rdrand, jitter }
}

/// How many samples of jitter to take: enough for a key where they are all there is, and a few
/// where they are only a second opinion.
fn samples(rdseed: Randomness, rdrand: Randomness) -> usize {
    if rdseed == Randomness::Good || rdrand == Randomness::Good { jitter::FEW } else { jitter::ENOUGH }
}
