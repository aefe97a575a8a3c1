// SPDX-License-Identifier: MIT OR Apache-2.0
//! Games: lists of moves, each made of a seed.

use super::moves::{Field, Move, Word, named};
use super::random::Random;

named! {
    /// A kind of device.
    Kind {
        /// A disk.
        Vbd = "vbd",
        /// A network interface.
        Vif = "vif",
    }
}

/// The game of this seed, of so many moves, for a device of this kind.
pub(crate) fn game(kind: Kind, seed: u64, length: usize) -> Vec<Move> {
    let mut random = Random::new(seed);
    (0..length).map(|_| any(kind, &mut random)).collect()
}

/// Keys that a network backend has, or might have (`xen/include/public/io/netif.h`).
const VIF_KEYS: &[&str] = &[
    "feature-rx-copy",
    "feature-rx-flip",
    "feature-rx-notify",
    "feature-sg",
    "feature-no-csum-offload",
    "feature-ipv6-csum-offload",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-gso-tcpv4-prefix",
    "feature-multicast-control",
    "feature-dynamic-multicast-control",
    "feature-split-event-channels",
    "feature-ctrl-ring",
    "multi-queue-max-queues",
    "mtu",
    "mac",
    "online",
    "frontend",
    "hotplug-status",
];

/// Keys that a block backend has, or might have (`xen/include/public/io/blkif.h`).
const VBD_KEYS: &[&str] = &[
    "sectors",
    "sector-size",
    "physical-sector-size",
    "info",
    "mode",
    "feature-flush-cache",
    "feature-barrier",
    "feature-discard",
    "discard-granularity",
    "discard-secure",
    "feature-max-indirect-segments",
    "feature-persistent",
    "max-ring-page-order",
    "max-ring-pages",
    "multi-queue-max-queues",
    "online",
    "frontend",
    "frontend-id",
    "hotplug-status",
];

/// Values that somebody may stumble over.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "7",
    "-1",
    "512",
    "513",
    "4096",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "36028797018963967",
    "36028797018963968",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "0x10",
    "1e3",
    " 1",
    "1 ",
    "+1",
    "1.5",
    "r",
    "/local/domain/0",
];

/// Numbers of 32 bits that somebody may stumble over, for indices: small ones both ways, and halves.
const DISTANCES: &[u32] =
    &[1, 2, 31, 32, 33, 127, 128, 129, 1024, 1 << 16, 1 << 31, (1 << 31) + 1, u32::MAX, u32::MAX - 1];

fn any(kind: Kind, random: &mut Random) -> Move {
    match random.below(100) {
        0..30 => Move::Serve(1 + random.below(12) as u32),
        30..36 => xenbus_step(random),
        36..40 => Move::State(*random.one_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4_294_967_295])),
        40..48 => Move::Key(key(kind, random), (*random.one_of(VALUES)).into()),
        48..50 => Move::Binary(key(kind, random)),
        50..52 => Move::Remove(key(kind, random)),
        52..53 => Move::Vanish,
        53..68 if kind == Kind::Vif => receive(random),
        53..68 => answer(random),
        68..71 => Move::Stale,
        71..74 => Move::Twice,
        74..77 => Move::Swallow,
        77..80 => Move::Garbage(random.next()),
        80..84 => Move::Rewrite(1 + random.below(200) as u32),
        84..88 => Move::Index(*random.one_of(DISTANCES)),
        88..91 => Move::Word(*random.one_of(Word::ALL), *random.one_of(DISTANCES)),
        91..93 => Move::Keep,
        93..95 => Move::Late(1 + random.below(50) as u32),
        95..98 => Move::Storm(1 + random.below(2000) as u32),
        _ => Move::Silence(1 + random.below(200) as u32),
    }
}

fn xenbus_step(random: &mut Random) -> Move {
    random.one_of(&[Move::Renew, Move::Offer, Move::Connect, Move::Close, Move::Restart]).clone()
}

fn key(kind: Kind, random: &mut Random) -> String {
    let keys = if kind == Kind::Vif { VIF_KEYS } else { VBD_KEYS };
    (*random.one_of(keys)).into()
}

/// A move that only a network backend can make.
fn receive(random: &mut Random) -> Move {
    let number = |random: &mut Random| {
        let near = *random.one_of(&[0, 1, 2, 14, 60, 1500, 4095, 4096, 4097, 1 << 15, 65535]);
        if random.below(2) == 0 { near } else { random.below(1 << 16) }
    };
    match random.below(12) {
        0..3 => Move::Answer(*random.one_of(Field::ALL), number(random)),
        3..5 => Move::Sent(*random.one_of(&[Field::Id, Field::Status]), number(random)),
        5..8 => Move::Frame(random.next()),
        8 => Move::Parts(1 + random.below(30) as u32),
        9 => Move::Unfinished,
        _ => {
            let small = |random: &mut Random| random.below(8) as u8;
            let (kind, flags) = (small(random), small(random));
            Move::Extra(kind, flags, number(random) as u16, small(random))
        }
    }
}

fn answer(random: &mut Random) -> Move {
    match *random.one_of(&[Field::Id, Field::Operation, Field::Status]) {
        Field::Id => {
            let id = match random.below(4) {
                0 => random.below(64),
                1 => 1 << random.below(64),
                2 => u64::MAX - random.below(2),
                _ => random.next(),
            };
            Move::Answer(Field::Id, id)
        }
        Field::Operation => Move::Answer(Field::Operation, random.below(256)),
        // As the 16 bits of a number with a sign: mostly errors that there are.
        _ => {
            let status = *random.one_of(&[u16::MAX, u16::MAX - 1, 1, 1 << 15, (1 << 15) - 1]);
            Move::Answer(Field::Status, status.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_is_the_same_game_and_another_one_another() {
        for kind in Kind::ALL.iter().copied() {
            assert_eq!(game(kind, 7, 100), game(kind, 7, 100));
            assert_ne!(game(kind, 7, 100), game(kind, 8, 100));
            assert_eq!(
                game(kind, 7, 20),
                game(kind, 7, 100)[..20],
                "a longer game begins as the shorter one"
            );
        }
    }

    #[test]
    fn every_kind_of_move_is_played() {
        let name = |play: &Move| play.to_string().split(' ').next().map(str::to_owned);
        for (kind, count) in [(Kind::Vbd, 23), (Kind::Vif, 28)] {
            let names: HashSet<_> = game(kind, 1, 5000).iter().filter_map(name).collect();
            assert_eq!(names.len(), count, "{kind}: {names:?}");
        }
    }
}
