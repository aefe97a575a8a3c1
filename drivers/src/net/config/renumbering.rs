// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several addresses of IPv6, where the stack has one: a prefix beside another, or instead of it.
//!
//! `embassy-net` has room for one address. It keeps the first as long as that is valid, so that connections
//! last. In packets to or from our other addresses that one is exchanged for it, flow by flow.
//! Checksums of TCP and UDP need no care: they are verified before packets get here, and filled in
//! afterwards.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use super::super::checksum::icmpv6;
use super::slaac::Ipv6Config;

/// Flows of other addresses that are kept: more than the stack has sockets. Of more, the one that was used
/// least lately is forgotten.
const MOST_FLOWS: usize = 256;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Our addresses but the stack's, and their flows.
#[derive(Debug, Default)]
pub(super) struct Renumbering {
    addresses: Option<Addresses>,
    flows: Vec<Flow>,
    clock: u64,
}

/// Our addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The one that the stack has.
    pub(super) inside: Ipv6Addr,
    /// All others; not empty.
    pub(super) others: Vec<Ipv6Addr>,
    /// The one that new flows begin from: one of these.
    pub(super) source: Ipv6Addr,
}

impl Addresses {
    /// Those of `config`, if the stack does not have all.
    pub(super) fn of(config: &Ipv6Config) -> Option<Self> {
        let (inside, _) = config.address?;
        let others = config.others.clone();
        (!others.is_empty()).then(|| Self { inside, others, source: config.source.unwrap_or(inside) })
    }
}

#[derive(Debug)]
struct Flow {
    ends: Ends,
    local: Ipv6Addr,
    used: u64,
}

/// What packets of a flow have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    protocol: u8,
    remote: Ipv6Addr,
    remote_port: [u8; 2],
    local_port: [u8; 2],
}

/// A packet of IPv6 behind its Ethernet header.
struct Packet<'a> {
    protocol: u8,
    source: &'a mut [u8; 16],
    destination: &'a mut [u8; 16],
    payload: &'a mut [u8],
}

impl Renumbering {
    /// These are our addresses; `None` if the stack has all.
    pub(super) fn set(&mut self, addresses: Option<Addresses>) {
        let others = addresses.as_ref().map_or(&[][..], |addresses| &addresses.others);
        self.flows.retain(|flow| others.contains(&flow.local));
        self.addresses = addresses;
    }

    /// Whether we have `address`, and the stack does not know.
    pub(super) fn has(&self, address: Ipv6Addr) -> bool {
        self.addresses.as_ref().is_some_and(|addresses| addresses.others.contains(&address))
    }

    /// Changes a frame that comes in.
    pub(super) fn ingress(&mut self, frame: &mut [u8]) {
        let Some(inside) = self.addresses.as_ref().map(|addresses| addresses.inside) else { return };
        let Some(packet) = Packet::find(frame) else { return };
        let local = Ipv6Addr::from(*packet.destination);
        let Some(ends) = packet.ends(*packet.source, |[remote, local]| [remote, local]) else { return };
        if self.has(local) {
            self.remember(ends, local);
            packet.readdress(|packet| *packet.destination = inside.octets());
        } else if local == inside {
            self.flows.retain(|flow| flow.ends != ends);
        }
    }

    /// Changes a frame that goes out.
    pub(super) fn egress(&mut self, frame: &mut [u8]) {
        let Some(addresses) = &self.addresses else { return };
        let (inside, source) = (addresses.inside, addresses.source);
        let Some(packet) = Packet::find(frame).filter(|packet| *packet.source == inside.octets()) else {
            return;
        };
        let Some(ends) = packet.ends(*packet.destination, |[local, remote]| [remote, local]) else { return };
        self.clock += 1;
        let known = self.flows.iter_mut().find(|flow| flow.ends == ends);
        let local = match known {
            Some(flow) => {
                flow.used = self.clock;
                flow.local
            }
            None if source != inside && packet.begins() && !ends.remote.is_multicast() => {
                self.remember(ends, source);
                source
            }
            None => return,
        };
        packet.readdress(|packet| *packet.source = local.octets());
    }

