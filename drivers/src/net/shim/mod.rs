// SPDX-License-Identifier: MIT OR Apache-2.0
//! A layer between the network stack and the network, which hardens the stack as a firewall would: it
//! replaces predictable numbers on the way out, and restores them on the way in.
//!
//! The stack (smoltcp) takes sequence numbers, DNS ids and DHCP ids from a generator whose state a few of its
//! numbers reveal, and ports one after the other. On the network are numbers that follow from a secret key.
//!
//! | what | how |
//! |---|---|
//! | sequence numbers of TCP | offset by a secret of the connection's two ends (`sequence`) |
//! | our ports of connections that we open | random ones, kept in a table (`ports`) |
//! | ids of DNS | combined with a secret of the two ends, one of which is a random port (`transactions`) |
//! | ids of DHCP | random ones (`transactions`) |
//!
//! It also discovers the MTU of paths, from routers and from what gets lost (`paths`, `errors`, `flow`): the
//! stack knows one MTU only, and frames are divided behind it. And it controls congestion (`congestion`,
//! `flow`): the stack is told a smaller window than the peer's. A client for which no socket is free is not
//! refused, and tries again (`listened`). A SYN between the ends of a connection that there is begins no
//! other one, and what the stack would see of a packet and the shim does not is dropped (`hidden`).
//!
//! Checksums need no care: they are verified before packets get here, and filled in after they have left.

mod congestion;
mod datagrams;
mod errors;
mod flow;
mod flows;
mod headers;
mod hidden;
mod listened;
mod paths;
mod peer;
mod ports;
mod prompt;
mod random;
mod sequence;
mod siphash;
mod transactions;

#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "../../../tests/path/too_big.rs"]
mod too_big;

use alloc::boxed::Box;

use datagrams::Datagrams;
use errors::{TooBig, refused};
use flow::DUPLICATES;
use flows::Flows;
use headers::{ACK, Direction, FIN, Headers, RST, SYN, TCP, Tuple, destination};
use hidden::is_hidden;
use listened::Listened;
use paths::{Limit, Paths};
use peer::Peer;
use ports::{Ports, is_group};
use random::{Random, Secret};
use transactions::Transactions;

use super::frame::ETHERNET_HEADER;
use super::frame::discard;
use super::segmentation;

const SYN_ACK: u8 = SYN | ACK;
const RST_ACK: u8 = RST | ACK;

/// What guards a port's connections.
pub struct StackShim<'k> {
    random: Random,
    now: Box<dyn Fn() -> u64 + Send + 'k>,
    ports: Ports,
    transactions: Transactions,
    flows: Flows,
    datagrams: Datagrams,
    paths: Paths,
    listened: Listened,
    /// TCP segments that the stack may make as one.
    segments: usize,
}

impl<'k> StackShim<'k> {
    /// A shim with a secret `key`, a new one for each boot, and a clock that tells nanoseconds.
    pub fn new(key: [u8; 16], now: impl Fn() -> u64 + Send + 'k) -> Self {
        Self {
            random: Random::new(key),
            now: Box::new(now),
            ports: Ports::default(),
            transactions: Transactions::default(),
            flows: Flows::new(),
            datagrams: Datagrams::default(),
            paths: Paths::default(),
            listened: Listened::default(),
            segments: 1,
        }
    }

    /// The stack may make so many TCP segments as one.
    pub(super) fn allow_segments(&mut self, segments: usize) {
        self.segments = segments;
    }

    /// Changes a frame that the stack sends into what the network sees, which takes packets of `mtu` bytes.
    /// Returns what the path to where it goes takes; `None` if the network is not to see it.
    pub(super) fn outgoing(&mut self, frame: &mut [u8], mtu: usize) -> Option<usize> {
        if let Some(headers) = Headers::find(frame) {
            let wire = match headers.protocol {
                TCP if self.refuses_for_lack_of_room(frame, &headers) => return None,
                TCP => self.send_segment(frame, &headers, mtu),
                _ => self.send_datagram(frame, &headers),
            };
            headers.set_local_port(frame, Direction::Out, wire.local.port);
        } else if let Some(wire) = refused(frame) {
            self.ports.refuse(&wire);
        }
        let Some(limit) = self.limit(frame) else { return Some(mtu) };
        if limit.is_divided {
            segmentation::allow_fragments(frame);
        }
        Some(limit.mtu.min(mtu))
    }

