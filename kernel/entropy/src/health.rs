// SPDX-License-Identifier: MIT OR Apache-2.0
//! The health tests of NIST SP 800-90B, section 4.4, for samples that hold half a bit or more.

/// So many equal samples in a row come by chance once in 2^30: 1 + 30 / 0.5 (4.4.1).
const MAX_REPEATS: u32 = 61;

/// Samples that are looked at together (4.4.2).
const WINDOW: u32 = 512;

/// So many samples of a window that equal its first come by chance less than once in 2^20, if no
/// sample is likelier than 2^-0.5 (4.4.2).
const MAX_EQUAL: u32 = 410;

/// Watches a source of samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    last: Option<u64>,
    repeats: u32,
    first: u64,
    seen: u32,
    equal: u32,
    failed: bool,
}

impl Health {
    /// Looks at the next sample.
    pub(crate) fn see(&mut self, sample: u64) {
        self.count_repeats(sample);
        self.count_equal(sample);
        self.failed |= self.repeats >= MAX_REPEATS || self.equal >= MAX_EQUAL;
    }

    /// Whether all samples so far were as those of a healthy source are.
    pub(crate) fn is_good(&self) -> bool {
        !self.failed
    }

    /// The repetition count test: the same again and again.
    fn count_repeats(&mut self, sample: u64) {
        self.repeats = if self.last == Some(sample) { self.repeats + 1 } else { 1 };
        self.last = Some(sample);
    }

    /// The adaptive proportion test: the same too often.
    fn count_equal(&mut self, sample: u64) {
        if self.seen == 0 {
            (self.first, self.equal) = (sample, 0);
        }
        self.equal += u32::from(sample == self.first);
        self.seen = (self.seen + 1) % WINDOW;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(samples: impl IntoIterator<Item = u64>) -> bool {
        let mut health = Health::default();
        samples.into_iter().for_each(|sample| health.see(sample));
        health.is_good()
    }

    #[test]
    fn a_stuck_source_fails_at_the_61st_sample() {
        assert!(is_good([7; 60]));
        assert!(!is_good([7; 61]));
    }

    #[test]
    fn a_source_that_mostly_says_the_same_fails_without_saying_it_often_in_a_row() {
        let mostly = |seven_of| (0..2048).map(move |index| if index % seven_of == 1 { index } else { 7 });
        assert!(!is_good(mostly(10)));
        assert!(is_good(mostly(2)));
    }

    #[test]
    fn a_failure_is_not_forgotten() {
        assert!(!is_good([7; 61].into_iter().chain(0..10_000)));
    }

    #[test]
    fn a_source_that_always_differs_is_good() {
        assert!(is_good(0..10_000));
    }
}
