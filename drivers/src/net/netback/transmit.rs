// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring through which the frontend transmits.

use alloc::vec::Vec;

use xen::DomainId;
use xen::grant::copy::{self, Foreign, Piece, from_grants};
use xen::ring::{BackendRing, RingPage, Violation};
use xen_sys::io::netif::*;

use super::parse::{Assembly, Next, Parsed, Reply, Work};
use super::staging::Staging;
use crate::hal::BackendPlatform;
use crate::net::bridge::{Checksum, Packet};
use crate::net::gso::GsoInfo;

/// Packets that are taken in one go, at most; others then have their turn.
const BATCH: usize = 64;

/// The ring through which the frontend transmits.
pub(super) struct Transmitter<M: RingPage> {
    ring: BackendRing<M>,
}

/// A packet that has been taken from the ring, and is yet to be copied.
struct Taken {
    replies: Vec<Reply>,
    /// `None` if it made no sense.
    copy: Option<Copy>,
}

/// Where a packet is copied to.
struct Copy {
    /// Its first byte in the staging pages.
    start: usize,
    length: usize,
    /// How many pieces copy it.
    pieces: usize,
    checksum: Checksum,
    gso: Option<GsoInfo>,
}

impl<M: RingPage> Transmitter<M> {
    pub(super) fn new(ring: BackendRing<M>) -> Self {
        Self { ring }
    }

    /// Takes packets from the ring, as many as there is room for in `staging`, copies them by one hypercall,
    /// answers them, and has those that make sense sent. Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the frontend broke the protocol: the ring is poisoned then.
    pub(super) fn take<P: BackendPlatform>(
        &mut self,
        platform: &P,
        frontend: DomainId,
        staging: &mut Staging<P::Page>,
        mut send: impl FnMut(Packet),
    ) -> Result<usize, Violation> {
        staging.clear();
        let (mut taken, mut pieces) = (Vec::new(), Vec::new());
        while taken.len() < BATCH && staging.room() >= XEN_NETIF_MAX_TX_SIZE {
            let Some(Parsed { replies, work }) = self.next()? else { break };
            let copy = work.map(|work| stage(staging, frontend, work, &mut pieces));
            taken.push(Taken { replies, copy });
        }
        let outcomes = copy_all(platform, staging, &pieces);
        let mut outcomes = outcomes.into_iter();
        let count = taken.len();
        for Taken { replies, copy } in taken {
            let packet = copy.and_then(|Copy { start, length, pieces, checksum, gso }| {
                let is_copied = outcomes.by_ref().take(pieces).fold(true, |all, one| all & one);
                let bytes = if is_copied { staging.read(start, length)? } else { return None };
                Packet::new(bytes, checksum, gso).ok()
            });
            self.answer(&replies, packet.is_some());
            packet.into_iter().for_each(&mut send);
        }
        Ok(count)
    }

    /// The next packet's entries, all of which have to be there: frontends publish packets as a whole.
    fn next(&mut self) -> Result<Option<Parsed>, Violation> {
        let mut assembly = Assembly::new();
        loop {
            match assembly.next() {
                Next::Data => match self.ring.pop::<netif_tx_request>()? {
                    Some(request) => assembly.data(request),
                    None if assembly.is_empty() => return Ok(None),
                    None => return Err(self.ring.poison()),
                },
                Next::Extra => match self.ring.pop::<netif_extra_info>()? {
                    Some(extra) => assembly.extra(extra),
                    None => return Err(self.ring.poison()),
                },
                Next::Packet => return Ok(Some(assembly.finish())),
            }
        }
    }

    fn answer(&mut self, replies: &[Reply], is_good: bool) {
        let status = if is_good { NETIF_RSP_OKAY } else { NETIF_RSP_ERROR };
        for reply in replies {
            let response = match *reply {
                Reply::Data(id) => netif_tx_response { id, status },
                Reply::Extra => netif_tx_response { id: 0, status: NETIF_RSP_NULL },
            };
            // Each entry is answered once: there is room, unless the frontend has broken the protocol.
            let _ = self.ring.push(response);
        }
    }

    /// Shows the frontend all responses; true if it wants an event for that.
    pub(super) fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// Whether there is a request.
    pub(super) fn is_ready(&mut self) -> Result<bool, Violation> {
        Ok(self.ring.ready()? != 0)
    }

    /// Asks for an event at the next request; true if there is one already.
    pub(super) fn request_event(&mut self) -> Result<bool, Violation> {
        Ok(self.ring.request_event(1)? != 0)
    }
}

/// Finds room for a packet, and adds what copies it there.
fn stage<P: xen::grant::Page>(
    staging: &mut Staging<P>,
    domain: DomainId,
    work: Work,
    pieces: &mut Vec<Piece>,
) -> Copy {
    let Work { slots, length, checksum, gso } = work;
    let (start, before) = (staging.position(), pieces.len());
    for slot in slots {
        let foreign = Foreign { domain, reference: slot.page, offset: slot.offset };
        staging.append(foreign, slot.length, pieces);
    }
    Copy { start, length, pieces: pieces.len() - before, checksum, gso }
}

/// Has Xen do all copies by one hypercall; whether each was done.
fn copy_all<P: BackendPlatform>(platform: &P, staging: &mut Staging<P::Page>, pieces: &[Piece]) -> Vec<bool> {
    if pieces.is_empty() {
        return Vec::new();
    }
    let none = || pieces.iter().map(|_| false).collect();
    let copied = from_grants(&mut staging.pages, pieces).and_then(|mut copies| {
        platform.copy(&mut copies)?;
        Ok(copies.iter().map(is_done).collect())
    });
    copied.unwrap_or_else(|_| none())
}

pub(super) fn is_done(copy: &copy::Request<'_>) -> bool {
    copy.outcome() == Some(Ok(()))
}
