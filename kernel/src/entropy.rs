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
//! How good the numbers are is in [`sources`], and in the boot report. Where nothing but jitter is
//! there, or not even that, a warning says so. [`Random`] and [`fill`] give numbers all the same;
//! [`SecureRandom`] and [`try_fill`] give an error where no source works.

use core::convert::Infallible;

use log::warn;
use prism_arch::cpu;
use prism_arch::cpuid::Reader;
use prism_arch::random::RandomInstructions;
use prism_boot::capabilities::EntropySources;
use prism_boot::command_line::EntropyLimit;
pub use prism_entropy::NoSource;
use prism_entropy::news::{is_weak, limited, news};
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

/// Warns of sources that have turned out to be broken, and if none is left.
fn warn_of(before: EntropySources, now: EntropySources) {
    news(before, now).for_each(|news| warn!("{news}"));
}

/// Does something with the pool, and warns if sources broke meanwhile.
fn with_pool<T>(work: impl FnOnce(&mut Pool<Cpu>) -> T) -> T {
    let mut pool = pool().lock();
    let before = pool.sources();
    let result = work(&mut pool);
    let now = pool.sources();
    drop(pool);
    warn_of(before, now);
    result
}

/// Fills `destination` with random bytes. May be called by any task on any vCPU; takes no longer
/// than the bytes themselves and an RDRAND, but for once in 64 KiB, when the sources are asked again.
pub fn fill(destination: &mut [u8]) {
    with_pool(|pool| pool.fill(destination));
}

/// Fills `destination` with random bytes that nobody can guess.
///
/// # Errors
///
/// [`NoSource`] if no source works.
pub fn try_fill(destination: &mut [u8]) -> Result<(), NoSource> {
    with_pool(|pool| pool.try_fill(destination))
}

/// Mixes fresh material and `extra` in: to be called after anything that may have copied this
/// machine or put it back to an earlier state. `extra` may be anything, and need not be secret.
pub fn mix(extra: &[u8]) {
    with_pool(|pool| pool.mix(extra));
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

/// The kernel's generator, as crates take one: as good as the sources are, and never without an answer. For
/// secrets take [`SecureRandom`]. It has no state of its own, and any number of them may be in use.
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

/// The kernel's generator for secrets: gives an error where no source works. Crates that want one which never
/// fails get it from [`UnwrapErr`](rand_core::UnwrapErr), which panics instead.
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
