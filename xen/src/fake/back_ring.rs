// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's end of a ring, which does what it is told, lies included.

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};

use xen_sys::io::ring::sring;

use super::{Peer, PeerMapping};
use crate::grant::{Page, Reference};
use crate::ring::{Entry, Ring, Slots};

/// A ring as a backend has it mapped. Dropping it unmaps the pages.
pub struct BackRing {
    slots: Slots<PeerMapping>,
}

impl BackRing {
    /// Maps the pages of a frontend's ring.
    pub fn map<P: Page>(peer: &Peer, ring: &Ring<'_, P>) -> Self {
        Self::map_references(peer, ring.references(), ring.entry_size())
    }

    /// Maps a ring by what a frontend told of it.
    pub fn map_references(peer: &Peer, references: impl Iterator<Item = Reference>, entry: usize) -> Self {
        let pages: Vec<_> = references.map(|page| peer.map_to_write(page).expect("granted")).collect();
        Self { slots: Slots::new(pages, entry).expect("pages of a ring") }
    }

    /// Number of entries.
    pub fn capacity(&self) -> u32 {
        self.slots.count()
    }

    /// How many requests the frontend has made.
    pub fn requests(&self) -> u32 {
        self.load(offset_of!(sring, req_prod))
    }

    /// How many responses the frontend has been shown.
    pub fn responses(&self) -> u32 {
        self.load(offset_of!(sring, rsp_prod))
    }

    /// The request of this index.
    pub fn request<E: Entry>(&self, index: u32) -> E {
        self.slots.read(index)
    }

    /// Writes the response of this index; the frontend sees it after [`publish`](Self::publish).
    pub fn respond<E: Entry>(&self, index: u32, response: E) {
        self.slots.write(index, &response);
    }

    /// Shows the frontend all responses up to index `produced`, which may be a lie; true if it
    /// wants an event for that.
    pub fn publish(&self, produced: u32) -> bool {
        let before = self.responses();
        self.store(offset_of!(sring, rsp_prod), produced);
        fence(Ordering::SeqCst);
        let event = self.load(offset_of!(sring, rsp_event));
        produced.wrapping_sub(event) < produced.wrapping_sub(before)
    }

    /// Wants an event when the request of index `at` is made, as `req_event` is defined: when
    /// `req_prod` reaches `at`.
    pub fn listen(&self, at: u32) {
        self.store(offset_of!(sring, req_event), at);
        fence(Ordering::SeqCst);
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
