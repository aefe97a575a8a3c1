// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frontend's end of a ring.

use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use xen_sys::io::ring::sring;

use super::memory::{Slots, fence};
use super::slots::{NotMade, grant};
use super::{Entry, Error, Violation};
use crate::DomainId;
use crate::grant::{Granted, Page, ReadWrite, Reference, Table};

/// A ring of requests and responses, of which a backend has the other end.
///
/// All indices run freely and wrap at 2^32; modulo [`capacity`](Self::capacity) they are an entry.
/// Dropping the ring ends the grants; pages that the backend still has mapped go to the table's
/// quarantine.
pub struct Ring<'t, P: Page> {
    slots: Slots<Granted<'t, P, ReadWrite>>,
    /// Requests made, `req_prod_pvt` in C.
    produced: u32,
    /// Requests that the backend has been shown.
    published: u32,
    /// Responses taken, `rsp_cons` in C.
    consumed: u32,
    /// Responses that the backend has shown us, and that passed the check.
    shown: u32,
    /// Responses with which there is to be an event.
    awaited: u32,
    violation: Option<Violation>,
}

impl<'t, P: Page> Ring<'t, P> {
    /// A ring in `pages`, which are granted to `domain`. They are to be all zero. Each entry has
    /// `entry` bytes: the size of the largest request or response.
    ///
    /// # Errors
    ///
    /// [`NotMade`]; the pages are dropped.
    pub fn new(table: &'t Table<P>, pages: Vec<P>, domain: DomainId, entry: usize) -> Result<Self, NotMade> {
        Ok(Self::on(Slots::new(grant(table, pages, domain)?, entry)?))
    }

    pub(super) fn on(slots: Slots<Granted<'t, P, ReadWrite>>) -> Self {
        slots.store(offset_of!(sring, req_event), 1);
        slots.store(offset_of!(sring, rsp_event), 1);
        Self { slots, produced: 0, published: 0, consumed: 0, shown: 0, awaited: 1, violation: None }
    }

    /// References of the pages, in order: what the backend is to be told.
    pub fn references(&self) -> impl Iterator<Item = Reference> {
        self.slots.pages().iter().map(Granted::reference)
    }

    /// Whether the backend has one of the pages mapped at this moment.
    pub fn is_in_use(&self) -> bool {
        self.slots.pages().iter().any(Granted::is_in_use)
    }

    /// Number of entries, a power of two: so many requests can be unanswered.
    pub fn capacity(&self) -> u32 {
        self.slots.count()
    }

    /// Bytes of an entry.
    pub fn entry_size(&self) -> usize {
        self.slots.size()
    }

    /// Requests that can be pushed now.
    pub fn room(&self) -> u32 {
        self.capacity() - self.unanswered()
    }

    /// Requests that were pushed, and whose responses were not taken.
    pub fn unanswered(&self) -> u32 {
        self.produced.wrapping_sub(self.consumed) // free-running indices
    }

    /// Free-running index of the next request.
    pub fn produced(&self) -> u32 {
        self.produced
    }

    /// Free-running index of the next response. Modulo the capacity it is the entry that the
    /// request of the same index was in.
    pub fn consumed(&self) -> u32 {
        self.consumed
    }

    /// Whether the backend broke the protocol.
    pub fn is_poisoned(&self) -> bool {
        self.violation.is_some()
    }

    /// Uses the ring no more, because a response made no sense. Every later call says so.
    pub fn poison(&mut self) -> Violation {
        *self.violation.get_or_insert(Violation::Response)
    }

