// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hosts on the network that packets go to next, and their Ethernet addresses (`neighbour` of Linux): ARP for
//! IPv4 and neighbor discovery for IPv6.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Message,
};

use crate::packet::{ETHERNET, Mac, Packet};
use crate::tuple::ICMPV6;

/// Neighbors at most.
const MOST: usize = 256;
/// What is known is asked again after so long.
const REACHABLE: Duration = Duration::from_secs(30);
/// What was not confirmed for so long is not known any more.
const STALE: Duration = Duration::from_secs(300);
/// Pause between two questions.
const RETRANSMIT: Duration = Duration::from_secs(1);
/// Packets that wait for an answer at most, for each neighbor.
const WAITING: usize = 4;
/// What waits for answers in all, in bytes, at most.
const WAITING_BYTES: usize = 128 << 10;

pub(crate) const BROADCAST: Mac = [0xff; 6];

#[derive(Debug, Default)]
struct Neighbor {
    mac: Option<Mac>,
    confirmed: Duration,
    asked: Option<Duration>,
    waiting: Vec<Packet>,
}

/// What to do with a packet for a neighbor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The packet, if it can leave.
    pub(crate) packet: Option<(Packet, Mac)>,
    /// Whether the neighbor is to be asked for its address.
    pub(crate) asks: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Neighbors {
    known: BTreeMap<IpAddr, Neighbor>,
    waiting: usize,
}

impl Neighbors {
    /// Finds the address of `neighbor` for `packet`, or keeps the packet until that is known; what there is
    /// no room for is lost.
    pub(crate) fn resolve(&mut self, neighbor: IpAddr, packet: Packet, now: Duration) -> Resolved {
        if !self.known.contains_key(&neighbor) && self.known.len() >= MOST {
            self.forget_one();
        }
        let entry = self.known.entry(neighbor).or_default();
        let age = now.saturating_sub(entry.confirmed);
        let wants = entry.mac.is_none() || age >= REACHABLE;
        let asks = wants && entry.asked.is_none_or(|asked| now.saturating_sub(asked) >= RETRANSMIT);
        if asks {
            entry.asked = Some(now);
        }
        if let Some(mac) = entry.mac.filter(|_| age < STALE) {
            return Resolved { packet: Some((packet, mac)), asks };
        }
        let size = packet.bytes.len();
        if entry.waiting.len() < WAITING && self.waiting + size <= WAITING_BYTES {
            self.waiting += size;
            entry.waiting.push(packet);
        }
        Resolved { packet: None, asks }
    }

    /// Notes the address of a neighbor that somebody wants to reach; returns what waits for it.
    pub(crate) fn learn(&mut self, neighbor: IpAddr, mac: Mac, now: Duration) -> Vec<Packet> {
        let is_group = mac.first().is_none_or(|first| first & 1 != 0);
        let Some(entry) = self.known.get_mut(&neighbor).filter(|_| !is_group) else { return Vec::new() };
        (entry.mac, entry.confirmed) = (Some(mac), now);
        let waiting = core::mem::take(&mut entry.waiting);
        self.waiting -= waiting.iter().map(|packet| packet.bytes.len()).sum::<usize>();
        waiting
    }

    /// Forgets all: this is another network.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets the one that was heard of least recently.
    fn forget_one(&mut self) {
        let oldest =
            self.known.iter().min_by_key(|(_, entry)| entry.confirmed.max(entry.asked.unwrap_or_default()));
        if let Some(entry) =
            oldest.map(|(address, _)| *address).and_then(|address| self.known.remove(&address))
        {
            self.waiting -= entry.waiting.iter().map(|packet| packet.bytes.len()).sum::<usize>();
        }
    }
}

/// An ARP message, if `packet` is one.
pub(crate) fn arp(packet: &[u8]) -> Option<ArpRepr> {
    ArpRepr::parse(&ArpPacket::new_checked(packet.get(ETHERNET..)?).ok()?).ok()
}

/// An ARP message as a frame.
pub(crate) fn arp_packet(message: &ArpRepr, destination: Mac) -> Packet {
    let ArpRepr::EthernetIpv4 { source_hardware_addr, .. } = message else { return Packet::default() };
    let mut packet = Packet::new(vec![0; ETHERNET + message.buffer_len()]);
    EthernetFrame::new_unchecked(&mut packet.bytes).set_ethertype(EthernetProtocol::Arp);
    packet.set_ethernet(destination, source_hardware_addr.0);
    message.emit(&mut ArpPacket::new_unchecked(packet.ip_mut()));
    packet
}

