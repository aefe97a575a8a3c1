// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the packets of a connection have in common in one direction (`nf_conntrack_tuple` of Linux).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet, TcpPacket, UdpPacket};

use crate::packet::{Header, Part, set_addresses};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// A protocol whose connections are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6: echo requests and their replies.
    Icmp,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Its port. Of who sends echo requests that is their identifier, and of who replies it is 0.
    pub(crate) port: u16,
}

/// What the packets of a connection have in common in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tuple {
    /// What is in the IP packet.
    pub(crate) protocol: Protocol,
    /// Who sends them.
    pub(crate) source: End,
    /// Whom they are for.
    pub(crate) destination: End,
}

impl Tuple {
    /// That of the other direction.
    #[must_use]
    pub(crate) fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// Flags of a TCP segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// What a packet is to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One of a connection. `opens` if it may be the first.
    Flow { tuple: Tuple, flags: Flags, opens: bool },
    /// An ICMP error about a packet, which it quotes from this byte of the IP packet on.
    Error { quoted: usize },
    /// Something else.
    Other,
}

impl Content {
    /// What the IP packet is whose header is known. Of one that was cut off the ports are enough.
    pub(crate) fn find(ip: &[u8], header: &Header) -> Self {
        let Some(payload) = ip.get(header.start..header.end) else { return Self::Other };
        if matches!(header.part, Part::Later(_)) {
            return Self::Other;
        }
        let ends = |source, destination| {
            let source = End { address: header.source, port: source };
            (source, End { address: header.destination, port: destination })
        };
        let flow = |protocol, (source, destination), flags, opens| Self::Flow {
            tuple: Tuple { protocol, source, destination },
            flags,
            opens,
        };
        let is_ipv4 = header.source.is_ipv4();
        match header.protocol {
            TCP | UDP if payload.len() >= 8 => {
                let ports = UdpPacket::new_unchecked(payload);
                let ends = ends(ports.src_port(), ports.dst_port());
                if header.protocol == UDP {
                    return flow(Protocol::Udp, ends, Flags::default(), true);
                }
                let flags = TcpPacket::new_checked(payload).map_or(Flags::default(), |segment| Flags {
                    syn: segment.syn(),
                    ack: segment.ack(),
                    fin: segment.fin(),
                    rst: segment.rst(),
                });
                let opens = flags.syn && !flags.ack && !flags.rst && !flags.fin;
                flow(Protocol::Tcp, ends, flags, opens)
            }
            ICMP if is_ipv4 && payload.len() >= 8 => {
                let identifier = Icmpv4Packet::new_unchecked(payload).echo_ident();
                match payload.first() {
                    Some(8) => flow(Protocol::Icmp, ends(identifier, 0), Flags::default(), true),
                    Some(0) => flow(Protocol::Icmp, ends(0, identifier), Flags::default(), false),
                    Some(3 | 11 | 12) => Self::Error { quoted: header.start + 8 },
                    _ => Self::Other,
                }
            }
            ICMPV6 if !is_ipv4 && payload.len() >= 8 => {
                let identifier = Icmpv6Packet::new_unchecked(payload).echo_ident();
                match payload.first() {
                    Some(128) => flow(Protocol::Icmp, ends(identifier, 0), Flags::default(), true),
                    Some(129) => flow(Protocol::Icmp, ends(0, identifier), Flags::default(), false),
                    Some(1..=4) => Self::Error { quoted: header.start + 8 },
                    _ => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }
}

/// Whether a TCP segment or a datagram has all of its header, and is as long as it says. A first fragment has
/// its ports.
pub(crate) fn is_whole(ip: &[u8], header: &Header) -> bool {
    let Some(payload) = ip.get(header.start..header.end) else { return false };
    match header.protocol {
        _ if header.part != Part::Whole => true,
        TCP => TcpPacket::new_checked(payload).is_ok(),
        UDP => UdpPacket::new_checked(payload).is_ok(),
        _ => true,
    }
}

/// Makes the IP packet one of `tuple`. Its checksums are those of the router's contract: right in ICMP, not
/// filled in in TCP and UDP. One that was cut off keeps what it has of them.
pub(crate) fn rewrite(ip: &mut [u8], header: &Header, tuple: Tuple) {
    set_addresses(ip, tuple.source.address, tuple.destination.address);
    let Some(payload) = ip.get_mut(header.start..header.end).filter(|payload| payload.len() >= 8) else {
        return;
    };
    match tuple.protocol {
        Protocol::Tcp | Protocol::Udp => {
            let mut ports = UdpPacket::new_unchecked(payload);
            ports.set_src_port(tuple.source.port);
            ports.set_dst_port(tuple.destination.port);
        }
        Protocol::Icmp => {
            // One of them is 0.
            let identifier = tuple.source.port | tuple.destination.port;
            let mut echo = Icmpv4Packet::new_unchecked(payload);
            echo.set_echo_ident(identifier);
        }
    }
}

/// Fills the checksum of an ICMP or ICMPv6 message in.
pub(crate) fn fill_icmp(ip: &mut [u8], header: &Header, source: IpAddr, destination: IpAddr) {
    let Some(message) = ip.get_mut(header.start..header.end).filter(|message| message.len() >= 8) else {
        return;
    };
    match (header.protocol, source, destination) {
        (ICMP, ..) => Icmpv4Packet::new_unchecked(message).fill_checksum(),
        (ICMPV6, IpAddr::V6(source), IpAddr::V6(destination)) => {
            Icmpv6Packet::new_unchecked(message).fill_checksum(&source, &destination);
        }
        _ => {}
    }
}
