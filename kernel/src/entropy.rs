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
//! [`try_fill`]. The kernel does not define it: the flag changes every crate that is built with it, the
//! host's own tools among them.
//!
//! [`sources`] and the boot report tell how good the numbers are. A warning says when jitter is the only
//! source, or when none works. [`Random`] and [`fill`] return numbers all the same; [`SecureRandom`] and
//! [`try_fill`] return an error where no source works.

use core::convert::Infallible;

use log::warn;
use prism_arch::cpu;
use prism_arch::cpuid::Reader;
use prism_arch::random::RandomInstructions;
use prism_boot::capabilities::EntropySources;
use prism_boot::command_line::EntropyLimit;
pub use prism_entropy::NoSource;
use prism_entropy::warning::{is_weak, limited, warnings};
use prism_entropy::{Pool, Processor};
pub use rand_core;
use rand_core::{TryCryptoRng, TryRng};
use spin::{Mutex, Once};

/// The CPU as a source.
struct Cpu(RandomInstructions);

impl Processor for Cpu {
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

/// Examines the sources that `limit` allows, seeds the pool from them, and returns the quality of each.
pub(crate) fn init(reader: Reader, limit: Option<EntropyLimit>) -> EntropySources {
    let cpu = Cpu(RandomInstructions::detect(reader));
    let sources = limited(prism_entropy::examine(&cpu), limit);
    POOL.call_once(|| Mutex::new(Pool::new(cpu, sources, &[])));
    warn_of(EntropySources::default(), sources);
    if is_weak(sources) {
        warn!("random numbers are weak: jitter is the only source");
    }
    sources
}

/// Warns of sources that broke, and if none is left.
fn warn_of(before: EntropySources, now: EntropySources) {
    warnings(before, now).for_each(|warning| warn!("{warning}"));
}

/// Uses the pool, and warns if sources broke meanwhile.
fn with_pool<T>(work: impl FnOnce(&mut Pool<Cpu>) -> T) -> T {
    let mut pool = pool().lock();
    let before = pool.sources();
    let result = work(&mut pool);
    let now = pool.sources();
    drop(pool);
    warn_of(before, now);
    result
}

/// Fills `destination` with random bytes. Callable from any task on any vCPU. Takes no longer than the bytes
/// and one RDRAND, except every 64 KiB, when the sources are read again.
pub fn fill(destination: &mut [u8]) {
    with_pool(|pool| pool.fill(destination));
}

/// Fills `destination` with unpredictable random bytes.
///
/// # Errors
///
/// [`NoSource`] if no source works.
pub fn try_fill(destination: &mut [u8]) -> Result<(), NoSource> {
    with_pool(|pool| pool.try_fill(destination))
}

/// Mixes fresh entropy and `extra` into the pool. Call this after anything that may have copied this machine
/// or reset it to an earlier state. `extra` may be anything, and need not be secret.
pub fn mix(extra: &[u8]) {
    with_pool(|pool| pool.mix(extra));
}

/// The quality of each source by now. A source that begins to repeat itself is no longer used.
pub fn sources() -> EntropySources {
    pool().lock().sources()
}

/// The pool. Before the sources are known, it runs on jitter.
fn pool() -> &'static Mutex<Pool<Cpu>> {
    POOL.call_once(|| {
        let cpu = Cpu(RandomInstructions::default());
        Mutex::new(Pool::new(cpu, EntropySources::default(), &[]))
    })
}

/// The kernel's generator for crates that take one. It is as good as the sources are, and never fails. Use
/// [`SecureRandom`] for secrets. It has no state: any number of them may be in use.
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

/// The kernel's generator for secrets. It fails where no source works. For crates that need an infallible
/// one, [`UnwrapErr`](rand_core::UnwrapErr) panics instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecureRandom;

impl TryRng for SecureRandom {
    type Error = NoSource;

    fn try_next_u32(&mut self) -> Result<u32, NoSource> {
        let mut bytes = [0; 4];
        try_fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, NoSource> {
        let mut bytes = [0; 8];
        try_fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), NoSource> {
        try_fill(destination)
    }
}

impl TryCryptoRng for SecureRandom {}
