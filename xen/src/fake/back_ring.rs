// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's end of a ring, which does what it is told, lies included.

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};

use xen_sys::io::ring::sring;

use super::{Peer, PeerMapping};
use crate::grant::{PAGE_SIZE, Page, Reference};
use crate::ring::{Entry, Ring};

/// A ring as a backend has it mapped. Dropping it unmaps the pages.
#[derive(Debug)]
pub struct BackRing {
    pages: Vec<PeerMapping>,
    entry: usize,
    capacity: u32,
}

impl BackRing {
    /// Maps the pages of a frontend's ring.
    pub fn map<P: Page>(peer: &Peer, ring: &Ring<'_, P>) -> Self {
        Self::map_references(peer, ring.references(), ring.entry_size())
    }

    /// Maps a ring by what a frontend told of it.
    pub fn map_references(peer: &Peer, references: impl Iterator<Item = Reference>, entry: usize) -> Self {
        let pages: Vec<_> = references.map(|page| peer.map_to_write(page).expect("granted")).collect();
        let bytes = pages.len() * PAGE_SIZE;
        let capacity = xen_sys::io::ring::__CONST_RING_SIZE(entry as u32, bytes as u32);
        Self { pages, entry, capacity }
    }

    /// Number of entries.
    pub fn capacity(&self) -> u32 {
        self.capacity
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
        let mut at = self.place(index);
        crate::ring::entry_from(|bytes| {
            for byte in bytes {
                *byte = self.page(at).read::<1>(at % PAGE_SIZE)[0];
                at += 1;
            }
        })
    }

    /// Writes the response of this index; the frontend sees it after [`publish`](Self::publish).
    pub fn respond<E: Entry>(&self, index: u32, response: E) {
        let at = self.place(index);
        for (offset, byte) in crate::ring::entry_bytes(&response).iter().enumerate() {
            self.page(at + offset).write((at + offset) % PAGE_SIZE, &[*byte]);
        }
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

    fn place(&self, index: u32) -> usize {
        size_of::<sring>() + (index % self.capacity) as usize * self.entry
    }

    fn page(&self, at: usize) -> &PeerMapping {
        &self.pages[at / PAGE_SIZE]
    }

    fn load(&self, offset: usize) -> u32 {
        fence(Ordering::SeqCst);
        u32::from_ne_bytes(self.pages[0].read(offset))
    }

    fn store(&self, offset: usize, value: u32) {
        fence(Ordering::SeqCst);
        self.pages[0].write(offset, &value.to_ne_bytes());
    }
}
