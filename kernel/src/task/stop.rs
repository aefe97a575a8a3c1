// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stopping all vCPUs between their tasks, to suspend the domain: the boot vCPU does it from its run loop,
//! while the others wait in theirs.

use core::future::Future;
use core::time::Duration;

use embassy_sync::signal::Signal;
use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use prism_executor::rendezvous::Rendezvous;
use spin::Mutex;
use xen::sched::{self, Resumed};

use crate::hypervisor::suspend;
use crate::task::executor;
use crate::task::sync::Lock;
use crate::time::Deadline;

/// How long the vCPUs have to come: a task that computes for so long keeps the domain from being suspended.
const TIMEOUT: Duration = Duration::from_secs(5);

static PLACE: Rendezvous = Rendezvous::new();
/// Held by who asks vCPUs to come, and by a vCPU that goes off: it is counted as long as it may be waited
/// for.
static GATE: Mutex<()> = Mutex::new(());
static OUTCOME: Signal<Lock, Option<xen::error::Result<Resumed>>> = Signal::new();

/// Has all vCPUs stop between their tasks, and the domain [suspended](suspend::suspend) then; waits until it
/// goes on. `None` if a task on some vCPU does not yield. Only for the boot vCPU.
pub(crate) fn stop_and_suspend() -> impl Future<Output = Option<xen::error::Result<Resumed>>> {
    OUTCOME.reset();
    let gate = GATE.lock();
    PLACE.request();
    drop(gate);
    executor::kick_others();
    OUTCOME.wait()
}

/// Whether the vCPUs are to stop.
pub(crate) fn is_requested() -> bool {
    PLACE.is_requested()
}

/// Has the calling vCPU `leave`, unless vCPUs are to stop; whether it did.
pub(crate) fn unless_requested(leave: impl FnOnce() -> bool) -> bool {
    let _gate = GATE.lock();
    !is_requested() && leave()
}

/// Stops, or leads those that do. Called by each vCPU, from its run loop.
pub(crate) fn take_part() {
    if vcpu::number() != 0 {
        return PLACE.wait(pause);
    }
    let mut deadline = Deadline::after(TIMEOUT);
    let others = (executor::online().count() as u32).saturating_sub(1);
    let is_late = || {
        pause();
        deadline.passed()
    };
    OUTCOME.signal(PLACE.lead(others, is_late, suspend::suspend));
}

/// Lets others run: vCPUs may share a processor.
fn pause() {
    if sched::yield_now(&Hypervisor).is_err() {
        cpu::relax();
    }
}
