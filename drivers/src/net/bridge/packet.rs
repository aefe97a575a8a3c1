// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets on their way through the bridge.

use alloc::vec::Vec;

use crate::net::checksum::Transport;
use crate::net::frame::{ETHERNET_HEADER, MAX_FRAME};
use crate::net::gso::GsoInfo;
use crate::net::segment::Segment;
use crate::net::segmentation;

/// The shortest payload of segments that a packet is divided into: the least that Linux sends
/// (`TCP_MIN_SND_MSS`). Less would be work for nothing.
const MIN_SEGMENT: u16 = 48;

/// What is known of the checksum of TCP or UDP in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing (`CHECKSUM_NONE` of Linux).
    Unverified,
    /// It has yet to be filled in (`CHECKSUM_PARTIAL`).
    Blank,
    /// It is right (`CHECKSUM_UNNECESSARY`), or there is none.
    Right,
}

/// An Ethernet frame, or several TCP segments in one, whose checksum is right or blank.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    bytes: Vec<u8>,
    is_blank: bool,
    gso: Option<GsoInfo>,
    /// Bytes of the longest frame that it becomes on a wire.
    longest: usize,
}

/// Why something is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It is shorter than an Ethernet header, or longer than a frame can be.
    Length,
    /// Its checksum is wrong, or should be filled in where there is none.
    Checksum,
    /// It is said to be TCP segments, and is not.
    Gso,
}

impl Packet {
    /// The packet in `bytes`, of whose checksum so much is known; several segments, if `gso` says so.
    ///
    /// # Errors
    ///
    /// [`Invalid`].
    pub fn new(mut bytes: Vec<u8>, checksum: Checksum, gso: Option<GsoInfo>) -> Result<Self, Invalid> {
        if !(ETHERNET_HEADER..=MAX_FRAME).contains(&bytes.len()) {
            return Err(Invalid::Length);
        }
        let transport = Transport::find(&bytes);
        let is_blank = checksum == Checksum::Blank || gso.is_some();
        match transport {
            // What is in the field is as little known as the rest.
            Some(transport) if is_blank => transport.blank(&mut bytes),
            Some(transport) if checksum == Checksum::Unverified && !transport.verify_checksum(&bytes) => {
                return Err(Invalid::Checksum);
            }
            None if is_blank => return Err(Invalid::Checksum),
            _ => {}
        }
        let mut packet = Self { longest: bytes.len(), bytes, is_blank, gso: None };
        if let Some(info) = gso {
            let Segment { start, payload, .. } = packet.segment(info).ok_or(Invalid::Gso)?;
            if payload > usize::from(info.size) {
                packet.gso = Some(info);
                packet.longest = start + usize::from(info.size);
            }
        }
        Ok(packet)
    }

    /// A packet that came from a network whose driver has checked it: its checksum is right, or was blank and
    /// is so again.
    ///
    /// # Errors
    ///
    /// [`Invalid`].
    pub fn checked(bytes: Vec<u8>, gso: Option<GsoInfo>) -> Result<Self, Invalid> {
        let is_found = Transport::find(&bytes).is_some();
        Self::new(bytes, if is_found { Checksum::Blank } else { Checksum::Right }, gso)
    }

    /// A packet that a router has changed: its checksum has yet to be filled in. It is TCP segments of so
    /// many bytes each, if `segment` says so.
    ///
    /// # Errors
    ///
    /// [`Invalid`].
    pub fn changed(bytes: Vec<u8>, segment: Option<u16>) -> Result<Self, Invalid> {
        let is_ipv4 = bytes.get(12..ETHERNET_HEADER) == Some(&[0x08, 0x00]);
        Self::checked(bytes, segment.map(|size| GsoInfo::new(size, is_ipv4)))
    }

    /// All of it, with a checksum that may be [blank](Self::is_blank).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether its checksum has yet to be filled in.
    pub fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// What there is to tell of it, if it is several TCP segments.
    pub fn gso(&self) -> Option<GsoInfo> {
        self.gso
    }

    /// Bytes of the longest frame that it becomes on a wire, with the Ethernet header.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// A number below `count`, which is not 0, that the packets of a flow have in common.
    pub(super) fn choose(&self, count: usize) -> usize {
        match count {
            1 => 0,
            _ => Transport::find(&self.bytes).map_or(0, |transport| transport.choose(&self.bytes, count)),
        }
    }

    /// The same with its checksum filled in.
    pub fn filled(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(transport) = Transport::find(&bytes).filter(|_| self.is_blank) {
            transport.fill_checksum(&mut bytes);
        }
        bytes
    }

    /// Each of its segments as a packet, whose checksum is blank; none if it is not several.
    pub fn divide(&self) -> Vec<Self> {
        let mut segments = Vec::new();
        if let Some(segment) = self.gso.and_then(|info| self.segment(info)) {
            segmentation::cut(&self.bytes, &segment, |piece| {
                segments.push(Self {
                    bytes: piece.to_vec(),
                    is_blank: true,
                    gso: None,
                    longest: piece.len(),
                });
            });
        }
        segments
    }

