// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neighbor discovery's messages (RFC 4861, RFC 8106): router advertisements as they come in, router
//! solicitations and unsolicited neighbor advertisements as they leave.

use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::time::Duration;

use super::super::checksum::icmpv6;
use super::super::frame::ETHERNET_HEADER;
use super::super::properties::MIN_MTU_IPV6;

const ICMPV6: u8 = 58;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;

/// Flags of a neighbor advertisement: it answers; what was known before is void.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
const RDNSS: u8 = 25;

/// The hop limit of each message: no router has passed it on.
const HOP_LIMIT: u8 = 255;

/// Prefixes of one advertisement that are looked at, and name servers.
const MAX: usize = 16;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// What a router says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advertisement {
    /// Its link-local address.
    pub(super) router: Ipv6Addr,
    /// How long it is a default router; zero if it is none.
    pub(super) lifetime: Duration,
    /// How much it wants to be one: -1, 0 or 1 (RFC 4191, section 2.1).
    pub(super) preference: i8,
    /// Prefixes for addresses, [`MAX`] at most.
    pub(super) prefixes: Vec<Prefix>,
    /// Name servers and their lifetimes, [`MAX`] at most.
    pub(super) servers: Vec<(Ipv6Addr, Duration)>,
    /// Largest IP packet on the link, in bytes, if the router knows better than its hosts.
    pub(super) mtu: Option<usize>,
}

/// A prefix of 64 bits from which hosts make addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) bits: [u8; 8],
    /// Hosts of this prefix are reached without a router.
    pub(super) on_link: bool,
    /// How long addresses are valid; [`Duration::MAX`] is for ever.
    pub(super) valid: Duration,
    /// How long they should be used for new connections; no longer than `valid`.
    pub(super) preferred: Duration,
}

impl Advertisement {
    /// The advertisement in `frame`; `None` if it is something else, or not valid by RFC 4861, section 6.1.2.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let (router, message) = message(frame)?;
        let (header, mut options) = message.split_first_chunk::<16>()?;
        if !router.is_unicast_link_local() {
            return None;
        }
        let [ROUTER_ADVERTISEMENT, 0, _, _, _, flags, l0, l1, ..] = *header else { return None };
        let mut advertisement = Self {
            router,
            lifetime: Duration::from_secs(u16::from_be_bytes([l0, l1]).into()),
            preference: preference(flags),
            prefixes: Vec::new(),
            servers: Vec::new(),
            mtu: None,
        };
        while let [kind, eights, ..] = *options {
            let (option, rest) = options.split_at_checked(usize::from(eights) * 8)?;
            if eights == 0 {
                return None;
            }
            advertisement.take(kind, option);
            options = rest;
        }
        options.is_empty().then_some(advertisement)
    }

    fn take(&mut self, kind: u8, option: &[u8]) {
        match kind {
            PREFIX if self.prefixes.len() < MAX => self.prefixes.extend(prefix(option)),
            RDNSS => {
                let room = MAX.saturating_sub(self.servers.len());
                self.servers.extend(servers(option).into_iter().flatten().take(room));
            }
            MTU => self.mtu = mtu(option).or(self.mtu),
            _ => {}
        }
    }
}

