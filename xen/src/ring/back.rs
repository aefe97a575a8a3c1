// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's end of a ring.

use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use xen_sys::io::ring::sring;

use super::memory::{Slots, fence};
use super::slots::{NotMade, RingPage};
use super::{Entry, Error, Violation};

/// A ring of requests and responses, of which a frontend has the other end: in pages that it granted, and
/// that are [mapped](crate::grant::foreign::map) here.
///
/// All indices run freely and wrap at 2^32; modulo [`capacity`](Self::capacity) they are an entry. A response
/// takes the next entry, whichever request it is to: by then that was copied out. Dropping the ring unmaps
/// the pages; [`close`](Self::close) returns them.
pub struct BackendRing<M: RingPage> {
    slots: Slots<M>,
    /// Requests taken, `req_cons` in C.
    consumed: u32,
    /// Requests that the frontend has shown us, and that passed the check.
    shown: u32,
    /// Responses made, `rsp_prod_pvt` in C.
    produced: u32,
    /// Responses that the frontend has been shown.
    published: u32,
    violation: Option<Violation>,
}

impl<M: RingPage> BackendRing<M> {
    /// The ring in `pages`, in the order in which the frontend tells of them. Each entry has `entry` bytes:
    /// the size of the largest request or response.
    ///
    /// It goes on behind the last response that is there, as Linux's backends do: requests that a former
    /// backend has not answered are taken again.
    ///
    /// # Errors
    ///
    /// [`NotMade::Shape`]; the pages are dropped.
    pub fn attach(pages: Vec<M>, entry: usize) -> Result<Self, NotMade> {
        Ok(Self::on(Slots::new(pages, entry)?))
    }

    pub(super) fn on(slots: Slots<M>) -> Self {
        let start = slots.load(offset_of!(sring, rsp_prod));
        Self { slots, consumed: start, shown: start, produced: start, published: start, violation: None }
    }

    /// Number of entries, a power of two: a frontend can have so many requests unanswered.
    pub fn capacity(&self) -> u32 {
        self.slots.count()
    }

    /// Bytes of an entry.
    pub fn entry_size(&self) -> usize {
        self.slots.size()
    }

    /// Requests that were taken, and that no response was made to.
    pub fn unanswered(&self) -> u32 {
        self.consumed.wrapping_sub(self.produced) // free-running indices
    }

    /// Free-running index of the next request.
    pub fn consumed(&self) -> u32 {
        self.consumed
    }

    /// Free-running index of the next response.
    pub fn produced(&self) -> u32 {
        self.produced
    }

    /// Whether the frontend broke the protocol.
    pub fn is_poisoned(&self) -> bool {
        self.violation.is_some()
    }

    /// Uses the ring no more, because a request made no sense. Every later call says so.
    pub fn poison(&mut self) -> Violation {
        *self.violation.get_or_insert(Violation::Request)
    }

    /// Takes the next request; `None` if there is none. It is copied once: what the frontend writes
    /// afterwards changes nothing. What it says - its operation, references, lengths - is for the driver to
    /// check.
    ///
    /// # Errors
    ///
    /// [`Violation`], now and for ever.
    pub fn pop<E: Entry>(&mut self) -> Result<Option<E>, Violation> {
        if size_of::<E>() > self.entry_size() || self.ready()? == 0 {
            return Ok(None);
        }
        let request = self.slots.read(self.consumed);
        self.consumed = self.consumed.wrapping_add(1); // a free-running index
        Ok(Some(request))
    }

    /// Requests that can be taken now. Looks at the shared page only when all that it showed before were
    /// taken.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn ready(&mut self) -> Result<u32, Violation> {
        self.ready_for(1)
    }

    /// As [`ready`](Self::ready), for those who want `count` at once: looks at the shared page if fewer are
    /// known.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn ready_for(&mut self, count: u32) -> Result<u32, Violation> {
        if self.known() < count {
            self.look();
        }
        self.violation.map_or(Ok(self.known()), Err)
    }

    /// Asks for an event when `after` more requests than were taken are there (1 is the next one; 0, or more
    /// than the ring has room for, is corrected), and returns how many are there already: if there are
    /// as many, no event may come for them. Until this is called again, the frontend raises no event for
    /// further requests.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Self::pop).
    pub fn request_event(&mut self, after: u32) -> Result<u32, Violation> {
        // Free-running indices. A request without a response that the frontend has seen takes room, and there
        // are no more than fit.
        let room = self.capacity().saturating_sub(self.consumed.wrapping_sub(self.published));
        let awaited = self.consumed.wrapping_add(after.clamp(1, room.max(1)));
        self.slots.store(offset_of!(sring, req_event), awaited);
        // What we wrote must be seen before we look whether the frontend has news.
        fence(Ordering::SeqCst);
        self.look();
        self.violation.map_or(Ok(self.known()), Err)
    }

    /// Writes a response into the next entry. The frontend sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// [`Error::Unasked`], [`Error::TooLarge`], [`Error::Poisoned`].
    pub fn push<E: Entry>(&mut self, response: E) -> Result<(), Error> {
        if let Some(violation) = self.violation {
            return Err(violation.into());
        }
        if size_of::<E>() > self.entry_size() {
            return Err(Error::TooLarge);
        }
        if self.unanswered() == 0 {
            return Err(Error::Unasked);
        }
        self.slots.write(self.produced, &response);
        self.produced = self.produced.wrapping_add(1); // a free-running index
        Ok(())
    }

    /// Shows the frontend all responses that were pushed; true if it wants an event for that.
    #[must_use = "a frontend that waits for an event takes no response without"]
    pub fn publish(&mut self) -> bool {
        let before = core::mem::replace(&mut self.published, self.produced);
        if before == self.produced {
            return false;
        }
        self.slots.store(offset_of!(sring, rsp_prod), self.produced);
        // What we wrote must be seen before we look where the frontend wants its event.
        fence(Ordering::SeqCst);
        let event = self.slots.load(offset_of!(sring, rsp_event));
        // Free-running indices: whether the event's is among those just published.
        self.produced.wrapping_sub(event) < self.produced.wrapping_sub(before)
    }

    /// Ends the use of the ring, and returns its pages, still mapped.
    pub fn close(self) -> Vec<M> {
        self.slots.into_pages()
    }

    /// Requests that can be taken without a look at the page.
    fn known(&self) -> u32 {
        self.shown.wrapping_sub(self.consumed) // free-running indices
    }

    /// Reads `req_prod` once, and refuses what cannot be.
    fn look(&mut self) {
        if self.violation.is_some() {
            return;
        }
        let shown = self.slots.load(offset_of!(sring, req_prod));
        // Free-running indices, from the first request that the frontend has seen no response to.
        let claimed = shown.wrapping_sub(self.published);
        let seen = self.shown.wrapping_sub(self.published);
        if claimed > self.capacity() || claimed < seen {
            self.violation = Some(Violation::Requests { capacity: self.capacity(), claimed });
        } else {
            self.shown = shown;
        }
    }
}

impl<M: RingPage> fmt::Debug for BackendRing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BackendRing({} of {} unanswered, next {}{})",
            self.unanswered(),
            self.capacity(),
            self.consumed,
            if self.is_poisoned() { ", poisoned" } else { "" }
        )
    }
}
