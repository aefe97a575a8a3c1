// SPDX-License-Identifier: MIT OR Apache-2.0
//! What time it is: the paravirtual clock, or the time-stamp counter; and what date.
//!
//! Two clocks, for two purposes. [`nanoseconds`] never goes back and goes on at an even speed: for
//! durations and deadlines, and what `embassy_time` is built on. [`wall_clock`] is what the host believes
//! the date to be: for people and protocols. It changes when the host's clock is set.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use prism_arch::{cpu, vcpu};
use prism_executor::rate::Rate;
use spin::Once;
use xen::time::{Clock, Monotonic, WallClock};

/// The clock in use.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// Xen's or KVM's: numbers in shared memory that turn time stamps into nanoseconds.
    Paravirtual(Clock),
    /// The time-stamp counter of known frequency.
    Timestamp { khz: u64 },
}

/// What makes a time a date.
#[derive(Clone, Copy)]
pub(crate) enum Wall {
    /// The date at which the paravirtual clock, which must be the one in use, showed zero.
    Paravirtual(WallClock),
    /// The date at which [`nanoseconds`] was zero.
    AtStart(Duration),
}

static SOURCE: Once<Source> = Once::new();
/// The paravirtual clocks of vCPUs from 1 on: what one shows holds on its own vCPU only.
static OTHERS: [Once<Clock>; vcpu::MOST] = [const { Once::new() }; vcpu::MOST];
/// The time since the clock was chosen.
static TIME: Monotonic<{ vcpu::MOST }> = Monotonic::new();
/// What makes a time a date.
static WALL: Once<Wall> = Once::new();
/// Whether the wall clock was asked for and could not be read, to say it once.
static WALL_FAILED: AtomicBool = AtomicBool::new(false);

/// Uses `source` from now on.
pub(crate) fn choose(source: Source) {
    TIME.start(read(source).unwrap_or(0));
    SOURCE.call_once(|| source);
}

/// Uses `clock` on vCPU `number`, if the source is of its kind.
pub(crate) fn add_vcpu(number: u32, clock: Clock) {
    if let Some(place) = OTHERS.get(number as usize) {
        place.call_once(|| clock);
    }
}

/// Makes the clock of the vCPU that calls one with those of the others, while another vCPU looks at its own.
pub(crate) fn join() {
    if let Some(source) = SOURCE.get() {
        TIME.join(vcpu::number(), || read(*source));
    }
}

/// Tells the date from `wall` on.
pub(crate) fn choose_wall_clock(wall: Wall) {
    WALL.call_once(|| wall);
}

/// Nanoseconds since the clock was chosen, early in boot. Never goes back, on whatever vCPU it is
/// asked.
pub fn nanoseconds() -> u64 {
    SOURCE.get().map_or(0, |source| TIME.now(vcpu::number(), || read(*source)))
}

/// Time since 1970-01-01 00:00 UTC, as the host has it. `None` where nobody tells: no hypervisor, or one
/// that has no idea itself.
///
/// It may go back, and jump: whenever the host's clock is set. Xen counts 64 bits of seconds; KVM
/// counts 32 up to its start, which end in the year 2106, and tells of its clock as it was at boot; a
/// PC's own clock is read at boot too, and is exact to the second.
pub fn wall_clock() -> Option<Duration> {
    let now = match (WALL.get()?, SOURCE.get()?) {
        (Wall::Paravirtual(base), source) => read(*source).and_then(|reading| base.at(reading)),
        (Wall::AtStart(date), _) => date.checked_add(Duration::from_nanos(nanoseconds())),
    };
    if now.is_none() && !WALL_FAILED.swap(true, Ordering::Relaxed) {
        log::warn!("the wall clock cannot be read: the hypervisor never finishes changing it");
    }
    now
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

/// A time of [`nanoseconds`] as the paravirtual clock of the vCPU that calls shows it, which is how
/// hypercalls take it.
pub(crate) fn to_xen(time: u64) -> u64 {
    TIME.reading_at(vcpu::number(), time)
}

/// Frequency of the time-stamp counter in kHz, if that is known.
pub(crate) fn timestamp_khz() -> Option<u64> {
    match SOURCE.get()? {
        Source::Paravirtual(clock) => clock.timestamp_khz(),
        Source::Timestamp { khz } => Some(*khz),
    }
}

fn read(source: Source) -> Option<u64> {
    match source {
        Source::Paravirtual(first) => own(&first).nanoseconds(cpu::timestamp),
        Source::Timestamp { khz } => Some(Rate::of_khz(khz).nanoseconds(cpu::timestamp())),
    }
}

/// The clock of the vCPU that calls; `first` is vCPU 0's.
fn own(first: &Clock) -> &Clock {
    match vcpu::number() {
        0 => first,
        number => OTHERS.get(number as usize).and_then(Once::get).unwrap_or(first),
    }
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
