// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection to a backend: a ring, and what is on its way.

use alloc::sync::Arc;
use alloc::vec::Vec;

use xen::grant::{Error, Granted, PAGE_SIZE, ReadWrite};
use xen::ring::{Ring, Violation};
use xen_sys::io::blkif::*;

use super::job::{Job, Operation, Piece};
use super::lender::{Lender, Lent};
use super::offer::{Durability, Properties};
use super::slab::Slab;
use super::wire;
use crate::hal::Platform;

/// The connection to a backend.
pub(super) struct Link<'p, P: Platform> {
    pub(super) ring: Ring<'p, P::Page>,
    pub(super) channel: Arc<P::Channel>,
    pub(super) lender: Lender<'p, P>,
    pub(super) flights: Slab<Flight<'p, P>>,
    /// Flights that there were: their order.
    sequence: u64,
    /// The disk's number, as requests carry it.
    pub(super) handle: u16,
}

/// A piece that the backend was asked for.
pub(super) struct Flight<'p, P: Platform> {
    pub(super) piece: Piece,
    pub(super) operation: Operation,
    /// The operation's number, which the answer repeats.
    pub(super) number: u8,
    pages: Pages<'p, P>,
    /// The page of an indirect request's segments.
    segments: Option<Granted<'p, P::Page, ReadWrite>>,
    pub(super) order: u64,
}

/// Lent pages, each with the first byte of its job's that is in it.
type Pages<'p, P> = Vec<(u64, Lent<'p, <P as Platform>::Page>)>;

/// Why a piece was not put into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSent {
    /// No grant reference is free: wait for one.
    Starved,
    /// There is no memory.
    NoMemory,
}

impl From<Error> for NotSent {
    fn from(error: Error) -> Self {
        if error == Error::Full { Self::Starved } else { Self::NoMemory }
    }
}

impl<'p, P: Platform> Flight<'p, P> {
    /// Whether a response's operation is what was asked for. Backends answer an indirect request
    /// with either of its numbers.
    pub(super) fn is_answered_by(&self, operation: u8) -> bool {
        operation == self.number || (self.segments.is_some() && operation == BLKIF_OP_INDIRECT)
    }

    /// Whether the backend uses one of its pages at this moment.
    fn is_in_use(&self) -> bool {
        self.pages.iter().any(|(_, lent)| lent.is_in_use())
    }

    /// Takes the pages back, into the job; false if the backend keeps one.
    pub(super) fn land(self, lender: &mut Lender<'p, P>, job: Option<&mut Job<P::Page>>) -> bool {
        let mut all = true;
        let mut job = job;
        for (start, lent) in self.pages {
            match (lender.take_back(lent), &mut job) {
                (Some(page), Some(job)) => job.return_page(start, page),
                (Some(_), None) => {}
                (None, _) => all = false,
            }
        }
        if let Some(segments) = self.segments {
            lender.keep(segments);
        }
        all
    }
}

impl<'p, P: Platform> Link<'p, P> {
    pub(super) fn new(
        ring: Ring<'p, P::Page>,
        channel: Arc<P::Channel>,
        lender: Lender<'p, P>,
        handle: u16,
    ) -> Self {
        Self { ring, channel, lender, flights: Slab::new(), sequence: 0, handle }
    }

    /// Whether the backend is at work at this moment on what is on its way.
    pub(super) fn is_in_use(&self) -> bool {
        self.flights.iter().any(|flight| self.is_at_work_on(flight))
    }

    /// Whether the backend is at work on a flight: it uses a page of it. A discard has no pages; it is over
    /// when the ring is let go of, which Linux's backend does last (`xen_blkif_disconnect`).
    pub(super) fn is_at_work_on(&self, flight: &Flight<'p, P>) -> bool {
        match flight.operation {
            Operation::Discard(_) => self.ring.is_in_use(),
            _ => flight.is_in_use(),
        }
    }

    /// Puts a piece into the ring, which has room.
    ///
    /// # Errors
    ///
    /// [`NotSent`]; nothing has changed then.
    pub(super) fn send(
        &mut self,
        piece: Piece,
        job: &mut Job<P::Page>,
        properties: &Properties,
    ) -> Result<(), NotSent> {
        let operation = job.operation;
        let pages = match operation {
            Operation::Read | Operation::Write => self.lend(piece, job)?,
            Operation::Flush | Operation::Discard(_) => Vec::new(),
        };
        let segments = match self.segments_page(pages.len()) {
            Ok(segments) => segments,
            Err(error) => {
                self.unlend(pages, job);
                return Err(error.into());
            }
        };
        let order = self.sequence;
        let number = number(operation, properties.durability);
        let flight = Flight { piece, operation, number, pages, segments, order };
        let index = self.flights.insert(flight).map_err(|flight| {
            flight.land(&mut self.lender, Some(job));
            NotSent::NoMemory
        })?;
        self.sequence += 1;
        self.push(index, job.offset + piece.start, properties.durability);
        Ok(())
    }

