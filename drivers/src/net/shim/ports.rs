// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our ports of connections that we begin: random ones (RFC 6056, section 3.3.1), where the stack counts.
//!
//! A connection of TCP is ours if it begins with a SYN without an acknowledgement. UDP does not say who
//! begins: ours are questions to DNS servers, and what leaves from a dynamic port (RFC 6335, section 6) to
//! somebody who has not sent anything there before, or to a port that nobody had. Other ports are an
//! application's choice, and stay.
//!
//! The stack's own port of such a connection is no secret. What comes there, and not to the one on the
//! network, is from somebody who guesses.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::headers::{ACK, Address, Endpoint, FIN, RST, SYN, TCP, Tuple, UDP};
use super::random::Random;

/// Connections that are kept at most, on top of which the one that was unused for longest makes room: more
/// than the stack has sockets.
const MAX: usize = 1024;

/// The dynamic ports.
const DYNAMIC: u16 = 49152;
const DNS: u16 = 53;

/// Time after which a UDP connection that nothing goes through is over: RFC 4787, section 4.3.
const IDLE: Duration = Duration::from_secs(300);

/// Datagrams of which it is known who sent them to which port.
const SEEN: usize = 64;

/// Tries to find a port that is not in use: with all connections to one peer, one in sixteen is.
const TRIES: usize = 16;

#[derive(Default)]
pub(super) struct Ports {
    /// By the ends as the stack has them.
    stack: BTreeMap<Tuple, Mapping>,
    /// By the ends on the network, the stack's port.
    wire: BTreeMap<Tuple, u16>,
    /// Who sent a datagram to one of our ports, and to which, the next one to be replaced.
    seen: (Vec<Tuple>, usize),
    /// By port a bit: applications answer datagrams there.
    servers: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    /// Our port on the network.
    port: u16,
    /// The sequence number of the SYN.
    begin: u32,
    /// One side has ended it.
    is_over: bool,
    /// When it was used last, in nanoseconds.
    used: u64,
}

impl Mapping {
    /// Whether it says nothing of a packet that comes now.
    fn is_forgotten(&self, protocol: u8, now: u64) -> bool {
        (protocol == UDP || self.is_over) && Duration::from_nanos(now.saturating_sub(self.used)) >= IDLE
    }
}

impl Ports {
    /// Our port on the network for a segment with these flags and sequence number that the stack sends.
    pub(super) fn of_segment(
        &mut self,
        stack: &Tuple,
        flags: u8,
        sequence: u32,
        now: impl FnOnce() -> u64,
        random: &mut Random,
    ) -> u16 {
        let begins = flags & (SYN | ACK) == SYN;
        let known = self.stack.get_mut(stack).filter(|mapping| !begins || mapping.begin == sequence);
        match known {
            Some(mapping) => {
                mapping.is_over |= flags & (FIN | RST) != 0;
                mapping.used = now();
                mapping.port
            }
            None if begins => self.open(stack, sequence, now(), random),
            None => stack.local.port,
        }
    }

    /// Our port on the network for a datagram that the stack sends to one host.
    pub(super) fn of_datagram(&mut self, stack: &Tuple, now: impl Fn() -> u64, random: &mut Random) -> u16 {
        let known = self.stack.get_mut(stack).filter(|mapping| !mapping.is_forgotten(UDP, now()));
        let known = known.map(|mapping| {
            mapping.used = now();
            mapping.port
        });
        match known {
            Some(port) => port,
            None if self.is_ours(stack, &now) => self.open(stack, 0, now(), random),
            None => {
                self.close(stack);
                stack.local.port
            }
        }
    }

    /// The stack's port for a packet that came from the network, or for a reset; `None` if it has a
    /// connection between these ends that is another one on the network.
    pub(super) fn of_wire(&mut self, wire: &Tuple, is_reset: bool, now: impl FnOnce() -> u64) -> Option<u16> {
        if let Some(port) = self.wire.get(wire).copied() {
            if is_reset && let Some(mapping) = self.stack.get_mut(&with_port(wire, port)) {
                mapping.is_over = true;
            }
            return Some(port);
        }
        if self.stack.get(wire).is_some_and(|mapping| !mapping.is_forgotten(wire.protocol, now())) {
            return None;
        }
        if wire.protocol == UDP {
            self.remember(wire);
        }
        Some(wire.local.port)
    }

