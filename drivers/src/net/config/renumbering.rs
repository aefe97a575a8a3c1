// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several addresses of IPv6, where the stack has one: a prefix beside another, or instead of it.
//!
//! `embassy-net` has room for one address. It keeps the first as long as that is valid, so that connections
//! last. In packets to or from our other addresses that one is exchanged for it, flow by flow.
//! Checksums of TCP and UDP need no care: they are verified before packets get here, and filled in
//! afterwards.
//!
//! Others can send what seems to belong to a flow. So one of TCP keeps its address once we have sent
//! something else in it than the answer to a SYN: only with our answer to another SYN is it a new one.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use super::super::checksum::icmpv6;
use super::slaac::Ipv6Config;

/// Flows that are remembered: more than the stack has sockets. Of more, the one that was used least lately is
/// forgotten, connections last.
const MAX_FLOWS: usize = 256;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

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
    /// Our address, the stack's or another one.
    local: Ipv6Addr,
    /// Where the last SYN came to, of a connection that there may be next.
    asked: Ipv6Addr,
    /// We have sent data in it, or an acknowledgement, and not ended it since.
    is_connection: bool,
    /// We have ended it.
    is_over: bool,
    used: u64,
}

impl Flow {
    /// What makes one be remembered for longer than others.
    fn worth(&self) -> (bool, bool, u64) {
        (self.is_connection, self.is_over, self.used)
    }

