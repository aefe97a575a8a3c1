// SPDX-License-Identifier: MIT OR Apache-2.0
//! A queue: a ring for each direction, and the checksums of what passes.

use alloc::vec::Vec;
use core::time::Duration;

use xen::DomainId;
use xen::grant::{PAGE_SIZE, Reference};

use super::features::BackendFeatures;
use super::packet::Packet;
use super::receive::Receiver;
use super::transmit::{BLANK, Transmitter};
use crate::hal::Platform;
use crate::net::channels::Events;
use crate::net::checksum::{Transport, verify_checksum};
use crate::net::error::Error;
use crate::net::frame::ETHERNET_HEADER;
use crate::net::gso::GsoInfo;
use crate::net::multicast::Group;
use crate::net::segment::Segment;
use crate::net::segmentation;

/// Pages for each direction; powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPages {
    /// To receive into: at least 32, as the backend needs 19 for the largest packet; at most 256.
    pub receive: usize,
    /// To transmit from; at most 256.
    pub transmit: u16,
}

/// The least that a queue gets.
const MIN: RingPages = RingPages { receive: 64, transmit: 32 };

impl RingPages {
    /// The same, or half of it and so on, so that it takes no more than half of `references`, as other
    /// devices need some, too. No less than the least, however.
    pub(super) fn within(mut self, references: u32) -> Self {
        let is_least = |pages: Self| pages.receive <= MIN.receive && pages.transmit <= MIN.transmit;
        while self.references() > references as usize / 2 && !is_least(self) {
            if usize::from(self.transmit) >= self.receive {
                self.transmit /= 2;
            } else {
                self.receive /= 2;
            }
        }
        self
    }

    /// References that they take, the two rings' own among them.
    fn references(self) -> usize {
        self.receive + usize::from(self.transmit) + 2
    }

    /// Queues for which there are enough; one at least.
    pub(super) fn max_queues(self) -> u32 {
        let queues = (self.receive / MIN.receive).min(usize::from(self.transmit / MIN.transmit));
        queues.max(1) as u32
    }

    /// What each of `count` queues gets.
    pub(super) fn share(self, count: u32) -> Self {
        let divisor = count.max(1).next_power_of_two();
        Self { receive: self.receive / divisor as usize, transmit: self.transmit / divisor as u16 }
    }
}

/// A pair of rings to a backend.
pub struct QueuePair<'p, P: Platform> {
    receiver: Receiver<'p, P>,
    transmitter: Transmitter<'p, P>,
    features: BackendFeatures,
    mtu: usize,
    narrowest: Narrowest,
    /// Of the frame that was received last.
    gso: Option<GsoInfo>,
}

/// How long the smallest MTU counts: as long again if nothing was sent within it meanwhile.
const LIFETIME: Duration = Duration::from_secs(60);

/// The smallest MTU that frames were sent within lately.
#[derive(Clone, Copy, Debug)]
struct Narrowest {
    mtu: usize,
    /// That since `since`, in nanoseconds.
    recent: usize,
    since: u64,
}

impl Narrowest {
    fn note(&mut self, mtu: usize) {
        self.mtu = self.mtu.min(mtu);
        self.recent = self.recent.min(mtu);
    }

    /// Forgets at time `now` what was long ago, on a network of `mtu`.
    fn forget(&mut self, mtu: usize, now: u64) {
        if Duration::from_nanos(now.saturating_sub(self.since)) >= LIFETIME {
            *self = Self { mtu: self.recent, recent: mtu, since: now };
        }
    }
}

