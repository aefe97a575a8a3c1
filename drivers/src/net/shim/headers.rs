// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between whom a packet goes.

use super::super::frame::ETHERNET_HEADER;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Flags of TCP segments.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// An IP address; one of IPv4 is mapped into IPv6 (RFC 4291, section 2.5.5.2).
pub(super) type Address = [u8; 16];

/// One end of a connection, with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) port: u16,
}

/// The two ends of a connection, and the protocol between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tuple {
    pub(super) remote: Endpoint,
    pub(super) local: Endpoint,
    pub(super) protocol: u8,
}

impl Tuple {
    /// The same as words, for a hash.
    pub(super) fn words(&self) -> [u64; 5] {
        let [a, b] = halves(self.remote.address);
        let [c, d] = halves(self.local.address);
        let ports = u64::from(self.remote.port) << 16 | u64::from(self.local.port);
        [a, b, c, d, ports << 8 | u64::from(self.protocol)]
    }
}

fn halves(address: Address) -> [u64; 2] {
    let number = u128::from_be_bytes(address);
    [(number >> 64) as u64, number as u64]
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Out,
    In,
}

/// Where the headers of a TCP segment or UDP datagram are in a frame, or those of its first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) is_ipv4: bool,
    pub(super) protocol: u8,
    source: Endpoint,
    destination: Endpoint,
    /// The first byte of TCP or UDP.
    pub(super) start: usize,
    /// The byte behind the packet's last.
    pub(super) end: usize,
}

