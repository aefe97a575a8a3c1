// SPDX-License-Identifier: MIT OR Apache-2.0
//! Long datagrams that were sent lately.

use alloc::vec::Vec;
use core::time::Duration;

use super::headers::Tuple;

/// Datagrams that are remembered.
const MAX: usize = 16;

/// Shorter ones are not: nobody is believed to find them too big.
const MIN: usize = 552;

/// For how long: an answer of a router takes no longer.
const LIFETIME: Duration = Duration::from_secs(10);

/// Long datagrams that were sent lately, by their ends on the network.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    sent: Vec<Datagram>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Datagram {
    tuple: Tuple,
    size: usize,
    time: u64,
}

impl Datagrams {
    /// A packet of `size` bytes is sent.
    pub(super) fn send(&mut self, tuple: &Tuple, size: usize, now: impl FnOnce() -> u64) {
        if size <= MIN {
            return;
        }
        let datagram = Datagram { tuple: *tuple, size, time: now() };
        match self.sent.get_mut(self.next) {
            Some(place) => *place = datagram,
            None => self.sent.push(datagram),
        }
        self.next = (self.next + 1) % MAX;
    }

    /// Whether a packet of `size` bytes, or one of which that is a fragment, was sent.
    pub(super) fn has_sent(&self, tuple: &Tuple, size: usize, now: u64) -> bool {
        self.sent.iter().any(|datagram| {
            let is_recent = Duration::from_nanos(now.saturating_sub(datagram.time)) < LIFETIME;
            is_recent && datagram.tuple == *tuple && size <= datagram.size
        })
    }
}
