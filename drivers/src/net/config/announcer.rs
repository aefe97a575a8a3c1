// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling neighbors and switches of our addresses, when we get one or come back: what they remember may be
//! wrong (RFC 5227, section 2.3; RFC 4861, section 7.2.6).

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::{arp, ndp};

/// Announcements of an address.
const TIMES: u8 = 2;
/// Time between two.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells neighbors of our addresses.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    /// Our addresses, and how often each is to be announced yet.
    addresses: Vec<(IpAddr, u8)>,
    next: Duration,
}

impl Announcer {
    /// These are our addresses at time `now`; new ones are announced.
    pub(super) fn set(&mut self, addresses: impl Iterator<Item = IpAddr>, now: Duration) {
        let known = core::mem::take(&mut self.addresses);
        for address in addresses {
            let left = known.iter().find(|known| known.0 == address).map(|known| known.1);
            if left.is_none() {
                self.next = now;
            }
            self.addresses.push((address, left.unwrap_or(TIMES)));
        }
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|known| known.0 == address)
    }

    /// Announces all from `now` on.
    pub(super) fn start(&mut self, now: Duration) {
        self.addresses.iter_mut().for_each(|(_, left)| *left = TIMES);
        self.next = now;
    }

    /// When to announce next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.addresses.iter().any(|(_, left)| *left != 0).then_some(self.next)
    }

    /// The frames by which `mac` announces its addresses now, if it is to.
    pub(super) fn due(&mut self, mac: [u8; 6], now: Duration) -> Vec<Vec<u8>> {
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.next = now.saturating_add(INTERVAL);
        let due = self.addresses.iter_mut().filter(|(_, left)| *left != 0);
        due.map(|(address, left)| {
            *left -= 1;
            match *address {
                IpAddr::V4(address) => arp::announcement(mac, address),
                IpAddr::V6(address) => ndp::unsolicited_advertisement(mac, address),
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const SECOND: Duration = Duration::from_secs(1);
    const IPV4: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn new_addresses_are_announced_twice() {
        let mut announcer = Announcer::default();
        assert_eq!(announcer.next(), None);
        announcer.set([IPV4, ndp::link_local(MAC).into()].into_iter(), SECOND);
        assert_eq!(announcer.due(MAC, SECOND).len(), 2);
        assert!(announcer.due(MAC, SECOND).is_empty());
        assert_eq!(announcer.next(), Some(SECOND * 2));
        assert_eq!(announcer.due(MAC, SECOND * 2).len(), 2);
        assert_eq!(announcer.next(), None);
    }

    #[test]
    fn addresses_that_stay_or_go_are_not_announced() {
        let mut announcer = Announcer::default();
        announcer.set([IPV4, ndp::link_local(MAC).into()].into_iter(), SECOND);
        let times = [1, 2].map(|second| announcer.due(MAC, SECOND * second).len());
        announcer.set([IPV4].into_iter(), SECOND * 3);
        assert_eq!((times, announcer.next()), ([2, 2], None));
        announcer.start(SECOND * 4);
        assert_eq!(announcer.due(MAC, SECOND * 4), [arp::announcement(MAC, [192, 0, 2, 1].into())]);
    }
}
