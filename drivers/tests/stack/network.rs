// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network: who is in it, and what it saw.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::host::MAC;

const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// The router of IPv6.
pub(crate) const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const SILENT_ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 8);
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 1);

/// What a host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    RouterSolicitation,
    Discover,
    Request,
    /// A question for this address, from that one.
    Arp {
        target: Ipv4Addr,
        sender: Ipv4Addr,
    },
    /// A question for this address of IPv6.
    NeighborSolicitation(Ipv6Addr),
    /// An answer to a ping.
    EchoReply {
        source: Ipv6Addr,
    },
    Other,
}

/// A network.
#[derive(Default)]
pub(crate) struct Network {
    /// Who answers ARP for this address.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// What a DHCP server grants: an address, bits of its mask, seconds. The router is the gateway.
    pub(crate) lease: Option<(Ipv4Addr, u8, u32)>,
    /// Frames to the host.
    pub(crate) inbox: VecDeque<Vec<u8>>,
    /// Datagrams that went to the gateway.
    pub(crate) datagrams: usize,
    pub(crate) seen: Vec<Kind>,
    /// Segments from the host.
    pub(crate) segments: VecDeque<Segment>,
}

/// A segment between a client, which is the gateway, and the host's port 80.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The client's.
    pub(crate) port: u16,
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    pub(crate) payload: Vec<u8>,
}

impl Segment {
    /// A frame of the client's.
    pub(crate) fn frame(&self, client: Ipv4Addr, host: Ipv4Addr) -> Vec<u8> {
        let mut tcp = [self.port.to_be_bytes(), [0, 80]].concat();
        tcp.extend([self.sequence.to_be_bytes(), self.acknowledged.to_be_bytes()].concat());
        tcp.extend([5 << 4, self.flags, 0x20, 0, 0, 0, 0, 0]);
        tcp.extend(&self.payload);
        [ipv4(6, client, host, tcp.len()), tcp].concat()
    }

    /// What is in a frame of the host's.
    fn parse(frame: &[u8]) -> Option<Self> {
        if frame[12..14] != IPV4 || frame[23] != 6 {
            return None;
        }
        let end = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let tcp = &frame[34..end];
        let word = |place: usize| u32::from_be_bytes(tcp[place..place + 4].try_into().unwrap());
        Some(Self {
            port: u16::from_be_bytes([tcp[2], tcp[3]]),
            flags: tcp[13],
            sequence: word(4),
            acknowledged: word(8),
            payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
        })
    }
}

/// The headers of a packet of IPv4 to the host.
fn ipv4(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + length as u16).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    header.extend(source.octets());
    header.extend(destination.octets());
    let checksum = header_sum(&header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [ethernet(MAC, IPV4), header].concat()
}

impl Network {
    /// Frames of that kind that the host sent.
    pub(crate) fn sent(&self, kind: Kind) -> usize {
        self.seen.iter().filter(|seen| **seen == kind).count()
    }

    /// Times that the host asked for `address`.
    pub(crate) fn asked_for(&self, address: Ipv4Addr) -> usize {
        let is_it = |seen: &&Kind| matches!(seen, Kind::Arp { target, sender } if *target == address && sender != target);
        self.seen.iter().filter(is_it).count()
    }

    /// Times that the host told of its `address`.
    pub(crate) fn announced(&self, address: Ipv4Addr) -> usize {
        self.sent(Kind::Arp { target: address, sender: address })
    }

    /// Takes a frame from the host.
    pub(crate) fn take(&mut self, frame: &[u8]) {
        let kind = kind(frame);
        self.seen.push(kind);
        self.segments.extend(Segment::parse(frame));
        match kind {
            Kind::Arp { target, sender } if Some(target) == self.gateway && sender != target => {
                self.inbox.push_back(arp_answer(target, sender));
            }
            Kind::NeighborSolicitation(ROUTER) => {
                self.inbox.push_back(neighbor_advertisement(address(frame, 22)))
            }
            Kind::Discover => self.answer(frame, 2),
            Kind::Request => self.answer(frame, 5),
            Kind::Other if frame[..6] == ROUTER_MAC => self.datagrams += 1,
            _ => {}
        }
    }

    fn answer(&mut self, frame: &[u8], kind: u8) {
        let Some((address, prefix, seconds)) = self.lease else { return };
        let mask = u32::MAX << (32 - u32::from(prefix));
        let mut options = vec![99, 130, 83, 99, 53, 1, kind, 54, 4];
        options.extend(SERVER.octets());
        options.extend([1, 4]);
        options.extend(mask.to_be_bytes());
        options.extend([51, 4]);
        options.extend(seconds.to_be_bytes());
        if let Some(gateway) = self.gateway {
            options.extend([3, 4]);
            options.extend(gateway.octets());
        }
        if seconds == 0 {
            options.extend([58, 4, 0, 0, 0, 0]);
        }
        options.push(255);
        self.inbox.push_back(dhcp(&frame[46..50], address, &options));
    }
}

fn kind(frame: &[u8]) -> Kind {
    let ipv4 = |place: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&frame[place..place + 4]).unwrap());
    match [frame[12], frame[13]] {
        ARP if frame[21] == 1 => Kind::Arp { target: ipv4(38), sender: ipv4(28) },
        IPV6 if frame[20] == 58 => match frame[54] {
            129 => Kind::EchoReply { source: address(frame, 22) },
            133 => Kind::RouterSolicitation,
            135 => Kind::NeighborSolicitation(address(frame, 62)),
            _ => Kind::Other,
        },
        IPV4 if frame[23] == 17 && frame[36..38] == [0, 67] => {
            let options = &frame[42 + 240..];
            let place = options.windows(2).position(|pair| pair == [53, 1]).unwrap();
            if options[place + 2] == 1 { Kind::Discover } else { Kind::Request }
        }
        _ => Kind::Other,
    }
}

