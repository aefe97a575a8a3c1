// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of a connection's data may be on its way: CUBIC (RFC 9438), which begins with slow start (RFC
//! 5681).
//!
//! The stack sends as much as the peer's window allows. Its own congestion control limits what is sent in one
//! go, and not what is on its way: a window that is never smaller than a segment changes nothing. So the
//! window that it is told is no larger than this one.

/// The window at the beginning, in segments: RFC 6928.
const INITIAL: u32 = 10;
/// The least, in segments: with one peers would acknowledge each late.
const MIN: u32 = 2;
/// The most, in bytes: more than a peer's window can be on any network that we know of.
const MAX: u32 = 64 << 20;

/// The time since the last loss is counted to this many milliseconds: longer than a window takes to grow
/// back.
const LONGEST: i64 = 100_000;

/// The congestion window of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Congestion {
    /// Bytes of payload of a segment, not 0.
    segment: u32,
    /// The window, in bytes.
    window: u32,
    /// Slow start ends here.
    threshold: u32,
    /// The window before the last loss.
    before_loss: u32,
    /// When the window began to grow after the last loss, in nanoseconds.
    begin: Option<u64>,
    /// Milliseconds that it takes to be as large as before.
    period: i64,
    /// The window that Reno would have, as nobody is to be slower.
    reno: u32,
}

impl Congestion {
    /// The window at the beginning of a connection with segments of `segment` bytes.
    pub(super) fn new(segment: u32) -> Self {
        let segment = segment.clamp(64, 65535);
        Self {
            segment,
            window: INITIAL * segment,
            threshold: u32::MAX,
            before_loss: 0,
            begin: None,
            period: 0,
            reno: 0,
        }
    }

    /// The window in bytes: an even number of segments, as peers acknowledge every second one at once.
    pub(super) fn window(&self) -> u32 {
        (self.window / self.segment.max(1) / 2 * 2).max(MIN) * self.segment
    }

    /// Whether it is in slow start.
    pub(super) fn is_slow(&self) -> bool {
        self.window < self.threshold
    }

    /// The peer acknowledges `bytes` at time `now`, in nanoseconds, of the `in_flight` that were on their
    /// way.
    pub(super) fn acknowledge(&mut self, bytes: u32, in_flight: u32, now: u64) {
        // Who does not use the window does not learn whether there could be more.
        if in_flight < self.window / 2 {
            self.begin = None;
            return;
        }
        let grown = if self.is_slow() {
            self.window.saturating_add(bytes).min(self.threshold)
        } else {
            self.avoid(bytes, now)
        };
        self.window = grown.max(self.least()).min(MAX);
    }

    /// Segments got lost: the window is three tenths smaller.
    pub(super) fn lose(&mut self) {
        // Others may need some of it: fast convergence, RFC 9438, section 4.7.
        let is_less = self.window < self.before_loss;
        self.before_loss = if is_less { scale(self.window, 85) } else { self.window };
        self.threshold = scale(self.window, 70).max(self.least());
        self.window = self.threshold;
        self.begin = None;
    }

    /// Nothing is heard any more.
    pub(super) fn time_out(&mut self) {
        self.lose();
        self.window = self.least();
    }

    /// The window of congestion avoidance.
    fn avoid(&mut self, bytes: u32, now: u64) -> u32 {
        let begin = match self.begin {
            Some(begin) => begin,
            None => {
                self.start();
                *self.begin.insert(now)
            }
        };
        let (window, segment) = (u64::from(self.window), u64::from(self.segment));
        // Reno's, which grows more slowly as it shrinks less: by 3 * 0.3 / 1.7 of a segment.
        let more = segment * u64::from(bytes) * 53 / 100 / window.max(1);
        self.reno = self.reno.saturating_add(more as u32);
        let time = (now.saturating_sub(begin) / 1_000_000).min(LONGEST as u64) as i64;
        let target = self.cubic(time - self.period).clamp(window, window * 3 / 2);
        let grown = window + (target - window) * u64::from(bytes) / window.max(1);
        u32::try_from(grown).unwrap_or(MAX).max(self.reno)
    }