/// Source and body of the ICMPv6 message in `frame`, if it came from a neighbor unchanged.
fn message(frame: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_HEADER>()?;
    let (header, rest) = packet.split_first_chunk::<40>()?;
    let [version, _, _, _, l0, l1, ICMPV6, HOP_LIMIT, addresses @ ..] = header else { return None };
    let message = rest.get(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
    let source = Ipv6Addr::from(*addresses.first_chunk::<16>()?);
    let good = ethernet.ends_with(&[0x86, 0xdd]) && version >> 4 == 6 && icmpv6(addresses, message) == 0;
    good.then_some((source, message))
}

/// RFC 4861, section 4.6.4. No link of IPv6 has less than 1280.
fn mtu(option: &[u8]) -> Option<usize> {
    let [_, 1, _, _, mtu @ ..] = option else { return None };
    let mtu = u32::from_be_bytes(*mtu.first_chunk()?) as usize;
    Some(mtu).filter(|mtu| *mtu >= MIN_MTU_IPV6)
}

/// RFC 4191, section 2.2: the reserved value counts as the middle one.
const fn preference(flags: u8) -> i8 {
    match flags >> 3 & 3 {
        0b01 => 1,
        0b11 => -1,
        _ => 0,
    }
}

/// A lifetime in seconds, of which the greatest is for ever.
const fn lifetime(seconds: [u8; 4]) -> Duration {
    match u32::from_be_bytes(seconds) {
        u32::MAX => Duration::MAX,
        seconds => Duration::from_secs(seconds as u64),
    }
}

/// The prefix in an option, if hosts are to make addresses from it and can (RFC 4862, section 5.5.3).
fn prefix(option: &[u8]) -> Option<Prefix> {
    let [_, _, length, flags, v0, v1, v2, v3, p0, p1, p2, p3, _, _, _, _, prefix @ ..]: &[u8; 32] =
        option.try_into().ok()?;
    let bits = *prefix.first_chunk::<8>()?;
    let is_for_addresses = flags & 0x40 != 0 && *length == 64;
    // Neither reserved or mapped, nor link-local, nor multicast.
    let is_usable = bits[0] != 0 && !(bits[0] == 0xfe && bits[1] & 0xc0 == 0x80) && bits[0] != 0xff;
    let (valid, preferred) = (lifetime([*v0, *v1, *v2, *v3]), lifetime([*p0, *p1, *p2, *p3]));
    let good = is_for_addresses && is_usable && preferred <= valid;
    good.then_some(Prefix { bits, on_link: flags & 0x80 != 0, valid, preferred })
}

/// The name servers in an option (RFC 8106, section 5.1) that can be asked.
fn servers(option: &[u8]) -> Option<impl Iterator<Item = (Ipv6Addr, Duration)>> {
    let (header, addresses) = option.split_first_chunk::<8>()?;
    let [_, _, _, _, seconds @ ..] = *header;
    let (addresses, _) = addresses.as_chunks::<16>();
    let servers = addresses.iter().map(|address| Ipv6Addr::from(*address));
    let usable =
        |server: &Ipv6Addr| !(server.is_multicast() || server.is_unspecified() || server.is_loopback());
    Some(servers.filter(usable).map(move |server| (server, lifetime(seconds))))
}

/// The link-local address of an interface, after RFC 4291, appendix A.
pub(super) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    address([0xfe, 0x80, 0, 0, 0, 0, 0, 0], mac)
}

