// SPDX-License-Identifier: MIT OR Apache-2.0
//! What DHCP servers send that smoltcp's client would stumble over (RFC 2131, RFC 2132): corrected on its
//! way.
//!
//! - Renewal after no time at all, or a lease of none, would have it renew all the time.
//! - A router that is none is sent to, and that ends the program; of two it sees none.
//! - A gateway outside of the prefix needs an [alias](GatewayAlias).

use core::net::Ipv4Addr;

use super::gateway::{GatewayAlias, mask};

const SERVER: u16 = 67;
const CLIENT: u16 = 68;

/// Behind the headers of Ethernet, IPv4 (no options: a message behind some is refused) and UDP.
const START: usize = 14 + 20 + 8;
/// Bytes of a message in front of its options.
const FIXED: usize = 240;

const PAD: u8 = 0;
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const MTU: u8 = 26;
const LEASE: u8 = 51;
const MESSAGE_TYPE: u8 = 53;
const RENEWAL: u8 = 58;
const REBINDING: u8 = 59;
const END: u8 = 255;
/// For local use: the client does not know it.
const UNUSED: u8 = 254;

const ACK: u8 = 5;

/// The shortest lease in seconds: one of no time is no lease.
const MIN_LEASE: u32 = 1;
/// The least that a server may say of a network (RFC 791: each host takes so much): less would be a way to
/// have us work.
const MIN_MTU: usize = 576;

/// The shortest time in seconds until a lease is renewed, unless half of it is shorter.
const MIN_RENEWAL: u32 = 60;

/// What a message that came in is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing for the client.
    Other,
    /// The stack must not see it.
    Refused,
    /// A lease, corrected.
    Lease {
        /// What is needed to reach its gateway.
        alias: Option<GatewayAlias>,
        /// Largest IP packet on the network, in bytes, if the server says so.
        mtu: Option<usize>,
    },
}

/// A message between client and server.
struct Message<'a> {
    fixed: &'a [u8; FIXED],
    options: &'a mut [u8],
}

/// The transaction that `frame`, which goes out, belongs to, if it is from the client.
pub(super) fn transaction(frame: &mut [u8]) -> Option<[u8; 4]> {
    let message = message(frame, CLIENT, SERVER)?;
    message.fixed.get(4..8)?.try_into().ok()
}

/// Corrects the message in `frame`, which comes in, if it belongs to `transaction`.
pub(super) fn correct(frame: &mut [u8], transaction: [u8; 4]) -> Verdict {
    let source = frame.get(26..30).and_then(|source| <[u8; 4]>::try_from(source).ok()).map(Ipv4Addr::from);
    if is_disguised(frame) {
        return Verdict::Refused;
    }
    let Some(Message { fixed, options }) = message(frame, SERVER, CLIENT) else { return Verdict::Other };
    // Leases are renewed with who gave them.
    if !source.is_some_and(is_host) {
        return Verdict::Refused;
    }
    let terms = Terms::read(options);
    if fixed.get(4..8) != Some(&transaction) || terms.kind != Some(ACK) {
        return Verdict::Other;
    }
    let Some(address) = fixed.get(16..20).and_then(|address| <[u8; 4]>::try_from(address).ok()) else {
        return Verdict::Other;
    };
    let alias = terms.alias(address.into());
    each_option(options, |option| terms.correct(option, alias));
    Verdict::Lease { alias, mtu: terms.mtu }
}

/// Whether `frame` holds a server's message, or the first part of one, that [`message`] does not read, but
/// the stack would: with options of IPv4, or in fragments.
fn is_disguised(frame: &[u8]) -> bool {
    let Some([0x08, 0x00, first, _, _, _, _, _, f0, f1, _, 17, ..]) = frame.get(12..) else { return false };
    let start = 14 + usize::from(first & 0xf) * 4;
    let [[s0, s1], [d0, d1]] = [SERVER, CLIENT].map(u16::to_be_bytes);
    let is_whole = (f0 & 0x3f, *f1) == (0, 0);
    let is_first = (f0 & 0x1f, *f1) == (0, 0);
    let is_odd = *first != 0x45 || !is_whole;
    is_odd && is_first && frame.get(start..start + 4) == Some(&[s0, s1, d0, d1])
}

/// The message in `frame`, if it goes from one of these ports to the other.
fn message(frame: &mut [u8], source: u16, destination: u16) -> Option<Message<'_>> {
    let (headers, body) = frame.split_first_chunk_mut::<START>()?;
    let [
        ..,
        0x08,
        0x00,
        0x45,
        _,
        _,
        _,
        _,
        _,
        f0,
        f1,
        _,
        17,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        s0,
        s1,
        d0,
        d1,
        _,
        _,
        _,
        _,
    ] = *headers
    else {
        return None;
    };
    let ports = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    let (fixed, options) = body.split_first_chunk_mut::<FIXED>()?;
    let is_whole = (f0 & 0x3f, f1) == (0, 0);
    (is_whole && ports == (source, destination)).then_some(Message { fixed, options })
}

