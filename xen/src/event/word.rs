// SPDX-License-Identifier: MIT OR Apache-2.0
//! One port's word in the FIFO ABI, and the changes that a guest may make to it.
//!
//! ```text
//!  31       30      29      28    27..17   16..0
//! PENDING  MASKED  LINKED  BUSY  unused   LINK: the next port of the queue, 0 at its end
//! ```
//!
//! A port that is PENDING and not MASKED is LINKED into a queue, by Xen. The guest takes it out. As
//! long as it is LINKED, the guest may set and clear MASKED, clear PENDING, and clear LINKED with
//! LINK, each at most once while Xen has it BUSY; while it is BUSY the guest may not unmask it
//! (`xen/common/event_fifo.c`, at `evtchn_fifo_set_link`).

use xen_sys::event_channel::*;

use super::atomic::Bits32;

pub(super) const PENDING: u32 = 1 << EVTCHN_FIFO_PENDING;
pub(super) const MASKED: u32 = 1 << EVTCHN_FIFO_MASKED;
pub(super) const LINKED: u32 = 1 << EVTCHN_FIFO_LINKED;
pub(super) const BUSY: u32 = 1 << EVTCHN_FIFO_BUSY;
pub(super) const LINK: u32 = EVTCHN_FIFO_LINK_MASK;

/// Xen has a word BUSY for a few instructions. After so many looks something else is wrong.
const MAX_SPINS: u32 = if cfg!(all(test, loom)) { 3 } else { 100_000 };

/// Xen had the word BUSY all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// What was found when a port was taken out of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unlinked {
    /// Its event had arrived, and is taken; the port is masked.
    pub(super) arrived: bool,
    /// The next port of the queue; 0 at its end.
    pub(super) next: u32,
}

/// Unmasks the port, unless its event has arrived: then takes that, and leaves the port masked. Says
/// which. One step, between which and Xen's nothing is lost.
pub(super) fn unmask_or_take(word: &impl Bits32) -> Result<bool, Busy> {
    for _ in 0..MAX_SPINS {
        let now = word.get();
        let arrived = now & PENDING != 0;
        let done = if arrived {
            word.replace(now, now & !PENDING | MASKED)
        } else {
            word.replace(now & !BUSY, now & !(BUSY | MASKED))
        };
        if done.is_ok() {
            return Ok(arrived);
        }
        pause();
    }
    Err(Busy)
}

/// Unmasks the port in any case, and says whether its event had arrived; it is taken.
pub(super) fn unmask_and_take(word: &impl Bits32) -> Result<bool, Busy> {
    for _ in 0..MAX_SPINS {
        let now = word.get() & !BUSY;
        if word.replace(now, now & !(PENDING | MASKED)).is_ok() {
            return Ok(now & PENDING != 0);
        }
        pause();
    }
    Err(Busy)
}

/// Takes the event, if it has arrived.
pub(super) fn take(word: &impl Bits32) -> bool {
    word.clear(PENDING) & PENDING != 0
}

/// Masks the port.
pub(super) fn mask(word: &impl Bits32) {
    word.set(MASKED);
}

/// Takes the port out of its queue, and its event, if it has one and is unmasked; it is masked then.
/// A word that is in no queue ends the queue that led to it.
pub(super) fn unlink(word: &impl Bits32) -> Unlinked {
    let mut now = word.get();
    loop {
        if now & LINKED == 0 {
            return Unlinked { arrived: false, next: 0 };
        }
        let arrived = now & (PENDING | MASKED) == PENDING;
        let kept = now & !(LINKED | LINK);
        let new = if arrived { kept & !PENDING | MASKED } else { kept };
        match word.replace(now, new) {
            Ok(_) => return Unlinked { arrived, next: now & LINK },
            Err(changed) => now = changed,
        }
    }
}

fn pause() {
    #[cfg(not(all(test, loom)))]
    core::hint::spin_loop();
    #[cfg(all(test, loom))]
    loom::thread::yield_now();
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn word(value: u32) -> AtomicU32 {
        AtomicU32::new(value)
    }

    fn value(word: &AtomicU32) -> u32 {
        word.load(Ordering::SeqCst)
    }

    #[test]
    fn unmask_or_take_clears_the_mask_or_takes_what_had_arrived() {
        let quiet = word(MASKED);
        assert_eq!((unmask_or_take(&quiet), value(&quiet)), (Ok(false), 0));
        let pending = word(MASKED | PENDING);
        assert_eq!((unmask_or_take(&pending), value(&pending)), (Ok(true), MASKED));
    }

    #[test]
    fn unmask_and_take_clears_the_mask_in_any_case() {
        let pending = word(MASKED | PENDING | LINKED | 7);
        assert_eq!((unmask_and_take(&pending), value(&pending)), (Ok(true), LINKED | 7));
        assert_eq!((unmask_and_take(&pending), value(&pending)), (Ok(false), LINKED | 7));
    }

    #[test]
    fn a_busy_word_is_not_unmasked() {
        let busy = word(MASKED | LINKED | BUSY | 7);
        assert_eq!((unmask_or_take(&busy), unmask_and_take(&busy)), (Err(Busy), Err(Busy)));
        assert_eq!(value(&busy), MASKED | LINKED | BUSY | 7);
    }

    #[test]
    fn unlinking_takes_the_event_and_tells_the_next_port() {
        let first = word(PENDING | LINKED | 0x1_ffff);
        assert_eq!(unlink(&first), Unlinked { arrived: true, next: 0x1_ffff });
        assert_eq!(value(&first), MASKED);
    }

    #[test]
    fn unlinking_leaves_the_event_of_a_masked_port_for_whoever_opens_it() {
        let masked = word(PENDING | MASKED | LINKED | 9);
        assert_eq!(unlink(&masked), Unlinked { arrived: false, next: 9 });
        assert_eq!(value(&masked), PENDING | MASKED);
    }

    #[test]
    fn unlinking_keeps_what_xen_is_doing_to_the_word() {
        let busy = word(PENDING | LINKED | BUSY);
        assert_eq!(unlink(&busy), Unlinked { arrived: true, next: 0 });
        assert_eq!(value(&busy), MASKED | BUSY);
    }

    #[test]
    fn a_word_in_no_queue_ends_the_queue() {
        let stray = word(PENDING | 5);
        assert_eq!(unlink(&stray), Unlinked { arrived: false, next: 0 });
        assert_eq!(value(&stray), PENDING | 5);
    }
}
