// SPDX-License-Identifier: MIT OR Apache-2.0
//! The router: what becomes of each packet.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress, EthernetProtocol, Icmpv6Message};

use crate::advertise::{self, ALL_NODES, ALL_NODES_MAC, link_local};
use crate::conntrack::{Connection, Conntrack};
use crate::counters::Counters;
use crate::dhcp::{self, Lease};
use crate::fragments::{self, Fragments, Way};
use crate::guests::{Guest, Guests};
use crate::icmp::{self, Problem};
use crate::nat::{DNS, mask_id, masquerade};
use crate::neighbors::advertisement as neighbor_advertisement;
use crate::neighbors::{Neighbors, Resolved, arp, arp_packet, discovery, question};
use crate::packet::{Header, Mac, Packet, Part, Side, decrement_hop_limit, set_addresses};
use crate::rules::{Action, Network, Path, Rules};
use crate::tuple::{Content, End, Flags, ICMPV6, Protocol, Tuple, fill_icmp, is_whole, rewrite};

/// The router's Ethernet address where guests see it: that of all backends of Linux's.
pub const ROUTER_MAC: Mac = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff];

/// Packets that wait to be [taken](Router::take) at most.
const MOST_WAITING: usize = 256;
/// ICMP errors in a second at most.
const ERRORS_A_SECOND: u32 = 100;
/// Connections that are over are looked for so often.
const SWEEP: Duration = Duration::from_secs(60);

/// What the operator has decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// The guests' IPv4 network, with the router's address in it.
    pub network: Network,
    /// Their IPv6 network, if they have one, with the router's address in it. The network's other routers
    /// know that it is here.
    pub network6: Option<Network>,
    /// Whether the router's IPv4 address stands for the guests' on the network.
    pub masquerades: bool,
    /// What may open a connection.
    pub rules: Rules,
    /// Connections at most.
    pub connections: usize,
}

/// What the router has on the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uplink {
    /// Its Ethernet address.
    pub mac: Mac,
    /// The longest IP packet that the network takes, in bytes.
    pub mtu: usize,
    /// Its IPv4 address, and how many bits of it the neighbors share.
    pub ipv4: Option<Network>,
    /// The router to all others.
    pub gateway: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub ipv6: Option<Network>,
    /// The same for IPv6.
    pub gateway6: Option<Ipv6Addr>,
    /// Servers of names.
    pub dns: Vec<IpAddr>,
}

/// A router between guests and a network.
pub struct Router {
    config: Config,
    uplink: Uplink,
    guests: Guests,
    conntrack: Conntrack,
    neighbors: Neighbors,
    fragments: Fragments,
    counters: Counters,
    random: Box<dyn FnMut() -> u32 + Send>,
    /// What is to be sent to guests, and to the network.
    out: [VecDeque<Packet>; 2],
    /// ICMP errors that were sent in this second.
    errors: (u64, u32),
    swept: Duration,
    advertised: Option<Duration>,
}

/// A packet on its way, and what is known of it.
struct Transit {
    from: Side,
    packet: Packet,
    header: Header,
    now: Duration,
}

