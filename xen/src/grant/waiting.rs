// SPDX-License-Identifier: MIT OR Apache-2.0
//! Back-pressure: tasks that wait for a reference.
//!
//! A reference that becomes free is handed to the first task in the queue, not put where the
//! quickest gets it. So nobody waits for ever while others come and go.

use alloc::collections::VecDeque;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::{Error, FreeRef, Page, Reference, Result, Table};

/// Waits for a free reference: see [`Table::wait_for_free`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitForFree<'t, P: Page> {
    table: &'t Table<P>,
    ticket: Option<u64>,
}

impl<'t, P: Page> WaitForFree<'t, P> {
    pub(super) fn new(table: &'t Table<P>) -> Self {
        Self { table, ticket: None }
    }

    /// The first time: takes a reference, or joins the queue.
    fn begin(&mut self, waker: Waker) -> Poll<Result<FreeRef<'t, P>>> {
        match self.table.free_ref() {
            Err(Error::Full) => {}
            other => return Poll::Ready(other),
        }
        let taken = self.table.state().take_or_wait(waker);
        match taken {
            Ok(Ok(reference)) => Poll::Ready(Ok(FreeRef::new(self.table, reference))),
            Ok(Err(ticket)) => {
                self.ticket = Some(ticket);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<'t, P: Page> Future for WaitForFree<'t, P> {
    type Output = Result<FreeRef<'t, P>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(ticket) = self.ticket else { return self.begin(context.waker().clone()) };
        let mut waker = context.waker().clone();
        // Wakers that leave the queue are dropped without the lock: one may drop a whole task.
        let place = self.table.state().queue().collect(ticket, &mut waker);
        match place.and_then(|place| place.handed) {
            Some(reference) => {
                self.ticket = None;
                Poll::Ready(Ok(FreeRef::new(self.table, reference)))
            }
            None => Poll::Pending,
        }
    }
}

impl<P: Page> Drop for WaitForFree<'_, P> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let place = self.table.state().queue().leave(ticket);
        if let Some(reference) = place.and_then(|place| place.handed) {
            self.table.release(reference, self.table.epoch());
        }
    }
}

/// Those who wait, in the order in which they came.
pub(super) struct Queue {
    next_ticket: u64,
    places: VecDeque<MapSlot>,
}

/// One who waits.
pub(super) struct MapSlot {
    ticket: u64,
    waker: Waker,
    /// What it will find when it looks.
    handed: Option<Reference>,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { next_ticket: 0, places: VecDeque::new() }
    }

    /// How many have nothing yet.
    pub(super) fn len(&self) -> u32 {
        self.places.iter().filter(|place| place.handed.is_none()).count() as u32
    }

    /// Adds one at the end, and returns its ticket.
    pub(super) fn join(&mut self, waker: Waker) -> Result<u64> {
        self.places.try_reserve(1).map_err(|_| Error::NoRoom)?;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.places.push_back(MapSlot { ticket, waker, handed: None });
        Ok(ticket)
    }

    /// Whether this reference was handed to somebody who has not fetched it yet.
    pub(super) fn has_handed(&self, reference: Reference) -> bool {
        self.places.iter().any(|place| place.handed == Some(reference))
    }

    /// Hands a reference to the first who has none, who is to be woken; `None` if nobody waits.
    pub(super) fn hand(&mut self, reference: Reference) -> Option<Waker> {
        let place = self.places.iter_mut().find(|place| place.handed.is_none())?;
        place.handed = Some(reference);
        Some(place.waker.clone())
    }

    /// Takes the place of `ticket` out of the queue if it was handed something; or else swaps in a
    /// new waker.
    fn collect(&mut self, ticket: u64, waker: &mut Waker) -> Option<MapSlot> {
        let index = self.index(ticket)?;
        let place = self.places.get_mut(index)?;
        if place.handed.is_some() {
            return self.places.remove(index);
        }
        core::mem::swap(&mut place.waker, waker);
        None
    }

    /// Removes `ticket` from the queue.
    fn leave(&mut self, ticket: u64) -> Option<MapSlot> {
        let index = self.index(ticket)?;
        self.places.remove(index)
    }

    fn index(&self, ticket: u64) -> Option<usize> {
        self.places.binary_search_by_key(&ticket, |place| place.ticket).ok()
    }
}
