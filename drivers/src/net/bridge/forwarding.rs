// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which port a frame goes to: the forwarding database of IEEE 802.1D, with ports whose address is known
//! beforehand.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::net::frame::ETHERNET_HEADER;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Addresses that are learned at most.
const MAX_LEARNED: usize = 1024;
/// An address that was not heard of for so long is forgotten, in nanoseconds: 300 s, as IEEE 802.1D has it.
const AGEING_TIME: u64 = 300_000_000_000;
/// While there is no room for new addresses, it is looked for old ones so often, in nanoseconds.
const SWEEP_INTERVAL: u64 = 1_000_000_000;

/// Who may send frames through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Only this address: a guest's, as the toolstack has configured it.
    Only(Mac),
    /// Whoever is behind the port: a network. The addresses are learned.
    Any,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To this port.
    To(usize),
    /// To all other ports.
    Flood,
    /// To other ports behind which there may be anybody: nobody knows where the address is.
    FloodUnknown,
    /// Nowhere.
    Drop(Reason),
}

/// Why a frame goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its source is not the sender's address, or is a guest's behind another port, or nobody's.
    Spoofed,
    /// Its destination is another guest, and guests are isolated.
    Isolated,
    /// It is for bridges themselves (IEEE 802.1D, table 7-10), and not forwarded.
    Reserved,
    /// Its destination is behind the port that it came from.
    Local,
    /// It has no Ethernet header, or there is no such port.
    Invalid,
}

/// The ports, and what is known of addresses behind them.
#[derive(Debug, Default)]
pub struct Forwarding {
    /// By number.
    ports: Vec<Option<Source>>,
    /// The ports of addresses that are known beforehand, the latest one last.
    fixed: Vec<(Mac, usize)>,
    learned: BTreeMap<Mac, Learned>,
    swept: u64,
    /// Ports of a guest do not reach each other.
    is_isolated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Learned {
    port: usize,
    /// When it was heard of last, in nanoseconds.
    heard: u64,
}

impl Forwarding {
    /// Without ports.
    pub const fn new() -> Self {
        Self { ports: Vec::new(), fixed: Vec::new(), learned: BTreeMap::new(), swept: 0, is_isolated: false }
    }

    /// Without ports; those of guests will not reach each other (`isolated on` of Linux's `bridge link set`).
    pub const fn isolated() -> Self {
        let mut bridge = Self::new();
        bridge.is_isolated = true;
        bridge
    }

    /// Adds a port; its number is the lowest that is free. If several have the same address, the latest one
    /// gets its frames: a guest that migrates to the same host is there twice for a while.
    pub fn attach(&mut self, source: Source) -> usize {
        let free = self.ports.iter().position(Option::is_none);
        let port = free.unwrap_or_else(|| {
            self.ports.push(None);
            self.ports.len() - 1
        });
        if let Some(place) = self.ports.get_mut(port) {
            *place = Some(source);
        }
        if let Source::Only(mac) = source {
            self.fixed.push((mac, port));
            // It may have been heard of elsewhere before it came here.
            self.learned.remove(&mac);
        }
        port
    }

    /// Removes a port, and what was learned of it.
    pub fn detach(&mut self, port: usize) {
        if let Some(place) = self.ports.get_mut(port) {
            *place = None;
        }
        self.fixed.retain(|(_, fixed)| *fixed != port);
        self.learned.retain(|_, learned| learned.port != port);
    }

    /// The ports that there are, with their sources.
    pub fn ports(&self) -> impl Iterator<Item = (usize, Source)> {
        self.ports.iter().enumerate().filter_map(|(port, source)| Some((port, (*source)?)))
    }

    /// Addresses that were learned.
    pub fn learned(&self) -> usize {
        self.learned.len()
    }

