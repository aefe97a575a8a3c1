// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a port stays masked whose events come without work.

/// Nanoseconds of the first wait.
const SHORTEST: u64 = 1_000_000;
/// Nanoseconds of the longest wait.
const LONGEST: u64 = 128_000_000;
/// Events in a row that may mean nothing: one often follows work that was seen already.
const FREE: u32 = 2;

/// How long to keep a port masked whose events come without work: 1 ms at first, twice as long
/// after each further one, 128 ms at most. Work ends it.
///
/// A peer that only raises events then costs 8 wake-ups a second, and delays nobody but itself.
///
/// ```
/// use xen::event::Backoff;
///
/// let mut backoff = Backoff::new();
/// assert_eq!([(); 5].map(|()| backoff.found_nothing() / 1_000_000), [0, 0, 1, 2, 4]);
/// backoff.found_work();
/// assert_eq!(backoff.found_nothing(), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Events in a row that meant nothing.
    spurious: u32,
}

impl Backoff {
    /// Nothing is held against the peer.
    pub const fn new() -> Self {
        Self { spurious: 0 }
    }

    /// The last event came with work.
    pub const fn found_work(&mut self) {
        self.spurious = 0;
    }

    /// The last event came without: returns for how many nanoseconds to keep the port masked.
    pub const fn found_nothing(&mut self) -> u64 {
        self.spurious = self.spurious.saturating_add(1);
        match self.spurious.checked_sub(FREE + 1) {
            None => 0,
            Some(doublings) if doublings < (LONGEST / SHORTEST).ilog2() => SHORTEST << doublings,
            Some(_) => LONGEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_stay_there() {
        let mut backoff = Backoff::new();
        let waits: Vec<u64> = (0..1000).map(|_| backoff.found_nothing()).collect();
        assert!(waits.is_sorted());
        assert_eq!(waits.iter().filter(|wait| **wait == 0).count(), FREE as usize);
        assert_eq!(waits[9], LONGEST);
        assert_eq!(waits[999], LONGEST);
    }

    #[test]
    fn no_number_of_events_overflows() {
        let mut backoff = Backoff { spurious: u32::MAX };
        assert_eq!(backoff.found_nothing(), LONGEST);
    }

    #[test]
    fn work_now_and_then_keeps_a_port_from_being_held() {
        let mut backoff = Backoff::new();
        for _ in 0..100 {
            assert_eq!((backoff.found_nothing(), backoff.found_nothing()), (0, 0));
            backoff.found_work();
        }
    }
}