    fn remember(&mut self, ends: Ends, local: Ipv6Addr) {
        self.clock += 1;
        let flow = Flow { ends, local, used: self.clock };
        if let Some(known) = self.flows.iter_mut().find(|known| known.ends == ends) {
            *known = flow;
        } else if self.flows.len() < MOST_FLOWS {
            self.flows.push(flow);
        } else if let Some(oldest) = self.flows.iter_mut().min_by_key(|flow| flow.used) {
            *oldest = flow;
        }
    }
}

impl<'a> Packet<'a> {
    fn find(frame: &'a mut [u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_first_chunk_mut::<14>()?;
        let (header, payload) = packet.split_first_chunk_mut::<40>()?;
        let [first, _, _, _, l0, l1, protocol, _, addresses @ ..] = header;
        let (source, destination) = addresses.split_first_chunk_mut::<16>()?;
        let payload = payload.get_mut(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
        let is_ipv6 = ethernet.ends_with(&[0x86, 0xdd]) && *first >> 4 == 6;
        let destination = destination.first_chunk_mut()?;
        is_ipv6.then_some(Self { protocol: *protocol, source, destination, payload })
    }

    /// The ends of the flow that it belongs to; `order` makes remote and local of source and destination.
    fn ends(&self, remote: [u8; 16], order: fn([[u8; 2]; 2]) -> [[u8; 2]; 2]) -> Option<Ends> {
        let ports = match (self.protocol, &*self.payload) {
            (TCP | UDP, [s0, s1, d0, d1, ..]) => [[*s0, *s1], [*d0, *d1]],
            (ICMPV6, [ECHO_REQUEST | ECHO_REPLY, _, _, _, i0, i1, ..]) => [[*i0, *i1]; 2],
            _ => return None,
        };
        let [remote_port, local_port] = order(ports);
        Some(Ends { protocol: self.protocol, remote: remote.into(), remote_port, local_port })
    }

    /// Whether it may be the first of its flow.
    fn begins(&self) -> bool {
        match (self.protocol, &*self.payload) {
            (TCP, [_, _, _, _, _, _, _, _, _, _, _, _, _, flags, ..]) => flags & 0x12 == 0x02, // SYN without ACK
            (ICMPV6, [kind, ..]) => *kind == ECHO_REQUEST,
            (protocol, _) => protocol == UDP,
        }
    }

    /// Has `change` change an address.
    fn readdress(mut self, change: impl FnOnce(&mut Self)) {
        change(&mut self);
        if self.protocol == ICMPV6
            && let Some((head, _)) = self.payload.split_first_chunk_mut::<4>()
        {
            let [_, _, checksum @ ..] = head;
            *checksum = [0; 2];
            let addresses = [*self.source, *self.destination];
            let right = icmpv6(addresses.as_flattened(), self.payload).to_be_bytes();
            if let Some(checksum) = self.payload.get_mut(2..4) {
                checksum.copy_from_slice(&right);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn address(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
    }

    const INSIDE: Ipv6Addr = address(1);
    const OTHER: Ipv6Addr = address(2);
    const REMOTE: Ipv6Addr = address(9);
    const SYN: u8 = 2;
    const ACK: u8 = 0x10;

    fn packet(protocol: u8, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, payload.len() as u8, protocol, 64]);
        frame.extend(source.octets());
        frame.extend(destination.octets());
        frame.extend(payload);
        frame
    }

    fn segment(source: (Ipv6Addr, u8), destination: (Ipv6Addr, u8), flags: u8) -> Vec<u8> {
        let mut payload = [0; 20];
        (payload[1], payload[3], payload[13]) = (source.1, destination.1, flags);
        packet(TCP, source.0, destination.0, &payload)
    }

    fn two(source: Ipv6Addr) -> Renumbering {
        let mut renumbering = Renumbering::default();
        renumbering.set(Some(Addresses { inside: INSIDE, others: vec![OTHER], source }));
        renumbering
    }

    fn goes_out(renumbering: &mut Renumbering, mut frame: Vec<u8>) -> Vec<u8> {
        renumbering.egress(&mut frame);
        frame
    }

    fn comes_in(renumbering: &mut Renumbering, mut frame: Vec<u8>) -> Vec<u8> {
        renumbering.ingress(&mut frame);
        frame
    }

    #[test]
    fn who_asks_another_address_is_answered_from_it() {
        let mut both = two(INSIDE);
        let asked = comes_in(&mut both, segment((REMOTE, 7), (OTHER, 80), SYN));
        assert_eq!(asked, segment((REMOTE, 7), (INSIDE, 80), SYN));
        let answer = goes_out(&mut both, segment((INSIDE, 80), (REMOTE, 7), SYN | ACK));
        assert_eq!(answer, segment((OTHER, 80), (REMOTE, 7), SYN | ACK));
        for others in [segment((INSIDE, 80), (REMOTE, 8), ACK), segment((INSIDE, 81), (REMOTE, 7), ACK)] {
            assert_eq!(goes_out(&mut both, others.clone()), others);
        }
        // The same peer turns to the other address.
        let turned = segment((REMOTE, 7), (INSIDE, 80), SYN);
        assert_eq!(comes_in(&mut both, turned.clone()), turned);
        let answer = segment((INSIDE, 80), (REMOTE, 7), SYN | ACK);
        assert_eq!(goes_out(&mut both, answer.clone()), answer);
    }

    #[test]
    fn new_flows_begin_from_the_address_that_is_preferred() {
        let mut deprecated = two(OTHER);
        let old = segment((INSIDE, 7), (REMOTE, 80), ACK);
        assert_eq!(goes_out(&mut deprecated, old.clone()), old, "connections last");
        let begun = goes_out(&mut deprecated, segment((INSIDE, 8), (REMOTE, 80), SYN));
        assert_eq!(begun, segment((OTHER, 8), (REMOTE, 80), SYN));
        let later = goes_out(&mut deprecated, segment((INSIDE, 8), (REMOTE, 80), ACK));
        assert_eq!(later, segment((OTHER, 8), (REMOTE, 80), ACK));
        let answer = comes_in(&mut deprecated, segment((REMOTE, 80), (OTHER, 8), ACK));
        assert_eq!(answer, segment((REMOTE, 80), (INSIDE, 8), ACK));
    }

    #[test]
    fn an_echo_has_a_right_checksum_both_ways() {
        let mut both = two(INSIDE);
        let echo = |kind, source: Ipv6Addr, destination: Ipv6Addr| {
            let mut payload = vec![kind, 0, 0, 0, 1, 2, 0, 1, 0xaa, 0xbb];
            let sum = icmpv6([source.octets(), destination.octets()].as_flattened(), &payload);
            payload[2..4].copy_from_slice(&sum.to_be_bytes());
            packet(ICMPV6, source, destination, &payload)
        };
        let asked = comes_in(&mut both, echo(ECHO_REQUEST, REMOTE, OTHER));
        assert_eq!(asked, echo(ECHO_REQUEST, REMOTE, INSIDE));
        let answer = goes_out(&mut both, echo(ECHO_REPLY, INSIDE, REMOTE));
        assert_eq!(answer, echo(ECHO_REPLY, OTHER, REMOTE));
    }

    #[test]
    fn flows_are_bounded_and_those_in_use_stay() {
        let mut both = two(INSIDE);
        let answer = segment((INSIDE, 80), (REMOTE, 7), ACK);
        comes_in(&mut both, segment((REMOTE, 7), (OTHER, 80), SYN));
        for number in 100..2000 {
            comes_in(&mut both, segment((address(number), 7), (OTHER, 80), SYN));
            assert_eq!(goes_out(&mut both, answer.clone()), segment((OTHER, 80), (REMOTE, 7), ACK));
        }
        assert_eq!(both.flows.len(), MOST_FLOWS);
        both.set(None);
        assert_eq!((both.flows.len(), goes_out(&mut both, answer.clone())), (0, answer));
    }

    #[test]
    fn broken_packets_are_left_alone() {
        let mut both = two(OTHER);
        for frame in [segment((REMOTE, 7), (OTHER, 80), SYN), segment((INSIDE, 7), (REMOTE, 80), SYN)] {
            for length in 0..frame.len() {
                let cut = frame[..length].to_vec();
                assert_eq!(comes_in(&mut both, cut.clone()), cut);
                assert_eq!(goes_out(&mut both, cut.clone()), cut);
            }
        }
    }
}
