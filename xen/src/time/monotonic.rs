// SPDX-License-Identifier: MIT OR Apache-2.0
//! One time for all vCPUs, which never goes back, whatever the clocks beneath do.

#[cfg(not(all(loom, test)))]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;
#[cfg(all(loom, test))]
use loom::sync::atomic::AtomicU64;

/// A reading that is further behind the latest one than this is not that of a vCPU whose clock
/// differs a little, or which was stopped for a moment after it read: the clock has been set back.
const STEP: u64 = 1_000_000_000;

/// How often a reading that seems to come from a clock set back is taken again before it is
/// believed: the vCPU may have been stopped between reading and comparing.
const LOOKS: u32 = 3;

/// Time since a start, in nanoseconds: the clocks of `VCPUS` vCPUs, made one.
///
/// - The clocks of two vCPUs may differ by a little. The latest reading of any of them counts, and
///   an earlier one is taken for it. Xen's flag `XEN_PVCLOCK_TSC_STABLE_BIT` says that they do not
///   differ; it is not asked, as a host that keeps its promise costs us one atomic maximum, and one
///   that doesn't would make time go back.
/// - They may differ by much, if nobody set the counters beneath at the same time. Each vCPU therefore has an
///   offset of its own, which makes its clock one with the others when it [joins](Self::join).
/// - A clock may be set back by much: on another host after a migration it began at another
///   time. Time then goes on from where it was.
/// - It may jump ahead: a domain that was paused sees the time that it missed. It is followed, as it
///   cannot be told from a mistake.
/// - The time in which a domain was suspended does not count, as with Linux's `CLOCK_MONOTONIC`: it goes on
///   from where it was ([`resume`](Self::resume)).
#[derive(Debug)]
pub struct Monotonic<const VCPUS: usize> {
    /// What is added to the reading of each vCPU's clock, modulo 2^64. Moved by that vCPU only.
    offsets: [AtomicU64; VCPUS],
    /// The latest time that anybody has seen.
    latest: AtomicU64,
}

impl<const VCPUS: usize> Default for Monotonic<VCPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const VCPUS: usize> Monotonic<VCPUS> {
    /// A time that goes with the clock until it is [started](Self::start).
    #[cfg(not(all(loom, test)))]
    pub const fn new() -> Self {
        Self { offsets: [const { AtomicU64::new(0) }; VCPUS], latest: AtomicU64::new(0) }
    }

    /// The same for the model checker, whose atomics cannot be made at compile time.
    #[cfg(all(loom, test))]
    pub fn new() -> Self {
        Self { offsets: core::array::from_fn(|_| AtomicU64::new(0)), latest: AtomicU64::new(0) }
    }

    /// Makes the time zero when the clock shows `reading`. To be called once, before others
    /// ask for the time.
    pub fn start(&self, reading: u64) {
        self.offsets.iter().for_each(|offset| offset.store(reading.wrapping_neg(), Ordering::Release));
        self.latest.store(0, Ordering::Release);
    }

    /// Has the clock of `vcpu`, which calls this before it asks for the time, show the same as those of the
    /// others if it differs from them by much. Somebody else must have asked for the time just now.
    pub fn join(&self, vcpu: u32, read: impl Fn() -> Option<u64>) {
        let (Some(offset), Some(reading)) = (self.offset(vcpu), read()) else { return };
        let latest = self.latest.load(Ordering::Acquire);
        let time = reading.wrapping_add(offset.load(Ordering::Acquire));
        if behind(time, latest).unsigned_abs() > STEP {
            offset.store(latest.wrapping_sub(reading), Ordering::Release);
        }
    }

    /// The time; `read` reads the clock of `vcpu`, the one that asks. While it cannot be read, time stands
    /// still.
    pub fn now(&self, vcpu: u32, read: impl Fn() -> Option<u64>) -> u64 {
        for _ in 0..LOOKS {
            let Some(time) = read().map(|reading| reading.wrapping_add(self.added(vcpu))) else { break };
            let latest = self.latest.load(Ordering::Acquire);
            if behind(time, latest) <= STEP as i64 {
                // A reading from just before the start is no time at all.
                let time = if behind(time, latest) > 0 { latest } else { time };
                return self.latest.fetch_max(time, Ordering::AcqRel).max(time);
            }
        }
        self.step_back(vcpu, read)
    }

    /// Goes on from the latest time when the clocks of all vCPUs show `reading`: the domain was saved and
    /// restored, maybe on another host, and the time between does not count. To be called while nobody asks
    /// for the time.
    pub fn resume(&self, reading: u64) {
        let offset = self.latest.load(Ordering::Acquire).wrapping_sub(reading);
        self.offsets.iter().for_each(|place| place.store(offset, Ordering::Release));
    }

