// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers of tasks: the time driver of `embassy-time`, and Xen's one-shot timer.

use core::task::Waker;

use embassy_time_driver::Driver;
use prism_arch::hypercall::Hypervisor;
use prism_arch::vcpu;
use prism_executor::alarm::OneShot;
use prism_executor::timers::Timers;
use spin::Mutex;
use xen::vcpu::{set_singleshot_timer, stop_periodic_timer, stop_singleshot_timer};
use xen_sys::xen::VIRQ_TIMER;

use crate::hypervisor::event::EventChannel;
use crate::time;

/// The timer queue of each vCPU. A task uses that of its own vCPU.
static QUEUES: [Mutex<Timers>; vcpu::MOST] = [const { Mutex::new(Timers::new()) }; vcpu::MOST];

/// The timers of the vCPU that calls.
pub(crate) fn timers<R>(using: impl FnOnce(&mut Timers) -> R) -> R {
    // The numbers of vCPUs are below `MOST`.
    using(&mut QUEUES[vcpu::number() as usize % vcpu::MOST].lock())
}

struct KernelTime;

impl Driver for KernelTime {
    fn now(&self) -> u64 {
        time::nanoseconds()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        timers(|timers| timers.schedule(at, waker));
    }
}

embassy_time_driver::time_driver_impl!(static TIME: KernelTime = KernelTime);

/// When the next timer of the calling vCPU is due.
pub(crate) fn next() -> Option<u64> {
    timers(|timers| timers.next())
}

/// Stops the timers that Xen keeps for `vcpu`: its one-shot timer, and the periodic one of 100 Hz that vCPUs
/// of PV domains are born with, and that would end every sleep. Whether there is a one-shot timer.
pub(crate) fn stop_xen_timers(vcpu: u32) -> bool {
    let _ = stop_periodic_timer(&Hypervisor, vcpu);
    stop_singleshot_timer(&Hypervisor, vcpu).is_ok()
}

/// Xen's one-shot timer of a vCPU.
pub(crate) struct XenAlarm {
    channel: EventChannel,
    vcpu: u32,
    set: OneShot,
}

impl XenAlarm {
    /// The alarm of `vcpu`, if Xen has one.
    pub(crate) fn new(vcpu: u32) -> Option<Self> {
        let channel = EventChannel::virtual_interrupt(VIRQ_TIMER, vcpu).ok()?;
        Some(Self { channel, vcpu, set: OneShot::new() })
    }

    /// It isn't set any more: the domain was suspended.
    pub(crate) fn forget(&mut self) {
        self.set.gone_off();
    }

    /// Makes sure that it goes off at `at` or before. Only for the vCPU whose alarm it is.
    pub(crate) fn set(&mut self, at: u64) {
        if self.channel.take_and_unmask() {
            self.set.gone_off();
        }
        self.set.set(at, || set_singleshot_timer(&Hypervisor, self.vcpu, time::to_xen(at)).is_ok());
    }
}