impl Headers {
    /// The headers of what is in `frame`; `None` if that is something else, or a later fragment.
    pub(super) fn find(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET_HEADER..)?;
        match frame.get(12..ETHERNET_HEADER)? {
            [0x08, 0x00] => Self::of_ipv4(packet, frame.len()),
            [0x86, 0xdd] => Self::of_ipv6(packet, frame.len()),
            _ => None,
        }
        .map(|headers| Self {
            start: headers.start + ETHERNET_HEADER,
            end: headers.end + ETHERNET_HEADER,
            ..headers
        })
    }

    /// The headers of the packet that an error message quotes in part; its length is what it says.
    pub(super) fn of_quoted(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::of_ipv4(packet, usize::MAX),
            6 => Self::of_ipv6(packet, usize::MAX),
            _ => None,
        }
    }

    /// Those in an IPv4 packet, whose frame has `length` bytes.
    fn of_ipv4(packet: &[u8], length: usize) -> Option<Self> {
        let header: &[u8; 20] = packet.first_chunk()?;
        let [first, _, l0, l1, _, _, f0, f1, _, protocol, _, _, addresses @ ..] = header;
        let start = usize::from(first & 0xf) * 4;
        let is_later = (f0 & 0x1f, *f1) != (0, 0);
        let end = usize::from(u16::from_be_bytes([*l0, *l1]));
        if first >> 4 != 4 || start < header.len() || is_later || length < ETHERNET_HEADER + end {
            return None;
        }
        let [source, destination] = mapped(*addresses);
        Self::new(packet, (start, end), *protocol, (source, destination), true)
    }

    /// Those in an IPv6 packet, whose frame has `length` bytes.
    fn of_ipv6(packet: &[u8], length: usize) -> Option<Self> {
        let header: &[u8; 40] = packet.first_chunk()?;
        let [first, _, _, _, l0, l1, protocol, _, addresses @ ..] = header;
        let end = header.len() + usize::from(u16::from_be_bytes([*l0, *l1]));
        if first >> 4 != 6 || length < ETHERNET_HEADER + end {
            return None;
        }
        let (source, destination) = (*addresses.first_chunk()?, *addresses.last_chunk()?);
        Self::new(packet, (header.len(), end), *protocol, (source, destination), false)
    }

    fn new(
        packet: &[u8],
        (start, end): (usize, usize),
        protocol: u8,
        (source, destination): (Address, Address),
        is_ipv4: bool,
    ) -> Option<Self> {
        if !matches!(protocol, TCP | UDP) || end < start + 8 {
            return None;
        }
        let [s0, s1, d0, d1] = *packet.get(start..)?.first_chunk()?;
        Some(Self {
            is_ipv4,
            protocol,
            source: Endpoint { address: source, port: u16::from_be_bytes([s0, s1]) },
            destination: Endpoint { address: destination, port: u16::from_be_bytes([d0, d1]) },
            start,
            end,
        })
    }

    /// The two ends of what goes in `direction`.
    pub(super) fn tuple(&self, direction: Direction) -> Tuple {
        let (remote, local) = match direction {
            Direction::Out => (self.destination, self.source),
            Direction::In => (self.source, self.destination),
        };
        Tuple { remote, local, protocol: self.protocol }
    }

    /// The flags of a TCP segment.
    pub(super) fn flags(&self, frame: &[u8]) -> u8 {
        get(frame, self.start + 13).map_or(0, |[flags]| flags)
    }

    /// The sequence number of a TCP segment.
    pub(super) fn sequence(&self, frame: &[u8]) -> u32 {
        get(frame, self.start + 4).map_or(0, u32::from_be_bytes)
    }

    /// The number that a TCP segment acknowledges.
    pub(super) fn acknowledgement(&self, frame: &[u8]) -> u32 {
        get(frame, self.start + 8).map_or(0, u32::from_be_bytes)
    }

    /// The window that a TCP segment tells, as it is there.
    pub(super) fn window(&self, frame: &[u8]) -> u16 {
        get(frame, self.start + 14).map_or(0, u16::from_be_bytes)
    }

    /// Has a TCP segment tell another window.
    pub(super) fn set_window(&self, frame: &mut [u8], window: u16) {
        set(frame, self.start + 14, window.to_be_bytes());
    }

    /// Whether it is a TCP segment that ends the connection at once.
    pub(super) fn is_reset(&self, frame: &[u8]) -> bool {
        self.protocol == TCP && self.flags(frame) & RST != 0
    }

    /// Bytes of payload of a TCP segment.
    pub(super) fn payload(&self, frame: &[u8]) -> usize {
        let words = get(frame, self.start + 12).map_or(0, |[words]: [u8; 1]| words >> 4);
        self.end.saturating_sub(self.start + usize::from(words) * 4)
    }

    /// Numbers that a TCP segment takes: its payload, and the marks of a beginning and an end.
    pub(super) fn numbers(&self, frame: &[u8]) -> u32 {
        let flags = self.flags(frame);
        self.payload(frame) as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0)
    }

    /// Where the value of an option of a TCP segment is, and its length.
    pub(super) fn option(&self, frame: &[u8], kind: u8) -> Option<(usize, usize)> {
        const END: u8 = 0;
        const NOTHING: u8 = 1;
        let words = get(frame, self.start + 12).map_or(0, |[words]: [u8; 1]| words >> 4);
        let end = (self.start + usize::from(words) * 4).min(self.end);
        let mut place = self.start + 20;
        loop {
            match frame.get(place..end)? {
                [NOTHING, ..] => place += 1,
                [END, ..] | [] | [_] => return None,
                [found, length, ..] => {
                    let length = usize::from(*length).max(2);
                    if *found == kind {
                        return (place + length <= end).then_some((place + 2, length - 2));
                    }
                    place += length;
                }
            }
        }
    }

    /// Changes our port in `frame`, where these were found.
    pub(super) fn set_local_port(&self, frame: &mut [u8], direction: Direction, port: u16) {
        let place = match direction {
            Direction::Out => 0,
            Direction::In => 2,
        };
        set(frame, self.start + place, port.to_be_bytes());
    }
}

/// The address that the packet in `frame` goes to, whatever it is.
pub(super) fn destination(frame: &[u8]) -> Option<Address> {
    match frame.get(12..ETHERNET_HEADER)? {
        [0x08, 0x00] => get(frame, ETHERNET_HEADER + 16).map(map),
        [0x86, 0xdd] => get(frame, ETHERNET_HEADER + 24),
        _ => None,
    }
}

/// Source and destination of an IPv4 header.
fn mapped([a, b, c, d, e, f, g, h]: [u8; 8]) -> [Address; 2] {
    [[a, b, c, d], [e, f, g, h]].map(map)
}

/// An IPv4 address, mapped into IPv6.
pub(super) fn map([a, b, c, d]: [u8; 4]) -> Address {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// The IPv4 address that is mapped into this one, if one is.
pub(super) fn unmap(address: &Address) -> Option<[u8; 4]> {
    match address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some([*a, *b, *c, *d]),
        _ => None,
    }
}

/// Writes `bytes` at `place`, if that is in `frame`.
pub(super) fn set<const LENGTH: usize>(frame: &mut [u8], place: usize, bytes: [u8; LENGTH]) {
    if let Some(field) = frame.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
        *field = bytes;
    }
}

/// Reads bytes at `place`, if those are in `frame`.
pub(super) fn get<const LENGTH: usize>(frame: &[u8], place: usize) -> Option<[u8; LENGTH]> {
    frame.get(place..)?.first_chunk().copied()
}
