// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time: a monotonic clock and a wall clock.
//!
//! [`nanoseconds`] is monotonic and runs at an even speed. Use it for durations and deadlines; `embassy_time`
//! is built on it. [`wall_clock`] is the date as the host knows it, for people and protocols. It jumps when
//! the host's clock is set.

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
/// Whether a failure to read the wall clock was logged: it is logged once.
static WALL_FAILED: AtomicBool = AtomicBool::new(false);

/// Uses `source` as the monotonic clock from now on.
pub(crate) fn set_source(source: Source) {
    TIME.start(source, vcpu::number(), cpu::timestamp);
}

/// Uses `clock` on vCPU `number`, if the source is of its kind.
pub(crate) fn add_vcpu(number: u32, clock: Clock) {
    TIME.add_vcpu(number, clock);
}

/// Synchronizes the clock of the calling vCPU with those of the others, while another vCPU compares it with
/// its own.
pub(crate) fn join_vcpu() {
    TIME.join(vcpu::number(), cpu::timestamp);
}

/// Goes on after the domain was suspended, from the last time that was asked for. To be called while all
/// other vCPUs wait.
pub(crate) fn resume() {
    TIME.resume(vcpu::number(), cpu::timestamp);
}

/// Uses `wall` as the wall clock from now on.
pub(crate) fn set_wall_clock(wall: Wall) {
    TIME.choose_wall_clock(wall);
}

/// Nanoseconds since early in boot. Monotonic across vCPUs.
pub fn nanoseconds() -> u64 {
    TIME.now(vcpu::number(), cpu::timestamp)
}

/// Time since 1970-01-01 00:00 UTC, as the host knows it. `None` without a hypervisor that tells and without
/// an RTC.
///
/// It jumps when the host's clock is set. Xen counts 64 bits of seconds. KVM counts 32 bits of seconds up to
/// its start, which end in the year 2106, and its value is read at boot. An RTC is read at boot too, and is
/// exact to the second.
pub fn wall_clock() -> Option<Duration> {
    let date = TIME.date(vcpu::number(), cpu::timestamp);
    if date == Err(NoDate::Unreadable) && !WALL_FAILED.swap(true, Ordering::Relaxed) {
        log::warn!("wall clock unreadable: the hypervisor never completes an update");
    }
    date.ok()
}

/// The absolute deadline `from_now` nanoseconds ahead, as hypercalls take it: the system time of the
/// paravirtual clock. `None` if another clock is in use.
pub fn xen_deadline(from_now: u64) -> Option<u64> {
    TIME.reading_in(vcpu::number(), cpu::timestamp, from_now)
}

/// Converts a time of [`nanoseconds`] to the system time of the calling vCPU's paravirtual clock, as
/// hypercalls take it.
pub(crate) fn to_xen(time: u64) -> u64 {
    TIME.reading_at(vcpu::number(), time)
}

/// Frequency of the time-stamp counter in kHz, if known.
pub(crate) fn timestamp_khz() -> Option<u64> {
    TIME.timestamp_khz()
}

/// A deadline that can be set before the clock runs.
pub(crate) struct Deadline(deadline::Deadline);

impl Deadline {
    /// `time` from now.
    pub(crate) fn after(time: Duration) -> Self {
        Self(deadline::Deadline::after(nanoseconds(), time))
    }

    /// Whether it has passed.
    pub(crate) fn passed(&mut self) -> bool {
        self.0.passed(TIME.has_begun().then(nanoseconds))
    }
}
