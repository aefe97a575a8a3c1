// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring to a backend, and the requests in it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use xen::grant::{Error, Granted, PAGE_SIZE, ReadWrite};
use xen::ring::{Ring, Violation};
use xen_sys::io::blkif::*;

use super::features::{Durability, Properties};
use super::grant_pool::{GrantPool, GrantedPage};
use super::pending_request::{Chunk, Operation, PendingRequest};
use super::slab::Slab;
use super::wire;
use crate::hal::Platform;

/// The ring to a backend, with its event channel and the pages that are granted.
pub(super) struct RingConnection<'p, P: Platform> {
    pub(super) ring: Ring<'p, P::Page>,
    pub(super) channel: Arc<P::Channel>,
    pub(super) pool: GrantPool<'p, P>,
    pub(super) in_flight: Slab<InFlight<'p, P>>,
    /// Requests that were ever put into the ring: their order.
    sequence: u64,
    /// The disk's number, as requests carry it.
    pub(super) handle: u16,
}

/// A chunk that the backend was asked for: what Linux calls a shadow.
pub(super) struct InFlight<'p, P: Platform> {
    pub(super) chunk: Chunk,
    pub(super) operation: Operation,
    /// The operation's number, which the response repeats.
    pub(super) number: u8,
    pages: Pages<'p, P>,
    /// The page of an indirect request's segments.
    segments: Option<Granted<'p, P::Page, ReadWrite>>,
    pub(super) order: u64,
}

/// Granted pages, each with the offset in its request at which it begins.
type Pages<'p, P> = Vec<(u64, GrantedPage<'p, <P as Platform>::Page>)>;

/// Why a chunk was not put into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSent {
    /// No grant reference is free. One will be.
    OutOfGrants,
    /// There is no memory.
    NoMemory,
}

impl From<Error> for NotSent {
    fn from(error: Error) -> Self {
        if error == Error::Full { Self::OutOfGrants } else { Self::NoMemory }
    }
}

impl<'p, P: Platform> InFlight<'p, P> {
    /// Whether a response's operation is what was asked for. Backends answer an indirect request
    /// with either of its numbers.
    pub(super) fn is_answered_by(&self, operation: u8) -> bool {
        operation == self.number || (self.segments.is_some() && operation == BLKIF_OP_INDIRECT)
    }

    /// Whether the backend uses one of its pages at this moment.
    fn is_in_use(&self) -> bool {
        self.pages.iter().any(|(_, granted)| granted.is_in_use())
    }

    /// Takes the pages back, into the request; false if the backend keeps one.
    pub(super) fn complete(
        self,
        pool: &mut GrantPool<'p, P>,
        request: Option<&mut PendingRequest<P::Page>>,
    ) -> bool {
        let mut all = true;
        let mut request = request;
        for (start, granted) in self.pages {
            match (pool.revoke(granted), &mut request) {
                (Some(page), Some(request)) => request.return_page(start, page),
                (Some(_), None) => {}
                (None, _) => all = false,
            }
        }
        if let Some(segments) = self.segments {
            pool.keep(segments);
        }
        all
    }
}

impl<'p, P: Platform> RingConnection<'p, P> {
    pub(super) fn new(
        ring: Ring<'p, P::Page>,
        channel: Arc<P::Channel>,
        pool: GrantPool<'p, P>,
        handle: u16,
    ) -> Self {
        Self { ring, channel, pool, in_flight: Slab::new(), sequence: 0, handle }
    }

    /// Whether the backend is at work at this moment on a request in flight.
    pub(super) fn is_in_use(&self) -> bool {
        self.in_flight.iter().any(|in_flight| self.is_at_work_on(in_flight))
    }

    /// Whether the backend is at work on a request: it uses a page of it. A discard has no pages; it is over
    /// when the ring is let go of, which Linux's backend does last (`xen_blkif_disconnect`).
    pub(super) fn is_at_work_on(&self, in_flight: &InFlight<'p, P>) -> bool {
        match in_flight.operation {
            Operation::Discard(_) => self.ring.is_in_use(),
            _ => in_flight.is_in_use(),
        }
    }

    /// Puts a chunk into the ring, which has room.
    ///
    /// # Errors
    ///
    /// [`NotSent`]; nothing has changed then.
    pub(super) fn send(
        &mut self,
        chunk: Chunk,
        request: &mut PendingRequest<P::Page>,
        properties: &Properties,
    ) -> Result<(), NotSent> {
        let operation = request.operation;
        let pages = match operation {
            Operation::Read | Operation::Write => self.grant(chunk, request)?,
            Operation::Flush | Operation::Discard(_) => Vec::new(),
        };
        let segments = match self.segments_page(pages.len()) {
            Ok(segments) => segments,
            Err(error) => {
                self.revoke_all(pages, request);
                return Err(error.into());
            }
        };
        let order = self.sequence;
        let number = number(operation, properties.durability);
        let in_flight = InFlight { chunk, operation, number, pages, segments, order };
        let index = self.in_flight.insert(in_flight).map_err(|in_flight| {
            in_flight.complete(&mut self.pool, Some(request));
            NotSent::NoMemory
        })?;
        self.sequence += 1;
        self.push(index, request.offset + chunk.start, properties.durability);
        Ok(())
    }

