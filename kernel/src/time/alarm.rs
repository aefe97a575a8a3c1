// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one-shot timer that ends a vCPU's sleep: Xen's, the local APIC's or the PIT.

use prism_arch::cpu;
use prism_boot::services::Timer;
use prism_drivers::irq::pic;
use prism_drivers::timer::pit;
use prism_executor::alarm::Untold;
use prism_executor::rate::{self, Rate};

use super::timer::XenAlarm;
use crate::irq::apic;
use crate::ports::CpuPorts;
use crate::time;

use prism_arch::apic::TIMER_VECTOR;

/// How long the APIC's timer is measured, in nanoseconds.
const WATCH: u64 = 1_000_000;

/// A one-shot timer of the vCPU that made it.
pub(crate) enum Alarm {
    /// Xen's.
    Xen(XenAlarm),
    /// The local APIC's in TSC-deadline mode. The time-stamp counter runs at so many kHz.
    Deadline { khz: u64, set: Untold },
    /// The local APIC's in one-shot mode. It counts down so many times in a millisecond.
    Count { khz: u64 },
    /// The PIT. There is one: for the boot vCPU only.
    IntervalTimer,
}

impl Alarm {
    /// The `chosen` timer of `vcpu`, which is the caller; `None` if it has none.
    pub(crate) fn of(vcpu: u32, chosen: Timer) -> Option<Self> {
        match chosen {
            Timer::SingleShot => XenAlarm::new(vcpu).map(Self::Xen),
            Timer::TscDeadline => Self::at_deadlines().or_else(Self::by_counts),
            Timer::LocalApic => Self::by_counts(),
            Timer::Pit if vcpu == 0 => Some(Self::by_interval_timer()),
            Timer::SetTimer | Timer::Pit | Timer::Polling => None,
        }
    }

    fn at_deadlines() -> Option<Self> {
        let apic = apic::get()?;
        let khz = time::timestamp_khz()?;
        apic.use_deadlines(TIMER_VECTOR);
        Some(Self::Deadline { khz, set: Untold::new() })
    }

    fn by_counts() -> Option<Self> {
        let apic = apic::get()?;
        let khz = apic.measure_khz(|| rate::watch(WATCH, time::nanoseconds))?;
        apic.use_counts(TIMER_VECTOR);
        Some(Self::Count { khz })
    }

    fn by_interval_timer() -> Self {
        if let Some(apic) = apic::get() {
            apic.let_pic_through();
        }
        pic::open(&CpuPorts, pit::LINE);
        Self::IntervalTimer
    }

    /// It may not be set any more, as the domain was suspended: it is set again for the next sleep.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::Xen(alarm) => alarm.forget(),
            // Another host's counter may run at another frequency (`tsc_mode="native"`).
            Self::Deadline { khz, set } => {
                *khz = time::timestamp_khz().unwrap_or(*khz);
                set.gone_off();
            }
            Self::Count { .. } | Self::IntervalTimer => {}
        }
    }

    /// Makes sure that it goes off at `at` or before.
    ///
    /// Finding out whether a hardware timer has fired would cost an exit, as setting it does. One that has a
    /// deadline is set again when it may have fired, others for every sleep. Xen's tells when it has fired.
    pub(crate) fn set(&mut self, at: u64) {
        if let Self::Xen(alarm) = self {
            return alarm.set(at);
        }
        let now = time::nanoseconds();
        let wait = at.saturating_sub(now);
        match self {
            Self::Xen(_) => {}
            Self::Deadline { khz, set } => set.set(now, at, || {
                let deadline = cpu::timestamp().saturating_add(Rate::of_khz(*khz).ticks(wait));
                apic::get().map(|apic| apic.fire_at(deadline)).is_some()
            }),
            Self::Count { khz } => {
                if let Some(apic) = apic::get() {
                    apic.fire_after(Rate::of_khz(*khz).ticks(wait));
                }
            }
            Self::IntervalTimer => pit::fire_after(&CpuPorts, wait),
        }
    }
}
