// SPDX-License-Identifier: MIT OR Apache-2.0
//! One round of a vCPU's run loop.

use core::task::Waker;

use crate::spin::Credit;
use crate::timers::Timers;

/// A vCPU, as far as a round is concerned.
pub trait Vcpu {
    /// Takes every event that has arrived and wakes the tasks that wait for them; how many there were. Ends
    /// though events keep arriving.
    fn take_events(&self) -> u64;

    /// Hands out the timers of the tasks that run here.
    fn timers<R>(&self, using: impl FnOnce(&mut Timers) -> R) -> R;

    /// The time, in nanoseconds.
    fn now(&self) -> u64;

    /// Whether a task was woken since this was asked last.
    fn take_ready(&self) -> bool;

    /// Polls every task that is ready now once, those that were woken last first. One that is woken meanwhile
    /// is ready for the next time.
    fn poll(&self);

    /// What tasks get for what comes from outside.
    fn credit(&self) -> &Credit;
}

/// Takes each event, due timer and ready task once; says whether there was a task to run. If not, the vCPU
/// may sleep until the [next timer](Timers::next) or event.
pub fn round(vcpu: &impl Vcpu) -> bool {
    vcpu.credit().add(vcpu.take_events() + wake_due(vcpu));
    let ready = vcpu.take_ready();
    if ready {
        vcpu.poll();
    }
    ready
}

/// Wakes every task whose time has come, and says how many had waited for theirs. Reads the clock only if
/// there are timers at all.
///
/// The last one is woken first: of those that are ready, that one is run last. No task runs in between, and
/// as many are taken as were due at first, in case a waker has a timer set.
fn wake_due(vcpu: &impl Vcpu) -> u64 {
    if vcpu.timers(|timers| timers.next()).is_none() {
        return 0;
    }
    let now = vcpu.now();
    let count = vcpu.timers(|timers| timers.due(now));
    let due = (0..count).map_while(|_| vcpu.timers(|timers| timers.take_last_due(now)));
    due.map(|due| {
        Waker::wake(due.waker);
        u64::from(due.waited)
    })
    .sum()
}