/// The question who has `target`.
pub(crate) fn question(target: IpAddr, own: IpAddr, own_mac: Mac) -> Option<Packet> {
    match (target, own) {
        (IpAddr::V4(target), IpAddr::V4(own)) => {
            let message = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Request,
                source_hardware_addr: EthernetAddress(own_mac),
                source_protocol_addr: own,
                target_hardware_addr: EthernetAddress([0; 6]),
                target_protocol_addr: target,
            };
            Some(arp_packet(&message, BROADCAST))
        }
        (IpAddr::V6(target), IpAddr::V6(own)) => {
            let [.., a, b, c] = target.octets();
            let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
            let mut packet =
                neighbor_message(Icmpv6Message::NeighborSolicit, [0; 4], (own, group), target, (1, own_mac))?;
            packet.set_ethernet([0x33, 0x33, 0xff, a, b, c], own_mac);
            Some(packet)
        }
        _ => None,
    }
}

/// The answer that `target` is here, to `asker`.
pub(crate) fn advertisement(target: Ipv6Addr, asker: Ipv6Addr, own_mac: Mac) -> Option<Packet> {
    // From a router, asked for, to replace what is known (RFC 4861, section 4.4).
    let flags = [0xe0, 0, 0, 0];
    neighbor_message(Icmpv6Message::NeighborAdvert, flags, (target, asker), target, (2, own_mac))
}

fn neighbor_message(
    kind: Icmpv6Message,
    flags: [u8; 4],
    (source, destination): (Ipv6Addr, Ipv6Addr),
    target: Ipv6Addr,
    (option, mac): (u8, Mac),
) -> Option<Packet> {
    let mut message = vec![kind.into(), 0, 0, 0];
    message.extend(flags);
    message.extend(target.octets());
    message.extend([option, 1]);
    message.extend(mac);
    crate::icmp::packet(source.into(), destination.into(), ICMPV6, 255, message)
}

/// What a neighbor solicitation or advertisement is about, and the Ethernet address that it tells, if it is
/// valid: RFC 4861, section 7.1.
pub(crate) fn discovery(message: &[u8], hop_limit: u8) -> Option<(Icmpv6Message, Ipv6Addr, Option<Mac>)> {
    let kind = Icmpv6Message::from(*message.first()?);
    let option = match kind {
        Icmpv6Message::NeighborSolicit => 1,
        Icmpv6Message::NeighborAdvert => 2,
        _ => return None,
    };
    if hop_limit != 255 || message.get(1) != Some(&0) {
        return None;
    }
    let target = Ipv6Addr::from(*message.get(8..24)?.first_chunk::<16>()?);
    let mac = message.get(24..32).and_then(|bytes| match bytes {
        [kind, 1, mac @ ..] if *kind == option => mac.first_chunk::<6>().copied(),
        _ => None,
    });
    Some((kind, target, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7));
    const MAC: Mac = [6, 0, 0, 0, 0, 7];

    fn packet(length: usize) -> Packet {
        Packet::new(vec![7; length])
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn packets_wait_until_the_neighbor_has_answered() {
        let mut neighbors = Neighbors::default();
        assert_eq!(neighbors.resolve(HOST, packet(60), at(1)), Resolved { packet: None, asks: true });
        assert_eq!(neighbors.resolve(HOST, packet(61), at(1)), Resolved { packet: None, asks: false });
        assert_eq!(neighbors.learn(HOST, MAC, at(1)), [packet(60), packet(61)]);
        let sent = neighbors.resolve(HOST, packet(62), at(2));
        assert_eq!(sent, Resolved { packet: Some((packet(62), MAC)), asks: false });
        assert!(neighbors.resolve(HOST, packet(62), at(40)).asks, "it is asked again");
        assert!(neighbors.resolve(HOST, packet(62), at(302)).packet.is_none());
    }

    #[test]
    fn nobody_is_learned_that_is_not_asked_for() {
        let mut neighbors = Neighbors::default();
        neighbors.learn(HOST, MAC, at(1));
        assert!(neighbors.resolve(HOST, packet(60), at(1)).packet.is_none());
        neighbors.learn(HOST, BROADCAST, at(1));
        assert!(neighbors.resolve(HOST, packet(60), at(1)).packet.is_none());
    }

    #[test]
    fn what_waits_has_a_bound() {
        let mut neighbors = Neighbors::default();
        for host in 0..10_000_u32 {
            neighbors.resolve(core::net::Ipv4Addr::from_bits(host).into(), packet(10_000), at(1));
        }
        assert!(neighbors.known.len() <= MOST && neighbors.waiting <= WAITING_BYTES);
        let waiting: usize =
            neighbors.known.values().flat_map(|entry| &entry.waiting).map(|packet| packet.bytes.len()).sum();
        assert_eq!(waiting, neighbors.waiting);
    }
}
