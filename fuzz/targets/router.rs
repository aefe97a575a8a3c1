// SPDX-License-Identifier: MIT OR Apache-2.0

use std::net::IpAddr;
use std::time::Duration;

use arbitrary::Arbitrary;
use prism_fuzz::fuzz_target;
use prism_router::{Config, Guest, Mac, Network, Packet, ROUTER_MAC, Router, Rules, Side, Uplink};

const GUESTS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const OWN: Mac = [6, 0, 0, 0, 0, 1];
const CONNECTIONS: usize = 32;

#[derive(Arbitrary, Debug)]
enum Step {
    /// A guest sends a frame.
    Guest {
        number: bool,
        kind: Kind,
        payload: Vec<u8>,
    },
    /// The network sends one.
    Network {
        kind: Kind,
        payload: Vec<u8>,
        segment: Option<u16>,
    },
    /// What was sent last comes back, with its addresses exchanged, and in an ICMP error.
    Answer {
        is_error: bool,
    },
    Pass {
        seconds: u16,
    },
    /// Other rules.
    Rules {
        forbid: bool,
    },
    /// Another address on the network.
    Move {
        last: u8,
    },
    /// A guest goes.
    Leave {
        number: bool,
    },
}

/// What a frame begins with.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Kind {
    Raw,
    Arp,
    Ipv4 {
        protocol: u8,
        from: u8,
        to: u8,
    },
    /// A part of a packet.
    Fragment {
        protocol: u8,
        from: u8,
        to: u8,
        place: [u8; 2],
    },
    Ipv6 {
        protocol: u8,
        from: u8,
        to: u8,
    },
}

// Whatever comes: what goes to the network has an address of the router's or one of the guests' in IPv6, what
// goes to a guest is addressed to it, and there are never more connections than there may be.
fuzz_target!(|steps: Vec<Step>| {
    let rules = |forbid| {
        let words =
            [("redirect", "tcp,80,10.137.0.2,8080"), ("drop", "out"), ("accept", "in,to,2001:db8:1::/64")];
        let left = if forbid { &words[1..2] } else { &words[..1] };
        Rules::parse(left.iter().copied()).expect("they are right")
    };
    let config = Config {
        network: Network::parse("10.137.0.1/24").expect("it is one"),
        network6: Network::parse("2001:db8:1::1/64"),
        masquerades: true,
        rules: rules(false),
        connections: CONNECTIONS,
    };
    let mut chance = 7_u32;
    let random = move || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        chance >> 9
    };
    let mut router = Router::new(config, Box::new(random));
    router.set_uplink(uplink(1));
    let mut guests: Vec<_> =
        GUESTS.map(|mac| Guest { mac, mtu: 1500, addresses: Vec::new() }).into_iter().collect();
    router.set_guests(&guests);
    let mut now = Duration::from_secs(1);
    let mut last = Vec::new();
    for step in steps.into_iter().take(200) {
        match step {
            Step::Guest { number, kind, payload } => {
                let bytes = frame(ROUTER_MAC, GUESTS[usize::from(number)], kind, &payload);
                router.from_guests(Packet::new(bytes), now);
            }
            Step::Network { kind, payload, segment } => {
                let bytes = frame(OWN, [6, 0, 0, 0, 0, 9], kind, &payload);
                router.from_network(&bytes, segment, now);
            }
            Step::Answer { is_error } => {
                router.from_network(&answer(&last, is_error), None, now);
            }
            Step::Pass { seconds } => {
                now += Duration::from_secs(seconds.into());
                router.poll(now);
            }
            Step::Rules { forbid } => {
                router.set_rules(rules(forbid));
            }
            Step::Move { last } => router.set_uplink(uplink(last.max(1))),
            Step::Leave { number } => {
                guests.retain(|guest| guest.mac != GUESTS[usize::from(number)]);
                router.set_guests(&guests);
            }
        }
        assert!(router.connections() <= CONNECTIONS);
        while let Some(packet) = router.take(Side::Guests) {
            check(Side::Guests, &packet.bytes);
        }
        while let Some(packet) = router.take(Side::Network) {
            check(Side::Network, &packet.bytes);
            last = packet.bytes;
        }
    }
});

