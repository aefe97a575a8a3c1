// SPDX-License-Identifier: MIT OR Apache-2.0
//! What routers have said and is still valid, and what follows from it (RFC 4861, RFC 4862, RFC 8106).
//!
//! Tables are bounded: where one is full, newcomers wait for room, so that a flood of them takes nothing away
//! that works.

use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::time::Duration;

use super::ndp::{self, Advertisement, Prefix};

/// Routers that are kept.
const ROUTERS: usize = 8;
/// Prefixes that are kept.
const PREFIXES: usize = 8;
/// Name servers that are kept: as many as the stack asks.
const SERVERS: usize = 3;

/// A lifetime that is left of a prefix cannot be cut below this, as advertisements are not signed (RFC 4862,
/// section 5.5.3).
const TWO_HOURS: Duration = Duration::from_secs(2 * 3600);

/// How long a router that does not answer is avoided.
const AVOIDED: Duration = Duration::from_secs(60);

/// What the stack is to be configured with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipv6Config {
    /// The address, and how many bits of it hosts share that are reached without a router: 64, or 128 if
    /// there are none.
    pub address: Option<(Ipv6Addr, u8)>,
    /// Further addresses, of other prefixes: known at the interface's boundary, and not to the stack.
    pub others: Vec<Ipv6Addr>,
    /// The one of these addresses that new connections are to begin from.
    pub source: Option<Ipv6Addr>,
    /// The router to all others: a link-local address.
    pub gateway: Option<Ipv6Addr>,
    /// Name servers, three at most.
    pub servers: Vec<Ipv6Addr>,
}

/// What routers have said.
#[derive(Debug)]
pub(super) struct Slaac {
    mac: [u8; 6],
    routers: Vec<Router>,
    prefixes: Vec<Known>,
    servers: Vec<Server>,
    /// Addresses that must not be used, or not yet.
    unusable: Vec<Ipv6Addr>,
    /// What follows: routers and prefixes that do are kept as long as they can be.
    chosen: Ipv6Config,
}

#[derive(Debug)]
struct Router {
    address: Ipv6Addr,
    preference: i8,
    until: Duration,
    /// It does not answer; until then it is used only if no other is there.
    avoided_until: Duration,
}

#[derive(Debug)]
struct Known {
    bits: [u8; 8],
    on_link: bool,
    valid_until: Duration,
    preferred_until: Duration,
}

#[derive(Debug)]
struct Server {
    address: Ipv6Addr,
    until: Duration,
}

impl Slaac {
    /// Nothing was said yet to the interface with this Ethernet address.
    pub(super) fn new(mac: [u8; 6]) -> Self {
        let (routers, prefixes, servers) = (Vec::new(), Vec::new(), Vec::new());
        Self { mac, routers, prefixes, servers, unusable: Vec::new(), chosen: Ipv6Config::default() }
    }

    /// Takes in what a router says at time `now`.
    pub(super) fn process(&mut self, advertisement: &Advertisement, now: Duration) {
        self.expire(now);
        self.process_router(advertisement, now);
        advertisement.prefixes.iter().for_each(|prefix| self.process_prefix(prefix, now));
        for (address, lifetime) in &advertisement.servers {
            self.process_server(*address, now.saturating_add(*lifetime));
        }
        self.expire(now);
    }

    fn process_router(&mut self, advertisement: &Advertisement, now: Duration) {
        let Advertisement { router: address, preference, lifetime, .. } = *advertisement;
        let until = now.saturating_add(lifetime);
        let has_room = self.routers.len() < ROUTERS;
        match self.routers.iter_mut().find(|router| router.address == address) {
            Some(router) => (router.until, router.preference) = (until, preference),
            None if has_room => {
                self.routers.push(Router { address, preference, until, avoided_until: Duration::ZERO });
            }
            None => {}
        }
    }

