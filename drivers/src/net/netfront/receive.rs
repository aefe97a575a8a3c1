// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiving ring of a queue.

use alloc::vec::Vec;

use xen::DomainId;
use xen::grant::{Granted, Page, ReadWrite, Reference};
use xen::ring::{Ring, Violation};
use xen_sys::io::netif::{netif_rx_request, netif_rx_response};

use super::coalescing::EventCoalescing;
use super::packet::{Assembly, Next, Packet, Part};
use crate::hal::Platform;
use crate::net::error::Error;
use crate::net::frame::MAX_FRAME;

/// The ring through which packets come in, and the pages that the backend copies them into.
///
/// The pages are granted once. Request number `n`, counted from the first one, offers page `n`
/// modulo their number; as the backend answers in order, the page of each request is free when its
/// turn comes again.
pub(super) struct Receiver<'p, P: Platform> {
    ring: Ring<'p, P::Page>,
    pages: Vec<Granted<'p, P::Page, ReadWrite>>,
    assembly: Assembly,
    /// A packet so far that will be [owned](Self::next_owned).
    frame: Vec<u8>,
    coalescing: EventCoalescing,
    /// Responses with which there is to be an event, if nobody looks before.
    awaited: u32,
}

impl<'p, P: Platform> Receiver<'p, P> {
    /// A receiver with `pages` pages, a power of two, offered to `domain`.
    ///
    /// # Errors
    ///
    /// [`Error`] if there is no memory, or no grants.
    pub(super) fn new(platform: &'p P, domain: DomainId, pages: usize) -> Result<Self, Error> {
        let page = platform.page().ok_or(Error::NoMemory)?;
        let ring = Ring::new(platform.grants(), [page].into(), domain, size_of::<netif_rx_request>())?;
        let pages = (0..pages.min(ring.capacity() as usize)).map(|_| {
            let page = platform.page().ok_or(Error::NoMemory)?;
            platform.grants().try_grant(page, domain).map_err(|refused| Error::Grant(refused.error))
        });
        let mut receiver = Self {
            ring,
            pages: pages.collect::<Result<_, _>>()?,
            assembly: Assembly::default(),
            frame: Vec::new(),
            coalescing: EventCoalescing::new(),
            awaited: 1,
        };
        receiver.offer();
        Ok(receiver)
    }

    /// What the backend is to be told of the ring.
    pub(super) fn reference(&self) -> Option<Reference> {
        self.ring.references().next()
    }

    /// Whether a packet is in the buffer in part.
    pub(super) fn is_under_way(&self) -> bool {
        self.assembly.is_under_way()
    }

    /// Whether the backend has answered as much as [`request_event`](Self::request_event) asked for an event
    /// for.
    pub(super) fn needs_poll(&mut self) -> Result<bool, Violation> {
        self.ring.is_due()
    }

    /// Offers every page that is free. The backend sees it after [`publish`](Self::publish).
    fn offer(&mut self) {
        while (self.ring.unanswered() as usize) < self.pages.len() {
            let id = self.id_at(self.ring.produced());
            let Some(page) = self.pages.get(usize::from(id)) else { return };
            let request = netif_rx_request { id, pad: 0, gref: page.reference().number() };
            // There is room, as there are no more pages than entries; a poisoned ring takes none.
            if self.ring.push(request).is_err() {
                return;
            }
        }
    }

    /// The page, and the id, of the request of a free-running index.
    fn id_at(&self, index: u32) -> u16 {
        (index & (self.pages.len() as u32 - 1)) as u16
    }

    /// Shows the backend the pages that were offered; true if it wants an event.
    pub(super) fn publish(&mut self) -> bool {
        self.ring.restock()
    }

