// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stopping all vCPUs between their tasks, for what concerns the whole domain.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A place where vCPUs meet: one leads, the others wait there until it is done.
#[derive(Debug, Default)]
pub struct Rendezvous {
    requested: AtomicBool,
    waiting: AtomicU32,
}

impl Rendezvous {
    /// Nobody is asked to come.
    pub const fn new() -> Self {
        Self { requested: AtomicBool::new(false), waiting: AtomicU32::new(0) }
    }

    /// Asks all vCPUs to come. Those that sleep have to be woken.
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
    }

    /// Whether vCPUs are asked to come.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Waits until the vCPU that leads is done. What it did is seen afterwards. `pause` is called again and
    /// again meanwhile.
    pub fn wait(&self, pause: impl Fn()) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while self.requested.load(Ordering::SeqCst) {
            pause();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for `others` to come, does `work` while all of them wait, and lets them go. `None` if they do
    /// not come before `is_late`, which is asked again and again; then nothing is done.
    pub fn lead<T>(
        &self,
        others: u32,
        mut is_late: impl FnMut() -> bool,
        work: impl FnOnce() -> T,
    ) -> Option<T> {
        let mut all = self.waiting.load(Ordering::SeqCst) == others;
        while !all && !is_late() {
            all = self.waiting.load(Ordering::SeqCst) == others;
        }
        let done = all.then(work);
        self.requested.store(false, Ordering::SeqCst);
        // Who has not left yet would be taken for one who has come, the next time.
        while self.waiting.load(Ordering::SeqCst) != 0 {
            core::hint::spin_loop();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::thread::{scope, yield_now};

    use super::*;

    #[test]
    fn work_is_done_while_all_others_wait() {
        let (place, inside, stop) = (Rendezvous::new(), AtomicU32::new(0), AtomicBool::new(false));
        scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        inside.fetch_add(1, Ordering::SeqCst);
                        yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        if place.is_requested() {
                            place.wait(yield_now);
                        }
                    }
                });
            }
            for round in 0..100 {
                place.request();
                let work = || {
                    assert_eq!(inside.load(Ordering::SeqCst), 0);
                    round
                };
                let pause = || {
                    yield_now();
                    false
                };
                assert_eq!(place.lead(3, pause, work), Some(round));
                assert!(!place.is_requested());
            }
            stop.store(true, Ordering::SeqCst);
        });
    }

    #[test]
    fn who_is_late_keeps_nobody_and_nothing_is_done() {
        let place = Rendezvous::new();
        scope(|threads| {
            place.request();
            threads.spawn(|| place.wait(yield_now));
            let mut looks = 1000;
            let is_late = || {
                looks -= 1;
                yield_now();
                looks == 0
            };
            assert_eq!(place.lead(2, is_late, || panic!("one is missing")), None::<()>);
        });
        place.request();
        assert_eq!(place.lead(0, || true, || 7), Some(7), "nobody of the last time counts");
    }
}
