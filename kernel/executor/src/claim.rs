// SPDX-License-Identifier: MIT OR Apache-2.0
//! Something that exists once, belongs to the vCPU that made it, and is handed out once.

use core::marker::PhantomData;

use spin::Mutex;

/// Something that exists once, and is made by whoever claims it. A claim may be dropped and made again on the
/// same vCPU; what was made meanwhile is kept.
#[derive(Debug)]
pub struct Only<T>(Mutex<State<T>>);

/// Its state.
#[derive(Debug)]
enum State<T> {
    /// It was not made.
    Free,
    /// It is claimed.
    Claimed,
    /// It was made on this vCPU, and is not handed out.
    Kept(u32, T),
    /// It was handed out on this vCPU.
    HandedOut(u32, Option<T>),
}

impl<T> Default for Only<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Only<T> {
    /// It was not made.
    pub const fn new() -> Self {
        Self(Mutex::new(State::Free))
    }
}

impl<T: Copy> Only<T> {
    /// Claims it for a caller on `vcpu`. `None` if it is claimed or handed out, or was made on another vCPU.
    pub fn claim(&self, vcpu: u32) -> Option<Claim<'_, T>> {
        let mut now = self.0.lock();
        let made = match *now {
            State::Free => None,
            State::Kept(owner, made) if owner == vcpu => Some(made),
            State::Claimed | State::Kept(..) | State::HandedOut(..) => return None,
        };
        *now = State::Claimed;
        Some(Claim { of: self, vcpu, made, stays: PhantomData })
    }

    /// What was handed out, for a caller on the same `vcpu`.
    pub fn handed_out(&self, vcpu: u32) -> Option<T> {
        match *self.0.lock() {
            State::HandedOut(owner, made) if owner == vcpu => made,
            _ => None,
        }
    }
}

/// A claim, on one vCPU. Dropping it lets another caller try.
#[derive(Debug)]
pub struct Claim<'a, T: Copy> {
    of: &'a Only<T>,
    vcpu: u32,
    made: Option<T>,
    /// It is not sent to another vCPU.
    stays: PhantomData<*const ()>,
}

impl<T: Copy> Claim<'_, T> {
    /// What was made, if it was.
    pub fn made(&self) -> Option<T> {
        self.made
    }

    /// Keeps what was made for the next claim, and returns it.
    pub fn keep(&mut self, made: T) -> T {
        *self.made.insert(made)
    }

    /// Hands it out.
    pub fn hand_out(self) {
        *self.of.0.lock() = State::HandedOut(self.vcpu, self.made);
    }
}

impl<T: Copy> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        let mut now = self.of.0.lock();
        if let State::Claimed = *now {
            *now = self.made.map_or(State::Free, |made| State::Kept(self.vcpu, made));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_was_handed_out_is_gone_for_good() {
        let only = Only::new();
        let mut claim = only.claim(0).expect("it is free");
        assert_eq!((claim.made(), claim.keep(7)), (None, 7));
        assert!(only.handed_out(0).is_none());
        assert!(only.claim(0).is_none(), "somebody waits for it");
        claim.hand_out();
        assert!(only.claim(0).is_none() && only.claim(1).is_none());
        assert_eq!((only.handed_out(0), only.handed_out(1)), (Some(7), None));
    }

    #[test]
    fn a_claim_dropped_before_anything_was_kept_lets_any_vcpu_try() {
        let only = Only::<u8>::new();
        drop(only.claim(0));
        assert!(only.claim(1).is_some_and(|claim| claim.made().is_none()));
    }

    #[test]
    fn a_kept_value_belongs_to_its_own_vcpu() {
        let only = Only::new();
        only.claim(2).expect("it is free").keep(7);
        assert!(only.claim(0).is_none());
        let again = only.claim(2).expect("it was made here");
        assert_eq!(again.made(), Some(7));
        drop(again);
        assert!(only.claim(0).is_none(), "it stays there");
        only.claim(2).expect("it was made here").hand_out();
        assert!(only.claim(2).is_none());
    }
}