fn check(to: Side, bytes: &[u8]) {
    match (to, &bytes[12..14]) {
        (Side::Guests, _) => {
            assert!(GUESTS.iter().any(|mac| bytes[..6] == *mac) || bytes[0] & 1 != 0);
            assert_eq!(bytes[6..12], ROUTER_MAC);
        }
        (Side::Network, [8, 0]) => assert_eq!(bytes[26..29], [192, 0, 2]),
        (Side::Network, [0x86, 0xdd]) => assert_eq!(bytes[22..26], [0x20, 0x01, 0x0d, 0xb8]),
        (Side::Network, kind) => assert_eq!(kind, [8, 6]),
    }
}

fn uplink(last: u8) -> Uplink {
    Uplink {
        mac: OWN,
        mtu: 1500,
        ipv4: Network::parse(&format!("192.0.2.{last}/24")),
        gateway: Some([192, 0, 2, 254].into()),
        ipv6: Network::parse("2001:db8:2::1/64"),
        gateway6: None,
        dns: vec![IpAddr::from([192, 0, 2, 53])],
    }
}

fn frame(destination: Mac, source: Mac, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut frame = [destination, source].concat();
    match kind {
        Kind::Raw => {}
        Kind::Arp => frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0]),
        Kind::Ipv4 { protocol, from, to } => ipv4(&mut frame, protocol, [from, to], [0, 0], payload),
        Kind::Fragment { protocol, from, to, place } => {
            ipv4(&mut frame, protocol, [from, to], place, payload);
        }
        Kind::Ipv6 { protocol, from, to } => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((payload.len() as u16).to_be_bytes());
            frame.extend([known(protocol), 255]);
            frame.extend([place6(from), place6(to)].concat());
        }
    }
    frame.extend(payload);
    frame
}

fn ipv4(frame: &mut Vec<u8>, protocol: u8, [from, to]: [u8; 2], [flags, offset]: [u8; 2], payload: &[u8]) {
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 7, flags, offset, 64, known(protocol), 0, 0]);
    frame.extend([place4(from), place4(to)].concat());
    sum(frame);
}

/// Mostly a protocol that is looked into.
fn known(choice: u8) -> u8 {
    match choice % 5 {
        0 => 1,
        1 => 6,
        2 => 17,
        3 => 58,
        _ => choice,
    }
}

fn place4(choice: u8) -> [u8; 4] {
    match choice % 6 {
        0 => [10, 137, 0, 1],
        1 => [10, 137, 0, 2],
        2 => [10, 137, 0, 3],
        3 => [192, 0, 2, 1],
        4 => [192, 0, 2, 53],
        _ => [198, 51, 100, choice],
    }
}

fn place6(choice: u8) -> [u8; 16] {
    let net = match choice % 4 {
        0 => [0xfe, 0x80, 0, 0, 0, 0],
        1 | 2 => [0x20, 0x01, 0x0d, 0xb8, 0, 1],
        _ => [0x20, 0x01, 0x0d, 0xb8, 0, 9],
    };
    let mut address = [0; 16];
    address[..6].copy_from_slice(&net);
    address[15] = choice / 16;
    address
}

/// Fills the checksum of the IPv4 header in.
fn sum(frame: &mut [u8]) {
    let words = frame[14..34].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((folded & 0xffff) + (folded >> 16)) as u16);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

/// What the far end says to a packet of IPv4.
fn answer(packet: &[u8], is_error: bool) -> Vec<u8> {
    if packet.len() < 42 || packet[12..14] != [8, 0] {
        return Vec::new();
    }
    let (source, destination) = (&packet[26..30], &packet[30..34]);
    let mut answer = [OWN, [6, 0, 0, 0, 0, 9]].concat();
    answer.extend([8, 0, 0x45, 0]);
    let length = if is_error { 28 + packet.len() - 14 } else { packet.len() - 14 };
    answer.extend((length as u16).to_be_bytes());
    answer.extend([0, 0, 0, 0, 64, if is_error { 1 } else { packet[23] }, 0, 0]);
    answer.extend([destination, source].concat());
    sum(&mut answer);
    if is_error {
        answer.extend([3, 1, 0, 0, 0, 0, 0, 0]);
        answer.extend(&packet[14..]);
    } else {
        answer.extend([&packet[36..38], &packet[34..36], &packet[38..]].concat());
    }
    answer
}
