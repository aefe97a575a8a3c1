// SPDX-License-Identifier: MIT OR Apache-2.0
//! What follows when the toolstack changes its mind about vCPUs.

use alloc::vec::Vec;

use xen::control::Availability;

/// A change that somebody has to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This vCPU is wanted.
    Start(u32),
    /// This vCPU is not wanted any more.
    Stop(u32),
    /// What is said of this vCPU means nothing: all stays as it is.
    Invalid(u32),
}

/// What the toolstack has wanted so far.
///
/// Only a change of its mind counts: a vCPU that did not start is not tried again each time that something is
/// said of another one, and what the toolstack takes back or never said changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    vcpus: Vec<Vcpu>,
}

#[derive(Clone, Copy, Debug)]
struct Vcpu {
    /// What was said of it that meant something.
    wanted: Availability,
    /// What was said of it last.
    said: Availability,
}

impl Wanted {
    /// What was wanted when the domain booted; empty if that is not known, which it is from the first
    /// [change](Self::changes) on then.
    pub fn new(at_boot: &[Availability]) -> Self {
        Self { vcpus: at_boot.iter().map(|said| Vcpu { wanted: *said, said: *said }).collect() }
    }

    /// What there is to do, now that `said` is said of the vCPUs: first those that start.
    pub fn changes(&mut self, said: &[Availability]) -> Vec<Change> {
        if self.vcpus.is_empty() {
            *self = Self::new(said);
        }
        let vcpus = (0..).zip(&mut self.vcpus).zip(said);
        let mut changes: Vec<Change> =
            vcpus.filter_map(|((number, vcpu), said)| change(number, vcpu, *said)).collect();
        changes.sort_by_key(|change| !matches!(change, Change::Start(_)));
        changes
    }
}

fn change(number: u32, vcpu: &mut Vcpu, said: Availability) -> Option<Change> {
    if core::mem::replace(&mut vcpu.said, said) == said {
        return None;
    }
    let change = match said {
        Availability::Online => Change::Start(number),
        Availability::Offline => Change::Stop(number),
        Availability::Invalid => return Some(Change::Invalid(number)),
        Availability::Unsaid => return None,
    };
    (core::mem::replace(&mut vcpu.wanted, said) != said).then_some(change)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xen::control::Availability::*;

    use super::*;

    #[test]
    fn only_what_changes_is_done_and_starts_come_first() {
        let mut wanted = Wanted::new(&[Online, Online, Offline, Unsaid]);
        assert_eq!(wanted.changes(&[Online, Online, Offline, Unsaid]), []);
        assert_eq!(
            wanted.changes(&[Online, Offline, Online, Online]),
            [Change::Start(2), Change::Start(3), Change::Stop(1)]
        );
        assert_eq!(wanted.changes(&[Online, Offline, Online, Online]), []);
    }

    #[test]
    fn what_is_unsaid_or_means_nothing_changes_nothing() {
        let mut wanted = Wanted::new(&[Online, Offline]);
        assert_eq!(wanted.changes(&[Unsaid, Invalid]), [Change::Invalid(1)]);
        assert_eq!(wanted.changes(&[Unsaid, Invalid]), [], "it is told once");
        assert_eq!(wanted.changes(&[Online, Offline]), []);
        assert_eq!(wanted.changes(&[Invalid, Online]), [Change::Start(1), Change::Invalid(0)]);
    }

    #[test]
    fn what_is_said_at_first_is_no_change() {
        let mut wanted = Wanted::new(&[]);
        assert_eq!(wanted.changes(&[Online, Offline]), []);
        assert_eq!(wanted.changes(&[Online, Online]), [Change::Start(1)]);
        // Of vCPUs that there are not, nothing is done.
        assert_eq!(wanted.changes(&[Online, Online, Online, Invalid]), []);
        assert_eq!(wanted.changes(&[]), []);
    }

    proptest! {
        #[test]
        fn each_vcpu_is_started_and_stopped_in_turn(said in proptest::collection::vec(0..4_usize, 0..50)) {
            let mut wanted = Wanted::new(&[Online]);
            let mut runs = true;
            for said in said.into_iter().map(|index| [Online, Offline, Unsaid, Invalid][index]) {
                for change in wanted.changes(&[said]) {
                    match change {
                        Change::Start(0) => prop_assert!(!core::mem::replace(&mut runs, true)),
                        Change::Stop(0) => prop_assert!(core::mem::replace(&mut runs, false)),
                        other => prop_assert_eq!(other, Change::Invalid(0)),
                    }
                }
                if let Online | Offline = said {
                    prop_assert_eq!(runs, said == Online);
                }
            }
        }
    }
}
