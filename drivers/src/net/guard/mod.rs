// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands between the stack and the network, as a firewall would: numbers that can be foreseen are
//! changed for others on the way out, and back on the way in.
//!
//! The stack (smoltcp) takes sequence numbers, DNS ids and DHCP ids from a generator that a few of its
//! numbers give away, and ports one after the other. On the network are numbers that follow from a secret
//! key.
//!
//! | what | how |
//! |---|---|
//! | sequence numbers of TCP | moved by a secret of the connection's two ends (`sequence`) |
//! | our ports of connections that we begin | random ones, by a table (`ports`) |
//! | ids of DNS | combined with a secret of the two ends, one of which is a random port (`transactions`) |
//! | ids of DHCP | random ones (`transactions`) |
//!
//! Checksums need no care: they are verified before packets get here, and filled in after they have left.

mod headers;
mod ports;
mod random;
mod sequence;
mod siphash;
mod transactions;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;

use headers::{Direction, Headers, TCP, get};
use ports::{Ports, is_group};
use random::Random;
use transactions::Transactions;

/// What guards a port's connections.
pub struct Guard<'k> {
    random: Random,
    now: Box<dyn Fn() -> u64 + Send + 'k>,
    ports: Ports,
    transactions: Transactions,
}

impl<'k> Guard<'k> {
    /// A guard with a secret `key`, a new one for each boot, and a clock that tells nanoseconds.
    pub fn new(key: [u8; 16], now: impl Fn() -> u64 + Send + 'k) -> Self {
        Self {
            random: Random::new(key),
            now: Box::new(now),
            ports: Ports::default(),
            transactions: Transactions::default(),
        }
    }

    /// Changes a frame that the stack sends into what the network sees.
    pub(super) fn outgoing(&mut self, frame: &mut [u8]) {
        let Some(headers) = Headers::find(frame) else { return };
        let stack = headers.tuple(Direction::Out);
        let now = (self.now)();
        let mut wire = stack;
        if headers.protocol == TCP {
            let begin = get(frame, headers.start + 4).map_or(0, u32::from_be_bytes);
            wire.local.port =
                self.ports.of_segment(&stack, headers.flags(frame), begin, now, &mut self.random);
            sequence::hide(frame, &headers, self.random.of_sequence(&wire));
        } else if !is_group(&stack.remote.address) {
            wire.local.port = self.ports.of_datagram(&stack, now, &mut self.random);
        }
        headers.set_local_port(frame, Direction::Out, wire.local.port);
        if headers.protocol != TCP {
            self.transactions.hide(frame, &headers, &wire, &mut self.random);
        }
    }

    /// Changes a frame that came from the network into what the stack knows.
    pub(super) fn incoming(&mut self, frame: &mut [u8]) {
        let Some(headers) = Headers::find(frame) else { return };
        let wire = headers.tuple(Direction::In);
        if headers.protocol == TCP {
            sequence::reveal(frame, &headers, self.random.of_sequence(&wire));
        } else {
            self.transactions.reveal(frame, &headers, &wire, &self.random);
        }
        let port = self.ports.of_wire(&wire, headers.is_reset(frame));
        headers.set_local_port(frame, Direction::In, port);
    }
}
