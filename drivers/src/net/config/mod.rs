// SPDX-License-Identifier: MIT OR Apache-2.0
//! An interface's addresses, as far as the stack cannot see to them: IPv6 by what routers advertise, unless a
//! neighbor has the address already, and telling neighbors of addresses.
//!
//! smoltcp's own autoconfiguration asks to be polled all the time once it has asked for routers in vain,
//! knows one prefix, and no name servers. So what routers say is taken in here, on its way to the stack, and
//! the stack gets what follows from it as if it were given by hand.
//!
//! IPv4 the stack configures by itself; what its DHCP client and its ARP cannot cope with is changed on the
//! way (the modules `dhcp` and `gateway`).

mod announcer;
mod arp;
mod dhcp;
mod duplicates;
mod gateway;
mod ndp;
mod renumbering;
mod slaac;
mod solicitor;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::task::Waker;
use core::time::Duration;

use super::frame::discard;
use announcer::Announcer;
use dhcp::Verdict;
use duplicates::Duplicates;
use gateway::GatewayAlias;
use ndp::{Advertisement, Solicitation};
use renumbering::{Addresses, Renumbering};
use slaac::Slaac;
use solicitor::Solicitor;

pub use slaac::Ipv6Config;

/// Advertisements that wait to be taken in; those that come meanwhile are lost. Routers repeat theirs.
const MAX_QUEUED: usize = 8;

/// Questions of neighbors that wait for an answer; they repeat theirs.
const MAX_ASKED: usize = 8;

/// Questions for a router that stay without an answer before another one is used: MAX_UNICAST_SOLICIT of RFC
/// 4861, section 10.
const MAX_UNANSWERED: u8 = 3;

/// The stack is not configured more often: a router that says something else each time costs little.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// What is due of an interface's configuration.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "the stack has to be told"]
pub struct Due {
    /// What the stack is to be configured with from now on, if that has changed.
    pub ipv6: Option<Ipv6Config>,
    /// Addresses that somebody else on the network has, and that are not used: told once.
    pub taken: Vec<Ipv6Addr>,
    /// When to look again at the latest: a time since the start that [`Interface::configure`] knows;
    /// `None` if nothing happens by itself.
    ///
    /// [`Interface::configure`]: super::Interface::configure
    pub next: Option<Duration>,
}

/// An interface's configuration.
#[derive(Debug, Default)]
pub(super) struct HostConfig {
    autoconf: Option<Autoconf>,
    /// Addresses of IPv6 that the stack does not know.
    renumbering: Renumbering,
    /// Questions for those that are to be answered.
    asked: Vec<Solicitation>,
    /// The gateway, if it is outside of the prefix.
    gateway: Option<GatewayAlias>,
    /// Largest IP packets on the network, in bytes, by what the DHCP server and the routers say.
    mtu_of_lease: Option<usize>,
    mtu_of_routers: Option<usize>,
    /// What the DHCP client asked for last.
    dhcp: Option<[u8; 4]>,
    announcer: Announcer,
    /// The link-local address that the stack has of itself, made from the first device's Ethernet address.
    link_local: Option<Ipv6Addr>,
    /// It was connected since the last look.
    is_new: bool,
    /// Something happened that asks for a look.
    needs_poll: bool,
    waker: Option<Waker>,
}

/// IPv6 by what routers advertise.
#[derive(Debug)]
struct Autoconf {
    slaac: Slaac,
    solicitor: Solicitor,
    duplicates: Duplicates,
    /// Addresses that somebody else has, of which nobody was told yet.
    taken: Vec<Ipv6Addr>,
    received: Vec<Advertisement>,
    applied: Ipv6Config,
    applied_at: Option<Duration>,
    /// Questions for the router since it has answered one.
    unanswered: u8,
}

impl HostConfig {
    /// Configures IPv6 by what routers advertise, from now on. `seed` is random.
    pub(super) fn autoconfigure(&mut self, mac: [u8; 6], seed: u64) {
        self.autoconf.get_or_insert_with(|| Autoconf {
            slaac: Slaac::new(mac),
            solicitor: Solicitor::new(seed),
            duplicates: Duplicates::default(),
            taken: Vec::new(),
            received: Vec::new(),
            applied: Ipv6Config::default(),
            applied_at: None,
            unanswered: 0,
        });
        self.is_new = true;
    }