    fn process_prefix(&mut self, prefix: &Prefix, now: Duration) {
        let Prefix { bits, on_link, valid, preferred } = *prefix;
        let (valid_until, preferred_until) = (now.saturating_add(valid), now.saturating_add(preferred));
        let has_room = self.prefixes.len() < PREFIXES;
        match self.prefixes.iter_mut().find(|known| known.bits == bits) {
            Some(known) => {
                let least = known.valid_until.min(now.saturating_add(TWO_HOURS));
                *known = Known { bits, on_link, valid_until: valid_until.max(least), preferred_until };
            }
            None if has_room => {
                self.prefixes.push(Known { bits, on_link, valid_until, preferred_until });
            }
            None => {}
        }
    }

    fn process_server(&mut self, address: Ipv6Addr, until: Duration) {
        let has_room = self.servers.len() < SERVERS;
        match self.servers.iter_mut().find(|server| server.address == address) {
            Some(server) => server.until = until,
            None if has_room => self.servers.push(Server { address, until }),
            None => {}
        }
    }

    /// Forgets what has lost its validity.
    fn expire(&mut self, now: Duration) {
        self.routers.retain(|router| router.until > now);
        self.prefixes.retain(|known| known.valid_until > now);
        self.servers.retain(|server| server.until > now);
    }

    /// The addresses that we can have at time `now`.
    pub(super) fn addresses(&mut self, now: Duration) -> Vec<Ipv6Addr> {
        self.expire(now);
        self.prefixes.iter().map(|known| self.own(known)).collect()
    }

    /// These addresses must not be used, or not yet.
    pub(super) fn set_unusable(&mut self, addresses: Vec<Ipv6Addr>) {
        self.unusable = addresses;
    }

    /// The prefixes whose addresses can be used.
    fn usable(&self) -> impl Iterator<Item = &Known> {
        self.prefixes.iter().filter(|known| !self.unusable.contains(&self.own(known)))
    }

    /// Whether there is a default router.
    pub(super) fn has_router(&self) -> bool {
        !self.routers.is_empty()
    }

    /// What the stack is to be configured with at time `now`. It keeps its address as long as that is valid.
    pub(super) fn config(&mut self, now: Duration) -> &Ipv6Config {
        self.expire(now);
        let current = self.chosen.address.map(|(address, _)| address);
        // Of several that are equal the first is taken.
        let is_deprecated = |known: &Known| known.preferred_until <= now;
        let rank = |known: &&Known| (Some(self.own(known)) != current, is_deprecated(known));
        let best = self.usable().min_by_key(rank);
        let address = best.map(|best| (self.own(best), if best.on_link { 64 } else { 128 }));
        let is_other = |own: &Ipv6Addr| address.is_some_and(|(address, _)| address != *own);
        let others = self.usable().map(|known| self.own(known)).filter(is_other).collect();
        let rank = |known: &&Known| (is_deprecated(known), Some(self.own(known)) != current);
        let source = self.usable().min_by_key(rank).map(|known| self.own(known));
        let servers = self.servers.iter().map(|server| server.address).collect();
        self.chosen = Ipv6Config { address, others, source, gateway: self.gateway(now), servers };
        &self.chosen
    }

    /// The Ethernet address that addresses are made from.
    pub(super) fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The address that we have in a prefix.
    fn own(&self, known: &Known) -> Ipv6Addr {
        ndp::address(known.bits, self.mac)
    }

    /// The router `address` does not answer at time `now` (RFC 4861, section 6.3.6).
    pub(super) fn avoid(&mut self, address: Ipv6Addr, now: Duration) {
        if let Some(router) = self.routers.iter_mut().find(|router| router.address == address) {
            router.avoided_until = now.saturating_add(AVOIDED);
        }
    }

    /// The router: that of before, as long as it answers, and no other wants more to be it.
    fn gateway(&self, now: Duration) -> Option<Ipv6Addr> {
        let is_current = |router: &Router| Some(router.address) == self.chosen.gateway;
        let rank = |router: &&Router| (router.avoided_until > now, -router.preference, !is_current(router));
        Some(self.routers.iter().min_by_key(rank)?.address)
    }