/// Calls `visit` with each option: its kind, its length and what it holds.
fn each_option(mut options: &mut [u8], mut visit: impl FnMut(&mut [u8])) {
    loop {
        let length = match *options {
            [PAD, ..] => 1,
            [END, ..] | [] | [_] => return,
            [_, length, ..] => 2 + usize::from(length),
        };
        let Some((option, rest)) = options.split_at_mut_checked(length) else { return };
        visit(option);
        options = rest;
    }
}

/// What a server grants.
#[derive(Debug, Default)]
struct Terms {
    kind: Option<u8>,
    mask: Option<u32>,
    router: Option<Ipv4Addr>,
    lease: Option<u32>,
    mtu: Option<usize>,
}

impl Terms {
    fn read(options: &mut [u8]) -> Self {
        let mut terms = Self::default();
        each_option(options, |option| match *option {
            [MESSAGE_TYPE, 1, kind] => terms.kind = Some(kind),
            [MASK, 4, a, b, c, d] => terms.mask = Some(u32::from_be_bytes([a, b, c, d])),
            [ROUTER, _, a, b, c, d, ..] => {
                terms.router = Some(Ipv4Addr::new(a, b, c, d)).filter(|it| is_host(*it))
            }
            [LEASE, 4, a, b, c, d] => terms.lease = Some(u32::from_be_bytes([a, b, c, d])),
            [MTU, 2, a, b] => {
                terms.mtu = Some(u16::from_be_bytes([a, b]).into()).filter(|mtu| *mtu >= MIN_MTU)
            }
            _ => {}
        });
        terms
    }

    /// What a host with `address` needs to reach its gateway.
    fn alias(&self, address: Ipv4Addr) -> Option<GatewayAlias> {
        let prefix = self.mask?.leading_ones() as u8;
        GatewayAlias::new(address, prefix, self.router?)
    }

    fn correct(&self, option: &mut [u8], alias: Option<GatewayAlias>) {
        match option {
            [MASK, 4, bits @ ..] => {
                if let Some(alias) = alias {
                    bits.copy_from_slice(&mask(alias.stack_prefix).to_be_bytes());
                }
            }
            [ROUTER, length, router @ ..] => match (self.router, router.split_first_chunk_mut()) {
                (Some(gateway), Some((first, others))) => {
                    *length = 4;
                    *first = alias.map_or(gateway, |alias| alias.alias).octets();
                    others.fill(PAD);
                }
                _ => option.iter_mut().take(1).for_each(|kind| *kind = UNUSED),
            },
            [LEASE, 4, seconds @ ..] => {
                let lease = self.lease.unwrap_or_default().max(MIN_LEASE);
                seconds.copy_from_slice(&lease.to_be_bytes());
            }
            [kind @ (RENEWAL | REBINDING), 4, a, b, c, d]
                if u32::from_be_bytes([*a, *b, *c, *d]) < self.min_renewal() =>
            {
                *kind = UNUSED;
            }
            _ => {}
        }
    }

    /// The shortest time in seconds after which this lease may be renewed.
    fn min_renewal(&self) -> u32 {
        let half = self.lease.map_or(MIN_RENEWAL, |lease| lease / 2);
        half.clamp(MIN_LEASE, MIN_RENEWAL)
    }
}

