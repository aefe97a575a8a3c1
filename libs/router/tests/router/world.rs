// SPDX-License-Identifier: MIT OR Apache-2.0
//! A router, two guests, and a network with a gateway and a neighbor.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use prism_router::{Config, Guest, Mac, Network, Packet, ROUTER_MAC, Router, Rules, Side, Uplink};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::*;

pub(crate) const GUESTS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
pub(crate) const UPLINK_MAC: Mac = [6, 0, 0, 0, 0, 1];
pub(crate) const GATEWAY_MAC: Mac = [6, 0, 0, 0, 0, 9];

pub(crate) const GATEWAY: &str = "192.0.2.254";
pub(crate) const OWN: &str = "192.0.2.1";
pub(crate) const FAR: &str = "198.51.100.7";
pub(crate) const RESOLVER: &str = "203.0.113.53";
pub(crate) const FAR6: &str = "2001:db8:ffff::7";
pub(crate) const GUEST6: &str = "2001:db8:1::5";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What a packet is that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) to: Side,
    pub(crate) mac: Mac,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ports: (u16, u16),
    pub(crate) hop_limit: u8,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    /// What is behind the IP header.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[if self.source.is_ipv4() { 34 } else { 54 }..]
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) now: Duration,
}

impl World {
    pub(crate) fn new(words: &[(&'static str, &'static str)]) -> Self {
        Self::with(words, 1024)
    }

    pub(crate) fn with(words: &[(&'static str, &'static str)], connections: usize) -> Self {
        let config = Config {
            network: Network::parse("10.137.0.1/24").unwrap(),
            network6: Network::parse("2001:db8:1::1/64"),
            masquerades: true,
            rules: Rules::parse(words.iter().copied()).unwrap(),
            connections,
        };
        let mut state = 1_u32;
        let random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 7
        };
        let mut router = Router::new(config, Box::new(random));
        router.set_uplink(uplink(OWN));
        let guests = GUESTS.map(|mac| Guest { mac, mtu: 1500, addresses: Vec::new() });
        assert!(router.set_guests(&guests).is_empty());
        Self { router, now: Duration::from_secs(1) }
    }

    /// Answers the question who has the gateway's address; whether `packet` was that.
    fn answer_for_the_gateway(&mut self, packet: &Packet) -> bool {
        let gateway: Ipv4Addr = GATEWAY.parse().unwrap();
        let is_asked = packet.bytes[12..14] == [8, 6] && packet.bytes[38..42] == gateway.octets();
        if is_asked {
            let mut reply = packet.bytes.clone();
            reply[21] = 2;
            reply[22..28].copy_from_slice(&GATEWAY_MAC);
            reply[28..32].copy_from_slice(&gateway.octets());
            set_ethernet(&mut reply, UPLINK_MAC, GATEWAY_MAC);
            assert!(!self.router.from_network(&reply, None, self.now), "the stack wants it, too");
        }
        is_asked
    }

    pub(crate) fn address(&self, guest: usize) -> String {
        self.router.address_of(GUESTS[guest]).unwrap().to_string()
    }

    /// A guest sends a packet; what leaves for that.
    pub(crate) fn guest(&mut self, guest: usize, mut packet: Vec<u8>) -> Vec<Sent> {
        set_ethernet(&mut packet, ROUTER_MAC, GUESTS[guest]);
        self.router.from_guests(Packet::new(packet), self.now);
        self.sent()
    }

    /// The gateway sends a packet; whether the router takes it, and what leaves.
    pub(crate) fn network(&mut self, mut packet: Vec<u8>) -> (bool, Vec<Sent>) {
        set_ethernet(&mut packet, UPLINK_MAC, GATEWAY_MAC);
        let is_taken = self.router.from_network(&packet, None, self.now);
        (is_taken, self.sent())
    }

    /// One packet leaves.
    pub(crate) fn one(&mut self, guest: usize, packet: Vec<u8>) -> Sent {
        let sent = self.guest(guest, packet);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.into_iter().next().unwrap()
    }

    /// The same from the network.
    pub(crate) fn one_in(&mut self, packet: Vec<u8>) -> Sent {
        let (is_taken, sent) = self.network(packet);
        assert_eq!((is_taken, sent.len()), (true, 1), "{sent:?}");
        sent.into_iter().next().unwrap()
    }

    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some((to, packet)) = self.take() {
            if !self.answer_for_the_gateway(&packet) {
                all.push(sent(to, packet));
            }
        }
        all
    }

    fn take(&mut self) -> Option<(Side, Packet)> {
        let [guests, network] = [Side::Guests, Side::Network];
        let to_guest = self.router.take(guests).map(|packet| (guests, packet));
        to_guest.or_else(|| self.router.take(network).map(|packet| (network, packet)))
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

pub(crate) fn uplink(own: &str) -> Uplink {
    Uplink {
        mac: UPLINK_MAC,
        mtu: 1500,
        ipv4: Network::parse(&format!("{own}/24")),
        gateway: Some(GATEWAY.parse().unwrap()),
        ipv6: Network::parse("2001:db8:2::1/64"),
        gateway6: Some("fe80::9".parse().unwrap()),
        dns: vec![ip(RESOLVER)],
    }
}

fn sent(to: Side, packet: Packet) -> Sent {
    let bytes = packet.bytes;
    let frame = EthernetFrame::new_checked(&bytes).unwrap();
    let mac = frame.dst_addr().0;
    let ports = |payload: &[u8], protocol| match protocol {
        IpProtocol::Tcp | IpProtocol::Udp => {
            let udp = UdpPacket::new_unchecked(payload);
            (udp.src_port(), udp.dst_port())
        }
        _ => (0, 0),
    };
    let (source, destination, hop_limit, ports) = match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
            assert!(packet.verify_checksum());
            let is_whole = !packet.more_frags() && packet.frag_offset() == 0;
            if packet.next_header() == IpProtocol::Icmp && is_whole {
                assert!(Icmpv4Packet::new_checked(packet.payload()).unwrap().verify_checksum());
            }
            let ports = ports(packet.payload(), packet.next_header());
            (packet.src_addr().into(), packet.dst_addr().into(), packet.hop_limit(), ports)
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
            if packet.next_header() == IpProtocol::Icmpv6 {
                let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
                assert!(message.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
            }
            let ports = ports(packet.payload(), packet.next_header());
            (packet.src_addr().into(), packet.dst_addr().into(), packet.hop_limit(), ports)
        }
        _ => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into(), 0, (0, 0)),
    };
    Sent { to, mac, source, destination, ports, hop_limit, bytes }
}

