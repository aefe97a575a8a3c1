// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring through which packets go out.

use alloc::vec;
use alloc::vec::Vec;

use xen::grant::{DomainId, Granted, PAGE_SIZE, ReadOnly, Reference};
use xen::ring::{Ring, Violation};
use xen_sys::io::netif::*;

use super::error::Error;
use crate::platform::Platform;

/// The ring through which packets go out, and the pages that they lie in meanwhile. The pages are
/// granted once, for reading; a page's number is the id of its request.
pub(super) struct Transmitter<'k, K: Platform> {
    ring: Ring<'k, K::Page>,
    pages: Vec<Granted<'k, K::Page, ReadOnly>>,
    free: Vec<u16>,
    /// By number, whether the backend has the page.
    in_flight: Vec<bool>,
    failed: u64,
    /// Since when nothing is heard of what is on its way, in nanoseconds.
    silent_since: Option<u64>,
}

/// Nanoseconds after which a backend that is silent is told again.
const PATIENCE: u64 = 1_000_000_000;

impl<'k, K: Platform> Transmitter<'k, K> {
    /// A transmitter to `domain` with `pages` pages.
    ///
    /// # Errors
    ///
    /// [`Error`] if there is no memory, or no grants.
    pub(super) fn new(kernel: &'k K, domain: DomainId, pages: u16) -> Result<Self, Error> {
        let page = kernel.page().ok_or(Error::NoMemory)?;
        let ring = Ring::new(kernel.grants(), [page].into(), domain, size_of::<netif_tx_request>())?;
        let granted = (0..pages).map(|_| {
            let page = kernel.page().ok_or(Error::NoMemory)?;
            kernel.grants().try_grant(page, domain).map_err(|refused| Error::Grant(refused.error))
        });
        Ok(Self {
            ring,
            pages: granted.collect::<Result<_, _>>()?,
            free: (0..pages).rev().collect(),
            in_flight: vec![false; pages.into()],
            failed: 0,
            silent_since: None,
        })
    }

    /// What the backend is to be told of the ring.
    pub(super) fn reference(&self) -> Option<Reference> {
        self.ring.references().next()
    }

    /// Whether the backend has answered.
    pub(super) fn has_news(&mut self) -> Result<bool, Violation> {
        Ok(self.ring.ready()? != 0)
    }

    /// Packets that the backend failed to send, or parts of them.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// Whether there is room for a frame of `length` bytes.
    pub(super) fn has_room(&self, length: usize) -> bool {
        let parts = length.div_ceil(PAGE_SIZE);
        parts <= self.free.len() && parts <= self.ring.room() as usize
    }

    /// Puts a frame of at most 65535 bytes into the ring, if there is [room](Self::has_room). The
    /// backend sees it after [`publish`](Self::publish). `flags` are those of the first request.
    pub(super) fn send(&mut self, frame: &[u8], flags: u16) {
        let Ok(total) = u16::try_from(frame.len()) else { return };
        if !self.has_room(frame.len()) {
            return;
        }
        let mut parts = frame.chunks(PAGE_SIZE).peekable();
        let (mut size, mut flags) = (total, flags);
        while let Some(part) = parts.next() {
            if parts.peek().is_some() {
                flags |= NETTXF_more_data;
            }
            self.send_part(part, size, flags);
            size = parts.peek().map_or(0, |part| part.len() as u16); // at most a page
            flags = 0;
        }
    }

    fn send_part(&mut self, part: &[u8], size: u16, flags: u16) {
        let Some(id) = self.free.pop() else { return };
        let number = usize::from(id);
        let (Some(page), Some(in_flight)) = (self.pages.get(number), self.in_flight.get_mut(number)) else {
            return;
        };
        // The part is no larger than the page.
        let _ = page.write(0, part);
        let request = netif_tx_request { gref: page.reference().number(), offset: 0, flags, id, size };
        match self.ring.push(request) {
            Ok(()) => *in_flight = true,
            Err(_) => self.free.push(id), // poisoned
        }
    }

    /// Shows the backend what was put into the ring; true if it wants an event.
    pub(super) fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// Asks for an event when half of what is on its way has been sent; true if something has been
    /// already.
    pub(super) fn listen(&mut self) -> Result<bool, Violation> {
        let half = self.ring.unanswered() / 2;
        Ok(self.ring.listen(half)? != 0)
    }

    /// Whether the backend should be told again: nothing has been heard for a second of packets that
    /// are on their way at time `now`, in nanoseconds. So an event that got lost on the other side
    /// costs time, and not the connection.
    pub(super) fn is_ignored(&mut self, now: u64) -> bool {
        if self.ring.unanswered() == 0 || self.ring.ready() != Ok(0) {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert(now);
        let ignored = now.saturating_sub(since) >= PATIENCE;
        if ignored {
            self.silent_since = Some(now);
        }
        ignored
    }

    /// Takes back the pages of what has been sent.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend broke the protocol: the ring is poisoned then.
    pub(super) fn take_back(&mut self) -> Result<(), Violation> {
        while let Some(netif_tx_response { id, status }) = self.ring.pop()? {
            let known = matches!(status, NETIF_RSP_OKAY | NETIF_RSP_ERROR | NETIF_RSP_DROPPED);
            match self.in_flight.get_mut(usize::from(id)) {
                Some(in_flight) if *in_flight && known => *in_flight = false,
                _ => return Err(self.ring.poison()),
            }
            self.free.push(id);
            self.silent_since = None;
            self.failed += u64::from(status != NETIF_RSP_OKAY);
        }
        Ok(())
    }
}