    /// Where `frame` goes that came from port `from` at time `now`, in nanoseconds; learns where its source
    /// is.
    pub fn decide(&mut self, from: usize, frame: &[u8], now: u64) -> Verdict {
        let header = frame.first_chunk::<ETHERNET_HEADER>();
        let (Some(header), Some(Some(source))) = (header, self.ports.get(from).copied()) else {
            return Verdict::Drop(Reason::Invalid);
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, _, _] = *header;
        let (destination, sender) = ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]);
        let may_send = match source {
            Source::Only(mac) => sender == mac,
            Source::Any => self.fixed(sender).is_none(),
        };
        if !may_send || is_group(sender) || sender == [0; 6] {
            return Verdict::Drop(Reason::Spoofed);
        }
        if source == Source::Any {
            self.learn(sender, from, now);
        }
        let is_isolated = self.is_isolated && source != Source::Any;
        match destination {
            [0x01, 0x80, 0xc2, 0, 0, 0..=0x0f] => Verdict::Drop(Reason::Reserved),
            group if is_group(group) && is_isolated => Verdict::FloodUnknown,
            group if is_group(group) => Verdict::Flood,
            single => match self.find(single, now) {
                Some(port) if port == from => Verdict::Drop(Reason::Local),
                Some(_) if is_isolated && self.fixed(single).is_some() => Verdict::Drop(Reason::Isolated),
                Some(port) => Verdict::To(port),
                None => Verdict::FloodUnknown,
            },
        }
    }

    /// Where an address is.
    fn find(&self, mac: Mac, now: u64) -> Option<usize> {
        let learned = self.learned.get(&mac).filter(|learned| !learned.is_old(now));
        self.fixed(mac).or(learned.map(|learned| learned.port))
    }

    fn fixed(&self, mac: Mac) -> Option<usize> {
        self.fixed.iter().rev().find(|(known, _)| *known == mac).map(|(_, port)| *port)
    }

    fn learn(&mut self, mac: Mac, port: usize, now: u64) {
        let is_full = self.learned.len() >= MAX_LEARNED && !self.learned.contains_key(&mac);
        if is_full && now.saturating_sub(self.swept) >= SWEEP_INTERVAL {
            self.swept = now;
            self.learned.retain(|_, learned| !learned.is_old(now));
        }
        if !is_full || self.learned.len() < MAX_LEARNED {
            self.learned.insert(mac, Learned { port, heard: now });
        }
    }
}

impl Learned {
    fn is_old(&self, now: u64) -> bool {
        now.saturating_sub(self.heard) >= AGEING_TIME
    }
}

