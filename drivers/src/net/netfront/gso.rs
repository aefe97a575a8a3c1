// SPDX-License-Identifier: MIT OR Apache-2.0
//! GSO packets: TCP segments of one flow that leave as one packet, which the backend or a NIC behind it
//! divides again (`XEN_NETIF_EXTRA_TYPE_GSO` of `xen/include/public/io/netif.h`).
//!
//! A segment continues a packet if its headers are the same but for the sequence number, the lengths and the
//! checksums; each segment but the last has as much payload as the first; and only the last may be pushed to
//! the application, or end the stream. A frame of the stack may hold several segments from the start, without
//! headers between them.

use xen_sys::io::netif::{XEN_NETIF_GSO_TYPE_TCPV4, XEN_NETIF_GSO_TYPE_TCPV6, XEN_NETIF_MAX_TX_SIZE};

use crate::net::gso::GsoInfo;
use crate::net::segment::Segment;

/// TCP segments that leave as one packet.
#[derive(Clone, Debug)]
pub(super) struct GsoPacket {
    first: Segment,
    /// Bytes of all headers and payload.
    length: usize,
    /// Sequence number of the next segment, unless there can be none.
    next: Option<u32>,
    /// The last one's.
    ends: u8,
}

impl GsoPacket {
    /// A GSO packet of one segment.
    pub(super) fn new(first: Segment) -> Self {
        let mut packet = Self { first, length: first.start, next: None, ends: 0 };
        packet.add(&first);
        packet
    }

    /// Whether `segment` follows.
    pub(super) fn takes(&self, segment: &Segment) -> bool {
        let same = self.next == Some(segment.sequence)
            && segment.size <= self.first.size
            && segment.transport.start() == self.first.transport.start()
            && segment.headers == self.first.headers;
        same && self.length + segment.payload <= XEN_NETIF_MAX_TX_SIZE
    }

    /// Whether `segment` is of the same flow: it must not leave first.
    pub(super) fn is_before(&self, segment: &Segment) -> bool {
        self.first.flow() == segment.flow()
    }

    /// Adds a segment that it [takes](Self::takes).
    pub(super) fn add(&mut self, segment: &Segment) {
        self.length += segment.payload;
        self.ends = segment.ends;
        let full = segment.payload.is_multiple_of(self.first.size) && segment.ends == 0;
        // Sequence numbers wrap.
        self.next = full.then(|| segment.sequence.wrapping_add(segment.payload as u32));
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// What the backend is to be told of the segments, if there are several.
    pub(super) fn segments(&self) -> Option<GsoInfo> {
        let kind = match self.first.transport.is_ipv4() {
            true => XEN_NETIF_GSO_TYPE_TCPV4,
            false => XEN_NETIF_GSO_TYPE_TCPV6,
        };
        let size = u16::try_from(self.first.size).ok()?;
        let is_several = self.length > self.first.start + self.first.size;
        is_several.then_some(GsoInfo { size, kind })
    }

    /// Calls `put` with the headers of the packet, TCP's checksum left blank.
    pub(super) fn put_headers(&self, put: impl FnOnce(&[u8])) {
        self.first.put_headers(self.length, self.first.sequence, self.ends, put);
    }
}
