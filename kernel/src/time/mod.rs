// SPDX-License-Identifier: MIT OR Apache-2.0
//! What time it is: the paravirtual clock, or the time-stamp counter; and what date.
//!
//! Two clocks, for two purposes. [`nanoseconds`] never goes back and goes on at an even speed: for
//! durations and deadlines, and what `embassy_time` is built on. [`wall_clock`] is what the host believes
//! the date to be: for people and protocols. It changes when the host's clock is set.

pub(crate) mod alarm;
pub(crate) mod clocks;
pub(crate) mod timer;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use prism_arch::{cpu, vcpu};
use prism_executor::deadline;
use prism_executor::time::{NoDate, Time};
pub(crate) use prism_executor::time::{Source, Wall};
use xen::time::Clock;

static TIME: Time<{ vcpu::MOST }> = Time::new();
/// Whether the wall clock was asked for and could not be read, to say it once.
static WALL_FAILED: AtomicBool = AtomicBool::new(false);

/// Uses `source` from now on.
pub(crate) fn set_source(source: Source) {
    TIME.start(source, vcpu::number(), cpu::timestamp);
}

/// Uses `clock` on vCPU `number`, if the source is of its kind.
pub(crate) fn add_vcpu(number: u32, clock: Clock) {
    TIME.add_vcpu(number, clock);
}

/// Makes the clock of the vCPU that calls one with those of the others, while another vCPU looks at its own.
pub(crate) fn join_vcpu() {
    TIME.join(vcpu::number(), cpu::timestamp);
}

/// Tells the date from `wall` on.
pub(crate) fn set_wall_clock(wall: Wall) {
    TIME.choose_wall_clock(wall);
}

/// Nanoseconds since the clock was chosen, early in boot. Never goes back, on whatever vCPU it is
/// asked.
pub fn nanoseconds() -> u64 {
    TIME.now(vcpu::number(), cpu::timestamp)
}

/// Time since 1970-01-01 00:00 UTC, as the host has it. `None` where nobody tells: no hypervisor, or one
/// that has no idea itself.
///
/// It may go back, and jump: whenever the host's clock is set. Xen counts 64 bits of seconds; KVM
/// counts 32 up to its start, which end in the year 2106, and tells of its clock as it was at boot; a
/// PC's own clock is read at boot too, and is exact to the second.
pub fn wall_clock() -> Option<Duration> {
    let date = TIME.date(vcpu::number(), cpu::timestamp);
    if date == Err(NoDate::Unreadable) && !WALL_FAILED.swap(true, Ordering::Relaxed) {
        log::warn!("wall clock unreadable: the hypervisor never completes an update");
    }
    date.ok()
}

/// The paravirtual clock's own reading `from_now` nanoseconds ahead, as hypercalls take it;
/// `None` if another clock is in use.
pub fn xen_deadline(from_now: u64) -> Option<u64> {
    TIME.reading_in(vcpu::number(), cpu::timestamp, from_now)
}

/// A time of [`nanoseconds`] as the paravirtual clock of the vCPU that calls shows it, which is how
/// hypercalls take it.
pub(crate) fn to_xen(time: u64) -> u64 {
    TIME.reading_at(vcpu::number(), time)
}

/// Frequency of the time-stamp counter in kHz, if that is known.
pub(crate) fn timestamp_khz() -> Option<u64> {
    TIME.timestamp_khz()
}

/// A point in time that something must not outlast: the clock's, as soon as there is one.
pub(crate) struct Deadline(deadline::Deadline);

impl Deadline {
    /// `nanoseconds` from now.
    pub(crate) fn after(nanoseconds: u64) -> Self {
        Self(deadline::Deadline::after(self::nanoseconds(), nanoseconds))
    }

    /// Whether it has passed.
    pub(crate) fn passed(&mut self) -> bool {
        self.0.passed(TIME.has_begun().then(nanoseconds))
    }
}