    fn start(&mut self) {
        let less = self.before_loss.saturating_sub(self.window) / self.segment.max(1);
        // The cube root of (segments / 0.4), of seconds.
        self.period = cube_root(u64::from(less) * 2_500_000_000) as i64;
        self.before_loss = self.before_loss.max(self.window);
        self.reno = self.window;
    }

    /// The window, in bytes, so many milliseconds after it was as large as before the loss.
    fn cubic(&self, time: i64) -> u64 {
        let time = i128::from(time.clamp(-LONGEST, LONGEST));
        // 0.4 segments by the cube of seconds.
        let more = time * time * time * 4 * i128::from(self.segment) / 10_000_000_000;
        u64::try_from(i128::from(self.before_loss) + more).unwrap_or(0)
    }

    fn least(&self) -> u32 {
        MIN * self.segment
    }
}

/// So many hundredths of `window`.
fn scale(window: u32, hundredths: u64) -> u32 {
    (u64::from(window) * hundredths / 100) as u32
}

/// The cube root, rounded down.
fn cube_root(number: u64) -> u64 {
    (0..21).rev().fold(0, |root: u64, bit| {
        let next = root | 1 << bit;
        if next * next * next <= number { next } else { root }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A window that is used in full for a time, each 100 ms.
    fn run(congestion: &mut Congestion, from: u64, rounds: u64) -> u64 {
        for round in 0..rounds {
            let window = congestion.window();
            congestion.acknowledge(window, window, from + round * SECOND / 10);
        }
        from + rounds * SECOND / 10
    }

    #[test]
    fn it_doubles_each_round_until_something_gets_lost() {
        let mut congestion = Congestion::new(1000);
        for expected in [10_000, 20_000, 40_000, 80_000] {
            assert_eq!(congestion.window(), expected);
            run(&mut congestion, 0, 1);
        }
        congestion.lose();
        assert_eq!(congestion.window(), 112_000);
    }

    #[test]
    fn it_grows_back_after_a_loss_slowly_near_the_former_window_and_then_beyond() {
        let mut congestion = Congestion::new(1000);
        run(&mut congestion, 0, 4);
        congestion.lose();
        // (160 - 112) / 0.4 is 120, of which the cube root is 4.93 seconds.
        let end = run(&mut congestion, 0, 49);
        assert!((156_000..=162_000).contains(&congestion.window()), "{}", congestion.window());
        run(&mut congestion, end, 50);
        assert!(congestion.window() > 190_000, "{}", congestion.window());
    }

    #[test]
    fn a_time_out_begins_anew_and_slows_down_where_it_was_lost() {
        let mut congestion = Congestion::new(1000);
        run(&mut congestion, 0, 3);
        congestion.time_out();
        assert_eq!(congestion.window(), 2000);
        run(&mut congestion, 0, 5);
        assert_eq!(congestion.window(), 56_000);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut congestion = Congestion::new(1000);
        for _ in 0..100 {
            congestion.acknowledge(1000, 4000, 0);
        }
        assert_eq!(congestion.window(), 10_000);
    }

    #[test]
    fn it_stays_within_its_limits_whatever_happens() {
        for segment in [0, 1, 536, 1460, 65535, u32::MAX] {
            let mut congestion = Congestion::new(segment);
            let segment = segment.clamp(64, 65535);
            for step in 0..2000u64 {
                match step % 41 {
                    7 => congestion.lose(),
                    33 => congestion.time_out(),
                    _ => congestion.acknowledge(step as u32 * 4000, u32::MAX, step * step * SECOND),
                }
                assert!((2 * segment..=MAX).contains(&congestion.window()));
            }
            (0..100).for_each(|_| congestion.lose());
            assert_eq!(congestion.window(), 2 * segment);
        }
    }

    #[test]
    fn cube_roots_are_right() {
        for (number, root) in
            [(0, 0), (1, 1), (7, 1), (8, 2), (120_000_000_000, 4932), (u64::MAX >> 4, 1_048_575)]
        {
            assert_eq!(cube_root(number), root);
        }
    }
}
