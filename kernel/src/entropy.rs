// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers: RDSEED, RDRAND and jitter, mixed by crate `prism-entropy`.
//!
//! [`Random`] speaks the traits of `rand_core` 0.10, for any crate that takes a generator:
//!
//! ```ignore
#![doc = include_str!("../../tests/guest/entropy/src/draw.rs")]
//! ```
//!
//! A crate that gets its numbers from `getrandom` needs `--cfg getrandom_backend="custom"` among the
//! application's compiler flags, and the function that this backend asks for, in a line:
//! [`fill`]. The kernel does not define it: the flag changes every crate that is built with it, the
//! host's own tools among them.
//!
//! How good the numbers are is in [`sources`], and in the boot report. Where nothing but jitter is
//! there, or not even that, the report says so; the numbers come all the same.

use core::convert::Infallible;

use prism_arch::cpu;
use prism_arch::cpuid::Reader;
use prism_arch::random::RandomInstructions;
use prism_boot::capabilities::{EntropySources, Randomness};
use prism_boot::command_line::EntropyLimit;
use prism_entropy::{Machine, Pool};
pub use rand_core;
use rand_core::{TryCryptoRng, TryRng};
use spin::{Mutex, Once};

/// The CPU as a source.
struct Cpu(RandomInstructions);

impl Machine for Cpu {
    fn rdseed(&self) -> Option<Option<u64>> {
        self.0.rdseed()
    }

    fn rdrand(&self) -> Option<Option<u64>> {
        self.0.rdrand()
    }

    fn timestamp(&self) -> u64 {
        cpu::timestamp()
    }
}

static POOL: Once<Mutex<Pool<Cpu>>> = Once::new();

/// Examines the sources, but for those that `limit` rules out, and fills the pool from them; says
/// what each source is worth.
pub(crate) fn begin(reader: Reader, limit: Option<EntropyLimit>) -> EntropySources {
    let cpu = Cpu(RandomInstructions::detect(reader));
    let mut sources = prism_entropy::examine(&cpu);
    if limit.is_some() {
        sources.rdseed = Randomness::Refused;
    }
    if limit == Some(EntropyLimit::Jitter) {
        sources.rdrand = Randomness::Refused;
    }
    POOL.call_once(|| Mutex::new(Pool::new(cpu, sources, &[])));
    sources
}

/// Fills `destination` with random bytes. May be called by any task on any vCPU; takes no longer
/// than the bytes themselves, but for once in 64 KiB, when the sources are asked again.
pub fn fill(destination: &mut [u8]) {
    pool().lock().fill(destination);
}

/// Mixes fresh material and `extra` in: to be called after anything that may have copied this
/// machine or put it back to an earlier state. `extra` may be anything, and need not be secret.
pub fn mix(extra: &[u8]) {
    pool().lock().mix(extra);
}

/// What each source is worth by now. One that begins to repeat itself is no longer used.
pub fn sources() -> EntropySources {
    pool().lock().sources()
}

/// The pool; before the sources are known, one that lives on jitter.
fn pool() -> &'static Mutex<Pool<Cpu>> {
    POOL.call_once(|| {
        let cpu = Cpu(RandomInstructions::default());
        Mutex::new(Pool::new(cpu, EntropySources::default(), &[]))
    })
}

/// The kernel's generator, as crates take one: cryptographically secure as far as the sources are
/// good. It has no state of its own, and any number of them may be in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        fill(destination);
        Ok(())
    }
}

impl TryCryptoRng for Random {}
