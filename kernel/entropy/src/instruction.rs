// SPDX-License-Identifier: MIT OR Apache-2.0
//! RDRAND and RDSEED: tried as often as the manual advises, believed while they do not repeat.

use prism_boot::capabilities::Randomness;

use crate::Processor;

/// Tries for RDRAND: ten failures in a row mean that something is wrong with the CPU
/// (Intel SDM volume 1, 7.3.17.1).
const RDRAND_TRIES: u32 = 10;

/// Tries for RDSEED, which others on the machine may drain; a pause between them lets it recover
/// (Intel SDM volume 1, 7.3.17.2).
const RDSEED_TRIES: u32 = 100;

/// Draws of an examination. Two equal ones among them come by chance once in 2^58.
const DRAWS: usize = 8;

/// A number from RDSEED: `None` if there is no such instruction, `Some(None)` if it has failed.
pub(crate) fn rdseed(processor: &impl Processor) -> Option<Option<u64>> {
    retry(RDSEED_TRIES, || processor.rdseed())
}

/// A number from RDRAND: `None` if there is no such instruction, `Some(None)` if it has failed.
pub(crate) fn rdrand(processor: &impl Processor) -> Option<Option<u64>> {
    retry(RDRAND_TRIES, || processor.rdrand())
}

fn retry(tries: u32, step: impl Fn() -> Option<Option<u64>>) -> Option<Option<u64>> {
    for _ in 0..tries {
        if let Some(number) = step()? {
            return Some(Some(number));
        }
        core::hint::spin_loop();
    }
    Some(None)
}

/// Whether the instruction is there, and gives numbers that differ.
///
/// Some CPUs return all ones with the flag of success set, for ever after a resume or from the
/// first day on. The 64-bit forms are the ones to use: on some CPUs the shorter ones of RDSEED give
/// zero and call it success.
pub(crate) fn examine(draw: impl Fn() -> Option<Option<u64>>) -> Randomness {
    let mut drawn = [None; DRAWS];
    for index in 0..DRAWS {
        let Some(number) = draw() else { return Randomness::Absent };
        if number.is_none() || drawn.contains(&number) {
            return Randomness::Broken;
        }
        drawn.iter_mut().skip(index).take(1).for_each(|place| *place = number);
    }
    Randomness::Good
}