    /// What the clock of `vcpu` shows at `time`, which is how hypercalls take it.
    pub fn reading_at(&self, vcpu: u32, time: u64) -> u64 {
        time.wrapping_sub(self.added(vcpu))
    }

    /// Goes on from the latest time though the clock of this vCPU has been set back. The others find that out
    /// of theirs by themselves: if only this one differs, they are not disturbed.
    fn step_back(&self, vcpu: u32, read: impl Fn() -> Option<u64>) -> u64 {
        let latest = self.latest.load(Ordering::Acquire);
        if let (Some(offset), Some(reading)) = (self.offset(vcpu), read()) {
            let time = reading.wrapping_add(offset.load(Ordering::Acquire));
            if behind(time, latest) > STEP as i64 {
                offset.store(latest.wrapping_sub(reading), Ordering::Release);
            }
        }
        latest
    }

    fn offset(&self, vcpu: u32) -> Option<&AtomicU64> {
        self.offsets.get(vcpu as usize)
    }

    fn added(&self, vcpu: u32) -> u64 {
        self.offset(vcpu).map_or(0, |offset| offset.load(Ordering::Acquire))
    }
}

/// How much `time` is behind `latest`; negative if it is ahead. Times are modulo 2^64.
fn behind(time: u64, latest: u64) -> i64 {
    latest.wrapping_sub(time) as i64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn started(reading: u64) -> Monotonic<2> {
        let time = Monotonic::<2>::new();
        time.start(reading);
        time
    }

    #[test]
    fn a_reading_from_just_before_the_start_is_the_start() {
        let time = started(1_000_000);
        assert_eq!(time.now(0, || Some(999_990)), 0);
        assert_eq!(time.now(0, || Some(1_000_007)), 7);
    }

    #[test]
    fn a_clock_that_is_set_back_right_after_the_start_goes_on() {
        let time = started(10 * STEP);
        assert_eq!(time.now(0, || Some(5)), 0);
        assert_eq!(time.now(0, || Some(25)), 20);
    }

    #[test]
    fn time_begins_with_the_start_and_goes_with_the_clock() {
        let time = started(500);
        assert_eq!(time.now(0, || Some(500)), 0);
        assert_eq!(time.now(0, || Some(620)), 120);
        assert_eq!(time.reading_at(0, 120), 620);
    }

    #[test]
    fn a_vcpu_that_is_a_little_behind_sees_the_time_of_the_first() {
        let time = started(0);
        assert_eq!(time.now(0, || Some(5000)), 5000);
        assert_eq!(time.now(0, || Some(4000)), 5000);
        assert_eq!(time.now(0, || Some(5001)), 5001);
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let time = started(0);
        assert_eq!(time.now(0, || Some(100 * STEP)), 100 * STEP);
        assert_eq!(time.now(0, || Some(7)), 100 * STEP);
        assert_eq!(time.now(0, || Some(8)), 100 * STEP + 1);
        assert_eq!(time.reading_at(0, 100 * STEP + 1), 8);
    }

    #[test]
    fn time_stands_still_while_the_domain_is_saved() {
        for restored in [0, 150 * STEP, 1 << 60] {
            let time = started(0);
            assert_eq!(time.now(0, || Some(100 * STEP)), 100 * STEP);
            time.resume(restored);
            assert_eq!(time.now(1, || Some(restored + 5)), 100 * STEP + 5);
            assert_eq!(time.now(0, || Some(restored + 6)), 100 * STEP + 6);
            assert_eq!(time.reading_at(0, 100 * STEP + 7), restored + 7);
        }
    }

    #[test]
    fn a_vcpu_that_was_stopped_before_it_compared_does_not_move_the_clock() {
        let time = started(0);
        let late = Cell::new(Some(0));
        assert_eq!(time.now(0, || Some(10 * STEP)), 10 * STEP);
        assert_eq!(time.now(0, || late.take().or(Some(10 * STEP + 1))), 10 * STEP + 1);
        assert_eq!(time.now(0, || Some(10 * STEP + 2)), 10 * STEP + 2);
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_followed() {
        let time = started(0);
        const CENTURIES: u64 = u64::MAX / 2;
        assert_eq!(time.now(0, || Some(CENTURIES)), CENTURIES);
        assert_eq!(time.now(0, || Some(0)), CENTURIES);
    }

    #[test]
    fn two_clocks_that_differ_by_two_seconds_make_one_second_of_one() {
        let time = started(0);
        let ahead = |reading| reading + 2 * STEP;
        assert_eq!(time.now(0, || Some(5 * STEP)), 5 * STEP);
        time.join(1, || Some(ahead(5 * STEP)));
        for reading in (5 * STEP..=6 * STEP).step_by(STEP as usize / 1000) {
            assert_eq!(time.now(1, || Some(ahead(reading))), reading);
            assert_eq!(time.now(0, || Some(reading)), reading);
        }
        assert_eq!(time.reading_at(1, 6 * STEP), 8 * STEP);
    }

    #[test]
    fn a_clock_that_is_set_ahead_alone_is_followed_once() {
        let time = started(0);
        for reading in (STEP..2 * STEP).step_by(STEP as usize / 1000) {
            assert_eq!(time.now(1, || Some(reading + 2 * STEP)), reading + 2 * STEP);
            assert!(time.now(0, || Some(reading)) <= reading + 2 * STEP);
        }
        assert_eq!(time.now(0, || Some(2 * STEP)), 4 * STEP);
    }

    #[test]
    fn while_the_clock_cannot_be_read_time_stands_still() {
        let time = started(0);
        assert_eq!(time.now(0, || Some(9)), 9);
        assert_eq!(time.now(0, || None), 9);
    }

    proptest! {
        #[test]
        fn however_clocks_differ_a_second_is_about_one(
            differences in proptest::collection::vec(prop_oneof![any::<u64>(), 0..3 * STEP], 1..6),
            reads in proptest::collection::vec(0..6usize, 1..200),
        ) {
            let time = Monotonic::<6>::new();
            let clock = |vcpu: usize, real: u64| Some(real.wrapping_add(differences[vcpu]));
            time.start(clock(0, 0).unwrap_or(0));
            for (vcpu, _) in (0u32..).zip(&differences) {
                time.join(vcpu, || clock(vcpu as usize, 0));
            }
            for (read, vcpu) in (1..).zip(&reads) {
                let (real, vcpu) = (read * STEP / reads.len() as u64, vcpu % differences.len());
                let now = time.now(vcpu as u32, || clock(vcpu, real));
                prop_assert!(now <= real + STEP, "{now} after {real}");
                prop_assert!(now + STEP >= real, "{now} after {real}");
            }
        }

        #[test]
        fn whatever_the_clock_shows_time_never_goes_back(
            start in any::<u64>(), readings in proptest::collection::vec(any::<Option<u64>>(), 1..100),
        ) {
            let time = started(start);
            let mut last = 0;
            for reading in readings {
                let now = time.now(0, || reading);
                prop_assert!(now >= last, "{now} behind {last}");
                last = now;
            }
        }

        #[test]
        fn behind_any_step_time_goes_on_at_the_speed_of_the_clock(
            before in 2 * STEP..1 << 60, behind in STEP + 1..1 << 60, elapsed in 0..STEP,
        ) {
            let time = started(0);
            let before = before.max(behind);
            prop_assert_eq!(time.now(0, || Some(before)), before);
            let stepped = before - behind;
            prop_assert_eq!(time.now(0, || Some(stepped)), before);
            prop_assert_eq!(time.now(0, || Some(stepped + elapsed)), before + elapsed);
        }
    }
}

#[cfg(all(loom, test))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU64;
    use loom::thread;

    use super::*;

    /// A clock that several vCPUs read while somebody sets it.
    fn check(set_to: u64) {
        loom::model(move || {
            let time = Arc::new(Monotonic::<2>::new());
            let clock = Arc::new(AtomicU64::new(10 * STEP));
            time.start(0);
            time.now(0, || Some(clock.load(Ordering::Acquire)));
            let vcpu = move |number, (time, clock): (Arc<Monotonic<2>>, Arc<AtomicU64>)| {
                let read = || Some(clock.load(Ordering::Acquire));
                let first = time.now(number, read);
                let second = time.now(number, read);
                assert!(first >= 10 * STEP && second >= first, "{second} behind {first}");
                // However the clock is set and whoever notices, no time is made up.
                assert!(second <= 10 * STEP.max(set_to), "{second} has not come yet");
            };
            let pair = (Arc::clone(&time), Arc::clone(&clock));
            let other = thread::spawn(move || vcpu(1, pair));
            clock.store(set_to, Ordering::Release);
            vcpu(0, (time, clock));
            other.join().unwrap();
        });
    }

    #[test]
    fn time_goes_back_on_no_vcpu_while_the_clock_is_set_back() {
        check(3);
    }

    #[test]
    fn time_goes_back_on_no_vcpu_while_the_clock_goes_on() {
        check(10 * STEP + 5);
    }
}
