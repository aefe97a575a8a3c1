// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring through which the frontend receives.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use xen::DomainId;
use xen::grant::copy::Foreign;
use xen::grant::{PAGE_SIZE, Reference};
use xen::ring::{BackendRing, RingPage, Violation};
use xen_sys::io::netif::*;

use super::keys::FrontendFeatures;
use crate::hal::BackendPlatform;
use crate::net::bridge::Packet;
use crate::net::checksum::Transport;
use crate::net::gso::GsoInfo;

/// No more packets are sent in one go when they have so many bytes, or fill so many entries of the ring.
const ENOUGH: usize = 128 << 10;
const BATCH: usize = 128;

/// The ring through which the frontend receives, and packets that wait for its pages.
pub(super) struct Receiver<M: RingPage> {
    ring: BackendRing<M>,
    features: FrontendFeatures,
    /// What was taken from the bridge: one packet, or the segments of one.
    waiting: VecDeque<Arc<Packet>>,
    /// Packets that the frontend cannot take.
    lost: u64,
}

/// A packet whose entries were taken.
struct Outgoing {
    packet: Arc<Packet>,
    /// The same with its checksum, if the frontend wants that.
    filled: Option<Vec<u8>>,
    /// Its responses among all.
    responses: Range<usize>,
}

impl Outgoing {
    fn bytes(&self) -> &[u8] {
        self.filled.as_deref().unwrap_or(self.packet.bytes())
    }
}

/// What becomes of an entry of the ring.
enum Response {
    /// Data, of so many bytes, that a copy brings to a page; `None` if that cannot be one.
    Data {
        id: u16,
        flags: u16,
        length: i16,
        page: Option<Reference>,
    },
    Extra(GsoInfo),
}

impl<M: RingPage> Receiver<M> {
    pub(super) fn new(ring: BackendRing<M>, features: FrontendFeatures) -> Self {
        Self { ring, features, waiting: VecDeque::new(), lost: 0 }
    }

    /// Sends what `next` has, as much as the frontend has pages for, by one hypercall. Returns how many
    /// packets that were.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the frontend broke the protocol: the ring is poisoned then.
    pub(super) fn send<P: BackendPlatform>(
        &mut self,
        platform: &P,
        frontend: DomainId,
        mut next: impl FnMut() -> Option<Arc<Packet>>,
    ) -> Result<usize, Violation> {
        let (mut outgoing, mut responses, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < ENOUGH
            && responses.len() < BATCH
            && let Some(packet) = self.front(&mut next)
        {
            let entries = entries(&packet);
            if self.ring.ready_for(entries)? < entries {
                break;
            }
            self.waiting.pop_front();
            bytes += packet.bytes().len();
            let first = responses.len();
            let must_fill = self.must_fill(&packet);
            self.take_entries(&packet, flags(&packet, must_fill), &mut responses)?;
            let filled = must_fill.then(|| packet.filled());
            outgoing.push(Outgoing { packet, filled, responses: first..responses.len() });
        }
        if outgoing.is_empty() {
            return Ok(0);
        }
        let mut pieces = Vec::new();
        for one in &outgoing {
            let mut chunks = one.bytes().chunks(PAGE_SIZE);
            for response in responses.get(one.responses.clone()).unwrap_or_default() {
                let Response::Data { page, .. } = response else { continue };
                let foreign = page.map(|reference| Foreign { domain: frontend, reference, offset: 0 });
                pieces.extend(chunks.next().zip(foreign));
            }
        }
        let copied = platform.spread(&pieces);
        self.answer(responses, copied);
        Ok(outgoing.len())
    }

    /// Takes the entries of the ring for a packet: `responses` are to be made to them.
    fn take_entries(
        &mut self,
        packet: &Packet,
        mut flags: u16,
        responses: &mut Vec<Response>,
    ) -> Result<(), Violation> {
        let mut extra = packet.gso();
        let mut rest = packet.bytes().len();
        while rest > 0 {
            let Some(netif_rx_request { id, gref, .. }) = self.ring.pop()? else { break };
            let length = rest.min(PAGE_SIZE);
            rest -= length;
            flags |= if rest > 0 { NETRXF_more_data } else { 0 };
            flags |= if extra.is_some() { NETRXF_extra_info } else { 0 };
            let length = length as i16; // of a page at most
            responses.push(Response::Data { id, flags, length, page: Reference::new(gref) });
            if let Some(info) = extra.take() {
                // The page of this entry stays unused.
                let _ = self.ring.pop::<netif_rx_request>()?;
                responses.push(Response::Extra(info));
            }
            flags = 0;
        }
        Ok(())
    }

    /// The next packet, as the frontend takes it.
    fn front(&mut self, next: &mut impl FnMut() -> Option<Arc<Packet>>) -> Option<Arc<Packet>> {
        while self.waiting.is_empty() {
            let packet = next()?;
            match packet.gso() {
                Some(info) if !self.features.takes(info) => {
                    self.waiting.extend(packet.divide().into_iter().map(Arc::new));
                }
                _ if entries(&packet) > 1 && !self.features.scatter_gather => self.lost += 1,
                _ => self.waiting.push_back(packet),
            }
        }
        self.waiting.front().map(Arc::clone)
    }

    /// Whether the checksum is blank, and the frontend takes no such packets of this kind.
    fn must_fill(&self, packet: &Packet) -> bool {
        if !packet.is_blank() {
            return false;
        }
        let takes_blank = match Transport::find(packet.bytes()) {
            Some(transport) if transport.is_ipv4() => self.features.checksum_ipv4,
            _ => self.features.checksum_ipv6,
        };
        !takes_blank
    }

    fn answer(&mut self, responses: Vec<Response>, copied: Vec<bool>) {
        let mut copied = copied.into_iter();
        for response in responses {
            // Each entry is answered once: there is room, unless the frontend has broken the protocol.
            let _ = match response {
                Response::Data { id, flags, length, page } => {
                    let is_copied = page.is_some() && copied.next() == Some(true);
                    let status = if is_copied { length } else { NETIF_RSP_ERROR };
                    self.ring.push(netif_rx_response { id, offset: 0, flags, status })
                }
                Response::Extra(info) => self.ring.push(info.extra()),
            };
        }
    }

    /// Packets that the frontend could not take.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Shows the frontend all responses; true if it wants an event for that.
    pub(super) fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// Whether a packet waits for pages of the frontend's.
    pub(super) fn is_starved(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether there are enough pages for the packet that waits.
    pub(super) fn is_ready(&mut self) -> Result<bool, Violation> {
        let Some(entries) = self.waiting.front().map(|packet| entries(packet)) else { return Ok(false) };
        Ok(self.ring.ready_for(entries)? >= entries)
    }

    /// Asks for an event when there are enough pages for the packet that waits; true if there are already.
    pub(super) fn request_event(&mut self) -> Result<bool, Violation> {
        let Some(entries) = self.waiting.front().map(|packet| entries(packet)) else { return Ok(false) };
        Ok(self.ring.request_event(entries)? >= entries)
    }
}

/// What the frontend is told of the checksum: that it is right, once it is filled in, or as it never was on a
/// wire.
fn flags(packet: &Packet, must_fill: bool) -> u16 {
    match packet.is_blank() && !must_fill {
        true => NETRXF_csum_blank | NETRXF_data_validated,
        false => NETRXF_data_validated,
    }
}

/// Entries of the ring that a packet takes.
fn entries(packet: &Packet) -> u32 {
    let data = packet.bytes().len().div_ceil(PAGE_SIZE) as u32; // of 64 KiB at most
    data + u32::from(packet.gso().is_some())
}
