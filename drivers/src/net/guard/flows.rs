// SPDX-License-Identifier: MIT OR Apache-2.0
//! What of our data is on its way in each TCP connection.

use alloc::vec::Vec;

use super::headers::Tuple;

/// Connections that are kept: sets of a few. The stack has fewer sockets; one that is not kept works as well,
/// but for what it would have been kept for.
const SETS: usize = 64;
const IN_SET: usize = 8;

/// Times that data is sent again before its size is suspected to be why none of it arrives.
const TIMES: u32 = 2;

/// The connections that have sent something, as the network sees them.
pub(super) struct Flows {
    sets: Vec<Vec<Flow>>,
}

/// A connection that has sent something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    tuple: Tuple,
    /// The first number that is not acknowledged.
    first: u32,
    /// The one behind the last that was sent.
    next: u32,
    /// The peer has acknowledged something.
    is_alive: bool,
    /// Times that what begins at `first` was sent again.
    times: u32,
    /// When something was sent last, in nanoseconds.
    used: u64,
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { sets: Vec::new() }
    }

    /// The connection of `tuple`, whose `place` says where it is.
    pub(super) fn get(&mut self, tuple: &Tuple, place: usize) -> Option<&mut Flow> {
        let set = self.sets.get_mut(place % SETS)?;
        set.iter_mut().find(|flow| flow.tuple == *tuple)
    }

    /// The same; a new one, which begins at `sequence`, if there is none.
    pub(super) fn get_or_add(
        &mut self,
        tuple: &Tuple,
        place: usize,
        sequence: u32,
        now: u64,
    ) -> Option<&mut Flow> {
        self.sets.resize_with(SETS, Vec::new);
        let set = self.sets.get_mut(place % SETS)?;
        if let Some(index) = set.iter().position(|flow| flow.tuple == *tuple) {
            return set.get_mut(index);
        }
        if set.len() == IN_SET {
            let least = (0..IN_SET).min_by_key(|index| set.get(*index).map(Flow::worth))?;
            set.swap_remove(least);
        }
        set.push(Flow::new(tuple, sequence, now));
        set.last_mut()
    }
}

impl Flow {
    fn new(tuple: &Tuple, sequence: u32, now: u64) -> Self {
        Self { tuple: *tuple, first: sequence, next: sequence, is_alive: false, times: 0, used: now }
    }

    /// What makes one stay longer than others.
    fn worth(&self) -> (bool, bool, u64) {
        (self.is_alive, self.first != self.next, self.used)
    }

    /// `length` numbers from `sequence` on are sent. True if their beginning has been sent so often before,
    /// without anything being acknowledged, that their size may be why.
    pub(super) fn send(&mut self, sequence: u32, length: u32, now: u64) -> bool {
        self.used = now;
        let is_again = sequence == self.first && self.next != self.first;
        self.times = self.times.saturating_add(is_again.into());
        let end = sequence.wrapping_add(length);
        if distance(end, self.next) > 0 {
            self.next = end;
        }
        is_again && self.times >= TIMES
    }

    /// The peer acknowledges all numbers before `sequence`.
    pub(super) fn acknowledge(&mut self, sequence: u32) {
        let (is_later, was_sent) = (distance(sequence, self.first) > 0, distance(self.next, sequence) >= 0);
        if is_later && was_sent {
            self.first = sequence;
            self.is_alive = true;
            self.times = 0;
        }
    }

    /// Whether `sequence` is on its way.
    pub(super) fn is_under_way(&self, sequence: u32) -> bool {
        distance(sequence, self.first) >= 0 && distance(self.next, sequence) > 0
    }
}

/// By how much `a` is behind `b` (RFC 9293, section 3.4).
fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}
