// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers: what `embassy-time` asks for, and what the vCPU is woken by.

mod alarm;

use alloc::collections::BTreeMap;
use core::task::Waker;

use embassy_time_driver::Driver;
use prism_arch::hypercall::Hypervisor;
use prism_arch::vcpu;
use spin::Mutex;
use xen::vcpu::set_singleshot_timer;
use xen_sys::xen::VIRQ_TIMER;

use crate::event::EventChannel;
use crate::time;

pub(crate) use alarm::Alarm;

/// The tasks that wait for a time, each with the earliest it waits for.
///
/// A task that is woken looks at all its timers again and tells the next: one entry is enough, and
/// the queue is never longer than there are tasks.
#[derive(Default)]
struct Queue {
    by_time: BTreeMap<(u64, usize), Waker>,
    by_task: BTreeMap<usize, u64>,
}

impl Queue {
    const fn new() -> Self {
        Self { by_time: BTreeMap::new(), by_task: BTreeMap::new() }
    }

    fn schedule(&mut self, at: u64, waker: &Waker) {
        let task = waker.data().addr();
        match self.by_task.get(&task) {
            Some(before) if *before <= at => return,
            Some(before) => {
                self.by_time.remove(&(*before, task));
            }
            None => {}
        }
        self.by_task.insert(task, at);
        self.by_time.insert((at, task), waker.clone());
    }

    /// Removes a task whose time has come.
    fn take_due(&mut self, now: u64) -> Option<Waker> {
        let first = self.by_time.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, task), waker) = first.remove_entry();
        self.by_task.remove(&task);
        Some(waker)
    }

    fn next(&self) -> Option<u64> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }
}

/// Each vCPU's queue: a task asks on the vCPU that it runs on.
static QUEUES: [Mutex<Queue>; vcpu::MOST] = [const { Mutex::new(Queue::new()) }; vcpu::MOST];

/// The queue of the vCPU that calls.
fn queue() -> &'static Mutex<Queue> {
    // The numbers of vCPUs are below `MOST`.
    &QUEUES[vcpu::number() as usize % vcpu::MOST]
}

struct KernelTime;

impl Driver for KernelTime {
    fn now(&self) -> u64 {
        time::nanoseconds()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        queue().lock().schedule(at, waker);
    }
}

embassy_time_driver::time_driver_impl!(static TIME: KernelTime = KernelTime);

/// Wakes every task of this vCPU whose time has come, in the order of their times, and calls `run` behind
/// each: the executor runs tasks that are ready at once in no particular order. Reads the clock only if there
/// are timers at all.
pub(crate) fn wake_due(mut run: impl FnMut()) {
    if next().is_none() {
        return;
    }
    let now = time::nanoseconds();
    loop {
        let due = queue().lock().take_due(now);
        let Some(waker) = due else { return };
        waker.wake();
        run();
    }
}

/// When the next task of this vCPU wants to be woken.
pub(crate) fn next() -> Option<u64> {
    queue().lock().next()
}

/// Xen's one-shot timer of a vCPU.
pub(crate) struct XenAlarm {
    channel: EventChannel,
    vcpu: u32,
    /// When it goes off; `u64::MAX` if it isn't set.
    at: u64,
}

impl XenAlarm {
    /// The alarm of `vcpu`, if Xen has one.
    pub(crate) fn new(vcpu: u32) -> Option<Self> {
        let channel = EventChannel::virtual_interrupt(VIRQ_TIMER, vcpu).ok()?;
        Some(Self { channel, vcpu, at: u64::MAX })
    }

    /// Makes sure that it goes off at `at` or before. Only for the vCPU whose alarm it is.
    pub(crate) fn set(&mut self, at: u64) {
        if self.channel.take_and_open() {
            self.at = u64::MAX;
        }
        // One that is set for an earlier time goes off too early, which is cheaper than two calls.
        if at < self.at && set_singleshot_timer(&Hypervisor, self.vcpu, time::to_xen(at)).is_ok() {
            self.at = at;
        }
    }
}
