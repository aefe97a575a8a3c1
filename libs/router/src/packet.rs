// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets as they come and go, and what their headers say.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr,
};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;

/// Where a packet comes from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The guests.
    Guests,
    /// The network.
    Network,
}

/// An Ethernet frame. Checksums of TCP and UDP are not looked at, and wrong in what the router has changed:
/// whoever has received it has verified them, and whoever sends it fills them in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// All of it.
    pub bytes: Vec<u8>,
    /// If it is several TCP segments in one, the payload of each, in bytes.
    pub segment: Option<u16>,
}

/// Which part of a packet something is; a fragment has an identification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    First(u32),
    Later(u32),
}

/// What is said by the IPv4 or IPv6 header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The number of the protocol within.
    pub(crate) protocol: u8,
    pub(crate) hop_limit: u8,
    /// It must not be divided on its way.
    pub(crate) dont_fragment: bool,
    pub(crate) part: Part,
    /// The first byte behind the header, counted from the header's first.
    pub(crate) start: usize,
    /// The byte behind the packet's last.
    pub(crate) end: usize,
}

impl Header {
    /// What the IP packet at the beginning of `bytes` says; `None` if it is none, or damaged. One that was
    /// cut off, as in an ICMP error, ends where `bytes` do.
    pub(crate) fn parse(bytes: &[u8], may_be_cut: bool) -> Option<Self> {
        let header = match bytes.first()? >> 4 {
            4 => Self::of_ipv4(bytes),
            6 => Self::of_ipv6(bytes),
            _ => None,
        }?;
        let end = header.end.min(bytes.len());
        (header.start <= end && (may_be_cut || end == header.end)).then_some(Self { end, ..header })
    }

    fn of_ipv4(bytes: &[u8]) -> Option<Self> {
        bytes.get(..20)?;
        let packet = Ipv4Packet::new_unchecked(bytes);
        let start = usize::from(packet.header_len());
        let is_right = start >= 20 && bytes.len() >= start && packet.verify_checksum();
        is_right.then(|| Self {
            source: packet.src_addr().into(),
            destination: packet.dst_addr().into(),
            protocol: packet.next_header().into(),
            hop_limit: packet.hop_limit(),
            dont_fragment: packet.dont_frag(),
            part: match (packet.frag_offset(), packet.more_frags()) {
                (0, false) => Part::Whole,
                (0, true) => Part::First(packet.ident().into()),
                _ => Part::Later(packet.ident().into()),
            },
            start,
            end: usize::from(packet.total_len()),
        })
    }

    fn of_ipv6(bytes: &[u8]) -> Option<Self> {
        bytes.get(..40)?;
        let packet = Ipv6Packet::new_unchecked(bytes);
        let next = packet.next_header().into();
        let (protocol, part, start) = match next {
            FRAGMENT => fragment(bytes.get(40..)?)?,
            protocol => (protocol, Part::Whole, 40),
        };
        Some(Self {
            source: packet.src_addr().into(),
            destination: packet.dst_addr().into(),
            protocol,
            hop_limit: packet.hop_limit(),
            dont_fragment: true,
            part,
            start,
            end: packet.total_len(),
        })
    }
}

/// The number of IPv6's fragment header (RFC 8200, section 4.5).
const FRAGMENT: u8 = 44;

/// What such a header right behind the IPv6 header says: the protocol within, which part it is, and where
/// that begins. A fragment that is all of its packet (RFC 6946) is a first one.
fn fragment(header: &[u8]) -> Option<(u8, Part, usize)> {
    let [protocol, _, o0, o1, i0, i1, i2, i3, ..] = *header else { return None };
    let offset = u16::from_be_bytes([o0, o1]) >> 3;
    let id = u32::from_be_bytes([i0, i1, i2, i3]);
    Some((protocol, if offset == 0 { Part::First(id) } else { Part::Later(id) }, 48))
}