impl Router {
    /// A router without guests and without a network. Chance comes from `random`.
    pub fn new(config: Config, random: Box<dyn FnMut() -> u32 + Send>) -> Self {
        let gateway = match config.network.address {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        Self {
            guests: Guests::new(config.network, gateway, config.network6),
            conntrack: Conntrack::new(config.connections),
            config,
            uplink: Uplink::default(),
            neighbors: Neighbors::default(),
            fragments: Fragments::default(),
            counters: Counters::default(),
            random,
            out: [VecDeque::new(), VecDeque::new()],
            errors: (0, 0),
            swept: Duration::ZERO,
            advertised: None,
        }
    }

    /// What the router has on the network has changed. Connections of another address are over.
    pub fn set_uplink(&mut self, uplink: Uplink) {
        let address = uplink.ipv4.map(|own| own.address);
        let flushed = self.conntrack.retain(|connection| {
            !connection.is_masqueraded || Some(connection.reply.destination.address) == address
        });
        self.counters.flushed_connections += flushed as u64;
        if uplink != self.uplink {
            self.neighbors.clear();
        }
        self.uplink = uplink;
    }

    /// These are all guests. Returns addresses that the toolstack gave them, but that they cannot have.
    pub fn set_guests(&mut self, guests: &[Guest]) -> Vec<(Mac, IpAddr)> {
        let (refused, gone) = self.guests.set(guests);
        self.conntrack.retain(|connection| !gone.contains(&connection.guest));
        refused
    }

    /// Other rules: connections that they do not allow are over. Returns how many those are.
    pub fn set_rules(&mut self, rules: Rules) -> usize {
        let flushed = self.conntrack.retain(|connection| {
            let Connection { original, path, .. } = connection;
            let seen = connection.seen_by_rules();
            let was_redirected = *path == Path::In && seen.destination != original.destination;
            let is_redirected = was_redirected
                && rules.redirect(original.protocol, original.destination.port) == Some(seen.destination);
            was_redirected == is_redirected && rules.decide(*path, &seen, is_redirected) == Action::Accept
        });
        self.counters.flushed_connections += flushed as u64;
        self.config.rules = rules;
        flushed
    }

    /// The IPv4 address of the guest, once it is there.
    pub fn address_of(&self, guest: Mac) -> Option<Ipv4Addr> {
        self.guests.ipv4(guest)
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.conntrack.len()
    }

    /// The next packet that is to be sent there. To be called for both sides after each packet until there is
    /// none; what is more than a few hundred is lost.
    pub fn take(&mut self, to: Side) -> Option<Packet> {
        self.out(to).pop_front()
    }

    /// Whether there is something to [take](Self::take).
    pub fn has(&mut self, to: Side) -> bool {
        !self.out(to).is_empty()
    }

    fn out(&mut self, to: Side) -> &mut VecDeque<Packet> {
        let [guests, network] = &mut self.out;
        match to {
            Side::Guests => guests,
            Side::Network => network,
        }
    }

    /// Does what is due at `now`, a time since some start; returns when there will be something again.
    pub fn poll(&mut self, now: Duration) -> Option<Duration> {
        if now.saturating_sub(self.swept) >= SWEEP {
            self.swept = now;
            self.conntrack.sweep(now);
        }
        let has_guests = self.guests.len() != 0 && self.config.network6.is_some();
        let is_due = |then| now.saturating_sub(then) >= advertise::INTERVAL;
        if has_guests && self.advertised.is_none_or(is_due) {
            self.advertised = Some(now);
            self.advertise(ALL_NODES_MAC);
        }
        let sweep = (self.conntrack.len() != 0).then_some(self.swept + SWEEP);
        let advertise = self.advertised.filter(|_| has_guests).map(|then| then + advertise::INTERVAL);
        sweep.into_iter().chain(advertise).min()
    }

    /// A packet from the guest whose Ethernet address it has as its source.
    pub fn from_guests(&mut self, packet: Packet, now: Duration) {
        let Some((destination, guest, kind)) = packet.ethernet() else { return };
        let is_group = destination[0] & 1 != 0;
        if destination != ROUTER_MAC && !is_group {
            return;
        }
        if kind == EthernetProtocol::Arp {
            return self.answer_arp(&packet, guest);
        }
        let Some(header) = Header::parse(packet.ip(), false) else {
            self.counters.invalid += 1;
            return;
        };
        let mut transit = Transit { from: Side::Guests, packet, header, now };
        transit.cut();
        match header.source {
            IpAddr::V4(_) => self.ipv4_from_guest(transit, guest),
            IpAddr::V6(_) => self.ipv6_from_guest(transit, guest),
        }
    }

    /// A frame from the network, of segments so long if it is several; whether it was the router's. If it was
    /// not, it is for the router's own stack.
    pub fn from_network(&mut self, frame: &[u8], segment: Option<u16>, now: Duration) -> bool {
        let Some(ip) = frame.get(crate::packet::ETHERNET..) else { return false };
        let kind = frame.get(12..14);
        if kind == Some(&[8, 6]) {
            self.learn_by_arp(frame, now);
            return false;
        }
        let is_ours = frame.get(..6) == Some(&self.uplink.mac);
        let is_ip = matches!(kind, Some([8, 0] | [0x86, 0xdd]));
        let Some(header) = Header::parse(ip, false).filter(|_| is_ip && is_ours) else { return false };
        if self.learn_by_discovery(ip, &header, now) {
            return false;
        }
        let (is_own, is_guests) = (self.is_own(header.destination), self.is_guests(header.destination));
        if self.is_guests(header.source) {
            self.counters.spoofed += 1;
            return true;
        }
        let is_taken = is_guests || is_own && self.is_expected(ip, &header, now);
        if is_taken {
            let packet = Packet { bytes: frame.to_vec(), segment };
            let mut transit = Transit { from: Side::Network, packet, header, now };
            transit.cut();
            self.forward(transit);
        }
        is_taken
    }

    /// Whether what is for the router's own address belongs to a guest.
    fn is_expected(&self, ip: &[u8], header: &Header, now: Duration) -> bool {
        match Content::find(ip, header) {
            Content::Flow { tuple, opens, .. } => {
                let port = tuple.destination.port;
                let is_known = self.conntrack.find(&tuple, now);
                is_known.is_some() || opens && self.config.rules.redirect(tuple.protocol, port).is_some()
            }
            Content::Error { quoted } => self.quoted(ip, header, quoted, now).is_some(),
            Content::Other => match header.part {
                Part::Later(id) => self.fragments.way(header, id, now).is_some(),
                _ => false,
            },
        }
    }

    fn ipv4_from_guest(&mut self, transit: Transit, guest: Mac) {
        let (ip, header) = (transit.packet.ip(), transit.header);
        if dhcp::is_for_server(ip, &header, self.config.network.address) {
            return self.answer_dhcp(&transit, guest);
        }
        if !self.guests.owns(guest, header.source) {
            self.counters.spoofed += 1;
            return;
        }
        if header.destination == self.config.network.address {
            if let Some(reply) = icmp::echo_reply(ip, &header) {
                return self.send_to_guest(guest, reply);
            }
        } else if self.is_own(header.destination) || !is_routed(header.destination) {
            return;
        }
        self.forward(transit);
    }

    fn ipv6_from_guest(&mut self, transit: Transit, guest: Mac) {
        let (ip, header) = (transit.packet.ip(), transit.header);
        let (IpAddr::V6(source), Some(network6)) = (header.source, self.config.network6) else { return };
        let message = ip.get(header.start..header.end).unwrap_or_default();
        // Nothing of neighbor discovery comes in fragments (RFC 6980).
        if header.protocol == ICMPV6 && header.part == Part::Whole {
            if message.first() == Some(&133) && header.hop_limit == 255 {
                return self.advertise(guest);
            }
            if let Some((kind, target, _)) = discovery(message, header.hop_limit) {
                return self.answer_discovery(kind, target, source, guest);
            }
        }
        let own = [network6.address, link_local(ROUTER_MAC).into()];
        if own.contains(&header.destination) {
            let reply = icmp::echo_reply(ip, &header);
            return reply.into_iter().for_each(|reply| self.send_to_guest(guest, reply));
        }
        if !is_routed(header.destination) || !is_routed(header.source) {
            return;
        }
        if !self.guests.owns(guest, header.source) {
            self.counters.spoofed += 1;
            return;
        }
        self.forward(transit);
    }

    fn answer_dhcp(&mut self, transit: &Transit, guest: Mac) {
        let IpAddr::V4(router) = self.config.network.address else { return };
        let Some(address) = self.guests.ipv4(guest) else { return };
        let mask = u32::MAX.checked_shl(32 - u32::from(self.config.network.prefix)).unwrap_or(0);
        let lease = Lease { address, router, mask: Ipv4Addr::from_bits(mask) };
        if let Some((reply, is_leased)) = dhcp::answer(transit.packet.ip(), &transit.header, guest, lease) {
            self.counters.leases += u64::from(is_leased);
            self.send_to_guest(guest, reply);
        }
    }

    /// Whoever a guest asks for is behind the router, which is in its place: guests do not reach each other.
    fn answer_arp(&mut self, packet: &Packet, guest: Mac) {
        let Some(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr: source,
            target_protocol_addr: target,
            ..
        }) = arp(&packet.bytes)
        else {
            return;
        };
        // A guest may ask whether anybody has its own address before it takes it: nobody does.
        let is_others = self.guests.ipv4(guest) == Some(source) && target != source;
        if is_others && self.config.network.contains(target.into()) {
            let reply = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: EthernetAddress(ROUTER_MAC),
                source_protocol_addr: target,
                target_hardware_addr: source_hardware_addr,
                target_protocol_addr: source,
            };
            self.send_to_guest(guest, arp_packet(&reply, guest));
        }
    }

    fn answer_discovery(&mut self, kind: Icmpv6Message, target: Ipv6Addr, source: Ipv6Addr, guest: Mac) {
        let own = [self.config.network6.map(|network| network.address), Some(link_local(ROUTER_MAC).into())];
        if kind == Icmpv6Message::NeighborSolicit && own.contains(&Some(target.into())) {
            let asker = if source.is_unspecified() { ALL_NODES } else { source };
            let answer = neighbor_advertisement(target, asker, ROUTER_MAC);
            answer.into_iter().for_each(|answer| self.send_to_guest(guest, answer));
        } else if kind == Icmpv6Message::NeighborSolicit && source.is_unspecified() {
            // It is about to take the address.
            self.guests.owns(guest, target.into());
        }
    }

    fn advertise(&mut self, destination: Mac) {
        let Some(prefix) = self.config.network6 else { return };
        let servers: Vec<_> = self.uplink.dns.iter().filter_map(|server| ipv6(*server)).collect();
        let own = link_local(ROUTER_MAC);
        let mtu = self.uplink.mtu.max(1280);
        if let Some(mut packet) = advertise::advertisement(own, ROUTER_MAC, prefix, mtu, &servers) {
            packet.set_ethernet(destination, ROUTER_MAC);
            self.counters.advertisements += 1;
            self.send(Side::Guests, packet);
        }
    }

    fn learn_by_arp(&mut self, frame: &[u8], now: Duration) {
        if let Some(ArpRepr::EthernetIpv4 { source_hardware_addr, source_protocol_addr, .. }) = arp(frame) {
            self.learn(source_protocol_addr.into(), source_hardware_addr.0, now);
        }
    }

    /// Learns from a neighbor's advertisement; whether it was of neighbor discovery.
    fn learn_by_discovery(&mut self, ip: &[u8], header: &Header, now: Duration) -> bool {
        let is_whole = header.protocol == ICMPV6 && header.part == Part::Whole;
        let message = ip.get(header.start..header.end).filter(|_| is_whole);
        let Some((kind, target, mac)) = message.and_then(|message| discovery(message, header.hop_limit))
        else {
            return false;
        };
        if let (Icmpv6Message::NeighborAdvert, Some(mac)) = (kind, mac) {
            self.learn(target.into(), mac, now);
        }
        true
    }

    fn learn(&mut self, neighbor: IpAddr, mac: Mac, now: Duration) {
        for mut packet in self.neighbors.learn(neighbor, mac, now) {
            packet.set_ethernet(mac, self.uplink.mac);
            self.send(Side::Network, packet);
        }
    }

    /// Passes a packet on that may be of a connection.
    fn forward(&mut self, transit: Transit) {
        let (ip, header) = (transit.packet.ip(), transit.header);
        match Content::find(ip, &header) {
            Content::Flow { tuple, flags, opens } if is_whole(ip, &header) => {
                self.forward_flow(transit, tuple, flags, opens);
            }
            Content::Error { quoted } if header.part == Part::Whole => self.forward_error(transit, quoted),
            Content::Other => match header.part {
                Part::Later(id) => self.forward_fragment(transit, id),
                _ => self.counters.invalid += 1,
            },
            _ => self.counters.invalid += 1,
        }
    }

    /// Passes a fragment on that is not the first of its packet.
    fn forward_fragment(&mut self, mut transit: Transit, id: u32) {
        let way = self.fragments.way(&transit.header, id, transit.now);
        let Some(way) = way.filter(|way| transit.header.end <= self.mtu(way.to, way.destination)) else {
            self.counters.invalid += 1;
            return;
        };
        set_addresses(transit.packet.ip_mut(), way.source, way.destination);
        self.pass_on(transit, way.to, way.destination);
    }

    fn forward_flow(&mut self, mut transit: Transit, tuple: Tuple, flags: Flags, opens: bool) {
        let now = transit.now;
        let is_known = self.conntrack.find(&tuple, now).is_some();
        if !is_known && !opens {
            self.counters.invalid += 1;
            return;
        }
        if transit.header.hop_limit <= 1 {
            self.counters.expired += 1;
            return self.refuse(&transit, Problem::TimeExceeded);
        }
        if !is_known && let Err(problem) = self.open(transit.from, tuple, flags, now) {
            return problem.into_iter().for_each(|problem| self.refuse(&transit, problem));
        }
        let found = self.conntrack.arrive(&tuple, flags, now);
        let Some((connection, direction)) = found.filter(|(one, way)| one.arrives(*way) == transit.from)
        else {
            self.counters.invalid += 1;
            return;
        };
        let (to, translated, mask) =
            (connection.leaves(direction), connection.translated(direction), connection.dns_mask);
        let mtu = self.mtu(to, translated.destination.address);
        let may_divide = !transit.header.dont_fragment && transit.packet.segment.is_none();
        if transit.packet.longest(&transit.header) > mtu && !(may_divide && to == Side::Network) {
            self.counters.too_big += 1;
            return self.refuse(&transit, Problem::TooBig(mtu));
        }
        let header = transit.header;
        let (source, destination) = (translated.source.address, translated.destination.address);
        let ip = transit.packet.ip_mut();
        let translate = |ip: &mut [u8]| {
            rewrite(ip, &header, translated);
            mask_id(ip, &header, tuple.protocol, mask);
        };
        if let Part::First(id) = header.part {
            fragments::change(ip, &header, translate);
            self.fragments.pass(&header, id, Way { source, destination, to }, now);
        } else {
            translate(ip);
            fill_icmp(ip, &header, source, destination);
        }
        self.pass_on(transit, to, destination);
    }

    /// Makes a connection of the packets that arrive as `tuple`; or else what the sender is to be told.
    fn open(&mut self, from: Side, tuple: Tuple, flags: Flags, now: Duration) -> Result<(), Option<Problem>> {
        let mut leaving = tuple;
        let mut dns_mask = 0;
        let is_for_router = tuple.destination.address == self.config.network.address;
        let redirect = match from {
            Side::Guests if is_for_router => {
                dns_mask = (self.random)() as u16;
                Some(self.name_server(tuple).ok_or(None)?)
            }
            Side::Network if self.is_own(tuple.destination.address) => {
                self.config.rules.redirect(tuple.protocol, tuple.destination.port)
            }
            _ => None,
        };
        leaving.destination = redirect.unwrap_or(tuple.destination);
        let (source, destination) = (leaving.source.address, leaving.destination.address);
        let path = match from {
            Side::Network => Path::In,
            Side::Guests if self.is_guests(destination) => Path::Between,
            Side::Guests => Path::Out,
        };
        match self.config.rules.decide(path, &leaving, redirect.is_some() && path == Path::In) {
            Action::Accept => {}
            action => {
                self.counters.forbidden += 1;
                return Err((action == Action::Reject).then_some(Problem::Prohibited));
            }
        }
        if path != Path::Out && self.guests.mac(destination).is_none() {
            self.counters.unreachable += 1;
            return Err(Some(Problem::NoRoute));
        }
        let guest = if from == Side::Guests { source } else { destination };
        if !self.conntrack.has_room(guest, now) {
            self.counters.refused_connections += 1;
            return Err(None);
        }
        let mut connection = Connection::new(tuple, leaving.reversed(), path, guest);
        if path == Path::Out && source.is_ipv4() && self.config.masquerades {
            let own = self.uplink.ipv4.and_then(|own| ipv4(own.address));
            let own = own.ok_or(Some(Problem::NoRoute))?;
            let reply = masquerade(&mut self.conntrack, leaving, own, now, &mut *self.random);
            let Some(reply) = reply else {
                self.counters.refused_connections += 1;
                return Err(None);
            };
            (connection.reply, connection.is_masqueraded) = (reply, true);
        }
        if tuple.protocol == Protocol::Udp {
            connection.dns_mask = dns_mask;
        }
        if self.conntrack.insert(connection, flags, now).is_err() {
            self.counters.refused_connections += 1;
            return Err(None);
        }
        self.counters.connections += 1;
        Ok(())
    }

    /// Where questions for names go that a guest asks the router: to one of the network's servers.
    fn name_server(&mut self, tuple: Tuple) -> Option<End> {
        let is_dns = tuple.destination.port == DNS && tuple.protocol != Protocol::Icmp;
        let servers: Vec<_> = self.uplink.dns.iter().filter(|server| server.is_ipv4()).collect();
        let chance = (self.random)() as usize;
        let address = **servers.get(chance.checked_rem(servers.len())?)?;
        is_dns.then_some(End { address, port: DNS })
    }

    /// The connection that an ICMP error is about, as what it quotes is to be seen on the other side, where
    /// the error goes, and whether it comes from the end of the connection.
    fn quoted(&self, ip: &[u8], header: &Header, quoted: usize, now: Duration) -> Option<Quoted> {
        let inner = ip.get(quoted..header.end)?;
        let inner_header = Header::parse(inner, true)?;
        let Content::Flow { tuple, .. } = Content::find(inner, &inner_header) else { return None };
        let arrived = tuple.reversed();
        let (connection, direction) = self.conntrack.find(&arrived, now)?;
        let translated = connection.translated(direction);
        let is_from_end = header.source == arrived.source.address;
        Some(Quoted {
            header: inner_header,
            tuple: connection.quoted(direction),
            from: connection.arrives(direction),
            to: connection.leaves(direction),
            source: if is_from_end { translated.source.address } else { header.source },
            destination: translated.destination.address,
        })
    }

    fn forward_error(&mut self, mut transit: Transit, quoted: usize) {
        let header = transit.header;
        let found = self.quoted(transit.packet.ip(), &header, quoted, transit.now);
        let Some(found) = found.filter(|found| found.from == transit.from && header.hop_limit > 1) else {
            self.counters.invalid += 1;
            return;
        };
        let ip = transit.packet.ip_mut();
        if let Some(inner) = ip.get_mut(quoted..header.end) {
            rewrite(inner, &found.header, found.tuple);
        }
        set_addresses(ip, found.source, found.destination);
        fill_icmp(ip, &header, found.source, found.destination);
        self.pass_on(transit, found.to, found.destination);
    }

    /// Sends a packet that is complete but for its hop limit to where its destination is.
    fn pass_on(&mut self, mut transit: Transit, to: Side, destination: IpAddr) {
        decrement_hop_limit(transit.packet.ip_mut());
        let length = transit.packet.bytes.len() as u64;
        match to {
            Side::Network => {
                self.counters.sent_packets += 1;
                self.counters.sent_bytes += length;
            }
            Side::Guests => {
                self.counters.received_packets += 1;
                self.counters.received_bytes += length;
            }
        }
        self.deliver(to, transit.packet, destination, transit.now);
    }

    fn deliver(&mut self, to: Side, mut packet: Packet, destination: IpAddr, now: Duration) {
        match to {
            Side::Guests => match self.guests.mac(destination) {
                Some(mac) => self.send_to_guest(mac, packet),
                None => self.counters.unreachable += 1,
            },
            Side::Network => {
                let (Some(next), Some(own)) = (self.next_hop(destination), self.own(destination)) else {
                    self.counters.unreachable += 1;
                    return;
                };
                let mac = self.uplink.mac;
                packet.set_ethernet([0; 6], mac);
                let Resolved { packet, asks } = self.neighbors.resolve(next, packet, now);
                if asks && let Some(question) = question(next, own, mac) {
                    self.send(Side::Network, question);
                }
                if let Some((mut packet, neighbor)) = packet {
                    packet.set_ethernet(neighbor, mac);
                    self.send(Side::Network, packet);
                }
            }
        }
    }

    /// Tells the sender of a packet what is wrong with it, if it was not told too much already.
    fn refuse(&mut self, transit: &Transit, problem: Problem) {
        let header = &transit.header;
        let own = match transit.from {
            Side::Network => self.own(header.source),
            Side::Guests if header.source.is_ipv4() => Some(self.config.network.address),
            Side::Guests => self.config.network6.map(|network| network.address),
        };
        let error = own.and_then(|own| icmp::error(transit.packet.ip(), header, own, problem));
        let (Some(error), second) = (error, transit.now.as_secs()) else { return };
        let (last, count) = self.errors;
        let count = if last == second { count } else { 0 };
        if count < ERRORS_A_SECOND {
            self.errors = (second, count + 1);
            self.counters.errors += 1;
            self.deliver(transit.from, error, header.source, transit.now);
        }
    }

    fn send_to_guest(&mut self, guest: Mac, mut packet: Packet) {
        packet.set_ethernet(guest, ROUTER_MAC);
        self.send(Side::Guests, packet);
    }

    fn send(&mut self, to: Side, packet: Packet) {
        let out = self.out(to);
        if out.len() < MOST_WAITING {
            out.push_back(packet);
        }
    }

    /// The longest IP packet that can be sent there.
    fn mtu(&self, to: Side, destination: IpAddr) -> usize {
        match to {
            Side::Network => self.uplink.mtu,
            Side::Guests => self.guests.mac(destination).map_or(usize::MAX, |mac| self.guests.mtu(mac)),
        }
    }

    /// The neighbor on the network that packets for `destination` go to.
    fn next_hop(&self, destination: IpAddr) -> Option<IpAddr> {
        let (own, gateway) = match destination {
            IpAddr::V4(_) => (self.uplink.ipv4, self.uplink.gateway.map(IpAddr::from)),
            IpAddr::V6(_) => (self.uplink.ipv6, self.uplink.gateway6.map(IpAddr::from)),
        };
        if own?.contains(destination) { Some(destination) } else { gateway }
    }

    /// The router's address on the network, of the family of `other`.
    fn own(&self, other: IpAddr) -> Option<IpAddr> {
        let own = if other.is_ipv4() { self.uplink.ipv4 } else { self.uplink.ipv6 };
        own.map(|own| own.address)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.own(address) == Some(address)
    }

    /// Whether it is of the guests' networks.
    fn is_guests(&self, address: IpAddr) -> bool {
        self.config.network.contains(address)
            || self.config.network6.is_some_and(|network| network.contains(address))
    }
}

