// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frontend's end of a ring, which does what it is told, lies included.

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};

use xen_sys::io::ring::sring;

use super::{Peer, PeerPage};
use crate::grant::Reference;
use crate::ring::{Entry, Slots};

/// A ring as a frontend has it, in pages that it granted.
pub struct FrontRing {
    slots: Slots<PeerPage>,
}

impl FrontRing {
    /// Has a peer make a ring of as many pages, each entry of `entry` bytes, and grant them.
    pub fn make(peer: &Peer, pages: usize, entry: usize) -> Self {
        let pages = (0..pages).map(|_| peer.page(peer.offer_to_write(&[]))).collect();
        let ring = Self { slots: Slots::new(pages, entry).expect("pages of a ring") };
        ring.start_at(0);
        ring
    }

    /// Has the indices begin at `index`, as if there had been so many requests and responses.
    pub fn start_at(&self, index: u32) {
        self.store(offset_of!(sring, req_prod), index);
        self.store(offset_of!(sring, rsp_prod), index);
        self.store(offset_of!(sring, req_event), index.wrapping_add(1));
        self.store(offset_of!(sring, rsp_event), index.wrapping_add(1));
    }

    /// References of the pages, in order.
    pub fn references(&self) -> Vec<Reference> {
        self.slots.pages().iter().map(PeerPage::reference).collect()
    }

    /// Number of entries.
    pub fn capacity(&self) -> u32 {
        self.slots.count()
    }

    /// How many requests the backend has been shown.
    pub fn requests(&self) -> u32 {
        self.load(offset_of!(sring, req_prod))
    }

    /// How many responses the backend has made.
    pub fn responses(&self) -> u32 {
        self.load(offset_of!(sring, rsp_prod))
    }

    /// Writes the request of this index; the backend sees it after [`publish`](Self::publish).
    pub fn request<E: Entry>(&self, index: u32, request: E) {
        self.slots.write(index, &request);
    }

    /// The response of this index.
    pub fn response<E: Entry>(&self, index: u32) -> E {
        self.slots.read(index)
    }

    /// Shows the backend all requests up to index `produced`, which may be a lie; true if it wants an event
    /// for that.
    pub fn publish(&self, produced: u32) -> bool {
        let before = self.requests();
        self.store(offset_of!(sring, req_prod), produced);
        fence(Ordering::SeqCst);
        let event = self.load(offset_of!(sring, req_event));
        produced.wrapping_sub(event) < produced.wrapping_sub(before)
    }

    /// Writes the next request, and shows it to the backend; true if it wants an event for that.
    pub fn push<E: Entry>(&self, request: E) -> bool {
        let index = self.requests();
        self.request(index, request);
        self.publish(index.wrapping_add(1))
    }

    /// Wants an event when the response of index `at` is made, as `rsp_event` is defined: when `rsp_prod`
    /// reaches `at`.
    pub fn listen(&self, at: u32) {
        self.store(offset_of!(sring, rsp_event), at);
        fence(Ordering::SeqCst);
    }

    /// Claims that so many responses were made: a word that is the backend's to write.
    pub fn forge_responses(&self, produced: u32) {
        self.store(offset_of!(sring, rsp_prod), produced);
    }

    fn load(&self, offset: usize) -> u32 {
        fence(Ordering::SeqCst);
        self.slots.load(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        fence(Ordering::SeqCst);
        self.slots.store(offset, value);
    }
}
