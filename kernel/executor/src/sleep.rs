// SPDX-License-Identifier: MIT OR Apache-2.0
//! Falling asleep without missing a wake-up.
//!
//! A waker first publishes the work, and then checks whether the vCPU sleeps. The vCPU first publishes that
//! it sleeps, and then checks for work. So at least one of the two sees the other.

use core::sync::atomic::{AtomicBool, Ordering};

/// Whether a vCPU sleeps, and whether it has a task to run.
#[derive(Debug, Default)]
pub struct Sleep {
    /// A task became ready.
    ready: AtomicBool,
    /// It sleeps, or is about to.
    asleep: AtomicBool,
}

/// Whether a vCPU has to be interrupted, so that it sees what there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kick {
    /// It sleeps, or is about to.
    Needed,
    /// It looks by itself.
    Needless,
}

impl Sleep {
    /// A vCPU that is awake, and has nothing to do.
    pub const fn new() -> Self {
        Self { ready: AtomicBool::new(false), asleep: AtomicBool::new(false) }
    }

    /// A task became ready.
    pub fn make_ready(&self) {
        self.ready.store(true, Ordering::SeqCst);
    }

    /// Whether a task became ready since this was asked last.
    pub fn take_ready(&self) -> bool {
        self.ready.swap(false, Ordering::SeqCst)
    }

    /// Whether the vCPU sleeps, or is about to, and nobody has kicked it.
    pub fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Relaxed)
    }

    /// To be asked after something was made ready, by another vCPU or an interrupt. Of several that ask, one
    /// is told to kick.
    pub fn kick(&self) -> Kick {
        if self.asleep.swap(false, Ordering::SeqCst) { Kick::Needed } else { Kick::Needless }
    }

    /// Has the vCPU that calls `idle`, unless a task is ready or `has_work`. A kick must end `idle` also if
    /// it comes before that.
    pub fn sleep(&self, has_work: impl FnOnce() -> bool, idle: impl FnOnce()) {
        self.asleep.store(true, Ordering::SeqCst);
        if !self.ready.load(Ordering::SeqCst) && !has_work() {
            idle();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// What a vCPU does that has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It sleeps until something happens.
    UntilEvent,
    /// It sleeps until something happens, but not beyond this time.
    Until(u64),
    /// It looks again and again: nothing would end a sleep in time.
    Awake,
}

impl Rest {
    /// That of a vCPU with an alarm or none, whose next task wants to be woken at `timer`, and which has to
    /// look by itself whether something happens at `look`.
    pub fn of(has_alarm: bool, timer: Option<u64>, look: Option<u64>) -> Self {
        match timer.into_iter().chain(look).min() {
            _ if !has_alarm => Self::Awake,
            Some(at) => Self::Until(at),
            None => Self::UntilEvent,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::Cell;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_sleep_ends_by_whatever_comes_first() {
        assert_eq!(Rest::of(true, None, None), Rest::UntilEvent);
        assert_eq!([Rest::of(true, Some(5), None), Rest::of(true, None, Some(5))], [Rest::Until(5); 2]);
        assert_eq!([Rest::of(true, Some(5), Some(9)), Rest::of(true, Some(9), Some(5))], [Rest::Until(5); 2]);
    }

    #[test]
    fn without_an_alarm_no_vcpu_sleeps() {
        for (timer, look) in [(None, None), (Some(5), None), (None, Some(5))] {
            assert_eq!(Rest::of(false, timer, look), Rest::Awake);
        }
    }

    #[test]
    fn a_vcpu_with_ready_tasks_does_not_sleep() {
        let (sleep, idled) = (Sleep::new(), Cell::new(0));
        let idle = || idled.set(idled.get() + 1);
        sleep.make_ready();
        sleep.sleep(|| false, idle);
        assert!(sleep.take_ready() && !sleep.take_ready());
        sleep.sleep(|| true, idle);
        assert_eq!(idled.get(), 0);
        sleep.sleep(|| false, idle);
        assert_eq!(idled.get(), 1);
    }

    #[test]
    fn work_after_the_last_check_kicks() {
        let sleep = Sleep::new();
        let kick = Cell::new(Kick::Needless);
        // As a non-maskable interrupt does, in the last moment.
        assert!(!sleep.is_asleep());
        sleep.sleep(
            || false,
            || {
                assert!(sleep.is_asleep());
                kick.set(sleep.kick());
            },
        );
        assert_eq!((kick.get(), sleep.is_asleep()), (Kick::Needed, false));
    }

    #[test]
    fn work_between_the_checks_is_seen_or_kicks() {
        let (sleep, deferred) = (Sleep::new(), Cell::new(false));
        let (kick, idled) = (Cell::new(Kick::Needless), Cell::new(false));
        let interrupt = || {
            deferred.set(true);
            kick.set(sleep.kick());
        };
        // Just after the look at what was deferred.
        let look = || {
            let seen = deferred.get();
            interrupt();
            seen
        };
        sleep.sleep(look, || idled.set(true));
        assert_eq!((kick.get(), idled.get()), (Kick::Needed, true));
    }

    #[test]
    fn only_one_waker_kicks_and_none_kicks_an_awake_vcpu() {
        let sleep = Sleep::new();
        assert_eq!(sleep.kick(), Kick::Needless);
        let kicks = Cell::new(None);
        sleep.sleep(|| false, || kicks.set(Some([sleep.kick(), sleep.kick()])));
        assert_eq!(kicks.get(), Some([Kick::Needed, Kick::Needless]));
        assert_eq!(sleep.kick(), Kick::Needless);
    }

    #[test]
    fn no_wake_up_is_lost_between_two_threads() {
        const ROUNDS: u32 = 10_000;
        let sleep = Sleep::new();
        let (kick, kicks) = channel();
        std::thread::scope(|scope| {
            let (done, next) = channel();
            scope.spawn({
                let sleep = &sleep;
                move || {
                    for _ in 0..ROUNDS {
                        sleep.make_ready();
                        if sleep.kick() == Kick::Needed {
                            kick.send(()).unwrap();
                        }
                        next.recv().unwrap();
                    }
                }
            });
            for _ in 0..ROUNDS {
                while !sleep.take_ready() {
                    // A ring of before ends it early, as a pending interrupt does.
                    sleep.sleep(|| false, || kicks.recv().unwrap());
                }
                done.send(()).unwrap();
            }
        });
    }
}