    /// Writes a request into the next entry. The backend sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn push<E: Entry>(&mut self, request: E) -> Result<(), Error> {
        if let Some(violation) = self.violation {
            return Err(violation.into());
        }
        if size_of::<E>() > self.entry_size() {
            return Err(Error::TooLarge);
        }
        if self.room() == 0 {
            return Err(Error::Full);
        }
        self.slots.write(self.produced, &request);
        self.produced = self.produced.wrapping_add(1); // a free-running index
        Ok(())
    }

    /// Shows the backend all requests that were pushed; true if it wants an event for that.
    #[must_use = "a backend that waits for an event does nothing without"]
    pub fn publish(&mut self) -> bool {
        let before = core::mem::replace(&mut self.published, self.produced);
        if before == self.produced {
            return false;
        }
        self.slots.store(offset_of!(sring, req_prod), self.produced);
        // What we wrote must be seen before we look where the backend wants its event.
        fence(Ordering::SeqCst);
        let event = self.slots.load(offset_of!(sring, req_event));
        // Free-running indices: whether the event's is among those just published.
        self.produced.wrapping_sub(event) < self.produced.wrapping_sub(before)
    }

    /// As [`publish`](Self::publish), for requests that the backend keeps until it needs them, such as pages
    /// to receive into: true as well if it had answered all those before. One that ran out may wait for more
    /// without having asked for an event: QEMU's network backend does (`hw/net/xen_nic.c`, `net_rx_packet`).
    #[must_use = "a backend that waits for an event does nothing without"]
    pub fn restock(&mut self) -> bool {
        let before = self.published;
        let asked = self.publish();
        // Read behind the fence in `publish`: a backend that has yet to answer one of those before has yet
        // to look for more, and will see these.
        asked || before != self.published && self.slots.load(offset_of!(sring, rsp_prod)) == before
    }

    /// Takes the next response; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Violation`], now and for ever.
    pub fn pop<E: Entry>(&mut self) -> Result<Option<E>, Violation> {
        if size_of::<E>() > self.entry_size() || self.ready()? == 0 {
            return Ok(None);
        }
        let response = self.slots.read(self.consumed);
        self.consumed = self.consumed.wrapping_add(1); // a free-running index
        Ok(Some(response))
    }

    /// Responses that can be taken now. Looks at the shared page only when all that it showed
    /// before were taken.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn ready(&mut self) -> Result<u32, Violation> {
        if self.violation.is_none() && self.shown == self.consumed {
            self.look();
        }
        match self.violation {
            Some(violation) => Err(violation),
            None => Ok(self.shown.wrapping_sub(self.consumed)), // free-running indices
        }
    }

    /// Asks for an event when `after` more responses than were taken are there (1 is the next one;
    /// 0, or more than there are unanswered requests, is corrected), and returns how many are
    /// there already: if any, take them first, as no event may come for them.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn request_event(&mut self, after: u32) -> Result<u32, Violation> {
        let most = self.published.wrapping_sub(self.consumed).max(1); // free-running indices
        self.awaited = self.consumed.wrapping_add(after.clamp(1, most));
        self.slots.store(offset_of!(sring, rsp_event), self.awaited);
        // What we wrote must be seen before we look whether the backend has news.
        fence(Ordering::SeqCst);
        if self.violation.is_none() {
            self.look();
        }
        self.ready()
    }

    /// Whether the response is there, and not taken, that [`request_event`](Self::request_event) asked for an
    /// event at. If it has not been called, or that one was taken, any is meant.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn is_due(&mut self) -> Result<bool, Violation> {
        // Free-running indices, half of their range apart at most.
        let awaited = self.awaited.wrapping_sub(self.consumed).cast_signed().max(1).cast_unsigned();
        if self.violation.is_none() && self.shown.wrapping_sub(self.consumed) < awaited {
            self.look();
        }
        Ok(self.ready()? >= awaited)
    }

    /// Reads `rsp_prod` once, and refuses what cannot be.
    fn look(&mut self) {
        let shown = self.slots.load(offset_of!(sring, rsp_prod));
        let unanswered = self.published.wrapping_sub(self.consumed); // free-running indices
        let claimed = shown.wrapping_sub(self.consumed); // free-running indices
        let known = self.shown.wrapping_sub(self.consumed); // free-running indices
        if claimed > unanswered || claimed < known {
            self.violation = Some(Violation::Index { unanswered, claimed });
        } else {
            self.shown = shown;
        }
    }
}

impl<P: Page> fmt::Debug for Ring<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Ring({} of {} unanswered, next {}{})",
            self.unanswered(),
            self.capacity(),
            self.produced,
            if self.is_poisoned() { ", poisoned" } else { "" }
        )
    }
}

#[cfg(test)]
impl<P: Page> Ring<'_, P> {
    /// Has all indices begin at `index`, to test how they wrap.
    pub(super) fn start_at(&mut self, index: u32) {
        (self.produced, self.published) = (index, index);
        (self.consumed, self.shown) = (index, index);
        self.slots.store(offset_of!(sring, req_prod), index);
        self.slots.store(offset_of!(sring, rsp_prod), index);
        self.slots.store(offset_of!(sring, rsp_event), index.wrapping_add(1));
    }
}