    /// The interface was connected: who is on the network, and what they know of us, may have changed.
    pub(super) fn connected(&mut self) -> Option<Waker> {
        self.is_new = true;
        self.mtu_of_routers = None;
        self.news()
    }

    /// Makes `gateway` reachable for a stack with `address`, and returns prefix and gateway that the stack is
    /// to be given: others, if that is outside of `prefix`.
    pub(super) fn reach(&mut self, address: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> (u8, Ipv4Addr) {
        self.gateway = GatewayAlias::new(address, prefix, gateway);
        self.gateway.map_or((prefix, gateway), |alias| (alias.stack_prefix, alias.alias))
    }

    /// Prefix and gateway, if the stack has others.
    pub(super) fn reached(&self) -> Option<(u8, Ipv4Addr)> {
        self.gateway.map(|alias| (alias.prefix, alias.gateway))
    }

    /// Hears `frame`, which comes in, and changes what the stack cannot cope with; what it returns is to be
    /// woken.
    pub(super) fn ingress(&mut self, frame: &mut [u8]) -> Option<Waker> {
        match frame.get(12..14)? {
            [0x86, 0xdd] => self.ingress_ipv6(frame),
            [0x08, 0x00] => self.ingress_dhcp(frame),
            [0x08, 0x06] => {
                let (alias, packet) = (self.gateway?, arp::addresses(frame)?);
                if !alias.ingress(packet) {
                    discard(frame);
                }
                None
            }
            _ => None,
        }
    }

    /// Changes `frame`, which goes out, to what is meant; what it returns is to be woken.
    pub(super) fn egress(&mut self, frame: &mut [u8]) -> Option<Waker> {
        match frame.get(12..14)? {
            [0x86, 0xdd] => {
                self.renumbering.egress(frame);
                return self.count_question(frame);
            }
            [0x08, 0x00] => {
                if let Some(transaction) = dhcp::transaction(frame) {
                    self.dhcp = Some(transaction);
                }
            }
            [0x08, 0x06] => {
                if let (Some(alias), Some(packet)) = (self.gateway, arp::addresses(frame)) {
                    alias.egress(packet);
                }
            }
            _ => {}
        }
        None
    }

    fn ingress_ipv6(&mut self, frame: &mut [u8]) -> Option<Waker> {
        self.renumbering.ingress(frame);
        if self.autoconf.as_mut().is_some_and(|autoconf| autoconf.detect_duplicate(frame)) {
            return self.news();
        }
        if let Some(asked) = Solicitation::parse(frame).filter(|asked| self.has_to_answer(asked)) {
            return if self.asked.len() < MAX_ASKED {
                self.asked.push(asked);
                self.news()
            } else {
                None
            };
        }
        self.process_router(frame)
    }

    /// Whether the stack would not answer, who does not know the address, or that somebody may ask who has
    /// none yet.
    fn has_to_answer(&self, asked: &Solicitation) -> bool {
        let is_wanted = asked.asker.is_unspecified() && self.announcer.has(asked.target.into());
        is_wanted || self.renumbering.has(asked.target)
    }

    /// Looks whether `frame`, which goes out, is one question for the router too many.
    fn count_question(&mut self, frame: &[u8]) -> Option<Waker> {
        let autoconf = self.autoconf.as_mut()?;
        let asked = Solicitation::parse(frame)?;
        if Some(asked.target) != autoconf.applied.gateway {
            return None;
        }
        autoconf.unanswered = autoconf.unanswered.saturating_add(1);
        if autoconf.unanswered == MAX_UNANSWERED { self.news() } else { None }
    }

    fn process_router(&mut self, frame: &[u8]) -> Option<Waker> {
        let autoconf = self.autoconf.as_mut()?;
        if ndp::advertised(frame).is_some_and(|address| Some(address) == autoconf.applied.gateway) {
            autoconf.unanswered = 0;
            return None;
        }
        let advertisement = Advertisement::parse(frame)?;
        if autoconf.received.len() >= MAX_QUEUED {
            return None;
        }
        self.mtu_of_routers = advertisement.mtu.or(self.mtu_of_routers);
        autoconf.received.push(advertisement);
        self.news()
    }

    fn ingress_dhcp(&mut self, frame: &mut [u8]) -> Option<Waker> {
        match dhcp::correct(frame, self.dhcp?) {
            Verdict::Other => None,
            Verdict::Refused => {
                discard(frame);
                None
            }
            Verdict::Lease { alias, mtu } => {
                self.gateway = alias;
                self.mtu_of_lease = mtu;
                // There may be an address to announce.
                self.news()
            }
        }
    }

    /// Largest IP packet, in bytes, that is to be sent into a network that takes `mtu` by itself: somewhere
    /// on the link there may be a tunnel, of which no router tells by an error.
    pub(super) fn usable_mtu(&self, mtu: usize) -> usize {
        [self.mtu_of_lease, self.mtu_of_routers].into_iter().flatten().fold(mtu, usize::min)
    }

    fn news(&mut self) -> Option<Waker> {
        self.needs_poll = true;
        self.waker.take()
    }

    /// Whether there is something that asks for a look; if not, `waker` will be woken then.
    pub(super) fn poll_news(&mut self, waker: &Waker) -> bool {
        if self.needs_poll {
            return true;
        }
        self.waker = Some(waker.clone());
        false
    }

    /// Does what is due at time `now` of an interface that has `addresses`: calls `send` with frames that
    /// `mac` is to send.
    pub(super) fn poll(
        &mut self,
        mac: [u8; 6],
        addresses: &[IpAddr],
        now: Duration,
        mut send: impl FnMut(Vec<u8>),
    ) -> Due {
        self.needs_poll = false;
        let is_new = core::mem::take(&mut self.is_new);
        let link_local = *self.link_local.get_or_insert_with(|| ndp::link_local(mac));
        core::mem::take(&mut self.asked).iter().for_each(|asked| send(ndp::answer(mac, asked)));
        let others = self.autoconf.as_ref().map_or(&[][..], |autoconf| &autoconf.applied.others);
        let others = others.iter().map(|other| IpAddr::from(*other));
        let own = addresses.iter().copied().chain([link_local.into()]).chain(others);
        self.announcer.set(own, now);
        if is_new {
            self.announcer.start(now);
        }
        self.announcer.due(mac, now).into_iter().for_each(&mut send);
        let mut ipv6 = None;
        let mut taken = Vec::new();
        if let Some(autoconf) = &mut self.autoconf {
            autoconf.process(is_new, now);
            autoconf.want(now).iter().for_each(|address| send(ndp::duplicate_solicitation(mac, *address)));
            taken = core::mem::take(&mut autoconf.taken);
            ipv6 = autoconf.poll(is_new, now, || send(ndp::router_solicitation(mac, link_local)));
        }
        if let Some(config) = &ipv6 {
            self.renumbering.set(Addresses::of(config));
        }
        let next = self.autoconf.as_ref().and_then(|autoconf| autoconf.next(now));
        Due { ipv6, taken, next: [next, self.announcer.next()].into_iter().flatten().min() }
    }
}

impl Autoconf {
    /// Takes in what was received.
    fn process(&mut self, is_new: bool, now: Duration) {
        core::mem::take(&mut self.received).iter().for_each(|said| self.slaac.process(said, now));
        if is_new {
            self.duplicates.restart();
        }
    }