/// Whether a single host can have `address`.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const TRANSACTION: [u8; 4] = [1, 2, 3, 4];
    const SERVERS: [u8; 4] = [10, 0, 0, 1];

    /// A server's message with `options`, for 10.1.2.3.
    pub(crate) fn ack(source: [u8; 4], options: &[&[u8]]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend(source);
        frame.extend([255, 255, 255, 255, 0, 67, 0, 68, 0, 0, 0, 0]);
        let mut message = vec![0; FIXED];
        message[4..8].copy_from_slice(&TRANSACTION);
        message[16..20].copy_from_slice(&[10, 1, 2, 3]);
        frame.extend(message);
        frame.extend([MESSAGE_TYPE, 1, ACK]);
        frame.extend(options.concat());
        frame.extend([END, 0, 0]);
        frame
    }

    fn corrected(options: &[&[u8]]) -> (Verdict, Vec<u8>) {
        let mut frame = ack(SERVERS, options);
        let verdict = correct(&mut frame, TRANSACTION);
        (verdict, frame.split_off(START + FIXED + 3))
    }

    const ORDINARY: Verdict = Verdict::Lease { alias: None, mtu: None };

    #[test]
    fn a_server_may_tell_the_networks_mtu() {
        for (option, expected) in
            [([5, 170], Some(1450)), ([2, 64], Some(576)), ([2, 63], None), ([0, 0], None)]
        {
            let (verdict, _) = corrected(&[&[MASK, 4, 255, 0, 0, 0], &[MTU, 2, option[0], option[1]]]);
            assert_eq!(verdict, Verdict::Lease { alias: None, mtu: expected });
        }
    }

    #[test]
    fn a_gateway_outside_of_the_mask_gets_an_alias() {
        let (verdict, options) = corrected(&[&[MASK, 4, 255, 255, 255, 255], &[ROUTER, 4, 10, 9, 9, 1]]);
        let Verdict::Lease { alias: Some(alias), .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!((alias.prefix, alias.gateway), (32, [10, 9, 9, 1].into()));
        assert_eq!(options[..12], [MASK, 4, 255, 255, 255, 254, ROUTER, 4, 10, 1, 2, 2]);
    }

    #[test]
    fn an_ordinary_lease_is_left_as_it_is() {
        let lease: [&[u8]; 4] = [
            &[MASK, 4, 255, 0, 0, 0],
            &[ROUTER, 4, 10, 9, 9, 1],
            &[LEASE, 4, 0, 0, 1, 0],
            &[RENEWAL, 4, 0, 0, 0, 128],
        ];
        let (verdict, options) = corrected(&lease);
        assert_eq!((verdict, &options[..24]), (ORDINARY, &lease.concat()[..]));
        let (verdict, _) = corrected(&[&[MASK, 4, 255, 0, 0, 0]]);
        assert_eq!(verdict, ORDINARY, "no router");
    }

    #[test]
    fn of_several_routers_the_first_is_used() {
        let (_, options) = corrected(&[&[MASK, 4, 255, 0, 0, 0], &[ROUTER, 8, 10, 0, 0, 1, 10, 0, 0, 2]]);
        assert_eq!(options[6..16], [ROUTER, 4, 10, 0, 0, 1, PAD, PAD, PAD, PAD]);
    }

    #[test]
    fn what_is_no_router_is_not_used() {
        for router in [[0; 4], [255; 4], [224, 0, 0, 1], [127, 0, 0, 1]] {
            let option = [&[ROUTER, 4][..], &router].concat();
            let (verdict, options) = corrected(&[&[MASK, 4, 255, 0, 0, 0], &option]);
            assert_eq!((verdict, options[6]), (ORDINARY, UNUSED), "{router:?}");
        }
        let (_, options) = corrected(&[&[ROUTER, 2, 10, 0]]);
        assert_eq!(options[0], UNUSED);
    }

    #[test]
    fn renewal_without_end_is_prevented() {
        let kinds = |lease: u32, renewal: u32| {
            let lease = [&[LEASE, 4][..], &lease.to_be_bytes()].concat();
            let renewal = renewal.to_be_bytes();
            let options = [&lease[..], &[RENEWAL, 4], &renewal, &[REBINDING, 4], &renewal].concat();
            let (_, options) = corrected(&[&options]);
            let lease = u32::from_be_bytes([options[2], options[3], options[4], options[5]]);
            (lease, options[6] == RENEWAL, options[12] == REBINDING)
        };
        assert_eq!(kinds(0, 0), (1, false, false));
        assert_eq!(kinds(1, 0), (1, false, false));
        assert_eq!(kinds(10, 5), (10, true, true));
        assert_eq!(kinds(u32::MAX, 1), (u32::MAX, false, false));
        assert_eq!(kinds(u32::MAX, 60), (u32::MAX, true, true));
    }

    #[test]
    fn messages_behind_options_of_ipv4_or_in_fragments_are_refused() {
        let whole = ack([10, 9, 9, 1], &[]);
        let mut fragment = whole.clone();
        fragment[20] |= 0x20;
        let mut with_options = whole.clone();
        with_options[14] = 0x46;
        with_options.splice(34..34, [1; 4]);
        for mut frame in [fragment, with_options] {
            assert_eq!(correct(&mut frame, TRANSACTION), Verdict::Refused);
        }
        for length in 0..whole.len() {
            correct(&mut whole.clone()[..length], TRANSACTION);
        }
    }

    #[test]
    fn servers_without_an_address_are_refused() {
        for source in [[0; 4], [255; 4], [224, 0, 0, 1]] {
            assert_eq!(correct(&mut ack(source, &[]), TRANSACTION), Verdict::Refused, "{source:?}");
        }
    }

    #[test]
    fn messages_of_others_and_broken_ones_are_left_alone() {
        let good = ack(SERVERS, &[&[MASK, 4, 255, 255, 255, 255], &[ROUTER, 4, 10, 9, 9, 1]]);
        assert_eq!(correct(&mut good.clone(), [4, 3, 2, 1]), Verdict::Other);
        // The Ethernet type, the header's length, an offset, the protocol, both ports, the kind.
        for place in [12, 14, 21, 23, 35, 37, START + FIXED + 2] {
            let mut other = good.clone();
            other[place] ^= 3;
            let before = other.clone();
            assert_eq!(correct(&mut other, TRANSACTION), Verdict::Other, "byte {place}");
            assert_eq!(other, before);
        }
        for length in 0..good.len() {
            let _ = correct(&mut good.clone()[..length], TRANSACTION);
        }
    }

    #[test]
    fn a_transaction_is_read_off_what_the_client_sends() {
        let mut frame = ack([0; 4], &[]);
        frame[34..38].copy_from_slice(&[0, 68, 0, 67]);
        assert_eq!(transaction(&mut frame), Some(TRANSACTION));
        assert_eq!(transaction(&mut ack(SERVERS, &[])), None);
    }
}
