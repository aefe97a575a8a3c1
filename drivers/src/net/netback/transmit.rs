// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring through which the frontend transmits.

use alloc::vec::Vec;
use core::ops::Range;

use xen::DomainId;
use xen::grant::copy::Foreign;
use xen::grant::copy::bytes::Span;
use xen::ring::{BackendRing, RingPage, Violation};
use xen_sys::io::netif::*;

use super::parse::{Assembly, Membership, Next, Parsed, Reply, Work};
use crate::hal::BackendPlatform;
use crate::net::bridge::{Checksum, Packet};
use crate::net::gso::GsoInfo;

/// Packets that are taken in one go, at most; others then have their turn.
const BATCH: usize = 64;

/// No more packets are taken in one go when they have so many bytes.
const ENOUGH: usize = 128 << 10;

/// The ring through which the frontend transmits.
pub(super) struct Transmitter<M: RingPage> {
    ring: BackendRing<M>,
}

/// A packet that has been taken from the ring, and is yet to be copied.
struct Taken {
    replies: Vec<Reply>,
    /// `None` if it made no sense, or is about a group.
    copy: Option<Copy>,
    membership: Option<Membership>,
}

/// What a packet is made of.
struct Copy {
    /// Where its spans are among all.
    spans: Range<usize>,
    checksum: Checksum,
    gso: Option<GsoInfo>,
}

impl<M: RingPage> Transmitter<M> {
    pub(super) fn new(ring: BackendRing<M>) -> Self {
        Self { ring }
    }

    /// Takes packets from the ring, copies them by one hypercall, answers them, and has those that make sense
    /// sent. What is said of groups is done by `change`, which tells whether it could be. Returns how many
    /// packets there were.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the frontend broke the protocol: the ring is poisoned then.
    pub(super) fn take<P: BackendPlatform>(
        &mut self,
        platform: &P,
        frontend: DomainId,
        mut send: impl FnMut(Packet),
        mut change: impl FnMut(Membership) -> bool,
    ) -> Result<usize, Violation> {
        let (mut taken, mut spans, mut bytes) = (Vec::new(), Vec::new(), 0);
        while taken.len() < BATCH && bytes < ENOUGH {
            let Some(Parsed { replies, work, membership }) = self.next()? else { break };
            let copy = work.map(|Work { slots, length, checksum, gso }| {
                bytes += length;
                let first = spans.len();
                spans.extend(slots.iter().map(|slot| Span {
                    foreign: Foreign { domain: frontend, reference: slot.page, offset: slot.offset },
                    length: slot.length,
                }));
                Copy { spans: first..spans.len(), checksum, gso }
            });
            taken.push(Taken { replies, copy, membership });
        }
        if taken.is_empty() {
            return Ok(0);
        }
        let copies = taken.iter().filter_map(|one| one.copy.as_ref());
        let lists: Vec<&[Span]> =
            copies.map(|copy| spans.get(copy.spans.clone()).unwrap_or_default()).collect();
        let mut copied = platform.gather(&lists).into_iter();
        let count = taken.len();
        for Taken { replies, copy, membership } in taken {
            let packet = copy.and_then(|Copy { checksum, gso, .. }| {
                Packet::new(copied.next().flatten()?, checksum, gso).ok()
            });
            self.answer(&replies, packet.is_some() || membership.is_some_and(&mut change));
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