impl Packet {
    /// A packet of one frame.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, segment: None }
    }

    /// An IP packet with `payload` behind its header, in a frame whose addresses are yet to be set.
    pub(crate) fn of_ip(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        hop_limit: u8,
        payload: &[u8],
    ) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Some(Self::of_ipv4(source, destination, protocol, hop_limit, payload))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Some(Self::of_ipv6(source, destination, protocol, hop_limit, payload))
            }
            _ => None,
        }
    }

    fn of_ipv4(src_addr: Ipv4Addr, dst_addr: Ipv4Addr, protocol: u8, hop_limit: u8, payload: &[u8]) -> Self {
        let repr = Ipv4Repr {
            src_addr,
            dst_addr,
            next_header: protocol.into(),
            payload_len: payload.len(),
            hop_limit,
        };
        Self::of_parts(EthernetProtocol::Ipv4, repr.buffer_len(), payload, |header| {
            repr.emit(&mut Ipv4Packet::new_unchecked(header), &ChecksumCapabilities::default());
        })
    }

    fn of_ipv6(src_addr: Ipv6Addr, dst_addr: Ipv6Addr, protocol: u8, hop_limit: u8, payload: &[u8]) -> Self {
        let repr = Ipv6Repr {
            src_addr,
            dst_addr,
            next_header: protocol.into(),
            payload_len: payload.len(),
            hop_limit,
        };
        Self::of_parts(EthernetProtocol::Ipv6, repr.buffer_len(), payload, |header| {
            repr.emit(&mut Ipv6Packet::new_unchecked(header));
        })
    }

    /// A header of `length` bytes, which `emit` writes, and what follows it.
    fn of_parts(kind: EthernetProtocol, length: usize, payload: &[u8], emit: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = vec![0; ETHERNET + length];
        EthernetFrame::new_unchecked(&mut bytes).set_ethertype(kind);
        if let Some(header) = bytes.get_mut(ETHERNET..) {
            emit(header);
        }
        bytes.extend_from_slice(payload);
        Self::new(bytes)
    }

    /// The IP packet within, and what is behind it.
    pub(crate) fn ip(&self) -> &[u8] {
        self.bytes.get(ETHERNET..).unwrap_or_default()
    }

    pub(crate) fn ip_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(ETHERNET..).unwrap_or_default()
    }

    /// Its Ethernet addresses, destination and source, and the type of what is within.
    pub(crate) fn ethernet(&self) -> Option<(Mac, Mac, EthernetProtocol)> {
        let frame = EthernetFrame::new_checked(&self.bytes).ok()?;
        Some((frame.dst_addr().0, frame.src_addr().0, frame.ethertype()))
    }

    pub(crate) fn set_ethernet(&mut self, destination: Mac, source: Mac) {
        if let Ok(mut frame) = EthernetFrame::new_checked(&mut self.bytes) {
            frame.set_dst_addr(EthernetAddress(destination));
            frame.set_src_addr(EthernetAddress(source));
        }
    }

    /// Bytes of the longest IP packet that it becomes on a wire.
    pub(crate) fn longest(&self, header: &Header) -> usize {
        let Some(segment) = self.segment else { return header.end };
        let offset = self.ip().get(header.start + 12).map_or(0, |offset| usize::from(offset >> 4) * 4);
        header.end.min(header.start + offset + usize::from(segment))
    }
}

/// Has one hop less left.
pub(crate) fn decrement_hop_limit(ip: &mut [u8]) {
    match ip.first().map(|first| first >> 4) {
        Some(4) if ip.len() >= 20 => {
            let mut packet = Ipv4Packet::new_unchecked(ip);
            packet.set_hop_limit(packet.hop_limit().saturating_sub(1));
            packet.fill_checksum();
        }
        Some(6) if ip.len() >= 40 => {
            let mut packet = Ipv6Packet::new_unchecked(ip);
            packet.set_hop_limit(packet.hop_limit().saturating_sub(1));
        }
        _ => {}
    }
}

/// Gives the IP packet other addresses, of the same family.
pub(crate) fn set_addresses(ip: &mut [u8], source: IpAddr, destination: IpAddr) {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) if ip.len() >= 20 => {
            let mut packet = Ipv4Packet::new_unchecked(ip);
            packet.set_src_addr(source);
            packet.set_dst_addr(destination);
            packet.fill_checksum();
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) if ip.len() >= 40 => {
            let mut packet = Ipv6Packet::new_unchecked(ip);
            packet.set_src_addr(source);
            packet.set_dst_addr(destination);
        }
        _ => {}
    }
}