impl<'p, P: Platform> QueuePair<'p, P> {
    /// Rings to `domain`, of which nobody has been told yet, to a network of `mtu`.
    ///
    /// # Errors
    ///
    /// [`Error`] if there is no memory, or no grants.
    pub fn new(
        platform: &'p P,
        domain: DomainId,
        features: BackendFeatures,
        pages: RingPages,
        mtu: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            receiver: Receiver::new(platform, domain, pages.receive)?,
            transmitter: Transmitter::new(platform, domain, pages.transmit)?,
            features,
            mtu,
            narrowest: Narrowest { mtu, recent: mtu, since: 0 },
            gso: None,
        })
    }

    /// What the backend is to be told of the rings: to transmit, to receive.
    pub fn references(&self) -> [Option<Reference>; 2] {
        [self.transmitter.reference(), self.receiver.reference()]
    }

    /// Packets that the backend failed to send, or parts of them.
    pub fn failed(&self) -> u64 {
        self.transmitter.failed()
    }

    /// Frames of TCP segments that left in the packet of another one.
    pub fn merged(&self) -> u64 {
        self.transmitter.merged()
    }

    /// Whether [`receive`](Self::receive) has put the first part of a packet into its buffer, which goes on
    /// there.
    pub(super) fn is_under_way(&self) -> bool {
        self.receiver.is_under_way()
    }

    /// Whether the backend has something for the stack: as many packets as
    /// [`request_event`](Self::request_event) asked for, or, if that `is_full`, as much room to send as
    /// [`can_send`](Self::can_send) did.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol.
    pub fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
        Ok(if is_full { self.transmitter.needs_poll()? } else { self.receiver.needs_poll()? })
    }

    /// Asks for an event when there is a packet, or if much comes in, when there are several; true if there
    /// are already.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol.
    pub fn request_event(&mut self) -> Result<bool, Error> {
        Ok(self.receiver.request_event()?)
    }

    /// Whether packets may be there for some time before there is an event: somebody has to
    /// [look](Self::poll_deferred).
    pub(super) fn coalesces(&self) -> bool {
        self.receiver.coalesces()
    }

    /// Looks after packets that may be there: all that are, are [news](Self::needs_poll). If there was no
    /// event for several since the last look, each has one of its own from now on.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol.
    pub fn poll_deferred(&mut self) -> Result<(), Error> {
        Ok(self.receiver.poll_deferred()?)
    }

    /// Puts the next packet into `buffer`, the same one each time, which has
    /// [`MAX_FRAME`](crate::net::frame::MAX_FRAME) bytes, and returns its length. One whose checksum is wrong
    /// is dropped, and its length 0.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(Packet { length, vouched, gso }) = self.receiver.next(buffer)? else { return Ok(None) };
        self.gso = gso;
        let frame = buffer.get(..length).unwrap_or_default();
        let good = vouched || verify_checksum(frame);
        Ok(Some(if good { length } else { 0 }))
    }

    /// The same into memory of the packet's own, which is empty if the packet is dropped. A packet of which
    /// a part is there is received by the same one of the two.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn receive_owned(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some((packet, frame)) = self.receiver.next_owned()? else { return Ok(None) };
        self.gso = packet.gso;
        let is_good = frame.len() == packet.length && (packet.vouched || verify_checksum(&frame));
        Ok(Some(if is_good { frame } else { Vec::new() }))
    }

    /// What there is to tell of the frame that was [received](Self::receive) last, if it is several TCP
    /// segments in one.
    pub fn gso(&self) -> Option<GsoInfo> {
        self.gso
    }

    /// Sends `frame`, in which checksums of TCP and UDP have yet to be filled in. What is too long for the
    /// network leaves in pieces; if it has options of IPv4 or extension headers of IPv6 it is lost.
    pub fn send(&mut self, frame: &mut [u8]) {
        self.send_within(frame, self.mtu);
    }

    /// The same for a path on which some network takes no more than `mtu`.
    pub fn send_within(&mut self, frame: &mut [u8], mtu: usize) {
        let mtu = mtu.min(self.mtu);
        let transport = Transport::find(frame);
        let segment = transport.and_then(|transport| Segment::find(frame, transport, mtu));
        let is_short = frame.len() <= ETHERNET_HEADER + mtu;
        if !is_short {
            // Frames that come may become as many pieces: there has to be room for those.
            self.narrowest.note(mtu);
        }
        match segment {
            Some(segment) if self.takes_gso(segment.is_ipv4()) => {
                self.transmitter.send_segment(frame, segment);
            }
            _ if is_short => self.send_alone(frame, transport),
            segment => {
                let mut is_lost = true;
                segmentation::divide(frame, segment.as_ref(), mtu, |piece| {
                    is_lost = false;
                    // A fragment is no segment, and its checksum is in the first one.
                    self.send_alone(piece, Transport::find(piece));
                });
                if is_lost {
                    self.transmitter.lose();
                }
            }
        }
    }

    /// Whether the backend takes segments that leave as one.
    fn takes_gso(&self, is_ipv4: bool) -> bool {
        let BackendFeatures { scatter_gather, gso_ipv4, gso_ipv6, .. } = self.features;
        scatter_gather && self.fills(is_ipv4) && if is_ipv4 { gso_ipv4 } else { gso_ipv6 }
    }

    /// Whether the backend fills checksums in.
    fn fills(&self, is_ipv4: bool) -> bool {
        if is_ipv4 { self.features.checksum_ipv4 } else { self.features.checksum_ipv6 }
    }

    /// Sends `frame`, in which `transport` was found, as it is.
    fn send_alone(&mut self, frame: &mut [u8], transport: Option<Transport>) {
        let flags = match transport {
            Some(transport) if self.fills(transport.is_ipv4()) => {
                transport.blank(frame);
                BLANK
            }
            Some(transport) => {
                transport.fill_checksum(frame);
                0
            }
            None => 0,
        };
        self.transmitter.send(frame, flags);
    }

    /// Asks for the packets of `group`, if the backend passes on only those of groups that it was asked for.
    pub fn join(&mut self, group: Group) {
        if self.features.multicast_control {
            self.transmitter.join(group);
        }
    }

    /// Whether a frame of `length` bytes can be sent now. If not, an event will tell.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol.
    pub fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        let pieces = segmentation::max_pieces(length, self.narrowest.mtu);
        let longest = if pieces == 1 { self.mtu } else { self.narrowest.mtu };
        let pages = length.min(ETHERNET_HEADER + longest).div_ceil(PAGE_SIZE) * pieces;
        loop {
            if self.transmitter.has_room(pages) {
                return Ok(true);
            }
            self.transmitter.reclaim()?;
            if self.transmitter.has_room(pages) {
                return Ok(true);
            }
            if !self.transmitter.request_event(pages)? {
                return Ok(false);
            }
        }
    }

    /// Whether the backend should be told again of packets to transmit, about which it has been silent
    /// for a second at time `now`, in nanoseconds. Also forgets narrow paths in time.
    pub fn needs_renotify(&mut self, now: u64) -> bool {
        self.narrowest.forget(self.mtu, now);
        self.transmitter.needs_renotify(now)
    }

    /// Shows the backend everything, and returns the events that it wants for that.
    pub fn publish(&mut self) -> Events {
        Events { transmit: self.transmitter.publish(), receive: self.receiver.publish() }
    }
}