    /// Whether the stack's segment answers a SYN by a reset as no socket is free.
    fn refuses_for_lack_of_room(&mut self, frame: &[u8], headers: &Headers) -> bool {
        let port = || headers.tuple(Direction::Out).local.port;
        match headers.flags(frame) & (SYN | RST | ACK) {
            SYN_ACK => self.listened.note(port(), (self.now)()),
            RST_ACK => return headers.sequence(frame) == 0 && self.listened.has(port(), (self.now)()),
            _ => {}
        }
        false
    }

    /// What is known of the path to where a frame goes.
    fn limit(&self, frame: &[u8]) -> Option<Limit> {
        if self.paths.is_empty() {
            return None;
        }
        self.paths.limit(&destination(frame)?, (self.now)())
    }

    /// The ends on the network of a segment that the stack sends.
    fn send_segment(&mut self, frame: &mut [u8], headers: &Headers, mtu: usize) -> Tuple {
        let flags = headers.flags(frame);
        if flags & SYN != 0 {
            segmentation::lower_segment_size(frame, mtu);
        }
        let mut wire = headers.tuple(Direction::Out);
        let begin = headers.sequence(frame);
        wire.local.port = self.ports.of_segment(&wire, flags, begin, &self.now, &mut self.random);
        let Secret { offset, place } = self.random.of_connection(&wire);
        sequence::hide(frame, headers, offset);
        let (numbers, acknowledged) = (headers.numbers(frame), headers.acknowledgement(frame));
        if numbers == 0 || headers.is_reset(frame) {
            match self.flows.get(&wire, place) {
                Some(flow) if headers.is_reset(frame) => flow.note_reset(),
                Some(flow) => flow.note_received(acknowledged),
                None => {}
            }
            return wire;
        }
        let (sequence, now) = (headers.sequence(frame), (self.now)());
        let Some(flow) = self.flows.get_or_add(&wire, place, sequence, now) else { return wire };
        if flags & SYN != 0 {
            flow.open(sequence, flags & ACK != 0, now);
        }
        if flags & FIN != 0 {
            flow.note_end(sequence.wrapping_add(numbers));
        }
        flow.note_received(acknowledged);
        if flow.send(sequence, numbers, now) {
            let host = &wire.remote.address;
            let most = self.paths.limit(host, now).map_or(mtu, |limit| limit.mtu);
            let size = (headers.end - ETHERNET_HEADER).min(most);
            self.paths.suspect(host, headers.is_ipv4, size, now);
        }
        wire
    }

    /// The ends on the network of a datagram that the stack sends.
    fn send_datagram(&mut self, frame: &mut [u8], headers: &Headers) -> Tuple {
        let mut wire = headers.tuple(Direction::Out);
        if !is_group(&wire.remote.address) {
            wire.local.port = self.ports.of_datagram(&wire, &self.now, &mut self.random);
        }
        self.transactions.hide(frame, headers, &wire, &mut self.random);
        self.datagrams.send(&wire, headers.end - ETHERNET_HEADER, &self.now);
        wire
    }

