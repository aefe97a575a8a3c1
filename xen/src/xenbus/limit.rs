// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a backend may take.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use crate::time::Delay;

/// Times that a limit begins anew at most: with thirty seconds each as long as Linux waits for its devices at
/// boot (`drivers/xen/xenbus/xenbus_probe_frontend.c`, `wait_for_devices`).
const ROUNDS: u32 = 10;

/// The time that a backend has for a step of the handshake.
///
/// A host makes its backends one after the other, and a guest may have dozens: as long as any of the devices
/// that share a limit gets on, it begins anew, up to ten times.
#[derive(Debug)]
pub struct StepLimit {
    time: Duration,
    /// Steps that backends have made.
    steps: AtomicU32,
}

impl StepLimit {
    /// A limit of `time` after the last step that a backend made.
    pub const fn new(time: Duration) -> Self {
        Self { time, steps: AtomicU32::new(0) }
    }

    /// The time after a step.
    pub(super) const fn time(&self) -> Duration {
        self.time
    }

    /// The steps that backends have made: each of a device once in each of its lives, and only forward.
    pub fn steps(&self) -> u32 {
        self.steps.load(Ordering::Relaxed)
    }

    /// A backend has made a step.
    pub(super) fn note_step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Ready when no backend has made a step for as long as the limit, or when it has begun anew too often.
    pub async fn passed(&self, delay: &impl Delay) {
        for _ in 0..ROUNDS {
            let before = self.steps();
            delay.delay(self.time).await;
            if self.steps() == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future::ready;

    use super::*;

    /// How often the limit begins while other backends make steps in so many of its rounds.
    fn rounds(busy: u32) -> u32 {
        let (limit, begun) = (StepLimit::new(Duration::from_secs(10)), AtomicU32::new(0));
        let clock = |time| {
            assert_eq!(time, Duration::from_secs(10));
            if begun.fetch_add(1, Ordering::Relaxed) < busy {
                limit.note_step();
            }
            ready(())
        };
        futures::executor::block_on(limit.passed(&clock));
        begun.into_inner()
    }

    #[test]
    fn a_backend_has_more_time_while_others_get_on_but_not_for_ever() {
        assert_eq!(rounds(0), 1);
        assert_eq!(rounds(3), 4);
        assert_eq!(rounds(1000), ROUNDS);
    }
}