/// The address of IPv6 at that place of a frame.
fn address(frame: &[u8], place: usize) -> Ipv6Addr {
    Ipv6Addr::from(<[u8; 16]>::try_from(&frame[place..place + 16]).unwrap())
}

fn arp_answer(address: Ipv4Addr, asker: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(MAC, ARP);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 2]);
    frame.extend(ROUTER_MAC);
    frame.extend(address.octets());
    frame.extend(MAC);
    frame.extend(asker.octets());
    frame
}

/// The SYN of a host that hears no answer.
pub(crate) fn syn(source: Ipv4Addr, port: u16, sequence: u32) -> Vec<u8> {
    Segment { port, flags: 2, sequence, ..Segment::default() }.frame(source, super::OWN)
}

/// A fragment of UDP, whose place is counted in eights.
pub(crate) fn fragment(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    number: u16,
    place: u16,
    has_more: bool,
    length: usize,
) -> Vec<u8> {
    let mut frame = ipv4(17, source, destination, length);
    frame[18..20].copy_from_slice(&number.to_be_bytes());
    frame[20..22].copy_from_slice(&(place | u16::from(has_more) << 13).to_be_bytes());
    frame[24..26].fill(0);
    let checksum = header_sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame.resize(frame.len() + length, 1);
    frame
}

/// A packet of any protocol.
pub(crate) fn packet(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    [ipv4(protocol, source, destination, payload.len()), payload.to_vec()].concat()
}

/// Somebody asks for the host, or tells it who has the address.
pub(crate) fn arp(sender: Ipv4Addr, host: Ipv4Addr, is_question: bool) -> Vec<u8> {
    let mut frame = arp_answer(sender, host);
    frame[21] = if is_question { 1 } else { 2 };
    let [.., low] = sender.octets();
    frame[22..28].copy_from_slice(&[2, 6, 6, 6, 6, low]);
    frame
}

/// One of many neighbors of IPv6 tells of itself unasked.
pub(crate) fn neighbor(number: u32) -> Vec<u8> {
    let [a, b, c, d] = number.to_be_bytes().map(u16::from);
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 6, 6, a << 8 | b, c << 8 | d);
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1, 2, 6, 6, 6, c as u8, d as u8]);
    icmpv6(address, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), message)
}

/// What somebody says who would be a DHCP server: an offer (2) or a lease (5) of that transaction.
pub(crate) fn lease(transaction: &[u8; 4], address: Ipv4Addr, kind: u8) -> Vec<u8> {
    let server = SERVER.octets();
    let options = [&[99, 130, 83, 99, 53, 1, kind, 54, 4][..], &server, &[51, 4, 0, 0, 14, 16, 255]].concat();
    dhcp(transaction, address, &options)
}

fn ethernet(to: [u8; 6], kind: [u8; 2]) -> Vec<u8> {
    [&to[..], &ROUTER_MAC, &kind].concat()
}

fn dhcp(transaction: &[u8], address: Ipv4Addr, options: &[u8]) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0];
    message.extend(transaction);
    message.extend([0; 8]);
    message.extend(address.octets());
    message.extend([0; 8]);
    message.extend(MAC);
    message.resize(236, 0);
    message.extend(options);
    let mut frame = ipv4(17, SERVER, address, 8 + message.len());
    frame.extend([0, 67, 0, 68]);
    frame.extend((8 + message.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

/// An advertisement of the router, for so many seconds, with prefixes that are valid for so many.
pub(crate) fn router_advertisement(router: u16, valid: u32, prefixes: &[u16]) -> Vec<u8> {
    advertisement_of(ROUTER, router, valid, prefixes)
}

/// The same of another router, which does not answer for its address.
pub(crate) fn silent_router_advertisement(router: u16, valid: u32, prefixes: &[u16]) -> Vec<u8> {
    advertisement_of(SILENT_ROUTER, router, valid, prefixes)
}

fn advertisement_of(source: Ipv6Addr, router: u16, valid: u32, prefixes: &[u16]) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(router.to_be_bytes());
    message.extend([0; 8]);
    for number in prefixes {
        message.extend([3, 4, 64, 0xc0]);
        message.extend([valid.to_be_bytes(), valid.to_be_bytes(), [0; 4]].concat());
        message.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, *number, 0, 0, 0, 0).octets());
    }
    icmpv6(source, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), message)
}

/// A ping from `source`, passed on by the router.
pub(crate) fn echo_request(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    icmpv6(source, destination, vec![128, 0, 0, 0, 0, 7, 0, 1, 42])
}

/// The router's answer to who asks for it.
fn neighbor_advertisement(asker: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    message.extend(ROUTER.octets());
    message.extend([2, 1]);
    message.extend(ROUTER_MAC);
    icmpv6(ROUTER, asker, message)
}

fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let addresses = [source.octets(), destination.octets()].concat();
    let pseudo = [&addresses[..], &(message.len() as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
    let checksum = !sum(&[pseudo, message.clone()].concat());
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let [.., g0, g1, g2, g3] = destination.octets();
    let to = if destination.is_multicast() { [0x33, 0x33, g0, g1, g2, g3] } else { MAC };
    let mut frame = ethernet(to, IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([58, 255]);
    frame.extend(addresses);
    frame.extend(message);
    frame
}

/// The checksum of a header of IPv4 in which it is zero.
pub(crate) fn header_sum(header: &[u8]) -> u16 {
    !sum(header)
}

/// The sum of RFC 1071.
fn sum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])));
    let sum: u32 = words.sum();
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + (once & 0xffff)) as u16
}
