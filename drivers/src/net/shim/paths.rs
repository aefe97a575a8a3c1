// SPDX-License-Identifier: MIT OR Apache-2.0
//! The largest packets that get to hosts, where that is less than the first network takes (RFC 1191, RFC
//! 8201).

use alloc::vec::Vec;
use core::time::Duration;

use super::headers::Address;
use crate::hal::nanoseconds;

/// Hosts that are remembered. The one that would be forgotten first makes room.
const MAX: usize = 64;

/// How long a host is remembered: RFC 1191, section 6.3. Then larger packets are tried again.
const LIFETIME: Duration = Duration::from_secs(600);

/// Packets that any path of IPv6 takes: RFC 8200, section 5.
const MIN_IPV6: usize = 1280;
/// Smaller ones are not made for IPv4, whatever routers say, like Linux's `min_pmtu`: so small packets would
/// cost both sides most of their time. A router that takes less has to divide them, which they allow.
const MIN_IPV4: usize = 552;

/// Sizes that networks have had: RFC 1191, section 7.1, for routers that tell none.
const PLATEAUS: [usize; 8] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508];

/// Hosts behind a network that takes less than the first one.
#[derive(Debug, Default)]
pub(super) struct Paths {
    paths: Vec<Path>,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    host: Address,
    mtu: usize,
    /// Some router takes even less, and has to divide them.
    is_divided: bool,
    /// It was found out without a router's help, and may be wrong.
    is_guess: bool,
    /// When it is forgotten, in nanoseconds.
    end: u64,
}

/// What is known of the packets that get to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// The largest ones, in bytes.
    pub(super) mtu: usize,
    /// Some router takes even less, and has to divide them.
    pub(super) is_divided: bool,
}

impl Paths {
    /// Whether nothing is known of any host.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The largest packets that get to `host`, if that is known.
    pub(super) fn limit(&self, host: &Address, now: u64) -> Option<Limit> {
        let path = self.paths.iter().find(|path| path.host == *host && now < path.end)?;
        Some(Limit { mtu: path.mtu, is_divided: path.is_divided })
    }

    /// True if the path takes less than was known before: a router said that a packet of `size` bytes to
    /// `host` is too big, and that one of `told` would not be; 0 if it did not say.
    pub(super) fn lower(
        &mut self,
        host: &Address,
        is_ipv4: bool,
        size: usize,
        told: usize,
        now: u64,
    ) -> bool {
        let told = match told {
            0 => PLATEAUS.into_iter().find(|plateau| *plateau < size).unwrap_or(MIN_IPV4),
            told => told,
        };
        if told >= size {
            return false;
        }
        let least = if is_ipv4 { MIN_IPV4 } else { MIN_IPV6 };
        let known = self.limit(host, now).map_or(usize::MAX, |limit| limit.mtu);
        let mtu = told.max(least);
        self.set(host, mtu.min(known), told < least && is_ipv4, false, now);
        mtu < known.min(size)
    }

    /// Packets of `size` bytes to `host` seem to get lost on their way, without anybody saying so: smaller
    /// ones are tried, and in the end the larger ones again, as it was not that.
    pub(super) fn suspect(&mut self, host: &Address, is_ipv4: bool, size: usize, now: u64) {
        let steps: &[usize] = if is_ipv4 { &[MIN_IPV6, MIN_IPV4] } else { &[MIN_IPV6] };
        match steps.iter().find(|step| **step < size) {
            Some(step) => self.set(host, *step, false, true, now),
            // Shorter ones are lost for other reasons, too.
            None => self.paths.retain(|path| path.host != *host || !path.is_guess || path.mtu > size),
        }
    }

    fn set(&mut self, host: &Address, mtu: usize, is_divided: bool, is_guess: bool, now: u64) {
        self.paths.retain(|path| path.host != *host && now < path.end);
        if self.paths.len() == MAX
            && let Some(first) = (0..MAX).min_by_key(|index| self.paths.get(*index).map(|path| path.end))
            && first < self.paths.len()
        {
            self.paths.swap_remove(first);
        }
        self.paths.push(Path {
            host: *host,
            mtu,
            is_divided,
            is_guess,
            end: now.saturating_add(nanoseconds(LIFETIME)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Address = [1; 16];
    const FULL: usize = 1500;

    fn limit(paths: &Paths) -> Option<usize> {
        paths.limit(&HOST, 0).map(|limit| limit.mtu)
    }

    fn told(is_ipv4: bool, size: usize, mtu: usize) -> Option<usize> {
        let mut paths = Paths::default();
        paths.lower(&HOST, is_ipv4, size, mtu, 0);
        limit(&paths)
    }

    #[test]
    fn a_router_is_believed_within_limits() {
        assert_eq!(told(true, FULL, 1280), Some(1280));
        assert_eq!(told(true, FULL, 576), Some(576));
        assert_eq!(told(true, FULL, 68), Some(552));
        assert_eq!(told(false, FULL, 1400), Some(1400));
        assert_eq!(told(false, FULL, 576), Some(1280));
        assert_eq!(told(true, FULL, FULL), None);
        assert_eq!(told(true, FULL, 9000), None);
    }

    #[test]
    fn a_router_that_does_not_tell_is_answered_by_the_next_usual_size() {
        assert_eq!(told(true, 1500, 0), Some(1492));
        assert_eq!(told(true, 1492, 0), Some(1006));
        assert_eq!(told(true, 1006, 0), Some(552));
        assert_eq!(told(true, 300, 0), None);
    }

    #[test]
    fn what_was_learnt_is_forgotten_in_time() {
        let mut paths = Paths::default();
        paths.lower(&HOST, true, FULL, 1280, 0);
        assert_eq!(paths.limit(&HOST, nanoseconds(LIFETIME)), None);
        assert_eq!(paths.limit(&[2; 16], 0), None);
    }

    #[test]
    fn a_suspicion_goes_down_in_steps_and_ends_if_it_was_wrong() {
        let mut paths = Paths::default();
        for (size, expected) in [(FULL, Some(1280)), (1280, Some(552)), (552, None)] {
            paths.suspect(&HOST, true, size, 0);
            assert_eq!(limit(&paths), expected);
        }
        paths.suspect(&HOST, false, FULL, 0);
        paths.suspect(&HOST, false, 1280, 0);
        assert_eq!(limit(&paths), None);
        paths.lower(&HOST, false, FULL, 1280, 0);
        paths.suspect(&HOST, false, 1280, 0);
        assert_eq!(limit(&paths), Some(1280), "a router's word is no suspicion");
    }

    #[test]
    fn as_many_hosts_as_there_is_room_for_are_remembered() {
        let mut paths = Paths::default();
        for (number, now) in (0..200).zip(0..) {
            paths.lower(&[number; 16], true, FULL, 1280, now);
        }
        assert_eq!(paths.paths.len(), MAX);
        assert!((136..200).all(|number| paths.limit(&[number; 16], 200).is_some()));
    }
}