pub(crate) fn set_ethernet(packet: &mut [u8], destination: Mac, source: Mac) {
    let mut frame = EthernetFrame::new_unchecked(packet);
    frame.set_dst_addr(EthernetAddress(destination));
    frame.set_src_addr(EthernetAddress(source));
}

/// An IP packet in a frame.
pub(crate) fn packet(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    match (ip(source), ip(destination)) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let repr = Ipv4Repr {
                src_addr,
                dst_addr,
                next_header: protocol.into(),
                payload_len: payload.len(),
                hop_limit: 64,
            };
            bytes.extend([8, 0]);
            bytes.resize(14 + repr.buffer_len(), 0);
            repr.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[14..]), &ChecksumCapabilities::default());
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            let repr = Ipv6Repr {
                src_addr,
                dst_addr,
                next_header: protocol.into(),
                payload_len: payload.len(),
                hop_limit: 64,
            };
            bytes.extend([0x86, 0xdd]);
            bytes.resize(14 + repr.buffer_len(), 0);
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut bytes[14..]));
        }
        _ => panic!("{source} and {destination}"),
    }
    bytes.extend(payload);
    bytes
}

pub(crate) fn udp(source: &str, destination: &str, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; 8];
    datagram.extend(payload);
    let mut udp = UdpPacket::new_unchecked(&mut datagram);
    udp.set_src_port(from);
    udp.set_dst_port(to);
    udp.set_len(8 + payload.len() as u16);
    packet(source, destination, 17, &datagram)
}

pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;
pub(crate) const FIN: u8 = 1;
pub(crate) const RST: u8 = 4;

pub(crate) fn tcp(source: &str, destination: &str, from: u16, to: u16, flags: u8) -> Vec<u8> {
    tcp_with(source, destination, from, to, flags, &[])
}

pub(crate) fn tcp_with(
    source: &str,
    destination: &str,
    from: u16,
    to: u16,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&from.to_be_bytes());
    segment[2..4].copy_from_slice(&to.to_be_bytes());
    (segment[12], segment[13]) = (0x50, flags);
    segment.extend(payload);
    packet(source, destination, 6, &segment)
}

pub(crate) fn echo(source: &str, destination: &str, is_request: bool, identifier: u16) -> Vec<u8> {
    let is_ipv4 = ip(source).is_ipv4();
    let kind = match (is_ipv4, is_request) {
        (true, true) => 8,
        (true, false) => 0,
        (false, true) => 128,
        (false, false) => 129,
    };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend([0, 1, 7, 7]);
    packet(source, destination, if is_ipv4 { 1 } else { 58 }, &message)
}

/// An ICMP error about the IP packet in the frame `about`.
pub(crate) fn error(source: &str, destination: &str, kind: u8, code: u8, about: &[u8]) -> Vec<u8> {
    let is_ipv4 = ip(source).is_ipv4();
    let mut message = vec![kind, code, 0, 0, 0, 0, 5, 0];
    message.extend(&about[14..]);
    packet(source, destination, if is_ipv4 { 1 } else { 58 }, &message)
}

/// The identifier of an echo request or reply.
pub(crate) fn identifier(sent: &Sent) -> u16 {
    Icmpv4Packet::new_unchecked(sent.payload()).echo_ident()
}