    /// We send a TCP segment with these flags.
    fn note_sent(&mut self, flags: u8) {
        if flags & (SYN | ACK) == SYN | ACK {
            self.local = self.asked;
        }
        self.is_over = flags & SYN == 0 && self.is_over || flags & (FIN | RST) != 0;
        self.is_connection = flags & SYN == 0 && !self.is_over;
    }
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
        self.addresses = addresses;
        let mut flows = core::mem::take(&mut self.flows);
        flows.retain(|flow| self.is_ours(flow.local));
        self.flows = flows;
    }

    /// Whether we have `address`, and the stack does not know.
    pub(super) fn has(&self, address: Ipv6Addr) -> bool {
        self.addresses.as_ref().is_some_and(|addresses| addresses.others.contains(&address))
    }

    fn is_ours(&self, address: Ipv6Addr) -> bool {
        self.addresses.as_ref().is_some_and(|addresses| addresses.inside == address) || self.has(address)
    }

    /// Changes a frame that comes in.
    pub(super) fn ingress(&mut self, frame: &mut [u8]) {
        let Some(addresses) = &self.addresses else { return };
        let (inside, source) = (addresses.inside, addresses.source);
        let Some(packet) = Packet::find(frame) else { return };
        let local = Ipv6Addr::from(*packet.destination);
        if !self.is_ours(local) {
            return;
        }
        match packet.ends(*packet.source, |[remote, local]| [remote, local]) {
            Some(ends) => {
                // An answer would leave from the address for what is new.
                let is_mistaken = source != inside && ends.protocol != TCP;
                self.observe(ends, local, packet.begins(), local != inside || is_mistaken);
            }
            None if packet.is_error() => {}
            None => return,
        }
        if local != inside {
            packet.readdress(|packet| {
                packet.requote(local, inside);
                *packet.destination = inside.octets();
            });
        }
    }

    /// A packet of a flow came to `local`; one that is not known yet is remembered, if it `is_to_be`.
    fn observe(&mut self, ends: Ends, local: Ipv6Addr, begins: bool, is_to_be: bool) {
        self.clock += 1;
        match self.flows.iter_mut().find(|flow| flow.ends == ends) {
            Some(flow) if !flow.is_connection && !flow.is_over => {
                (flow.local, flow.asked, flow.used) = (local, local, self.clock);
            }
            Some(flow) if begins => flow.asked = local,
            None if is_to_be => self.remember(ends, local),
            _ => {}
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
        let begins = packet.begins() && !ends.remote.is_multicast();
        let local = self.source_of(ends, packet.flags(), if begins { source } else { inside });
        if local != inside {
            packet.readdress(|packet| *packet.source = local.octets());
        }
    }

    /// Our address in a flow in which we send a packet with these flags of TCP; `new` if it is not known.
    fn source_of(&mut self, ends: Ends, flags: Option<u8>, new: Ipv6Addr) -> Ipv6Addr {
        self.clock += 1;
        let is_in_connection = flags.is_some_and(|flags| flags & (SYN | RST | FIN) == 0);
        if !self.flows.iter().any(|flow| flow.ends == ends) {
            if !is_in_connection && !self.has(new) {
                return new;
            }
            self.remember(ends, new);
        }
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.ends == ends) else { return new };
        flow.used = self.clock;
        if let Some(flags) = flags {
            flow.note_sent(flags);
        }
        flow.local
    }

    fn remember(&mut self, ends: Ends, local: Ipv6Addr) {
        let flow = Flow { ends, local, asked: local, is_connection: false, is_over: false, used: self.clock };
        if self.flows.len() < MAX_FLOWS {
            self.flows.push(flow);
        } else if let Some(least) = self.flows.iter_mut().min_by_key(|flow| flow.worth()) {
            *least = flow;
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

    /// The flags of a TCP segment.
    fn flags(&self) -> Option<u8> {
        if self.protocol == TCP { Some(self.payload.get(13).copied().unwrap_or_default()) } else { None }
    }

    /// Whether it may be the first of its flow.
    fn begins(&self) -> bool {
        match (self.protocol, &*self.payload) {
            (TCP, _) => self.flags().is_some_and(|flags| flags & (SYN | ACK) == SYN),
            (ICMPV6, [kind, ..]) => *kind == ECHO_REQUEST,
            (protocol, _) => protocol == UDP,
        }
    }

    /// Whether it says that something is wrong with a packet of ours (RFC 4443, section 2.1).
    fn is_error(&self) -> bool {
        self.protocol == ICMPV6 && self.payload.first().is_some_and(|kind| *kind < ECHO_REQUEST)
    }

    /// Has an error quote a packet from `new` instead of `old`.
    fn requote(&mut self, old: Ipv6Addr, new: Ipv6Addr) {
        const SOURCE: usize = 8 + 8;
        if self.is_error()
            && let Some(source) = self.payload.get_mut(SOURCE..).and_then(<[u8]>::first_chunk_mut::<16>)
            && *source == old.octets()
        {
            *source = new.octets();
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
    fn a_request_to_another_address_is_answered_from_it() {
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
        assert_eq!(both.flows.len(), MAX_FLOWS);
        both.set(None);
        assert_eq!((both.flows.len(), goes_out(&mut both, answer.clone())), (0, answer));
    }

    #[test]
    fn a_connection_keeps_its_address_whatever_others_send() {
        let mut both = two(INSIDE);
        let [data, other_data] = [80, 81].map(|port| segment((INSIDE, port), (REMOTE, 7), ACK));
        comes_in(&mut both, segment((REMOTE, 7), (OTHER, 80), SYN));
        goes_out(&mut both, segment((INSIDE, 80), (REMOTE, 7), SYN | ACK));
        goes_out(&mut both, data.clone());
        assert_eq!(goes_out(&mut both, other_data.clone()), other_data, "one by the stack's address");
        for number in 100..2000 {
            comes_in(&mut both, segment((address(number), 7), (OTHER, 80), SYN));
        }
        for flags in [SYN, ACK, RST, FIN] {
            for to in [INSIDE, OTHER] {
                for port in [80, 81] {
                    comes_in(&mut both, segment((REMOTE, 7), (to, port), flags));
                }
            }
            let sent = goes_out(&mut both, data.clone());
            assert_eq!(sent, segment((OTHER, 80), (REMOTE, 7), ACK), "after {flags:#x}");
            assert_eq!(goes_out(&mut both, other_data.clone()), other_data, "after {flags:#x}");
        }
    }

    #[test]
    fn what_is_left_to_send_of_a_connection_that_we_ended_has_its_address() {
        let mut both = two(INSIDE);
        comes_in(&mut both, segment((REMOTE, 7), (OTHER, 80), SYN));
        for flags in [SYN | ACK, ACK, FIN | ACK] {
            goes_out(&mut both, segment((INSIDE, 80), (REMOTE, 7), flags));
        }
        for number in 100..2000 {
            comes_in(&mut both, segment((address(number), 7), (OTHER, 80), SYN));
        }
        for flags in [SYN, ACK, RST, FIN] {
            comes_in(&mut both, segment((REMOTE, 7), (INSIDE, 80), flags));
            let sent = goes_out(&mut both, segment((INSIDE, 80), (REMOTE, 7), ACK));
            assert_eq!(sent, segment((OTHER, 80), (REMOTE, 7), ACK), "after {flags:#x}");
        }
    }

    #[test]
    fn the_next_connection_between_the_same_ports_has_the_address_that_it_came_to() {
        let mut both = two(INSIDE);
        for (to, flags) in [(OTHER, FIN | ACK), (INSIDE, ACK), (OTHER, ACK), (INSIDE, RST), (OTHER, ACK)] {
            comes_in(&mut both, segment((REMOTE, 7), (to, 80), SYN));
            for flags in [SYN | ACK, ACK, flags] {
                let sent = goes_out(&mut both, segment((INSIDE, 80), (REMOTE, 7), flags));
                assert_eq!(sent, segment((to, 80), (REMOTE, 7), flags));
            }
        }
    }

    #[test]
    fn connections_that_were_ended_make_room_for_others() {
        let mut both = two(INSIDE);
        for number in 100..400 {
            comes_in(&mut both, segment((address(number), 7), (OTHER, 80), SYN));
            for flags in [SYN | ACK, ACK, FIN | ACK, ACK] {
                goes_out(&mut both, segment((INSIDE, 80), (address(number), 7), flags));
            }
        }
        assert!(both.flows.iter().all(|flow| !flow.is_connection));
    }

    #[test]
    fn a_server_of_datagrams_answers_from_the_address_that_was_asked() {
        let mut deprecated = two(OTHER);
        let datagram = |source: (Ipv6Addr, u8), destination: (Ipv6Addr, u8)| {
            packet(UDP, source.0, destination.0, &[0, source.1, 0, destination.1, 0, 8, 0, 0])
        };
        for to in [INSIDE, OTHER, INSIDE] {
            let asked = comes_in(&mut deprecated, datagram((REMOTE, 7), (to, 53)));
            assert_eq!(asked, datagram((REMOTE, 7), (INSIDE, 53)));
            let answer = goes_out(&mut deprecated, datagram((INSIDE, 53), (REMOTE, 7)));
            assert_eq!(answer, datagram((to, 53), (REMOTE, 7)));
        }
    }

    #[test]
    fn what_is_wrong_with_packets_from_another_address_is_told_of_the_stacks() {
        let mut both = two(INSIDE);
        let error = |to: Ipv6Addr| {
            let quoted = segment((to, 80), (REMOTE, 7), ACK);
            let mut payload = [&[2, 0, 0, 0, 0, 0, 5, 0], &quoted[14..]].concat();
            let sum = icmpv6([REMOTE.octets(), to.octets()].as_flattened(), &payload);
            payload[2..4].copy_from_slice(&sum.to_be_bytes());
            packet(ICMPV6, REMOTE, to, &payload)
        };
        assert_eq!(comes_in(&mut both, error(OTHER)), error(INSIDE));
        assert_eq!(comes_in(&mut both, error(INSIDE)), error(INSIDE));
        assert_eq!(comes_in(&mut both, error(REMOTE)), error(REMOTE));
        let neighbors = packet(ICMPV6, REMOTE, OTHER, &[135; 40]);
        assert_eq!(comes_in(&mut both, neighbors.clone()), neighbors);
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
