// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places that tasks are in while they run: as many as there is memory for.
//!
//! The executor wants a place to stay where it is for ever, as somebody may wake a task that has ended. So
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
use spin::Mutex;

use super::SpawnError;

/// Tasks are refused when there is no more memory than this: the rest is for those that run, in bytes.
const RESERVE: usize = 64 * 1024;
/// Places looked at for one that is free. The task of one may have ended so lately that it is still in the
/// executor's queue; the others have been there for longer.
const LOOKS: usize = 8;

/// A place for a task.
type Place<F> = TaskStorage<Occupant<F>>;

/// Places for tasks of one type.
pub(super) struct Places<F: Future<Output = ()> + Unpin + 'static> {
    free: Mutex<Free<F>>,
}

struct Free<F: Future<Output = ()> + Unpin + 'static> {
    places: VecDeque<&'static Place<F>>,
    /// How many there are, used ones included: the queue has room for all of them.
    made: usize,
}

/// A task in its place, which it leaves when it has ended.
pub(super) struct Occupant<F: Future<Output = ()> + Unpin + 'static> {
    future: F,
    place: &'static Place<F>,
    of: &'static Places<F>,
}

impl<F: Future<Output = ()> + Unpin + 'static> Places<F> {
    pub(super) const fn new() -> Self {
        Self { free: Mutex::new(Free { places: VecDeque::new(), made: 0 }) }
    }

    /// Puts a task into a place.
    pub(super) fn take(&'static self, future: F) -> Result<SpawnToken<Occupant<F>>, SpawnError> {
        let (place, task) = self.claim()?;
        Ok(task.initialize(|| Occupant { future, place, of: self }))
    }

    fn claim(&self) -> Result<(&'static Place<F>, AvailableTask<Occupant<F>>), SpawnError> {
        if !has_reserve() {
            return Err(SpawnError::NoMemory);
        }
        let mut free = self.free.lock();
        for _ in 0..LOOKS {
            let Some(place) = free.places.pop_front() else { break };
            if let Some(task) = AvailableTask::claim(place) {
                return Ok((place, task));
            }
            free.places.push_back(place);
        }
        let room = free.made + 1 - free.places.len();
        free.places.try_reserve(room).map_err(|_| SpawnError::NoMemory)?;
        let place: &'static Place<F> = Box::leak(try_box(TaskStorage::new())?);
        free.made += 1;
        AvailableTask::claim(place).map(|task| (place, task)).ok_or(SpawnError::NoMemory)
    }
}

impl<F: Future<Output = ()> + Unpin + 'static> Future for Occupant<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let result = Pin::new(&mut self.future).poll(context);
        if result.is_ready() {
            // The executor lets go of the place in a moment; until then it cannot be claimed.
            self.of.free.lock().places.push_back(self.place);
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
    let place = unsafe { alloc(layout) }.cast::<T>();
    if place.is_null() {
        return Err(SpawnError::NoMemory);
    }
    // SAFETY: fresh memory of this layout.
    unsafe { place.write(value) };
    // SAFETY: just written, and allocated as a box's memory is.
    Ok(unsafe { Box::from_raw(place) })
}