    /// Nobody has the port that a datagram came to.
    pub(super) fn refuse(&mut self, wire: &Tuple) {
        let before = self.seen.0.len();
        self.seen.0.retain(|seen| seen != wire);
        if self.seen.0.len() != before {
            self.seen.1 = self.seen.0.len() % SEEN;
        }
    }

    /// The ends as the stack has them, of those on the network.
    pub(super) fn of_stack(&self, wire: &Tuple) -> Tuple {
        self.wire.get(wire).map_or(*wire, |port| with_port(wire, *port))
    }

    /// Whether the stack's datagram begins a connection.
    fn is_ours(&mut self, stack: &Tuple, now: impl FnOnce() -> u64) -> bool {
        let (remote, local) = (stack.remote.port, stack.local.port);
        if remote == local {
            return false;
        }
        if remote == DNS {
            return true;
        }
        if local < DYNAMIC || self.is_server(local) {
            return false;
        }
        let answers = self.seen.0.contains(stack);
        if answers && !self.is_client(local, now()) {
            self.set_server(local);
        }
        !answers
    }

    /// Whether somebody asks from this port of the stack's.
    fn is_client(&self, port: u16, now: u64) -> bool {
        self.stack.iter().any(|(stack, mapping)| {
            (stack.protocol, stack.local.port) == (UDP, port) && !mapping.is_forgotten(UDP, now)
        })
    }

    fn remember(&mut self, wire: &Tuple) {
        let (seen, next) = &mut self.seen;
        if seen.contains(wire) {
            return;
        }
        match seen.get_mut(*next) {
            Some(place) => *place = *wire,
            None => seen.push(*wire),
        }
        *next = (*next + 1) % SEEN;
    }

    fn is_server(&self, port: u16) -> bool {
        self.servers.get(usize::from(port / 64)).is_some_and(|word| word & 1 << (port % 64) != 0)
    }

    fn set_server(&mut self, port: u16) {
        if self.servers.is_empty() {
            self.servers = vec![0; usize::from(u16::MAX / 64) + 1];
        }
        if let Some(word) = self.servers.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }

    /// Finds a port for a connection, which is the stack's own if there is none free.
    fn open(&mut self, stack: &Tuple, begin: u32, now: u64, random: &mut Random) -> u16 {
        self.close(stack);
        self.make_room();
        let ports = (0..TRIES).map(|_| DYNAMIC | random.next() as u16);
        let free = ports.map(|port| with_port(stack, port)).find(|wire| {
            !self.wire.contains_key(wire) && !self.seen.0.contains(wire) && !self.is_server(wire.local.port)
        });
        let Some(wire) = free else { return stack.local.port };
        let port = wire.local.port;
        self.wire.insert(wire, stack.local.port);
        self.stack.insert(*stack, Mapping { port, begin, is_over: false, used: now });
        port
    }

    fn close(&mut self, stack: &Tuple) {
        if let Some(mapping) = self.stack.remove(stack) {
            self.wire.remove(&with_port(stack, mapping.port));
        }
    }

    /// Has what is over make room, else what was unused for longest.
    fn make_room(&mut self) {
        if self.stack.len() < MAX {
            return;
        }
        let oldest = self.stack.iter().min_by_key(|(stack, mapping)| {
            let is_kept = stack.protocol == TCP && !mapping.is_over;
            (is_kept, mapping.used)
        });
        if let Some(stack) = oldest.map(|(stack, _)| *stack) {
            self.close(&stack);
        }
    }
}

/// The same ends, but with this port of ours.
fn with_port(tuple: &Tuple, port: u16) -> Tuple {
    Tuple { local: Endpoint { port, ..tuple.local }, ..*tuple }
}

/// Whether a packet to `address` goes to several hosts: then nobody can answer to a port by that address.
pub(super) fn is_group(address: &Address) -> bool {
    match address {
        [0xff, ..] => true,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, first, ..] => *first >= 224,
        _ => false,
    }
}
