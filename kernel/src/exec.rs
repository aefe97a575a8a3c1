// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor: runs tasks until they wait, and gives the CPU away when all of them do.
//!
//! Interrupts are data here. The vCPU runs with events and interrupts off; one that arrives only
//! ends its sleep, and is then found in memory, where the task that waits for it is looked up.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use embassy_executor::raw::Executor;
use embassy_executor::{SpawnError, Spawner, task};
use prism_arch::cpu;
use prism_arch::machine::Machine;

use crate::event;
use crate::timer::{self, Alarm};

/// Set when a task became ready.
static READY: AtomicBool = AtomicBool::new(false);

/// Runs the tasks that are ready.
fn poll(executor: &'static Executor) {
    // SAFETY: called by `run`'s loop only, never by a task: the executor is not polled from within
    // itself.
    unsafe { executor.poll() };
}

/// A poll that takes longer than so many ticks of the time-stamp counter keeps events waiting for
/// about a tenth of a second, and is worth a warning.
const LONG_POLL: u64 = 1 << 28;

/// Polls that took too long, since boot.
static LONG_POLLS: AtomicU64 = AtomicU64::new(0);

#[unsafe(export_name = "__pender")]
fn pend(_executor: *mut ()) {
    READY.store(true, Ordering::Release);
}

/// A task of any shape.
#[task(pool_size = 256)]
async fn any(mut task: Pin<Box<dyn Future<Output = ()>>>) {
    poll_fn(move |context| {
        let start = cpu::timestamp();
        let result = task.as_mut().poll(context);
        if cpu::timestamp().saturating_sub(start) > LONG_POLL {
            LONG_POLLS.fetch_add(1, Ordering::Relaxed);
            log::debug!("a task kept the vCPU for long; let it call yield_now now and then");
        }
        result
    })
    .await;
}

/// Polls that took longer than about a tenth of a second, since boot.
pub fn long_polls() -> u64 {
    LONG_POLLS.load(Ordering::Relaxed)
}

/// Starts `task` on this vCPU.
///
/// # Errors
///
/// [`SpawnError::Busy`] if 256 tasks run already.
pub(crate) fn spawn(spawner: Spawner, task: impl Future<Output = ()> + 'static) -> Result<(), SpawnError> {
    any(Box::pin(task)).map(|token| spawner.spawn(token))
}

/// The executor of the vCPU that boots, for the rest of time.
struct BootExecutor(UnsafeCell<Option<Executor>>);

// SAFETY: used by the vCPU that boots only, from `run`, which is called once.
unsafe impl Sync for BootExecutor {}

static EXECUTOR: BootExecutor = BootExecutor(UnsafeCell::new(None));

/// Runs what `start` spawns, for ever.
pub(crate) fn run(machine: &dyn Machine, xen: bool, start: impl FnOnce(Spawner)) -> ! {
    // SAFETY: the only use of the static, and it is never used again: this never returns.
    let place: &'static mut Option<Executor> = unsafe { &mut *EXECUTOR.0.get() };
    let executor: &'static Executor = place.insert(Executor::new(core::ptr::null_mut()));
    start(executor.spawner());
    let mut alarm = if xen { Alarm::new(0) } else { None };
    loop {
        event::take_all();
        timer::wake_due(|| poll(executor));
        if READY.swap(false, Ordering::AcqRel) {
            poll(executor);
            continue;
        }
        match (&mut alarm, timer::next()) {
            (Some(_), None) => machine.idle(),
            (Some(alarm), Some(at)) => {
                alarm.set(at);
                machine.idle();
            }
            // Without Xen's alarm nothing would end a sleep: look again and again.
            (None, _) => cpu::relax(),
        }
    }
}