    /// Writes the request of a flight.
    fn push(&mut self, index: usize, offset: u64, durability: Durability) {
        let Some(id) = self.flights.key(index) else { return };
        let Some(flight) = self.flights.get_mut(index) else { return };
        let (operation, handle, length) = (flight.operation, self.handle, flight.piece.length);
        // The ring has room, and an entry is as large as the largest of these.
        let _ = match (operation, &flight.segments) {
            (Operation::Flush, _) => self.ring.push(wire::flush(durability, handle, id)),
            (Operation::Discard(how), _) => self.ring.push(wire::discard(how, handle, id, offset, length)),
            (_, Some(page)) => {
                write_segments(page, flight);
                let count = flight.pages.len();
                self.ring.push(wire::indirect(operation, handle, id, offset, count, page.reference()))
            }
            (_, None) => {
                let mut request = wire::direct(operation, handle, id, offset, flight.pages.len());
                request.seg.iter_mut().zip(segments(flight)).for_each(|(to, from)| *to = from);
                self.ring.push(request)
            }
        };
    }

    /// Takes the pages of a piece out of its job, and lends them.
    fn lend(&mut self, piece: Piece, job: &mut Job<P::Page>) -> Result<Pages<'p, P>, NotSent> {
        let mut pages = Vec::new();
        let end = piece.start + piece.length;
        let starts = (piece.start..end).step_by(PAGE_SIZE);
        if pages.try_reserve_exact(starts.clone().count()).is_err() {
            return Err(NotSent::NoMemory);
        }
        for start in starts {
            let Some(mut page) = job.take_page(start) else { continue };
            let length = (end - start).min(PAGE_SIZE as u64) as usize;
            self.lender.clear(&mut page, job, length);
            match self.lender.lend(page, job.operation, length) {
                Ok(lent) => pages.push((start, lent)),
                Err((page, error)) => {
                    job.return_page(start, page);
                    self.unlend(pages, job);
                    return Err(error.into());
                }
            }
        }
        Ok(pages)
    }

    /// Takes pages back that the backend was not told of.
    fn unlend(&mut self, pages: Pages<'p, P>, job: &mut Job<P::Page>) {
        for (start, lent) in pages {
            if let Some(page) = self.lender.take_back(lent) {
                job.return_page(start, page);
            }
        }
    }

    /// A page for the segments, if they do not fit into the request.
    fn segments_page(&mut self, count: usize) -> Result<Option<Granted<'p, P::Page, ReadWrite>>, Error> {
        if count <= BLKIF_MAX_SEGMENTS_PER_REQUEST { Ok(None) } else { self.lender.shared().map(Some) }
    }

    /// The next answer, and whose it is; the flight is over.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend answers what nobody asked.
    pub(super) fn answer(&mut self) -> Result<Option<(Flight<'p, P>, i16)>, Violation> {
        let Some(response) = self.ring.pop::<blkif_response>()? else { return Ok(None) };
        match self.flights.remove_key(response.id) {
            Some(flight) if flight.is_answered_by(response.operation) => Ok(Some((flight, response.status))),
            Some(flight) => {
                // Its pages stay where they are until the connection is closed.
                let _ = self.flights.insert(flight);
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

/// The segments of a flight.
fn segments<'f, P: Platform>(flight: &'f Flight<'_, P>) -> impl Iterator<Item = blkif_request_segment> + 'f {
    let end = flight.piece.start + flight.piece.length;
    flight.pages.iter().map(move |(start, lent)| {
        wire::segment(lent.reference(), (end - start).min(PAGE_SIZE as u64) as usize)
    })
}

/// Writes the segments of a flight into a page of their own.
fn write_segments<P: Platform>(page: &Granted<'_, P::Page, ReadWrite>, flight: &Flight<'_, P>) {
    for (index, segment) in segments(flight).enumerate() {
        // There are not more than fit: properties.segments says so.
        let _ = page.write(index * size_of::<blkif_request_segment>(), &wire::bytes(segment));
    }
}