    /// Asks for an event when there is something, or if much comes, when there is more; true if there is
    /// already.
    pub(super) fn request_event(&mut self) -> Result<bool, Violation> {
        let consumed = self.ring.consumed();
        // Free-running indices, half of their range apart at most.
        self.coalescing.end_round(consumed.wrapping_sub(self.awaited).cast_signed() >= 0);
        let after = if self.coalescing.shares() { self.pages.len() as u32 / 3 } else { 1 };
        self.awaited = consumed.wrapping_add(after);
        self.ring.request_event(after)?;
        self.ring.is_due()
    }

    /// Whether packets may be there for some time before there is an event: somebody has to
    /// [look](Self::poll_deferred).
    pub(super) fn coalesces(&self) -> bool {
        self.coalescing.shares()
    }

    /// Looks after those, [`POLL_INTERVAL`](super::coalescing::POLL_INTERVAL) after the last time: all that
    /// are there are [news](Self::needs_poll).
    pub(super) fn poll_deferred(&mut self) -> Result<(), Violation> {
        self.coalescing.poll_deferred();
        self.ring.request_event(1)?;
        Ok(())
    }

    /// Copies the next packet into `buffer`, of [`MAX_FRAME`](crate::net::frame::MAX_FRAME) bytes.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol: the ring is poisoned then.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<Option<Packet>, Error> {
        self.next_in(buffer)
    }

    /// The same into memory of the packet's own, which has fewer bytes than the packet if there is no memory
    /// for all.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next).
    pub(super) fn next_owned(&mut self) -> Result<Option<(Packet, Vec<u8>)>, Error> {
        let mut frame = core::mem::take(&mut self.frame);
        let found = self.next_in(&mut frame)?;
        if found.is_none() {
            // There may be more to come.
            self.frame = frame;
            return Ok(None);
        }
        frame.shrink_to_fit();
        Ok(found.map(|packet| (packet, frame)))
    }

    fn next_in(&mut self, sink: &mut (impl Sink + ?Sized)) -> Result<Option<Packet>, Error> {
        let found = self.assemble(sink);
        if found.is_err() {
            self.ring.poison();
        }
        found
    }

    fn assemble(&mut self, sink: &mut (impl Sink + ?Sized)) -> Result<Option<Packet>, Error> {
        loop {
            let index = self.ring.consumed();
            match self.assembly.next() {
                Next::Data => {
                    let Some(response) = self.ring.pop::<netif_rx_response>()? else { return Ok(None) };
                    let id = self.id_at(index);
                    let part = self.assembly.data(response, id)?;
                    if let (Some(part), Some(page)) = (part, self.pages.get(usize::from(id))) {
                        let is_whole = self.assembly.next() == Next::Packet;
                        sink.put(part, page, if is_whole { part.length } else { MAX_FRAME });
                    }
                }
                Next::Extra => {
                    let Some(extra) = self.ring.pop()? else { return Ok(None) };
                    self.assembly.extra(extra)?;
                }
                Next::Packet => {
                    self.offer();
                    if let Some(packet) = self.assembly.finish() {
                        self.coalescing.take(packet.length);
                        return Ok(Some(packet));
                    }
                }
            }
        }
    }
}

/// Where a packet is put together.
trait Sink {
    /// Copies a part of it out of its page. The whole packet has no more than `longest` bytes, if this is the
    /// first part.
    fn put<P: Page>(&mut self, part: Part, page: &Granted<'_, P, ReadWrite>, longest: usize);
}

impl Sink for [u8] {
    fn put<P: Page>(&mut self, part: Part, page: &Granted<'_, P, ReadWrite>, _longest: usize) {
        if let Some(place) = self.get_mut(part.position..part.position + part.length) {
            // The part lies in the page: `Assembly` says so.
            let _ = page.read(part.offset, place);
        }
    }
}

impl Sink for Vec<u8> {
    fn put<P: Page>(&mut self, part: Part, page: &Granted<'_, P, ReadWrite>, longest: usize) {
        if part.position == 0 {
            self.clear();
            // What there is no memory for is missing in the end.
            let _ = self.try_reserve_exact(longest);
        }
        let _ = page.append_to(part.offset, part.length, self);
    }
}
