// SPDX-License-Identifier: MIT OR Apache-2.0
//! Slows a stack down that asks to be polled again and again, and moves no packet.
//!
//! smoltcp says when to poll it next, and some of its parts name a time in the past while they wait for
//! something else. Without this, it would be polled in a busy loop.

use core::time::Duration;

/// Polls in a row that move nothing and are no reason for suspicion: applications cause some.
const MAX_IDLE: u32 = 32;

/// How long that many take at least if there is a reason for each.
const MIN_TIME: Duration = Duration::from_millis(10);

/// Slows a stack down.
#[derive(Debug, Default)]
pub struct Throttle {
    packets: u64,
    idle: u32,
    /// When the first of the idle polls was, or the last, if it is slowed down.
    since: u64,
    is_slow: bool,
}

impl Throttle {
    /// How long a pause is.
    pub const PAUSE: Duration = Duration::from_millis(1);

    /// Whether to pause before the next poll, after one that moved that many `packets` since the beginning,
    /// at a time `now` in nanoseconds.
    #[must_use]
    pub fn should_pause(&mut self, packets: u64, now: impl FnOnce() -> u64) -> bool {
        if packets != self.packets {
            *self = Self { packets, ..Self::default() };
            return false;
        }
        self.idle = self.idle.saturating_add(1);
        match self.idle {
            1 => self.since = now(),
            MAX_IDLE.. => self.reassess(now()),
            _ => {}
        }
        self.is_slow
    }

    fn reassess(&mut self, now: u64) {
        let time = Duration::from_nanos(now.saturating_sub(self.since));
        // Each is late by the pause already.
        self.is_slow = time < if self.is_slow { Self::PAUSE * 5 } else { MIN_TIME };
        self.since = now;
        if !self.is_slow {
            self.idle = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls in so many nanoseconds of a stack that is polled each `step`, and moves a packet each `useful`
    /// polls.
    fn polls(time: u64, step: u64, useful: u64) -> u64 {
        let mut throttle = Throttle::default();
        let (mut now, mut polls) = (0, 0);
        while now < time {
            polls += 1;
            let pause = throttle.should_pause(polls / useful, || now);
            now += step + if pause { Throttle::PAUSE.as_nanos() as u64 } else { 0 };
        }
        polls
    }

    #[test]
    fn a_stack_that_spins_is_polled_about_once_a_millisecond() {
        let polls = polls(1_000_000_000, 1000, u64::MAX);
        assert!((900..1100).contains(&polls), "{polls}");
    }

    #[test]
    fn one_that_moves_packets_or_waits_is_left_alone() {
        assert_eq!(polls(1_000_000_000, 1000, 16), 1_000_000);
        assert_eq!(polls(1_000_000_000, 1_000_000, u64::MAX), 1000);
        assert_eq!(polls(60_000_000_000, 1_000_000_000, u64::MAX), 60);
    }

    #[test]
    fn one_that_has_spun_is_polled_at_once_when_it_moves_a_packet_or_has_waited() {
        let mut throttle = Throttle::default();
        assert!((0..100).filter(|now| throttle.should_pause(0, || *now)).count() > 50);
        assert!(throttle.should_pause(0, || 101));
        assert!(!throttle.should_pause(1, || 102));
        assert!((0..100).filter(|now| throttle.should_pause(1, || now + 200)).count() > 50);
        assert!(!throttle.should_pause(1, || 60_000_000));
    }
}