    /// Looks which addresses can be used; returns those for which neighbors are to be asked.
    fn want(&mut self, now: Duration) -> Vec<Ipv6Addr> {
        let new = self.duplicates.set(&self.slaac.addresses(now), now);
        self.slaac.set_unusable(self.duplicates.unusable());
        new
    }

    /// Hears whether `frame` is of somebody who has, or would like, an address that we would like; true if it
    /// is.
    fn detect_duplicate(&mut self, frame: &[u8]) -> bool {
        if !self.duplicates.waits() {
            return false;
        }
        let wanted = Solicitation::parse(frame).filter(|asked| asked.asker.is_unspecified());
        // Some networks hand our questions back. What we would like we do not advertise: who does may have
        // our Ethernet address, too.
        let is_ours = wanted.is_some() && frame.get(6..12) == Some(&self.slaac.mac());
        let Some(address) = wanted.map(|asked| asked.target).or_else(|| ndp::advertised(frame)) else {
            return false;
        };
        let is_taken = !is_ours && self.duplicates.observe(address);
        if is_taken {
            self.taken.push(address);
        }
        is_taken
    }

    /// Does what is due: calls `ask` if routers are to be asked, and returns what is new for the stack.
    fn poll(&mut self, is_new: bool, now: Duration, ask: impl FnOnce()) -> Option<Ipv6Config> {
        if let Some(router) = self.applied.gateway.filter(|_| self.unanswered >= MAX_UNANSWERED) {
            self.unanswered = 0;
            self.slaac.avoid(router, now);
        }
        let config = self.slaac.config(now).clone();
        match (is_new, self.slaac.has_router()) {
            (true, _) => self.solicitor.start(now),
            (false, true) => self.solicitor.stop(),
            (false, false) => self.solicitor.resume(now),
        }
        if self.solicitor.is_due(now) {
            ask();
        }
        if config == self.applied || self.pause(now).is_some() {
            return None;
        }
        // What there is besides is of no use without.
        let has_none = config.address.is_none() && self.applied.address.is_none();
        if has_none && self.duplicates.waits() {
            return None;
        }
        self.applied = config.clone();
        self.applied_at = Some(now);
        Some(config)
    }