    /// What its headers say, if it is TCP segments of this kind.
    fn segment(&self, info: GsoInfo) -> Option<Segment> {
        let transport = Transport::find(&self.bytes).filter(|found| found.is_ipv4() == info.is_ipv4())?;
        let segment = Segment::find(&self.bytes, transport, MAX_FRAME)?;
        let size = usize::from(info.size).min(segment.payload);
        (info.size >= MIN_SEGMENT).then_some(Segment { size, ..segment })
    }
}

#[cfg(test)]
mod tests {
    use xen_sys::io::netif::{XEN_NETIF_GSO_TYPE_TCPV4, XEN_NETIF_GSO_TYPE_TCPV6};

    use super::*;
    use crate::net::samples;
    use crate::net::{fill_checksum, verify_checksum};

    const INFO: GsoInfo = GsoInfo { size: 100, kind: XEN_NETIF_GSO_TYPE_TCPV4 };

    fn segments(payload: usize) -> Vec<u8> {
        samples::tcp(&vec![7; payload])
    }

    #[test]
    fn a_checksum_is_verified_believed_or_blanked_as_is_told_of_it() {
        let mut right = segments(33);
        fill_checksum(&mut right);
        let mut wrong = right.clone();
        *wrong.last_mut().unwrap() ^= 1;
        let packet = Packet::new(right.clone(), Checksum::Unverified, None).unwrap();
        assert!(!packet.is_blank() && packet.bytes() == right);
        assert_eq!(Packet::new(wrong.clone(), Checksum::Unverified, None), Err(Invalid::Checksum));
        assert!(Packet::new(wrong.clone(), Checksum::Right, None).is_ok());
        let packet = Packet::new(wrong, Checksum::Blank, None).unwrap();
        assert!(packet.is_blank() && !verify_checksum(packet.bytes()) && verify_checksum(&packet.filled()));
        let packet = Packet::checked(right.clone(), None).unwrap();
        assert!(packet.is_blank() && packet.filled() == right);
    }

    #[test]
    fn where_there_is_no_checksum_none_is_filled_in() {
        let arp = vec![0x08; 60];
        assert_eq!(Packet::new(arp.clone(), Checksum::Blank, None), Err(Invalid::Checksum));
        assert!(Packet::new(arp.clone(), Checksum::Unverified, None).is_ok_and(|packet| !packet.is_blank()));
        assert!(Packet::checked(arp, None).is_ok_and(|packet| !packet.is_blank()));
    }

    #[test]
    fn what_is_too_short_or_too_long_is_no_packet() {
        for length in [0, 13, MAX_FRAME + 1] {
            assert_eq!(Packet::new(vec![0; length], Checksum::Right, None), Err(Invalid::Length));
        }
        assert!(Packet::new(vec![0; 14], Checksum::Right, None).is_ok());
        assert!(Packet::new(vec![0; MAX_FRAME], Checksum::Right, None).is_ok());
    }

    #[test]
    fn segments_are_divided_into_whole_ones() {
        let packet = Packet::new(segments(250), Checksum::Unverified, Some(INFO)).unwrap();
        assert_eq!((packet.gso(), packet.longest()), (Some(INFO), 54 + 100));
        let pieces = packet.divide();
        assert_eq!(pieces.iter().map(|piece| piece.bytes().len() - 54).collect::<Vec<_>>(), [100, 100, 50]);
        for piece in &pieces {
            assert!(piece.is_blank() && verify_checksum(&piece.filled()) && piece.divide().is_empty());
        }
    }

    #[test]
    fn a_single_segment_is_a_packet_like_others() {
        let packet = Packet::new(segments(100), Checksum::Blank, Some(INFO)).unwrap();
        assert_eq!((packet.gso(), packet.longest()), (None, 154));
    }

    #[test]
    fn what_is_no_segment_of_that_kind_is_refused() {
        let six = GsoInfo { kind: XEN_NETIF_GSO_TYPE_TCPV6, ..INFO };
        assert_eq!(Packet::new(segments(250), Checksum::Blank, Some(six)), Err(Invalid::Gso));
        let small = GsoInfo { size: 47, ..INFO };
        assert_eq!(Packet::new(segments(250), Checksum::Blank, Some(small)), Err(Invalid::Gso));
        let mut syn = segments(250);
        syn[47] |= 2;
        assert_eq!(Packet::new(syn, Checksum::Blank, Some(INFO)), Err(Invalid::Gso));
        let mut datagram = segments(250);
        datagram[23] = 17;
        assert!(Packet::new(datagram, Checksum::Blank, Some(INFO)).is_err());
    }
}