    /// When [`config`](Self::config) changes by itself, if ever, seen from `now`.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        let routers = self.routers.iter().map(|router| router.until);
        let servers = self.servers.iter().map(|server| server.until);
        let prefixes = self.prefixes.iter().flat_map(|known| [known.preferred_until, known.valid_until]);
        let ends = routers.chain(servers).chain(prefixes);
        ends.filter(|end| *end > now && *end != Duration::MAX).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ndp::tests::{MAC, ROUTER, advertisement, prefix_option, rdnss_option, server};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

    fn own(number: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0xff, 0xfe00, 1)
    }

    fn said(router: Ipv6Addr, lifetime: u16, options: &[&[u8]]) -> Advertisement {
        Advertisement::parse(&advertisement(router, lifetime, options)).unwrap()
    }

    fn address_at(slaac: &mut Slaac, second: u32) -> Option<Ipv6Addr> {
        slaac.config(SECOND * second).address.map(|(address, _)| address)
    }

    #[test]
    fn address_router_and_servers_end_each_in_its_time() {
        let mut slaac = Slaac::new(MAC);
        assert_eq!((slaac.config(SECOND).clone(), slaac.deadline(SECOND)), (Ipv6Config::default(), None));
        slaac.process(&said(ROUTER, 100, &[&prefix_option(7, 300, 200), &rdnss_option(50, &[1, 2])]), SECOND);
        let config = slaac.config(SECOND).clone();
        assert_eq!((config.address, config.gateway), (Some((own(7), 64)), Some(ROUTER)));
        assert_eq!(config.servers, [server(1), server(2)]);
        let mut ends = Vec::new();
        let mut now = SECOND;
        while let Some(end) = slaac.deadline(now) {
            now = end;
            let config = slaac.config(now);
            let rest = (config.servers.len(), config.gateway.is_some(), config.address.is_some());
            ends.push((now.as_secs(), rest));
        }
        let none = (301, (0, false, false));
        assert_eq!(ends, [(51, (0, true, true)), (101, (0, false, true)), (201, (0, false, true)), none]);
    }

    #[test]
    fn a_new_prefix_beside_the_old_one_is_used_too_and_takes_over_in_steps() {
        let mut slaac = Slaac::new(MAC);
        slaac.process(&said(ROUTER, 1800, &[&prefix_option(7, 9000, 9000)]), SECOND);
        slaac.process(&said(ROUTER, 1800, &[&prefix_option(8, 90_000, 90_000)]), SECOND);
        let mut at = |second| {
            let config = slaac.config(SECOND * second);
            (config.address.unwrap().0, config.others.clone(), config.source.unwrap())
        };
        assert_eq!(at(2), (own(7), vec![own(8)], own(7)));
        assert_eq!(at(9000), (own(7), vec![own(8)], own(7)));
        assert_eq!(at(9001), (own(8), vec![], own(8)));
        slaac.process(
            &said(ROUTER, 1800, &[&prefix_option(9, 900, 900), &prefix_option(8, 90_000, 0)]),
            SECOND * 9002,
        );
        let config = slaac.config(SECOND * 9002);
        assert_eq!(
            (config.address.unwrap().0, config.source),
            (own(8), Some(own(9))),
            "deprecated, not lost"
        );
    }

    #[test]
    fn a_rogue_router_cannot_take_an_address_away_at_once() {
        let mut slaac = Slaac::new(MAC);
        slaac.process(&said(ROUTER, 1800, &[&prefix_option(7, 86_400, 3600)]), SECOND);
        slaac.process(&said(OTHER, 0, &[&prefix_option(7, 0, 0)]), SECOND);
        assert_eq!(address_at(&mut slaac, 7200), Some(own(7)), "two hours are left");
        assert_eq!(address_at(&mut slaac, 7202), None);
        // What is shorter than that anyway keeps its end.
        slaac.process(&said(ROUTER, 1800, &[&prefix_option(8, 100, 100)]), SECOND * 8000);
        slaac.process(&said(OTHER, 0, &[&prefix_option(8, 1, 1)]), SECOND * 8050);
        assert_eq!(address_at(&mut slaac, 8099), Some(own(8)));
        assert_eq!(address_at(&mut slaac, 8100), None);
    }

    #[test]
    fn prefixes_of_no_validity_are_never_used() {
        let mut slaac = Slaac::new(MAC);
        slaac.process(&said(ROUTER, 0, &[&prefix_option(7, 0, 0), &rdnss_option(0, &[1])]), SECOND);
        assert_eq!(slaac.config(SECOND), &Ipv6Config::default());
        assert!(!slaac.has_router());
    }

    #[test]
    fn floods_take_nothing_away_and_are_bounded() {
        let mut slaac = Slaac::new(MAC);
        slaac.process(&said(ROUTER, 1800, &[&prefix_option(7, 9000, 9000), &rdnss_option(90, &[1])]), SECOND);
        for number in 8..1008 {
            let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number);
            let options: [&[u8]; 2] = [&prefix_option(number, 9000, 9000), &rdnss_option(90, &[number])];
            slaac.process(&said(router, 1800, &options), SECOND);
        }
        assert_eq!(
            (slaac.routers.len(), slaac.prefixes.len(), slaac.servers.len()),
            (ROUTERS, PREFIXES, SERVERS)
        );
        let config = slaac.config(SECOND);
        assert_eq!((config.address, config.gateway), (Some((own(7), 64)), Some(ROUTER)));
        assert_eq!(config.servers[0], server(1));
    }

    #[test]
    fn another_router_takes_over_from_one_that_goes() {
        let mut slaac = Slaac::new(MAC);
        slaac.process(&said(ROUTER, 1800, &[]), SECOND);
        slaac.process(&said(OTHER, 1800, &[]), SECOND);
        assert_eq!(slaac.config(SECOND).gateway, Some(ROUTER));
        slaac.process(&said(ROUTER, 0, &[]), SECOND);
        assert_eq!(slaac.config(SECOND).gateway, Some(OTHER));
        slaac.process(&said(ROUTER, 1800, &[]), SECOND);
        assert_eq!(slaac.config(SECOND).gateway, Some(OTHER), "routes stay where they are");
        slaac.process(&Advertisement { preference: 1, ..said(ROUTER, 1800, &[]) }, SECOND);
        assert_eq!(slaac.config(SECOND).gateway, Some(ROUTER));
    }

    #[test]
    fn a_router_that_does_not_answer_is_used_if_there_is_no_other() {
        let mut slaac = Slaac::new(MAC);
        slaac.process(&Advertisement { preference: 1, ..said(ROUTER, 1800, &[]) }, SECOND);
        slaac.avoid(ROUTER, SECOND);
        assert_eq!(slaac.config(SECOND).gateway, Some(ROUTER));
        slaac.process(&said(OTHER, 1800, &[]), SECOND);
        assert_eq!(slaac.config(SECOND).gateway, Some(OTHER));
        assert_eq!(slaac.config(SECOND * 61).gateway, Some(ROUTER), "it is given another chance");
    }

    #[test]
    fn what_holds_for_ever_sets_no_timer() {
        let mut slaac = Slaac::new(MAC);
        let mut for_ever = said(ROUTER, 0, &[&prefix_option(7, u32::MAX, u32::MAX)]);
        for_ever.prefixes[0].on_link = false;
        slaac.process(&for_ever, SECOND);
        assert_eq!(slaac.config(SECOND).address, Some((own(7), 128)), "hosts are reached by a router");
        assert_eq!(slaac.deadline(SECOND), None);
        assert_eq!(address_at(&mut slaac, u32::MAX), Some(own(7)));
    }
}
