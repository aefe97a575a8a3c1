// SPDX-License-Identifier: MIT OR Apache-2.0
//! Slots that tasks are in while they run: as many as there is memory for.
//!
//! The executor wants a slot to stay where it is for ever, as somebody may wake a task that has ended. So
//! none is given back to the heap, but each is used again: there are never more than were needed at once.

use alloc::alloc::alloc;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::future::Future;
use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_executor::SpawnToken;
use embassy_executor::raw::{AvailableTask, TaskStorage};
use prism_executor::account::{Account, Cost};
use spin::Mutex;

use super::SpawnError;

/// Tasks are refused when there is no more memory than this: the rest is for those that run, in bytes.
const RESERVE: usize = 64 * 1024;
/// Slots looked at for one that is free. The task of one may have ended so lately that it is still in the
/// executor's queue; the others have been there for longer.
const MAX_PROBES: usize = 8;

/// A slot for a task.
struct TaskSlot<F: Future<Output = ()> + Unpin + 'static> {
    storage: TaskStorage<Occupant<F>>,
    account: Account,
}

/// Slots for tasks of one type.
pub(super) struct TaskPool<F: Future<Output = ()> + Unpin + 'static> {
    free: Mutex<Free<F>>,
}

struct Free<F: Future<Output = ()> + Unpin + 'static> {
    slots: VecDeque<&'static TaskSlot<F>>,
    /// All that there are, used ones included: the queue has room for all of them.
    made: Vec<&'static TaskSlot<F>>,
}

/// A task in its slot, which it leaves when it has ended.
pub(super) struct Occupant<F: Future<Output = ()> + Unpin + 'static> {
    future: F,
    slot: &'static TaskSlot<F>,
    of: &'static TaskPool<F>,
}

impl<F: Future<Output = ()> + Unpin + 'static> TaskPool<F> {
    pub(super) const fn new() -> Self {
        Self { free: Mutex::new(Free { slots: VecDeque::new(), made: Vec::new() }) }
    }

    /// Puts a task into a slot, which `make` makes with the slot's account.
    pub(super) fn take(
        &'static self,
        make: impl FnOnce(&'static Account) -> F,
    ) -> Result<SpawnToken<Occupant<F>>, SpawnError> {
        let (slot, task) = self.claim()?;
        let future = make(&slot.account);
        Ok(task.initialize(|| Occupant { future, slot, of: self }))
    }

    /// What the tasks that run have cost. Empty if there is no memory for that.
    pub(super) fn costs(&self) -> Vec<Cost> {
        let free = self.free.lock();
        let mut costs = Vec::new();
        if costs.try_reserve_exact(free.made.len()).is_ok() {
            costs.extend(free.made.iter().filter_map(|slot| slot.account.read()));
        }
        costs
    }

    fn claim(&self) -> Result<(&'static TaskSlot<F>, AvailableTask<Occupant<F>>), SpawnError> {
        if !has_reserve() {
            return Err(SpawnError::NoMemory);
        }
        let mut free = self.free.lock();
        for _ in 0..MAX_PROBES {
            let Some(slot) = free.slots.pop_front() else { break };
            if let Some(task) = AvailableTask::claim(&slot.storage) {
                return Ok((slot, task));
            }
            free.slots.push_back(slot);
        }
        let room = free.made.len() + 1 - free.slots.len();
        free.slots.try_reserve(room).map_err(|_| SpawnError::NoMemory)?;
        free.made.try_reserve(1).map_err(|_| SpawnError::NoMemory)?;
        let slot = TaskSlot { storage: TaskStorage::new(), account: Account::new() };
        let slot: &'static TaskSlot<F> = Box::leak(try_box(slot)?);
        free.made.push(slot);
        AvailableTask::claim(&slot.storage).map(|task| (slot, task)).ok_or(SpawnError::NoMemory)
    }
}

impl<F: Future<Output = ()> + Unpin + 'static> Future for Occupant<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let result = Pin::new(&mut self.future).poll(context);
        if result.is_ready() {
            self.slot.account.close();
            // The executor lets go of the slot in a moment; until then it cannot be claimed.
            self.of.free.lock().slots.push_back(self.slot);
        }
        result
    }
}

/// Whether there is more memory than tasks may use up, in one piece.
fn has_reserve() -> bool {
    let mut probe = Vec::<u8>::new();
    let there = probe.try_reserve_exact(RESERVE).is_ok();
    // Not to be optimized away.
    black_box(&probe);
    there
}

/// What `Box::new` does, but for the end of everything where there is no memory.
pub(super) fn try_box<T>(value: T) -> Result<Box<T>, SpawnError> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        // Takes no memory.
        return Ok(Box::new(value));
    }
    // SAFETY: the layout has a size.
    let slot = unsafe { alloc(layout) }.cast::<T>();
    if slot.is_null() {
        return Err(SpawnError::NoMemory);
    }
    // SAFETY: fresh memory of this layout.
    unsafe { slot.write(value) };
    // SAFETY: just written, and allocated as a box's memory is.
    Ok(unsafe { Box::from_raw(slot) })
}