/// The address of an interface in the prefix `bits`, after RFC 4291, appendix A.
pub(super) fn address(bits: [u8; 8], [a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let [p0, p1, p2, p3, p4, p5, p6, p7] = bits;
    Ipv6Addr::from([p0, p1, p2, p3, p4, p5, p6, p7, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// A frame by which `mac`, whose link-local address is `source`, asks routers for advertisements.
pub(super) fn router_solicitation(mac: [u8; 6], source: Ipv6Addr) -> Vec<u8> {
    let mut message = Vec::from([ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
    message.extend([SOURCE_LINK_LAYER, 1]);
    message.extend(mac);
    frame(mac, source, ALL_ROUTERS, message)
}

/// A frame by which `mac` tells all neighbors that it has `target` now (RFC 4861, section 7.2.6).
pub(super) fn unsolicited_advertisement(mac: [u8; 6], target: Ipv6Addr) -> Vec<u8> {
    neighbor_advertisement(mac, target, ALL_NODES, OVERRIDE)
}

/// A frame by which `mac` asks whether somebody has `target`, which it would like to have (RFC 4862, section
/// 5.4.2).
pub(super) fn duplicate_solicitation(mac: [u8; 6], target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let [high, low] = [u16::from_be_bytes([0xff, a]), u16::from_be_bytes([b, c])];
    let mut message = Vec::from([NEIGHBOR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(target.octets());
    frame(mac, Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low), message)
}

/// A frame by which `mac` answers [`Solicitation`].
pub(super) fn answer(mac: [u8; 6], solicitation: &Solicitation) -> Vec<u8> {
    let Solicitation { asker, asker_mac, target } = *solicitation;
    let (destination, flags) =
        if asker.is_unspecified() { (ALL_NODES, OVERRIDE) } else { (asker, OVERRIDE | SOLICITED) };
    let mut frame = neighbor_advertisement(mac, target, destination, flags);
    if let Some(to) = frame.first_chunk_mut().filter(|_| !asker.is_unspecified()) {
        *to = asker_mac;
    }
    frame
}

fn neighbor_advertisement(mac: [u8; 6], target: Ipv6Addr, destination: Ipv6Addr, flags: u8) -> Vec<u8> {
    let mut message = Vec::from([NEIGHBOR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
    message.extend(target.octets());
    message.extend([TARGET_LINK_LAYER, 1]);
    message.extend(mac);
    frame(mac, target, destination, message)
}

/// The address that `frame`, a neighbor's, tells of.
pub(super) fn advertised(frame: &[u8]) -> Option<Ipv6Addr> {
    let (_, message) = message(frame)?;
    let [NEIGHBOR_ADVERTISEMENT, 0, _, _, _, _, _, _, target @ ..] = message else { return None };
    Some(Ipv6Addr::from(*target.first_chunk::<16>()?))
}

/// A neighbor's question for an address (RFC 4861, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation {
    /// Who asks; unspecified if he would like the address for himself.
    pub(super) asker: Ipv6Addr,
    asker_mac: [u8; 6],
    pub(super) target: Ipv6Addr,
}

impl Solicitation {
    /// The question in `frame`.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let (asker, message) = message(frame)?;
        let [NEIGHBOR_SOLICITATION, 0, _, _, _, _, _, _, target @ ..] = message else { return None };
        let asker_mac = *frame.get(6..)?.first_chunk()?;
        let target = Ipv6Addr::from(*target.first_chunk::<16>()?);
        (!asker.is_multicast()).then_some(Self { asker, asker_mac, target })
    }
}

/// A frame with `message`, whose checksum is filled in, from `source` to a group, or to a host whose Ethernet
/// address has yet to be filled in.
fn frame(mac: [u8; 6], source: Ipv6Addr, group: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let addresses = [source.octets(), group.octets()];
    let checksum = icmpv6(addresses.as_flattened(), &message).to_be_bytes();
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&checksum);
    }
    let [.., g0, g1, g2, g3] = group.octets();
    let mut frame = Vec::from([0x33, 0x33, g0, g1, g2, g3]);
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([ICMPV6, HOP_LIMIT]);
    frame.extend(addresses.as_flattened());
    frame.extend(message);
    frame
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    pub(crate) const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    /// A frame with a router's advertisement, of `lifetime` seconds as a default router, with `options`.
    pub(crate) fn advertisement(router: Ipv6Addr, lifetime: u16, options: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0];
        message.extend(lifetime.to_be_bytes());
        message.extend([0; 8]);
        message.extend(options.concat());
        frame([2, 0, 0, 0, 0, 9], router, ALL_NODES, message)
    }

    /// An option with the link's MTU.
    pub(crate) fn mtu_option(mtu: u32) -> Vec<u8> {
        [vec![MTU, 1, 0, 0], mtu.to_be_bytes().to_vec()].concat()
    }

    /// An option with the prefix 2001:db8:0:`number`::/64, with lifetimes in seconds.
    pub(crate) fn prefix_option(number: u16, valid: u32, preferred: u32) -> Vec<u8> {
        let mut option = vec![PREFIX, 4, 64, 0xc0];
        option.extend([valid.to_be_bytes(), preferred.to_be_bytes(), [0; 4]].concat());
        option.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 0).octets());
        option
    }

    /// An option with the name servers 2001:db8::`number` for some seconds.
    pub(crate) fn rdnss_option(lifetime: u32, numbers: &[u16]) -> Vec<u8> {
        let mut option = vec![RDNSS, 1 + 2 * numbers.len() as u8, 0, 0];
        option.extend(lifetime.to_be_bytes());
        numbers.iter().for_each(|number| option.extend(server(*number).octets()));
        option
    }

    /// A frame by which `asker` asks for `target`.
    pub(crate) fn neighbor_solicitation(asker: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
        let mut message = vec![NEIGHBOR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        message.extend(target.octets());
        frame([2, 0, 0, 0, 0, 9], asker, ALL_NODES, message)
    }

    /// A frame by which somebody else tells that he has `target`.
    pub(crate) fn neighbors_advertisement(target: Ipv6Addr) -> Vec<u8> {
        unsolicited_advertisement([2, 0, 0, 0, 0, 9], target)
    }

    /// A frame by which somebody else asks for `target`, which he would like to have.
    pub(crate) fn neighbors_duplicate_solicitation(target: Ipv6Addr) -> Vec<u8> {
        duplicate_solicitation([2, 0, 0, 0, 0, 9], target)
    }

    pub(crate) fn server(number: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number)
    }

    #[test]
    fn an_advertisement_is_read_whole() {
        let options: [&[u8]; 3] = [
            &prefix_option(7, 700, u32::MAX - 1),
            &prefix_option(8, u32::MAX, 300),
            &rdnss_option(9, &[1, 2]),
        ];
        let read = Advertisement::parse(&advertisement(ROUTER, 1800, &options)).unwrap();
        assert_eq!((read.router, read.lifetime, read.preference), (ROUTER, Duration::from_secs(1800), 0));
        // A prefix that is preferred for longer than it is valid is ignored.
        let [prefix] = read.prefixes[..] else { panic!("{read:?}") };
        assert_eq!((prefix.bits[7], prefix.on_link), (8, true));
        assert_eq!((prefix.valid, prefix.preferred), (Duration::MAX, Duration::from_secs(300)));
        assert_eq!(read.servers, [1, 2].map(|number| (server(number), Duration::from_secs(9))));
    }

    #[test]
    fn advertisements_of_strangers_and_broken_ones_are_refused() {
        let good = advertisement(ROUTER, 1800, &[&prefix_option(7, 700, 300)]);
        assert!(Advertisement::parse(&good).is_some());
        // The hop limit, a bit of the message, the version, the type of the frame.
        for place in [21, 60, 14, 12] {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            assert_eq!(Advertisement::parse(&bad), None, "byte {place}");
        }
        let global = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        assert_eq!(Advertisement::parse(&advertisement(global, 1800, &[])), None, "from afar");
        assert_eq!(
            Advertisement::parse(&advertisement(ROUTER, 1800, &[&[PREFIX, 0, 0, 0, 0, 0, 0, 0]])),
            None
        );
        assert_eq!(
            Advertisement::parse(&advertisement(ROUTER, 1800, &[&[PREFIX, 4, 0, 0, 0, 0, 0, 0]])),
            None
        );
        for length in 0..good.len() {
            assert_eq!(Advertisement::parse(&good[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn prefixes_that_no_address_is_made_from_are_ignored() {
        let read =
            |option: &[u8]| Advertisement::parse(&advertisement(ROUTER, 0, &[option])).unwrap().prefixes;
        let good = prefix_option(7, 700, 300);
        assert_eq!(read(&good).len(), 1);
        // Its length, its flags, and its first bytes: multicast, reserved, link-local.
        for (place, value) in [(2, 63), (2, 128), (3, 0x80), (16, 0xff), (16, 0)] {
            let mut bad = good.clone();
            bad[place] = value;
            assert_eq!(read(&bad), [], "byte {place}");
        }
        let mut link_local = good.clone();
        link_local[16..18].copy_from_slice(&[0xfe, 0x80]);
        assert_eq!(read(&link_local), []);
    }

    #[test]
    fn a_thousand_options_are_read_up_to_a_bound() {
        let prefixes: Vec<Vec<u8>> = (0..1000).map(|number| prefix_option(number, 700, 300)).collect();
        let mut options: Vec<&[u8]> = prefixes.iter().map(Vec::as_slice).collect();
        let numbers: Vec<u16> = (1..100).collect();
        let servers = rdnss_option(9, &numbers);
        options.extend([servers.as_slice(); 3]);
        let read = Advertisement::parse(&advertisement(ROUTER, 1800, &options)).unwrap();
        assert_eq!((read.prefixes.len(), read.servers.len()), (MAX, MAX));
    }

    #[test]
    fn a_router_says_how_much_it_wants_to_be_used() {
        assert_eq!([0, 0x08, 0x10, 0x18].map(preference), [0, 1, 0, -1]);
    }

    #[test]
    fn what_is_sent_is_well_formed() {
        let source = link_local(MAC);
        assert_eq!(source, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1));
        let solicitation = router_solicitation(MAC, source);
        let (from, message) = message(&solicitation).unwrap();
        assert_eq!((from, message[0], &message[8..]), (source, 133, &[1, 1, 2, 0, 0, 0, 0, 1][..]));
        assert_eq!(solicitation[..12], [0x33, 0x33, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        let announcement = unsolicited_advertisement(MAC, source);
        let (_, message) = super::message(&announcement).unwrap();
        assert_eq!((message[0], message[4]), (136, 0x20));
        assert_eq!(message[8..24], source.octets());
    }

    #[test]
    fn a_question_is_answered_to_who_asked_and_to_all_if_he_has_no_address() {
        let target = server(7);
        let question = |asker| Solicitation::parse(&neighbor_solicitation(asker, target)).unwrap();
        let answered = answer(MAC, &question(ROUTER));
        let (from, body) = message(&answered).unwrap();
        assert_eq!((from, body[0], body[4], &answered[..6]), (target, 136, 0x60, &[2, 0, 0, 0, 0, 9][..]));
        assert_eq!(answered[38..54], ROUTER.octets());
        assert_eq!(advertised(&answered), Some(target));
        let told = answer(MAC, &question(Ipv6Addr::UNSPECIFIED));
        let (_, body) = message(&told).unwrap();
        assert_eq!((body[4], &told[..6]), (0x20, &[0x33, 0x33, 0, 0, 0, 1][..]));
        assert_eq!(Solicitation::parse(&told), None);
    }
}
