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

/// A one-shot timer that does not tell that it has gone off, as asking is as expensive as setting it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untold {
    set: OneShot,
    /// Until then it has not gone off, though its clock may be a little faster than that of the times.
    sure: u64,
}

/// So much earlier than it should such a timer may go off: a part of the time that it was set for, and a
/// millisecond. Those of hypervisors are exact; this is for their clocks.
const EARLY: (u64, u64) = (1024, 1_000_000);

impl Untold {
    /// It isn't set.
    pub const fn new() -> Self {
        Self { set: OneShot::new(), sure: 0 }
    }

    /// It isn't set any more, or not to what it was.
    pub const fn gone_off(&mut self) {
        self.set.gone_off();
    }

    /// Makes sure that it goes off at `at` or before, `now` being the time, in nanoseconds: `set` sets it,
    /// and says whether it could.
    pub fn set(&mut self, now: u64, at: u64, set: impl FnOnce() -> bool) {
        if now >= self.sure {
            self.set.gone_off();
        }
        let (part, more) = EARLY;
        let (mut is_set, early) = (false, (at.saturating_sub(now) / part).saturating_add(more));
        self.set.set(at, || {
            is_set = set();
            is_set
        });
        if is_set {
            self.sure = at.saturating_sub(early);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

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

    #[test]
    fn a_timer_that_does_not_tell_is_set_again_once_it_may_have_gone_off() {
        const MS: u64 = 1_000_000;
        let (mut alarm, mut calls) = (Untold::new(), Vec::new());
        for (now, at) in [(0, 10), (1, 11), (2, 12), (9, 19), (10, 20), (11, 12), (13, 14)] {
            alarm.set(now * MS, at * MS, || {
                calls.push(at);
                true
            });
        }
        assert_eq!(calls, [10, 19, 12, 14]);
        alarm.gone_off();
        alarm.set(13 * MS, 14 * MS, || {
            calls.push(0);
            true
        });
        assert_eq!(calls.last(), Some(&0));
    }

    proptest! {
        /// The same for one whose clock is too fast, a bit more or less.
        #[test]
        fn no_timer_that_does_not_tell_is_late(
            sleeps in proptest::collection::vec((1..1u64 << 34, 0..1u64 << 34, 0..100u64), 1..100)
        ) {
            let (mut alarm, mut timer, mut now) = (Untold::new(), None, 0);
            for (ahead, passed, fast) in sleeps {
                if timer.is_some_and(|at| at <= now) {
                    timer = None;
                }
                let at = now + ahead;
                alarm.set(now, at, || {
                    timer = Some(at - ahead / 2048 * fast / 100);
                    true
                });
                prop_assert!(timer.is_some_and(|set| set <= at));
                now += passed;
            }
        }

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
