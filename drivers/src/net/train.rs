// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP segments of one flow that leave as one packet, for the backend, or a network card behind it, to
//! take apart again (`XEN_NETIF_EXTRA_TYPE_GSO` of `xen/include/public/io/netif.h`).
//!
//! Segments follow each other if all of their headers but the sequence number, the lengths and checksums
//! are the same, each but the last has as much payload as the first, and none but the last is to be
//! pushed to the application, or ends the stream. A frame may hold several from the start, without headers
//! between them. Here is only what the headers say: the payload lies elsewhere.

use xen_sys::io::netif::{XEN_NETIF_GSO_TYPE_TCPV4, XEN_NETIF_GSO_TYPE_TCPV6, XEN_NETIF_MAX_TX_SIZE};

use super::checksum::{self, ETHERNET_HEADER, Transport};
use super::packet::Segments;

/// The longest headers: Ethernet, IPv4 and TCP with all options that they can have.
pub(super) const LONGEST_HEADERS: usize = ETHERNET_HEADER + 60 + 60;

const ACK: u8 = 0x10;
/// Flags that only the last segment may have: it ends the stream, or is to be pushed.
const ENDS: u8 = 0x01 | 0x08;

/// A frame with a TCP segment, or several as one, that nothing but data and an acknowledgement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    transport: Transport,
    /// Headers as of all segments of a train, with zeros where they differ.
    headers: [u8; LONGEST_HEADERS],
    /// Bytes of headers.
    pub(super) start: usize,
    /// Bytes of payload, not 0.
    payload: usize,
    /// Bytes of payload in each segment, not 0; the last may have less.
    pub(super) size: usize,
    pub(super) sequence: u32,
    /// Those of [`ENDS`] that it has.
    pub(super) ends: u8,
}

impl Segment {
    /// What is in `frame`, where `transport` was found, for a network of `mtu`; `None` if that has to leave
    /// by itself.
    pub(super) fn find(frame: &[u8], transport: Transport, mtu: usize) -> Option<Self> {
        let tcp: &[u8; 20] = frame.get(transport.start()..)?.first_chunk()?;
        let [_, _, _, _, s0, s1, s2, s3, _, _, _, _, words, flags, ..] = tcp;
        let start = transport.start() + usize::from(words >> 4) * 4;
        let is_padded = transport.end() != frame.len();
        if !transport.is_tcp() || flags & !ENDS != ACK || start < transport.start() + tcp.len() || is_padded {
            return None;
        }
        let payload = frame.len().checked_sub(start).filter(|payload| *payload != 0)?;
        let size = (ETHERNET_HEADER + mtu).checked_sub(start).filter(|size| *size != 0)?.min(payload);
        let mut headers = [0; LONGEST_HEADERS];
        headers.get_mut(..start)?.copy_from_slice(frame.get(..start)?);
        let mut segment = Self {
            transport,
            headers,
            start,
            payload,
            size,
            sequence: u32::from_be_bytes([*s0, *s1, *s2, *s3]),
            ends: flags & ENDS,
        };
        segment.set_lengths(0, 0);
        segment.set_tcp(0, 0);
        Some(segment)
    }

    pub(super) fn is_ipv4(&self) -> bool {
        self.transport.is_ipv4()
    }

    /// The addresses and ports.
    fn flow(&self) -> (Option<&[u8]>, Option<&[u8]>) {
        let addresses = match self.transport.is_ipv4() {
            true => ETHERNET_HEADER + 12..ETHERNET_HEADER + 20,
            false => ETHERNET_HEADER + 8..ETHERNET_HEADER + 40,
        };
        let ports = self.transport.start()..self.transport.start() + 4;
        (self.headers.get(addresses), self.headers.get(ports))
    }

    /// Calls `put` with the headers of a frame of the same flow, of `length` bytes, whose payload begins at
    /// `sequence`, with these of [`ENDS`]; TCP's checksum is left blank.
    pub(super) fn put_headers(&self, length: usize, sequence: u32, ends: u8, put: impl FnOnce(&[u8])) {
        let mut whole = *self;
        let before = if self.is_ipv4() { ETHERNET_HEADER } else { self.transport.start() };
        let told = (length - before) as u16; // of a packet of 65535 bytes at most
        whole.set_lengths(told, 0);
        if self.is_ipv4() {
            let header = whole.headers.get(ETHERNET_HEADER..self.transport.start()).unwrap_or_default();
            let checksum = checksum::of_header(header);
            whole.set_lengths(told, checksum);
        }
        whole.set_tcp(sequence, ACK | ends);
        let transport = self.transport.ending_at(length);
        if let Some(headers) = whole.headers.get_mut(..self.start) {
            transport.blank(headers);
            put(headers);
        }
    }

    /// Sets the length that the IP header tells, and its checksum.
    fn set_lengths(&mut self, length: u16, checksum: u16) {
        if self.transport.is_ipv4() {
            self.set(ETHERNET_HEADER + 2, length.to_be_bytes());
            self.set(ETHERNET_HEADER + 10, checksum.to_be_bytes());
        } else {
            self.set(ETHERNET_HEADER + 4, length.to_be_bytes());
        }
    }

    /// Sets the sequence number and the flags, and the checksum to 0.
    fn set_tcp(&mut self, sequence: u32, flags: u8) {
        let start = self.transport.start();
        self.set(start + 4, sequence.to_be_bytes());
        self.set(start + 13, [flags]);
        self.set(start + 16, [0, 0]);
    }

    fn set<const LENGTH: usize>(&mut self, place: usize, bytes: [u8; LENGTH]) {
        if let Some(field) = self.headers.get_mut(place..place + LENGTH) {
            field.copy_from_slice(&bytes);
        }
    }
}

/// Segments that leave as one packet.
#[derive(Clone, Debug)]
pub(super) struct Train {
    first: Segment,
    /// Bytes of all headers and payload.
    length: usize,
    /// Sequence number of the next segment, unless there can be none.
    next: Option<u32>,
    /// The last one's.
    ends: u8,
}

impl Train {
    /// A train of one segment.
    pub(super) fn new(first: Segment) -> Self {
        let mut train = Self { first, length: first.start, next: None, ends: 0 };
        train.add(&first);
        train
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
    pub(super) fn segments(&self) -> Option<Segments> {
        let kind = match self.first.transport.is_ipv4() {
            true => XEN_NETIF_GSO_TYPE_TCPV4,
            false => XEN_NETIF_GSO_TYPE_TCPV6,
        };
        let size = u16::try_from(self.first.size).ok()?;
        let is_several = self.length > self.first.start + self.first.size;
        is_several.then_some(Segments { size, kind })
    }

    /// Calls `put` with the headers of the packet, TCP's checksum left blank.
    pub(super) fn put_headers(&self, put: impl FnOnce(&[u8])) {
        self.first.put_headers(self.length, self.first.sequence, self.ends, put);
    }
}