    /// When the stack may be configured again, if that is not now.
    fn pause(&self, now: Duration) -> Option<Duration> {
        let end = self.applied_at?.saturating_add(MIN_INTERVAL);
        (end > now).then_some(end)
    }

    fn next(&self, now: Duration) -> Option<Duration> {
        let ends =
            [self.solicitor.next(), self.slaac.deadline(now), self.pause(now), self.duplicates.next(now)];
        ends.into_iter().flatten().min()
    }
}

/// Whether `frame` holds a packet of IPv6.
pub(super) fn is_ipv6(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x86, 0xdd])
}

#[cfg(test)]
pub(super) mod tests {
    use super::ndp::tests::{MAC, ROUTER, advertisement, prefix_option};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_in_does_harm(
            frames in proptest::collection::vec((0..6_u8, proptest::collection::vec(0..=u8::MAX, 0..120)), 0..60)
        ) {
            let mut config = HostConfig { dhcp: Some(dhcp::tests::TRANSACTION), ..HostConfig::default() };
            config.autoconfigure(MAC, 7);
            let mut now = SECOND;
            for (kind, bytes) in frames {
                let mut frame = match kind {
                    0 => bytes,
                    1 => advertisement(ROUTER, 60, &[&bytes]),
                    2 => advertisement(ROUTER, 60, &[&prefix_option(u16::from(bytes.len() as u8), 900, 9)]),
                    3 => dhcp::tests::ack([10, 0, 0, 1], &[&bytes]),
                    4 => [&[0; 12][..], &[0x08, 0x06], &bytes[..]].concat(),
                    _ => [&[0; 12][..], &[0x86, 0xdd, 0x60], &bytes[..]].concat(),
                };
                let length = frame.len();
                config.ingress(&mut frame);
                config.egress(&mut frame);
                proptest::prop_assert_eq!(frame.len(), length);
                let due = config.poll(MAC, &[], now, drop);
                proptest::prop_assert!(due.next.is_none_or(|next| next > now));
                now += SECOND / 7;
            }
        }
    }

    /// A router's advertisement, and a question for it.
    pub(crate) fn router() -> (Vec<u8>, Vec<u8>) {
        let advertisement = advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]);
        (advertisement, ndp::tests::neighbor_solicitation(ndp::link_local(MAC), ROUTER))
    }

    /// An interface, and what became of it.
    #[derive(Default)]
    struct Host {
        config: HostConfig,
        sent: Vec<Vec<u8>>,
        looks: usize,
        ipv6: Vec<Ipv6Config>,
        taken: Vec<Ipv6Addr>,
    }

    impl Host {
        fn autoconfigured() -> Self {
            let mut host = Self::default();
            host.config.autoconfigure(MAC, 7);
            host
        }

        /// Looks at it at time `now`, and as often as it asks for before `end`.
        fn run(&mut self, mut now: Duration, end: Duration) {
            while now < end {
                let sent = &mut self.sent;
                let due = self.config.poll(MAC, &[], now, |frame| sent.push(frame));
                self.looks += 1;
                self.ipv6.extend(due.ipv6);
                self.taken.extend(due.taken);
                let Some(next) = due.next else { break };
                assert!(next > now, "time goes on");
                now = next;
            }
        }
    }

    #[test]
    fn without_a_router_it_costs_next_to_nothing() {
        let mut host = Host::autoconfigured();
        host.run(SECOND, SECOND * 86_400);
        assert!((28..44).contains(&host.sent.len()), "{} frames", host.sent.len());
        assert!(host.looks < 100, "{} looks", host.looks);
        assert_eq!(host.ipv6, []);
    }

    #[test]
    fn a_router_that_comes_late_is_taken_and_one_that_goes_is_looked_for() {
        let mut host = Host::autoconfigured();
        host.run(SECOND, SECOND * 1000);
        let asked = host.sent.len();
        let mut frame = advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]);
        assert!(host.config.ingress(&mut frame).is_none() && host.config.needs_poll);
        host.run(SECOND * 1000, SECOND * 1599);
        assert_eq!(host.sent.len(), asked + 1, "whether somebody has its address: routers are not asked");
        assert_eq!(host.ipv6[0].gateway, Some(ROUTER));
        host.run(SECOND * 1600, SECOND * 2000);
        assert!(host.sent.len() > asked);
        let lost: Vec<_> =
            host.ipv6[1..].iter().map(|config| (config.gateway, config.address.is_some())).collect();
        assert_eq!(lost, [(None, true), (None, false)]);
    }

    #[test]
    fn a_router_that_changes_its_mind_all_the_time_is_processed_once_a_second() {
        let mut host = Host::autoconfigured();
        for step in 0..10_000 {
            let lifetime = if step % 2 == 0 { 600 } else { 0 };
            let mut frame = advertisement(ROUTER, lifetime, &[&prefix_option(step, 900, 900)]);
            host.config.ingress(&mut frame);
            host.run(SECOND + SECOND / 1000 * u32::from(step), SECOND + SECOND / 1000 * u32::from(step + 1));
        }
        assert!(host.ipv6.len() <= 10, "configured {} times in 10 s", host.ipv6.len());
        assert!(host.sent.len() <= 30, "{} frames in 10 s", host.sent.len());
    }

    #[test]
    fn what_routers_and_servers_say_of_the_network_lowers_its_mtu() {
        let mut host = Host::autoconfigured();
        assert_eq!(host.config.usable_mtu(1500), 1500);
        for (told, expected) in [(1400, 1400), (9000, 1500), (1279, 1500), (1450, 1450)] {
            let options = [&prefix_option(7, 900, 900)[..], &ndp::tests::mtu_option(told)];
            host.config.ingress(&mut advertisement(ROUTER, 600, &options));
            assert_eq!(host.config.usable_mtu(1500), expected, "{told}");
            assert_eq!(host.config.usable_mtu(1300), 1300);
        }
        host.config.ingress(&mut advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]));
        assert_eq!(host.config.usable_mtu(1500), 1450, "one that says nothing of it changes nothing");
        host.config.dhcp = Some(dhcp::tests::TRANSACTION);
        host.config.ingress(&mut dhcp::tests::ack([10, 0, 0, 1], &[&[1, 4, 255, 0, 0, 0, 26, 2, 5, 0]]));
        assert_eq!(host.config.usable_mtu(1500), 1280);
    }

    #[test]
    fn advertisements_that_nobody_takes_in_are_bounded() {
        let mut host = Host::autoconfigured();
        for number in 0..100 {
            host.config.ingress(&mut advertisement(ROUTER, 600, &[&prefix_option(number, 900, 900)]));
        }
        assert_eq!(host.config.autoconf.unwrap().received.len(), MAX_QUEUED);
    }

    #[test]
    fn routers_are_asked_and_addresses_told_anew_when_it_is_connected_again() {
        let mut host = Host::autoconfigured();
        host.config.ingress(&mut advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]));
        let own = [IpAddr::from([192, 0, 2, 1])];
        let look = |config: &mut HostConfig, second| {
            let mut sent = 0;
            let _ = config.poll(MAC, &own, SECOND * second, |_| sent += 1);
            sent
        };
        let first = [1, 2, 3, 4].map(|second| look(&mut host.config, second));
        assert_eq!(first, [4, 2, 0, 0], "a solicitation, a question, two announcements of each address");
        assert!(host.config.connected().is_none());
        assert!(host.config.poll_news(Waker::noop()));
        assert_eq!([5, 6, 7].map(|second| look(&mut host.config, second)), [3, 2, 0]);
    }

    #[test]
    fn an_address_that_the_stack_does_not_know_is_told_of_and_answered_for() {
        let mut host = Host::autoconfigured();
        let options: [&[u8]; 2] = [&prefix_option(7, 900, 900), &prefix_option(8, 900, 900)];
        host.config.ingress(&mut advertisement(ROUTER, 600, &options));
        host.run(SECOND, SECOND * 10);
        let [config] = &host.ipv6[..] else { panic!("{:?}", host.ipv6) };
        let [other] = config.others[..] else { panic!("{config:?}") };
        let told = ndp::unsolicited_advertisement(MAC, other);
        assert_eq!(host.sent.iter().filter(|frame| **frame == told).count(), 2);
        host.sent.clear();
        let mut question = ndp::tests::neighbor_solicitation(ROUTER, other);
        (0..100).for_each(|_| drop(host.config.ingress(&mut question)));
        host.run(SECOND * 10, SECOND * 11);
        assert_eq!(host.sent.len(), MAX_ASKED);
        assert_eq!(host.sent[0][..6], [2, 0, 0, 0, 0, 9]);
    }

    #[test]
    fn an_address_that_somebody_else_has_or_would_like_is_not_used() {
        let address = ndp::address([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 7], MAC);
        for told in [
            ndp::tests::neighbors_advertisement(address),
            ndp::tests::neighbors_duplicate_solicitation(address),
            // Who has the address that is made from our Ethernet address has that one, too.
            ndp::unsolicited_advertisement(MAC, address),
        ] {
            let mut host = Host::autoconfigured();
            let options: [&[u8]; 2] = [&prefix_option(7, 900, 900), &prefix_option(8, 900, 900)];
            host.config.ingress(&mut advertisement(ROUTER, 600, &options));
            host.run(SECOND, SECOND + SECOND / 2);
            assert_eq!(host.ipv6, []);
            assert!(host.sent.contains(&ndp::duplicate_solicitation(MAC, address)));
            (0..100).for_each(|_| drop(host.config.ingress(&mut told.clone())));
            host.run(SECOND + SECOND / 2, SECOND * 100);
            assert_eq!(host.taken, [address]);
            let [config] = &host.ipv6[..] else { panic!("{:?}", host.ipv6) };
            assert!(config.others.is_empty() && config.address.is_some_and(|used| used.0 != address));
        }
    }

    #[test]
    fn our_own_questions_and_what_comes_late_take_no_address_away() {
        let address = ndp::address([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 7], MAC);
        let mut host = Host::autoconfigured();
        host.config.ingress(&mut advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]));
        host.run(SECOND, SECOND + SECOND / 2);
        host.config.ingress(&mut ndp::duplicate_solicitation(MAC, address));
        host.run(SECOND + SECOND / 2, SECOND * 10);
        host.config.ingress(&mut ndp::tests::neighbors_advertisement(address));
        host.run(SECOND * 10, SECOND * 20);
        assert_eq!(host.ipv6.iter().map(|config| config.address).collect::<Vec<_>>(), [Some((address, 64))]);
        assert!(host.taken.is_empty());
    }

    #[test]
    fn a_host_that_claims_our_address_is_told_that_it_is_taken() {
        let mut host = Host::autoconfigured();
        host.config.ingress(&mut advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]));
        host.run(SECOND, SECOND * 10);
        let [Ipv6Config { address: Some((address, _)), .. }] = host.ipv6[..] else {
            panic!("{:?}", host.ipv6)
        };
        let told = |config: &mut HostConfig, second, ours| {
            let mut count = 0;
            let send = |frame: Vec<u8>| count += usize::from(ndp::advertised(&frame) == Some(ours));
            let _ = config.poll(MAC, &[address.into()], SECOND * second, send);
            count
        };
        // It is announced first.
        for second in 10..20 {
            told(&mut host.config, second, address);
        }
        for (asked, count) in [(address, 1), (ndp::link_local(MAC), 1), (ROUTER, 0)] {
            host.config.ingress(&mut ndp::tests::neighbors_duplicate_solicitation(asked));
            assert_eq!(told(&mut host.config, 20, asked), count, "{asked}");
        }
    }

    #[test]
    fn a_static_address_ignores_router_advertisements() {
        let mut host = Host::default();
        host.config.ingress(&mut advertisement(ROUTER, 600, &[&prefix_option(7, 900, 900)]));
        host.run(SECOND, SECOND * 86_400);
        assert_eq!((host.sent.len(), host.ipv6.len()), (2, 0), "it tells of its link-local address");
        assert_eq!(host.looks, 2);
    }
}
