// SPDX-License-Identifier: MIT OR Apache-2.0
//! The monotonic clock and the wall clock, over whichever source was chosen.

use core::time::Duration;

use spin::Once;
use xen::time::{Clock, Monotonic, WallClock};

use crate::rate::Rate;

/// A clock.
#[derive(Clone, Copy)]
pub enum Source {
    /// Xen's or KVM's paravirtual clock: numbers in shared memory that turn time stamps into nanoseconds.
    /// This is the boot vCPU's.
    Paravirtual(Clock),
    /// The time-stamp counter of known frequency.
    Timestamp {
        /// Its frequency in kHz.
        khz: u64,
    },
}

/// A source of the date.
#[derive(Clone, Copy)]
pub enum Wall {
    /// The date at the zero of the paravirtual clock, which must be the clock in use.
    Paravirtual(WallClock),
    /// The date at the zero of the time.
    AtStart(Duration),
}

/// Why there is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDate {
    /// There is no source.
    Untold,
    /// It cannot be read now.
    Unreadable,
}

/// The time of a machine of `VCPUS` vCPUs, in nanoseconds since its clock was chosen.
///
/// Callers tell on which `vcpu` they run, and how to read its time-stamp counter.
pub struct Time<const VCPUS: usize> {
    source: Once<Source>,
    /// The paravirtual clocks of vCPUs from 1 on: what one shows holds on its own vCPU only.
    others: [Once<Clock>; VCPUS],
    passed: Monotonic<VCPUS>,
    wall: Once<Wall>,
}

impl<const VCPUS: usize> Default for Time<VCPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const VCPUS: usize> Time<VCPUS> {
    /// A time that stands at zero.
    pub const fn new() -> Self {
        Self {
            source: Once::new(),
            others: [const { Once::new() }; VCPUS],
            passed: Monotonic::new(),
            wall: Once::new(),
        }
    }

    /// Starts the time now, by `source`.
    pub fn start(&self, source: Source, vcpu: u32, timestamp: impl Fn() -> u64) {
        self.passed.start(self.read(source, vcpu, &timestamp).unwrap_or(0));
        self.source.call_once(|| source);
    }

    /// Whether it was started.
    pub fn has_begun(&self) -> bool {
        self.source.is_completed()
    }

    /// Uses `clock` on that vCPU, if the source is of its kind.
    pub fn add_vcpu(&self, vcpu: u32, clock: Clock) {
        if let Some(place) = self.others.get(vcpu as usize) {
            place.call_once(|| clock);
        }
    }

    /// Synchronizes the clock of the calling vCPU with those of the others, while another vCPU compares it
    /// with its own.
    pub fn join(&self, vcpu: u32, timestamp: impl Fn() -> u64) {
        if let Some(source) = self.source.get() {
            self.passed.join(vcpu, || self.read(*source, vcpu, &timestamp));
        }
    }

    /// Goes on after the domain was suspended, from the last time that was [asked for](Self::now): the time
    /// since then does not count. To be called by that vCPU while no other one asks for the time.
    pub fn resume(&self, vcpu: u32, timestamp: impl Fn() -> u64) {
        if let Some(reading) = self.source.get().and_then(|source| self.read(*source, vcpu, timestamp)) {
            self.passed.resume(reading);
        }
    }

    /// The time. Monotonic across vCPUs.
    pub fn now(&self, vcpu: u32, timestamp: impl Fn() -> u64) -> u64 {
        self.source.get().map_or(0, |source| self.passed.now(vcpu, || self.read(*source, vcpu, &timestamp)))
    }

    /// Uses `wall` as the wall clock from now on.
    pub fn choose_wall_clock(&self, wall: Wall) {
        self.wall.call_once(|| wall);
    }

    /// Time since 1970-01-01 00:00 UTC.
    ///
    /// # Errors
    ///
    /// If there is no source, or it cannot be read.
    pub fn date(&self, vcpu: u32, timestamp: impl Fn() -> u64) -> Result<Duration, NoDate> {
        let (Some(wall), Some(source)) = (self.wall.get(), self.source.get()) else {
            return Err(NoDate::Untold);
        };
        let date = match wall {
            Wall::Paravirtual(base) => {
                self.read(*source, vcpu, &timestamp).and_then(|reading| base.at(reading))
            }
            Wall::AtStart(date) => date.checked_add(Duration::from_nanos(self.now(vcpu, timestamp))),
        };
        date.ok_or(NoDate::Unreadable)
    }

    /// The system time of the paravirtual clock `from_now` nanoseconds ahead, as hypercalls take it; `None`
    /// if another clock is in use.
    pub fn reading_in(&self, vcpu: u32, timestamp: impl Fn() -> u64, from_now: u64) -> Option<u64> {
        let Some(Source::Paravirtual(first)) = self.source.get() else { return None };
        self.clock_of(vcpu, *first).nanoseconds(timestamp).map(|now| now.saturating_add(from_now))
    }

    /// Converts a time to the system time of this vCPU's paravirtual clock, as hypercalls take it.
    pub fn reading_at(&self, vcpu: u32, time: u64) -> u64 {
        self.passed.reading_at(vcpu, time)
    }

    /// Frequency of the time-stamp counter in kHz, if that is known.
    pub fn timestamp_khz(&self) -> Option<u64> {
        match self.source.get()? {
            Source::Paravirtual(clock) => clock.timestamp_khz(),
            Source::Timestamp { khz } => Some(*khz),
        }
    }

    fn read(&self, source: Source, vcpu: u32, timestamp: impl Fn() -> u64) -> Option<u64> {
        match source {
            Source::Paravirtual(first) => self.clock_of(vcpu, first).nanoseconds(timestamp),
            Source::Timestamp { khz } => Some(Rate::of_khz(khz).nanoseconds(timestamp())),
        }
    }

    /// The clock of that vCPU, or the first one's if it has none of its own.
    fn clock_of(&self, vcpu: u32, first: Clock) -> Clock {
        match vcpu {
            0 => first,
            _ => self.others.get(vcpu as usize).and_then(Once::get).copied().unwrap_or(first),
        }
    }
}