    /// Writes a request into the ring.
    fn push(&mut self, index: usize, offset: u64, durability: Durability) {
        let Some(id) = self.in_flight.key(index) else { return };
        let Some(in_flight) = self.in_flight.get_mut(index) else { return };
        let (operation, handle, length) = (in_flight.operation, self.handle, in_flight.chunk.length);
        // The ring has room, and an entry is as large as the largest of these.
        let _ = match (operation, &in_flight.segments) {
            (Operation::Flush, _) => self.ring.push(wire::flush(durability, handle, id)),
            (Operation::Discard(how), _) => self.ring.push(wire::discard(how, handle, id, offset, length)),
            (_, Some(page)) => {
                write_segments(page, in_flight);
                let count = in_flight.pages.len();
                self.ring.push(wire::indirect(operation, handle, id, offset, count, page.reference()))
            }
            (_, None) => {
                let mut request = wire::direct(operation, handle, id, offset, in_flight.pages.len());
                request.seg.iter_mut().zip(segments(in_flight)).for_each(|(to, from)| *to = from);
                self.ring.push(request)
            }
        };
    }

    /// Takes the pages of a chunk out of its request, and grants them.
    fn grant(
        &mut self,
        chunk: Chunk,
        request: &mut PendingRequest<P::Page>,
    ) -> Result<Pages<'p, P>, NotSent> {
        let mut pages = Vec::new();
        let end = chunk.start + chunk.length;
        let starts = (chunk.start..end).step_by(PAGE_SIZE);
        if pages.try_reserve_exact(starts.clone().count()).is_err() {
            return Err(NotSent::NoMemory);
        }
        for start in starts {
            let Some(mut page) = request.take_page(start) else { continue };
            let length = (end - start).min(PAGE_SIZE as u64) as usize;
            self.pool.clear(&mut page, request, length);
            match self.pool.grant(page, request.operation, length) {
                Ok(granted) => pages.push((start, granted)),
                Err((page, error)) => {
                    request.return_page(start, page);
                    self.revoke_all(pages, request);
                    return Err(error.into());
                }
            }
        }
        Ok(pages)
    }

    /// Ends the grants of pages that the backend was not told of.
    fn revoke_all(&mut self, pages: Pages<'p, P>, request: &mut PendingRequest<P::Page>) {
        for (start, granted) in pages {
            if let Some(page) = self.pool.revoke(granted) {
                request.return_page(start, page);
            }
        }
    }

    /// A page for the segments, if they do not fit into the request.
    fn segments_page(&mut self, count: usize) -> Result<Option<Granted<'p, P::Page, ReadWrite>>, Error> {
        if count <= BLKIF_MAX_SEGMENTS_PER_REQUEST { Ok(None) } else { self.pool.shared().map(Some) }
    }

    /// Takes the next response: the request that it completes, and its status.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend answers what nobody asked.
    pub(super) fn next_response(&mut self) -> Result<Option<(InFlight<'p, P>, i16)>, Violation> {
        let Some(response) = self.ring.pop::<blkif_response>()? else { return Ok(None) };
        match self.in_flight.remove_key(response.id) {
            Some(in_flight) if in_flight.is_answered_by(response.operation) => {
                Ok(Some((in_flight, response.status)))
            }
            Some(in_flight) => {
                // Its pages stay where they are until the connection is closed.
                let _ = self.in_flight.insert(in_flight);
                Err(self.ring.poison())
            }
            None => Err(self.ring.poison()),
        }
    }
}

/// The number of an operation that is not indirect.
pub(super) fn number(operation: Operation, durability: Durability) -> u8 {
    match (operation, durability) {
        (Operation::Flush, Durability::Barrier) => BLKIF_OP_WRITE_BARRIER,
        (Operation::Flush, _) => BLKIF_OP_FLUSH_DISKCACHE,
        (Operation::Discard(_), _) => BLKIF_OP_DISCARD,
        _ => wire::number(operation),
    }
}

/// The segments of a request.
fn segments<'f, P: Platform>(
    in_flight: &'f InFlight<'_, P>,
) -> impl Iterator<Item = blkif_request_segment> + 'f {
    let end = in_flight.chunk.start + in_flight.chunk.length;
    in_flight.pages.iter().map(move |(start, granted)| {
        wire::segment(granted.reference(), (end - start).min(PAGE_SIZE as u64) as usize)
    })
}

/// Writes the segments of a request into a page of their own.
fn write_segments<P: Platform>(page: &Granted<'_, P::Page, ReadWrite>, in_flight: &InFlight<'_, P>) {
    for (index, segment) in segments(in_flight).enumerate() {
        // There are not more than fit: properties.segments says so.
        let _ = page.write(index * size_of::<blkif_request_segment>(), &wire::bytes(segment));
    }
}