/// What is known of the packet that an ICMP error quotes.
struct Quoted {
    header: Header,
    tuple: Tuple,
    from: Side,
    to: Side,
    source: IpAddr,
    destination: IpAddr,
}

impl Transit {
    /// Takes away what is behind the IP packet.
    fn cut(&mut self) {
        self.packet.bytes.truncate(crate::packet::ETHERNET + self.header.end);
    }
}

impl fmt::Display for Router {
    /// Its counters, in Prometheus' text format.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counters.fmt(f)?;
        for (name, value) in [("connections", self.conntrack.len()), ("guests", self.guests.len())] {
            writeln!(f, "# TYPE prism_router_{name} gauge\nprism_router_{name} {value}")?;
        }
        Ok(())
    }
}

/// Whether packets from or to the address may be passed on: neither those of a link only, nor those for many.
fn is_routed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first != 0 && first < 224 && !address.is_loopback() && !address.is_link_local()
        }
        IpAddr::V6(address) => {
            let is_special = address.is_multicast() || address.is_unspecified() || address.is_loopback();
            !is_special && !address.is_unicast_link_local()
        }
    }
}

fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(address) = address { Some(address) } else { None }
}

fn ipv6(address: IpAddr) -> Option<Ipv6Addr> {
    if let IpAddr::V6(address) = address { Some(address) } else { None }
}
