// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring through which the frontend receives.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use xen::DomainId;
use xen::grant::copy::{Foreign, to_grants};
use xen::grant::{PAGE_SIZE, Reference};
use xen::ring::{BackendRing, RingPage, Violation};
use xen_sys::io::netif::*;

use super::keys::FrontendFeatures;
use super::staging::Staging;
use super::transmit::is_done;
use crate::hal::BackendPlatform;
use crate::net::bridge::{Packet, Port};
use crate::net::checksum::Transport;
use crate::net::gso::GsoInfo;

/// The ring through which the frontend receives, and packets that wait for its pages.
pub(super) struct Receiver<M: RingPage> {
    ring: BackendRing<M>,
    features: FrontendFeatures,
    /// What was taken from the bridge: one packet, or the segments of one.
    waiting: VecDeque<Arc<Packet>>,
    /// Packets that the frontend cannot take.
    lost: u64,
}

/// What becomes of an entry of the ring.
enum Response {
    /// Data, of so many bytes, that a copy brings.
    Data {
        id: u16,
        flags: u16,
        length: i16,
    },
    /// A page that cannot be one.
    Failed {
        id: u16,
        flags: u16,
    },
    Extra(GsoInfo),
}

impl<M: RingPage> Receiver<M> {
    pub(super) fn new(ring: BackendRing<M>, features: FrontendFeatures) -> Self {
        Self { ring, features, waiting: VecDeque::new(), lost: 0 }
    }

    /// Sends what waits at `port`, as much as the frontend has pages for, and `staging` room, by one
    /// hypercall. Returns how many packets that were.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the frontend broke the protocol: the ring is poisoned then.
    pub(super) fn send<P: BackendPlatform>(
        &mut self,
        platform: &P,
        frontend: DomainId,
        staging: &mut Staging<P::Page>,
        port: &Port<'_>,
    ) -> Result<usize, Violation> {
        staging.clear();
        let (mut responses, mut pieces, mut sent) = (Vec::new(), Vec::new(), 0);
        while let Some(packet) = self.front(port) {
            let entries = entries(&packet);
            // The rest of the page that is in use may be too little.
            let room = packet.bytes().len().next_multiple_of(PAGE_SIZE) + PAGE_SIZE;
            if staging.room() < room || self.ring.ready_for(entries)? < entries {
                break;
            }
            self.waiting.pop_front();
            sent += 1;
            let filled = self.must_fill(&packet).then(|| packet.filled());
            let bytes = filled.as_deref().unwrap_or(packet.bytes());
            let mut flags = self.flags(&packet);
            let mut extra = packet.gso();
            let mut chunks = bytes.chunks(PAGE_SIZE).peekable();
            while let Some(chunk) = chunks.next() {
                let Some(netif_rx_request { id, gref, .. }) = self.ring.pop()? else { break };
                flags |= if chunks.peek().is_some() { NETRXF_more_data } else { 0 };
                flags |= if extra.is_some() { NETRXF_extra_info } else { 0 };
                let piece = Reference::new(gref).and_then(|reference| {
                    staging.put(chunk, Foreign { domain: frontend, reference, offset: 0 })
                });
                let length = chunk.len() as i16; // of a page at most
                responses.push(match piece {
                    Some(_) => Response::Data { id, flags, length },
                    None => Response::Failed { id, flags },
                });
                pieces.extend(piece);
                if let Some(info) = extra.take() {
                    // The page of this entry stays unused.
                    let _ = self.ring.pop::<netif_rx_request>()?;
                    responses.push(Response::Extra(info));
                }
                flags = 0;
            }
        }
        let copied = match pieces.is_empty() {
            true => Vec::new(),
            false => to_grants(&staging.pages, &pieces)
                .and_then(|mut copies| {
                    platform.copy(&mut copies)?;
                    Ok(copies.iter().map(is_done).collect())
                })
                .unwrap_or_default(),
        };
        self.answer(responses, copied);
        Ok(sent)
    }

    /// The next packet, as the frontend takes it.
    fn front(&mut self, port: &Port<'_>) -> Option<Arc<Packet>> {
        while self.waiting.is_empty() {
            let packet = port.take()?;
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

    /// Whether the frontend takes no packets of this kind whose checksum is blank.
    fn must_fill(&self, packet: &Packet) -> bool {
        let takes_blank = match Transport::find(packet.bytes()) {
            Some(transport) if transport.is_ipv4() => self.features.checksum_ipv4,
            _ => self.features.checksum_ipv6,
        };
        packet.is_blank() && !takes_blank
    }

    /// What the frontend is told of the checksum: that it is right, as it is, or as it never was on a wire.
    fn flags(&self, packet: &Packet) -> u16 {
        match packet.is_blank() && !self.must_fill(packet) {
            true => NETRXF_csum_blank | NETRXF_data_validated,
            false => NETRXF_data_validated,
        }
    }

    fn answer(&mut self, responses: Vec<Response>, copied: Vec<bool>) {
        let mut copied = copied.into_iter();
        for response in responses {
            // Each entry is answered once: there is room, unless the frontend has broken the protocol.
            let _ = match response {
                Response::Data { id, flags, length } => {
                    let status = if copied.next() == Some(true) { length } else { NETIF_RSP_ERROR };
                    self.ring.push(netif_rx_response { id, offset: 0, flags, status })
                }
                Response::Failed { id, flags } => {
                    self.ring.push(netif_rx_response { id, offset: 0, flags, status: NETIF_RSP_ERROR })
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

/// Entries of the ring that a packet takes.
fn entries(packet: &Packet) -> u32 {
    let data = packet.bytes().len().div_ceil(PAGE_SIZE) as u32; // of 64 KiB at most
    data + u32::from(packet.gso().is_some())
}
