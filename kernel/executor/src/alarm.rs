// SPDX-License-Identifier: MIT OR Apache-2.0
//! A one-shot timer that is set as seldom as possible, as setting it is expensive.

/// What such a timer is set to.
#[derive(Clone, Copy, Debug)]
pub struct OneShot {
    /// When it goes off; `u64::MAX` if it isn't set.
    at: u64,
}

impl Default for OneShot {
    fn default() -> Self {
        Self::new()
    }
}

impl OneShot {
    /// It isn't set.
    pub const fn new() -> Self {
        Self { at: u64::MAX }
    }

    /// It has gone off: it isn't set any more.
    pub const fn gone_off(&mut self) {
        self.at = u64::MAX;
    }

    /// Makes sure that it goes off at `at` or before: `set` sets it, and says whether it could.
    pub fn set(&mut self, at: u64, set: impl FnOnce() -> bool) {
        // One that is set for an earlier time goes off too early, which is cheaper than to set it twice.
        if at < self.at && set() {
            self.at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_alarm_is_set_again_only_for_an_earlier_time() {
        let (mut alarm, mut calls) = (OneShot::new(), 0);
        for at in [50, 50, 70, 40, 60] {
            alarm.set(at, || {
                calls += 1;
                true
            });
        }
        assert_eq!(calls, 2);
    }

    #[test]
    fn an_alarm_that_could_not_be_set_is_set_again() {
        let mut alarm = OneShot::new();
        alarm.set(50, || false);
        let mut is_set = false;
        alarm.set(50, || {
            is_set = true;
            true
        });
        assert!(is_set);
    }

    proptest! {
        /// The timer: what it is set to, until the time has come.
        #[test]
        fn no_timer_is_late(sleeps in proptest::collection::vec((1..100u64, 0..100u64), 1..100)) {
            let (mut alarm, mut timer, mut now) = (OneShot::new(), None, 0);
            for (ahead, passed) in sleeps {
                if timer.is_some_and(|at| at <= now) {
                    timer = None;
                    alarm.gone_off();
                }
                let at = now + ahead;
                alarm.set(at, || {
                    timer = Some(at);
                    true
                });
                prop_assert!(timer.is_some_and(|set| set <= at && set > now));
                now += passed;
            }
        }
    }
}
