// SPDX-License-Identifier: MIT OR Apache-2.0
//! What time it is: the paravirtual clock, or the time-stamp counter.

use core::sync::atomic::{AtomicU64, Ordering};

use prism_arch::{cpu, vcpu};
use spin::Once;
use xen::time::Clock;

/// The clock in use.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// Xen's or KVM's: numbers in shared memory that turn time stamps into nanoseconds.
    Paravirtual(Clock),
    /// The time-stamp counter of known frequency.
    Timestamp { khz: u64 },
}

static SOURCE: Once<Source> = Once::new();
/// The paravirtual clocks of vCPUs from 1 on: what one shows holds on its own vCPU only.
static OTHERS: [Once<Clock>; vcpu::MOST] = [const { Once::new() }; vcpu::MOST];
/// What the clock showed when it was chosen.
static ZERO: AtomicU64 = AtomicU64::new(0);
/// The latest reading: time does not go back.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Uses `source` from now on.
pub(crate) fn choose(source: Source) {
    ZERO.store(read(source), Ordering::Relaxed);
    SOURCE.call_once(|| source);
}

/// Uses `clock` on vCPU `number`, if the source is of its kind.
pub(crate) fn add_vcpu(number: u32, clock: Clock) {
    if let Some(place) = OTHERS.get(number as usize) {
        place.call_once(|| clock);
    }
}

/// Nanoseconds since the clock was chosen, early in boot. Never goes back.
pub fn nanoseconds() -> u64 {
    let Some(source) = SOURCE.get() else { return 0 };
    let now = read(*source).saturating_sub(ZERO.load(Ordering::Relaxed));
    LATEST.fetch_max(now, Ordering::Relaxed).max(now)
}

/// The paravirtual clock's own reading `from_now` nanoseconds ahead, as hypercalls take it;
/// `None` if another clock is in use.
pub fn xen_deadline(from_now: u64) -> Option<u64> {
    match SOURCE.get() {
        Some(Source::Paravirtual(first)) => {
            own(first).nanoseconds(cpu::timestamp).map(|now| now.saturating_add(from_now))
        }
        _ => None,
    }
}

/// A time of [`nanoseconds`] as the paravirtual clock shows it, which is how hypercalls take it.
pub(crate) fn to_xen(time: u64) -> u64 {
    time.saturating_add(ZERO.load(Ordering::Relaxed))
}

/// Frequency of the time-stamp counter in kHz, if that is known.
pub(crate) fn timestamp_khz() -> Option<u64> {
    match SOURCE.get()? {
        Source::Paravirtual(clock) => clock.timestamp_khz(),
        Source::Timestamp { khz } => Some(*khz),
    }
}

fn read(source: Source) -> u64 {
    match source {
        Source::Paravirtual(first) => own(&first).nanoseconds(cpu::timestamp).unwrap_or(0),
        Source::Timestamp { khz } => scale(cpu::timestamp(), khz),
    }
}

/// The clock of the vCPU that calls; `first` is vCPU 0's.
fn own(first: &Clock) -> &Clock {
    match vcpu::number() {
        0 => first,
        number => OTHERS.get(number as usize).and_then(Once::get).unwrap_or(first),
    }
}

/// Ticks of a counter of `khz` in nanoseconds.
fn scale(ticks: u64, khz: u64) -> u64 {
    (u128::from(ticks) * 1_000_000 / u128::from(khz.max(1))) as u64
}

/// A point in time that something must not outlast.
///
/// Before there is a clock, a deadline is a number of looks at it instead.
pub(crate) struct Deadline {
    end: u64,
    looks: u64,
}

impl Deadline {
    /// `nanoseconds` from now.
    pub(crate) fn after(nanoseconds: u64) -> Self {
        Self { end: self::nanoseconds().saturating_add(nanoseconds), looks: nanoseconds / 100 }
    }

    /// Whether it has passed.
    pub(crate) fn passed(&mut self) -> bool {
        self.looks = self.looks.saturating_sub(1);
        if SOURCE.get().is_some() { nanoseconds() >= self.end } else { self.looks == 0 }
    }
}