    /// Changes a frame that came from the network, which takes packets of `mtu` bytes, into what the stack
    /// knows; one that it must not see is discarded. Returns how often the stack is to get it again.
    pub(super) fn incoming(&mut self, frame: &mut [u8], mtu: usize) -> u8 {
        if is_hidden(frame) {
            discard(frame);
            return 0;
        }
        let Some(headers) = Headers::find(frame) else {
            if let Some(message) = TooBig::find(frame) {
                return self.apply_too_big(&message, frame, mtu);
            }
            return 0;
        };
        let wire = headers.tuple(Direction::In);
        let mut repeats = 0;
        if headers.protocol == TCP {
            // Nobody connects to a group: RFC 9293, section 3.9.2.3.
            if is_group(&wire.local.address) {
                discard(frame);
                return 0;
            }
            if self.takes_syn(frame, &headers, &wire) {
                return 0;
            }
            repeats = self.receive_segment(frame, &headers, &wire, mtu);
        } else {
            self.transactions.reveal(frame, &headers, &wire, &self.random);
        }
        match self.ports.of_wire(&wire, headers.is_reset(frame), &self.now) {
            Some(port) => headers.set_local_port(frame, Direction::In, port),
            None => discard(frame),
        }
        repeats
    }

    /// Takes a SYN between the ends of a connection that there is, which must not begin another one: the
    /// stack gives a segment to the first socket that takes it, and that is one that listens, if it stands
    /// before the one with the connection.
    ///
    /// If the connection is half open, the SYN is dropped: the stack sends its answer again by itself. If it
    /// is open, the stack is asked instead where it is, and tells the peer (RFC 5961, section 4.2). One that
    /// has begun anew answers by a reset; one who only knows of the connection learns nothing.
    fn takes_syn(&mut self, frame: &mut [u8], headers: &Headers, wire: &Tuple) -> bool {
        if headers.flags(frame) & (SYN | ACK) != SYN {
            return false;
        }
        let Secret { offset, place } = self.random.of_connection(wire);
        let Some(flow) = self.flows.get(wire, place) else { return false };
        if flow.has_answered((self.now)()) {
            discard(frame);
            return true;
        }
        let challenge = flow.challenge(self.ports.of_stack(wire), offset);
        if let Some(challenge) = &challenge {
            challenge.write(frame);
        }
        challenge.is_some()
    }

    fn receive_segment(&mut self, frame: &mut [u8], headers: &Headers, wire: &Tuple, mtu: usize) -> u8 {
        let Secret { offset, place } = self.random.of_connection(wire);
        let is_syn = headers.flags(frame) & SYN != 0;
        let flow = match is_syn {
            true => self.flows.get_or_add(wire, place, 0, (self.now)()),
            false => self.flows.get(wire, place),
        };
        let mut repeats = 0;
        if let Some(flow) = flow {
            if is_syn {
                flow.meet(Peer::find(frame, headers, mtu));
            }
            let told = flow.receive(frame, headers, &self.now);
            headers.set_window(frame, told.window);
            repeats = told.repeats;
        }
        sequence::reveal(frame, headers, offset);
        if is_syn {
            segmentation::raise_segment_size(frame, mtu, self.segments);
        }
        repeats
    }

    /// Believes a router that a packet is too big if that is on its way. Who is not on the path does not know
    /// its numbers (RFC 5927, section 7). Then the message in `frame` becomes one to the stack to send it
    /// again, which it is to get as often as returned again.
    fn apply_too_big(&mut self, message: &TooBig, frame: &mut [u8], mtu: usize) -> u8 {
        let now = (self.now)();
        let TooBig { mtu: told, quoted, sequence } = message;
        let wire = quoted.tuple(Direction::Out);
        // A host that routes may have been given several segments as one, and quote their common header.
        let size = if quoted.protocol == TCP { quoted.end.min(mtu) } else { quoted.end };
        let Secret { offset, place } = self.random.of_connection(&wire);
        let flow = self.flows.get(&wire, place).filter(|flow| flow.is_under_way(*sequence));
        let is_under_way = match quoted.protocol {
            TCP => flow.is_some(),
            _ => self.datagrams.has_sent(&wire, size, now),
        };
        let is_less = is_under_way
            && size <= mtu
            && self.paths.lower(&wire.remote.address, quoted.is_ipv4, size, *told, now);
        let Some(flow) = flow.filter(|_| is_less) else { return 0 };
        flow.expect_again();
        let Some(prompt) = flow.prompt(self.ports.of_stack(&wire), offset) else { return 0 };
        prompt.write(frame);
        DUPLICATES as u8
    }
}