/// Whether it is the address of many.
pub(super) fn is_group(mac: Mac) -> bool {
    let [first, ..] = mac;
    first & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const GUESTS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    const OTHER: Mac = [6, 0, 0, 0, 0, 9];
    const BROADCAST: Mac = [0xff; 6];

    fn frame(to: Mac, from: Mac) -> Vec<u8> {
        [&to[..], &from, &[8, 0]].concat()
    }

    /// Two guests, ports 0 and 1, and a network, port 2.
    fn bridge() -> Forwarding {
        let mut bridge = Forwarding::new();
        for (number, mac) in GUESTS.into_iter().enumerate() {
            assert_eq!(bridge.attach(Source::Only(mac)), number);
        }
        assert_eq!(bridge.attach(Source::Any), 2);
        bridge
    }

    #[test]
    fn guests_are_reached_at_once_and_others_once_they_were_heard_of() {
        let mut bridge = bridge();
        assert_eq!(bridge.decide(0, &frame(GUESTS[1], GUESTS[0]), 0), Verdict::To(1));
        assert_eq!(bridge.decide(2, &frame(GUESTS[0], OTHER), 0), Verdict::To(0));
        assert_eq!(bridge.decide(0, &frame(OTHER, GUESTS[0]), 0), Verdict::To(2));
        assert_eq!(bridge.decide(0, &frame([6; 6], GUESTS[0]), 0), Verdict::FloodUnknown);
        assert_eq!(bridge.decide(1, &frame(BROADCAST, GUESTS[1]), 0), Verdict::Flood);
        assert_eq!(bridge.decide(2, &frame(OTHER, [6; 6]), 0), Verdict::Drop(Reason::Local));
    }

    #[test]
    fn nobody_sends_from_another_ones_address() {
        let mut bridge = bridge();
        for (port, source) in [(0, GUESTS[1]), (0, OTHER), (2, GUESTS[0]), (2, BROADCAST), (2, [0; 6])] {
            let verdict = bridge.decide(port, &frame(BROADCAST, source), 0);
            assert_eq!(verdict, Verdict::Drop(Reason::Spoofed), "{port}");
        }
        assert_eq!(bridge.learned(), 0);
    }

    #[test]
    fn isolated_guests_reach_the_network_only() {
        let mut bridge = Forwarding::isolated();
        let [one, _] = GUESTS.map(|mac| bridge.attach(Source::Only(mac)));
        let network = bridge.attach(Source::Any);
        bridge.decide(network, &frame(GUESTS[0], OTHER), 0);
        let isolated = Verdict::Drop(Reason::Isolated);
        assert_eq!(bridge.decide(one, &frame(GUESTS[1], GUESTS[0]), 0), isolated);
        assert_eq!(bridge.decide(one, &frame(OTHER, GUESTS[0]), 0), Verdict::To(network));
        assert_eq!(bridge.decide(one, &frame(BROADCAST, GUESTS[0]), 0), Verdict::FloodUnknown);
        assert_eq!(bridge.decide(network, &frame(BROADCAST, OTHER), 0), Verdict::Flood);
    }

    #[test]
    fn what_is_for_bridges_is_not_forwarded() {
        let mut bridge = bridge();
        for (last, verdict) in [(0, Verdict::Drop(Reason::Reserved)), (15, Verdict::Drop(Reason::Reserved))] {
            assert_eq!(bridge.decide(0, &frame([1, 0x80, 0xc2, 0, 0, last], GUESTS[0]), 0), verdict);
        }
        assert_eq!(bridge.decide(0, &frame([1, 0x80, 0xc2, 0, 0, 16], GUESTS[0]), 0), Verdict::Flood);
    }

    #[test]
    fn what_was_not_heard_of_for_five_minutes_is_forgotten() {
        let mut bridge = bridge();
        bridge.decide(2, &frame(BROADCAST, OTHER), SECOND);
        let ask = |bridge: &mut Forwarding, now| bridge.decide(0, &frame(OTHER, GUESTS[0]), now * SECOND);
        assert_eq!(ask(&mut bridge, 300), Verdict::To(2));
        assert_eq!(ask(&mut bridge, 301), Verdict::FloodUnknown);
        bridge.decide(2, &frame(BROADCAST, OTHER), 302 * SECOND);
        assert_eq!(ask(&mut bridge, 303), Verdict::To(2));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_and_others_are_learned_when_it_is_over() {
        let mut bridge = bridge();
        let address = |number: u32| {
            let [a, b, c, d] = number.to_be_bytes();
            [2, 7, a, b, c, d]
        };
        for number in 0..5000 {
            bridge.decide(2, &frame(BROADCAST, address(number)), SECOND);
        }
        assert_eq!(bridge.learned(), MAX_LEARNED);
        bridge.decide(2, &frame(BROADCAST, OTHER), 300 * SECOND);
        assert_eq!(bridge.decide(0, &frame(OTHER, GUESTS[0]), 300 * SECOND), Verdict::FloodUnknown);
        bridge.decide(2, &frame(BROADCAST, OTHER), 302 * SECOND);
        assert_eq!(bridge.decide(0, &frame(OTHER, GUESTS[0]), 302 * SECOND), Verdict::To(2));
        assert_eq!(bridge.learned(), 1);
    }

    #[test]
    fn a_port_that_goes_is_forgotten_and_its_number_used_again() {
        let mut bridge = bridge();
        bridge.decide(2, &frame(BROADCAST, OTHER), 0);
        bridge.detach(2);
        assert_eq!(bridge.decide(0, &frame(OTHER, GUESTS[0]), 0), Verdict::FloodUnknown);
        bridge.detach(1);
        assert_eq!(bridge.decide(0, &frame(GUESTS[1], GUESTS[0]), 0), Verdict::FloodUnknown);
        assert_eq!(bridge.decide(1, &frame(GUESTS[0], GUESTS[1]), 0), Verdict::Drop(Reason::Invalid));
        assert_eq!(bridge.attach(Source::Only(OTHER)), 1);
        assert_eq!(bridge.decide(0, &frame(OTHER, GUESTS[0]), 0), Verdict::To(1));
    }

    #[test]
    fn of_two_guests_with_one_address_the_latest_gets_its_frames() {
        let mut bridge = bridge();
        let twin = bridge.attach(Source::Only(GUESTS[0]));
        assert_eq!(bridge.decide(1, &frame(GUESTS[0], GUESTS[1]), 0), Verdict::To(twin));
        bridge.detach(twin);
        assert_eq!(bridge.decide(1, &frame(GUESTS[0], GUESTS[1]), 0), Verdict::To(0));
    }

    #[test]
    fn what_has_no_header_is_no_frame() {
        assert_eq!(bridge().decide(2, &[2; 13], 0), Verdict::Drop(Reason::Invalid));
    }
}
