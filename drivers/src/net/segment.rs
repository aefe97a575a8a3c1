// SPDX-License-Identifier: MIT OR Apache-2.0
//! TCP segments in frames: what their headers say. The payload is elsewhere.

use super::checksum::{self, Transport};
use super::frame::ETHERNET_HEADER;

/// The longest headers: Ethernet, IPv4 and TCP with all options that they can have.
pub(super) const MAX_HEADERS: usize = ETHERNET_HEADER + 60 + 60;

const ACK: u8 = 0x10;
/// Flags that only the last segment may have: it ends the stream, or is to be pushed.
pub(super) const ENDS: u8 = 0x01 | 0x08;

/// A frame with a TCP segment, or several as one, that nothing but data and an acknowledgement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) transport: Transport,
    /// Headers, with zeros where those of the segments of one GSO packet differ.
    pub(super) headers: [u8; MAX_HEADERS],
    /// Bytes of headers.
    pub(super) start: usize,
    /// Bytes of payload, not 0.
    pub(super) payload: usize,
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
        let mut headers = [0; MAX_HEADERS];
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
    pub(super) fn flow(&self) -> (Option<&[u8]>, Option<&[u8]>) {
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
