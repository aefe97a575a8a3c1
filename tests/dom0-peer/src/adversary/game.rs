// SPDX-License-Identifier: MIT OR Apache-2.0
//! Games: lists of moves, each made of a seed.

use super::moves::{ConsoleWord, Field, Move, Word, named};
use super::random::Random;

named! {
    /// A kind of device.
    Kind {
        /// A disk.
        Vbd = "vbd",
        /// A network interface.
        Vif = "vif",
        /// Directories that the toolstack writes, and a disk's.
        Store = "store",
        /// The console's ring.
        Console = "console",
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
    match kind {
        Kind::Store => in_store(random),
        Kind::Console => at_console(random),
        Kind::Vbd | Kind::Vif => by_device(kind, random),
    }
}

/// Numbers of devices that nobody has, or that are none.
const DEVICES: &[&str] = &["52000", "52016", "52032", "-1", "x", "4294967296", "99999999999999999999"];

/// Classes of devices.
const CLASSES: &[&str] = &["vbd", "vif", "vkbd", "vfb", "console", "9pfs", "pci", "nothing"];

/// What a device's directory may have.
const DEVICE_KEYS: &[&str] = &[
    "backend",
    "backend",
    "backend-id",
    "state",
    "state",
    "virtual-device",
    "device-type",
    "handle",
    "mac",
    "protocol",
    "ring-ref",
    "event-channel",
];

/// Values of such nodes, beside those that anything may have.
const DEVICE_VALUES: &[&str] = &[
    "3",
    "4",
    "5",
    "6",
    "/",
    "relative/path",
    "/local/domain/0/backend",
    "/local/domain/0/backend/vbd/0/0",
    "/local/domain/99999/backend/vbd/1/1",
    "02:00:00:00:00:ff",
    "ff:ff:ff:ff:ff:ff",
    "disk",
];

/// What the toolstack says to a guest, with values that mean nothing there: others would end the guest, or
/// take its memory, as they should.
const TOOLSTACK: &[(&str, &[&str])] = &[
    ("control/shutdown", &["", "now", "Poweroff", "poweroff ", "-1", "99999999999"]),
    ("control/sysrq", &["", "?", "9", "~", "more"]),
    ("memory/target", &["", "-1", "0x10", "1e3", " 1", "99999999999999999999999", "r"]),
    ("memory/static-max", &["", "0", "-1", "18446744073709551616"]),
    ("cpu/0/availability", &["offline", "", "1", "ONLINE"]),
    ("cpu/1/availability", &["online", "offline", "", "-1"]),
    ("cpu/4096/availability", &["online", "offline"]),
    ("cpu/x/availability", &["online", "offline"]),
    ("device/suspend/event-channel", &["", "0", "4294967296"]),
    ("control/feature-nothing", &["1"]),
];

fn device_path(random: &mut Random) -> String {
    format!("device/{}/{}", random.one_of(CLASSES), random.one_of(DEVICES))
}

/// A move in xenstore.
fn in_store(random: &mut Random) -> Move {
    match random.below(100) {
        0..8 => xenbus_step(random),
        8..16 => Move::State(*random.one_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4_294_967_295])),
        16..30 => Move::Key(key(Kind::Vbd, random), (*random.one_of(VALUES)).into()),
        30..34 => Move::Binary(key(Kind::Vbd, random)),
        34..38 => Move::Remove(key(Kind::Vbd, random)),
        38..40 => Move::Vanish,
        40..65 => {
            let values = if random.below(2) == 0 { VALUES } else { DEVICE_VALUES };
            let path = format!("{}/{}", device_path(random), random.one_of(DEVICE_KEYS));
            Move::Node(path, (*random.one_of(values)).into())
        }
        65..68 => Move::Bytes(format!("{}/{}", device_path(random), random.one_of(DEVICE_KEYS))),
        68..72 => Move::Forget(device_path(random)),
        72..74 => Move::Crowd(1 + random.below(200) as u32),
        74..92 => {
            let (path, values) = random.one_of(TOOLSTACK);
            Move::Node((*path).into(), (*random.one_of(values)).into())
        }
        92..95 => Move::Bytes(random.one_of(TOOLSTACK).0.into()),
        95..98 => Move::Serve(1 + random.below(4) as u32),
        _ => Move::Silence(1 + random.below(20) as u32),
    }
}

/// A move at the console.
fn at_console(random: &mut Random) -> Move {
    match random.below(100) {
        0..40 => {
            let near = *random.one_of(&[1, 7, 1023, 1024, 1025, 2047, 2048, 2049]);
            let distance = if random.below(2) == 0 { near } else { *random.one_of(DISTANCES) };
            Move::Console(*random.one_of(ConsoleWord::ALL), distance)
        }
        40..60 => Move::Type(random.next()),
        60..75 => Move::Settle,
        // The guest says something, or would.
        75..95 => Move::Node("control/sysrq".into(), (*random.one_of(&["m", "t", "?"])).into()),
        _ => Move::Silence(1 + random.below(40) as u32),
    }
}

/// A move of a device's backend.
fn by_device(kind: Kind, random: &mut Random) -> Move {
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
        95..98 => Move::Storm(1 + random.below(400) as u32),
        _ => Move::Silence(1 + random.below(40) as u32),
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
        for (kind, count) in [(Kind::Vbd, 23), (Kind::Vif, 28), (Kind::Store, 16), (Kind::Console, 5)] {
            let names: HashSet<_> = game(kind, 1, 5000).iter().filter_map(name).collect();
            assert_eq!(names.len(), count, "{kind}: {names:?}");
        }
    }
}
