// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event coalescing: after how many packets the backend is to raise an event.

use core::time::Duration;

/// Decides whether several packets share an event.
///
/// A guest that is as fast as its backend sleeps between any two packets, as the backend copies one after the
/// other: each packet costs an event, a wake-up and an acknowledgement of its own. While streams of long
/// packets come in, which the backend put together from segments, an event is requested only when a third of
/// the pages has been filled.
///
/// A peer that sends less than that, and waits for an answer, would wait for ever. So the driver polls every
/// [`POLL_INTERVAL`]. If there was no shared event since the last poll, the next packet has an event of its
/// own, and it takes twice as many rounds with long packets as before until packets share events again.
///
/// This is not the policy of `block::blkfront`, which knows how many responses can come.
pub(super) struct EventCoalescing {
    /// Rounds with long packets in a row. A round without takes an eighth away, as streams have short packets
    /// now and then.
    streak: u32,
    /// The streak from which on packets share events.
    enough: u32,
    /// The packets taken since the last round ended.
    round: Option<Round>,
    /// Several packets shared an event since the last poll.
    has_shared: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Short packets.
    Short,
    /// A long one at least.
    Long,
}

/// Time between polls. A backend that is not much slower than 1 Gbit/s fills a third of the pages a few times
/// in it.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Bytes from which on a packet is long: mostly more than a request that waits for an answer.
const LONG: usize = 16 << 10;

/// Bounds of the streak from which on packets share events.
const MIN: u32 = 4;
const MAX: u32 = 1024;

impl EventCoalescing {
    pub(super) fn new() -> Self {
        Self { streak: 0, enough: MIN, round: None, has_shared: false }
    }

    /// A packet of so many bytes was taken.
    pub(super) fn take(&mut self, length: usize) {
        if length >= LONG {
            self.round = Some(Round::Long);
        } else {
            self.round.get_or_insert(Round::Short);
        }
    }

    /// There are no more packets: a round is over, if any were taken. `is_whole` if there were as many as an
    /// event was asked for.
    pub(super) fn end_round(&mut self, is_whole: bool) {
        let Some(round) = self.round.take() else { return };
        if self.shares() && is_whole {
            self.has_shared = true;
            self.enough = (self.enough / 2).max(MIN);
        }
        self.streak = match round {
            Round::Long => (self.streak + 1).min(4 * self.enough),
            Round::Short => self.streak - self.streak.div_ceil(8),
        };
    }

    /// Whether several packets share an event.
    pub(super) fn shares(&self) -> bool {
        self.streak >= self.enough
    }

    /// The driver polls, [`POLL_INTERVAL`] after packets began to share events, or after the last poll.
    pub(super) fn poll_deferred(&mut self) {
        if self.shares() && !self.has_shared {
            self.streak = 0;
            self.enough = (self.enough * 2).min(MAX);
        }
        self.has_shared = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(coalescing: &mut EventCoalescing, length: usize, is_whole: bool) {
        coalescing.take(length);
        coalescing.end_round(is_whole);
    }

    /// Long packets until they share an event; how many it took.
    fn warm_up(coalescing: &mut EventCoalescing) -> u32 {
        let packets = (1..).find(|_| {
            round(coalescing, LONG, true);
            coalescing.shares()
        });
        packets.unwrap()
    }

    /// The same, and then a look in vain.
    fn warm_up_in_vain(coalescing: &mut EventCoalescing) -> u32 {
        let rounds = warm_up(coalescing);
        coalescing.poll_deferred();
        assert!(!coalescing.shares());
        rounds
    }

    #[test]
    fn long_packets_in_a_row_share_an_event_until_short_ones_come() {
        let mut coalescing = EventCoalescing::new();
        assert!(!coalescing.shares());
        assert_eq!(warm_up(&mut coalescing), MIN);
        coalescing.end_round(false);
        assert!(coalescing.shares(), "a round without packets is none");
        for length in [60, LONG, 60] {
            coalescing.take(length);
        }
        coalescing.end_round(true);
        assert!(coalescing.shares(), "short packets came with a long one");
        (0..100).for_each(|_| round(&mut coalescing, LONG, true));
        round(&mut coalescing, LONG - 1, false);
        assert!(coalescing.shares(), "one after many");
        (0..MIN * 4).for_each(|_| round(&mut coalescing, 60, false));
        assert!(!coalescing.shares());
    }

    #[test]
    fn request_response_traffic_is_delayed_more_and_more_rarely() {
        let mut coalescing = EventCoalescing::new();
        let rounds = (0..10).map(|_| warm_up_in_vain(&mut coalescing));
        assert_eq!(rounds.collect::<Vec<_>>(), [4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024]);
    }

    #[test]
    fn a_stream_with_a_short_packet_now_and_then_comes_to_share_events_in_the_end() {
        let mut coalescing = EventCoalescing::new();
        for _ in 0..4 {
            warm_up_in_vain(&mut coalescing);
        }
        let lengths = [LONG; 11].into_iter().chain([60]).cycle().take(200);
        let shared = lengths.filter(|length| {
            round(&mut coalescing, *length, false);
            coalescing.shares()
        });
        assert_ne!(shared.count(), 0);
    }

    #[test]
    fn an_event_for_several_packets_makes_up_for_one_unsuccessful_poll() {
        let mut coalescing = EventCoalescing::new();
        for _ in 0..3 {
            warm_up_in_vain(&mut coalescing);
        }
        assert_eq!(warm_up(&mut coalescing), 8 * MIN);
        round(&mut coalescing, LONG, false);
        round(&mut coalescing, LONG, true);
        coalescing.poll_deferred();
        assert!(coalescing.shares());
        round(&mut coalescing, LONG, false);
        coalescing.poll_deferred();
        assert!(!coalescing.shares(), "what was before the last look does not count");
        assert_eq!(warm_up(&mut coalescing), 8 * MIN);
    }
}
