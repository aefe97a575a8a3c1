// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which vCPU has the last word.
//!
//! One vCPU ends the domain. Its last words are the verdict, or a crash report. Output of other vCPUs would
//! take the time and the room that these need, so it is dropped from then on.

use core::sync::atomic::{AtomicU32, Ordering};

/// Nobody ends.
const NOBODY: u32 = 0;

/// Which vCPU ends the domain, if one does.
#[derive(Debug, Default)]
pub struct LastWord {
    /// Its number, counted from 1.
    by: AtomicU32,
}

impl LastWord {
    /// No vCPU ends.
    pub const fn new() -> Self {
        Self { by: AtomicU32::new(NOBODY) }
    }

    /// Has `vcpu` end the domain, unless another one does; says whether it is the one.
    pub fn begin(&self, vcpu: u32) -> bool {
        let own = counted(vcpu);
        match self.by.compare_exchange(NOBODY, own, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(by) => by == own,
        }
    }

    /// Has `vcpu` end the domain, whoever does: it has crashed, and that counts for more than any verdict.
    pub fn take_over(&self, vcpu: u32) {
        self.by.store(counted(vcpu), Ordering::Release);
    }

    /// Whether `vcpu` may write, and wait for a console: nobody ends, or it does.
    pub fn lets_write(&self, vcpu: u32) -> bool {
        let by = self.by.load(Ordering::Acquire);
        by == NOBODY || by == counted(vcpu)
    }
}

/// The number of a vCPU, counted from 1.
fn counted(vcpu: u32) -> u32 {
    vcpu.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_writes_until_one_ends() {
        let ending = LastWord::new();
        assert!((0..4).all(|vcpu| ending.lets_write(vcpu)));
        assert!(ending.begin(2));
        assert_eq!([0, 1, 2, 3].map(|vcpu| ending.lets_write(vcpu)), [false, false, true, false]);
    }

    #[test]
    fn the_first_one_that_ends_has_the_last_word() {
        let ending = LastWord::new();
        assert!(ending.begin(0) && ending.begin(0));
        assert!(!ending.begin(1) && ending.lets_write(0));
    }

    #[test]
    fn a_crash_takes_the_last_word_from_a_verdict() {
        let ending = LastWord::new();
        assert!(ending.begin(0));
        ending.take_over(3);
        assert!(!ending.lets_write(0) && !ending.begin(0));
        assert!(ending.lets_write(3) && ending.begin(3));
    }

    #[test]
    fn of_vcpus_that_end_at_once_one_does() {
        let ending = LastWord::new();
        let ended = |vcpu| usize::from(ending.begin(vcpu));
        let count: usize = std::thread::scope(|scope| {
            let vcpus: Vec<_> = (0..8).map(|vcpu| scope.spawn(move || ended(vcpu))).collect();
            vcpus.into_iter().map(|vcpu| vcpu.join().unwrap()).sum()
        });
        assert_eq!(count, 1);
    }
}
