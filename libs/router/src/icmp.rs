// SPDX-License-Identifier: MIT OR Apache-2.0
//! ICMP and ICMPv6: errors of the router's own, and answers to who wants to know whether it is there.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::packet::{Header, Packet, Part};
use crate::tuple::{Content, ICMP, ICMPV6, fill_icmp};

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It has been on its way for too long.
    TimeExceeded,
    /// It is too long for the next network, which takes so many bytes.
    TooBig(usize),
    /// A rule forbids it.
    Prohibited,
    /// Nobody knows a way.
    NoRoute,
}

/// Bytes of an error message's packet at most: RFC 1812, section 4.3.2.3, and RFC 4443, section 2.4.
const LONGEST: [usize; 2] = [576, 1280];

/// The error from `own` that tells the sender of the IP packet what is wrong with it; `None` if nobody is to
/// be told.
pub(crate) fn error(ip: &[u8], header: &Header, own: IpAddr, problem: Problem) -> Option<Packet> {
    let is_ipv4 = header.source.is_ipv4();
    let content = Content::find(ip, header);
    // No error is answered by an error, and nobody is told who may be many.
    let is_icmp = matches!(header.protocol, ICMP | ICMPV6);
    if is_icmp && !matches!(content, Content::Flow { .. }) || !is_single(header) {
        return None;
    }
    let (kind, code) = match (problem, is_ipv4) {
        (Problem::TimeExceeded, true) => (11, 0),
        (Problem::TimeExceeded, false) => (3, 0),
        (Problem::TooBig(_), true) => (3, 4),
        (Problem::TooBig(_), false) => (2, 0),
        (Problem::Prohibited, true) => (3, 13),
        (Problem::Prohibited, false) => (1, 1),
        (Problem::NoRoute, true) => (3, 0),
        (Problem::NoRoute, false) => (1, 0),
    };
    let mut message = vec![kind, code, 0, 0];
    match problem {
        Problem::TooBig(mtu) => message.extend((mtu as u32).to_be_bytes()),
        _ => message.extend([0; 4]),
    }
    let [longest, header_length] = if is_ipv4 { [LONGEST[0], 20] } else { [LONGEST[1], 40] };
    let quoted = header.end.min(longest - header_length - message.len());
    message.extend(ip.get(..quoted)?);
    let protocol = if is_ipv4 { ICMP } else { ICMPV6 };
    packet(own, header.source, protocol, 64, message)
}

/// Whether the packet is from one host to one host.
fn is_single(header: &Header) -> bool {
    [header.source, header.destination].iter().all(|address| match address {
        IpAddr::V4(address) => {
            !address.is_multicast() && !address.is_broadcast() && !address.is_unspecified()
        }
        IpAddr::V6(address) => !address.is_multicast() && !address.is_unspecified(),
    })
}

/// The reply to an echo request for an address of the router's, unless that comes in fragments.
pub(crate) fn echo_reply(ip: &[u8], header: &Header) -> Option<Packet> {
    if header.part != Part::Whole {
        return None;
    }
    let mut message: Vec<u8> = ip.get(header.start..header.end)?.into();
    let kind = message.first_mut()?;
    *kind = match (header.protocol, *kind) {
        (ICMP, 8) => 0,
        (ICMPV6, 128) => 129,
        _ => return None,
    };
    packet(header.destination, header.source, header.protocol, 64, message)
}

/// A packet with an ICMP or ICMPv6 message, whose checksum is filled in.
pub(crate) fn packet(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    hop_limit: u8,
    message: Vec<u8>,
) -> Option<Packet> {
    let mut packet = Packet::of_ip(source, destination, protocol, hop_limit, &message)?;
    let header = Header::parse(packet.ip(), false)?;
    fill_icmp(packet.ip_mut(), &header, source, destination);
    Some(packet)
}
