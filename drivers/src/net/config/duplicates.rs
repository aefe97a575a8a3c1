// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether somebody else has an address that we would like to have (RFC 4862, section 5.4). A question is
//! sent for it, and a second waited. Who has it answers; who would like it too asks as well, and neither gets
//! it.

use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::time::Duration;

/// How long an answer is waited for: RETRANS_TIMER of RFC 4861, section 10, after one question.
const WAIT: Duration = Duration::from_secs(1);

/// What is known of addresses.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// As few as we make addresses.
    addresses: Vec<(Ipv6Addr, State)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Somebody was asked, and has until then to answer.
    Asked(Duration),
    Free,
    Taken,
}

impl Duplicates {
    /// These are the addresses that we would like at time `now`; returns those for which a question is to be
    /// sent.
    pub(super) fn set(&mut self, wanted: &[Ipv6Addr], now: Duration) -> Vec<Ipv6Addr> {
        self.addresses.retain(|(address, _)| wanted.contains(address));
        for (_, state) in &mut self.addresses {
            if let State::Asked(until) = *state
                && until <= now
            {
                *state = State::Free;
            }
        }
        let is_new = |address: &Ipv6Addr| !self.addresses.iter().any(|known| known.0 == *address);
        let new: Vec<Ipv6Addr> = wanted.iter().copied().filter(is_new).collect();
        let until = State::Asked(now.saturating_add(WAIT));
        self.addresses.extend(new.iter().map(|address| (*address, until)));
        new
    }

    /// Somebody has `address`, or would like it; true if that is why we do not get it.
    pub(super) fn observe(&mut self, address: Ipv6Addr) -> bool {
        let asked = self.addresses.iter_mut().find(|known| known.0 == address);
        let Some((_, state @ State::Asked(_))) = asked else { return false };
        *state = State::Taken;
        true
    }

    /// Has addresses that somebody had asked for again: the network may be another one.
    pub(super) fn restart(&mut self) {
        self.addresses.retain(|(_, state)| *state != State::Taken);
    }

    /// The addresses that must not be used, or not yet.
    pub(super) fn unusable(&self) -> Vec<Ipv6Addr> {
        self.addresses
            .iter()
            .filter(|(_, state)| *state != State::Free)
            .map(|(address, _)| *address)
            .collect()
    }

    /// Whether an answer is waited for.
    pub(super) fn waits(&self) -> bool {
        self.addresses.iter().any(|(_, state)| matches!(state, State::Asked(_)))
    }

    /// When there was no answer for long enough, seen from `now`.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let ends = self.addresses.iter().filter_map(|(_, state)| match state {
            State::Asked(until) => Some(*until),
            _ => None,
        });
        ends.filter(|until| *until > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

    #[test]
    fn an_address_that_nobody_has_can_be_used_after_a_second() {
        let mut duplicates = Duplicates::default();
        assert_eq!(duplicates.set(&[ADDRESS], SECOND), [ADDRESS]);
        assert_eq!((duplicates.unusable(), duplicates.next(SECOND)), (vec![ADDRESS], Some(SECOND * 2)));
        assert!(!duplicates.observe(OTHER));
        assert_eq!(duplicates.set(&[ADDRESS, OTHER], SECOND * 2), [OTHER]);
        assert_eq!(duplicates.unusable(), [OTHER]);
        assert!(!duplicates.observe(ADDRESS), "it is ours");
        assert!(duplicates.set(&[ADDRESS], SECOND * 3).is_empty());
        assert!(duplicates.unusable().is_empty() && !duplicates.waits());
    }

    #[test]
    fn an_address_that_somebody_has_is_not_used_on_this_network() {
        let mut duplicates = Duplicates::default();
        duplicates.set(&[ADDRESS], SECOND);
        assert!(duplicates.observe(ADDRESS) && !duplicates.observe(ADDRESS));
        assert!(duplicates.set(&[ADDRESS], SECOND * 100).is_empty());
        assert_eq!((duplicates.unusable(), duplicates.next(SECOND)), (vec![ADDRESS], None));
        duplicates.restart();
        assert_eq!(duplicates.set(&[ADDRESS], SECOND * 101), [ADDRESS]);
    }
}
