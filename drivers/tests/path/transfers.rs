// SPDX-License-Identifier: MIT OR Apache-2.0
use crate::host::{Opener, World};
use crate::network::{Network, Router};

/// A file of half a MiB, in which no two parts are alike.
fn file() -> Vec<u8> {
    (0..128 * 1024u32).flat_map(u32::to_le_bytes).collect()
}

const SECOND: u64 = 1000;

/// Sends the file over a network; the world after that, and how long it took.
fn send(network: (usize, Router), opener: Opener, is_ipv4: bool, most: u64) -> (World, u64) {
    let mut world = World::new(Network::new(network.0, network.1));
    let connection = world.connect(opener, is_ipv4);
    let file = file();
    let arrived = world.transfer(connection, &file, most);
    let time = world.now();
    assert!(arrived == file, "{} bytes in {time} ms", arrived.len());
    world.close(connection);
    (world, time)
}

#[test]
fn connections_work_in_both_directions_whoever_begins() {
    for is_ipv4 in [true, false] {
        for opener in [Opener::Us, Opener::Peer] {
            let mut world = World::new(Network::new(1500, Router::Tells));
            for _ in 0..3 {
                let connection = world.connect(opener, is_ipv4);
                assert!(world.transfer(connection, &file(), 10 * SECOND) == file());
                assert!(world.receive(connection, &file(), 10 * SECOND) == file());
                world.close(connection);
            }
            let network = world.network.lock().unwrap();
            assert_eq!(network.dropped, 0);
            assert_eq!(network.sizes.iter().max(), Some(&1500));
        }
    }
}

#[test]
fn a_file_gets_through_a_network_that_takes_less_and_says_so() {
    for (is_ipv4, mtu) in [(true, 1280), (false, 1280), (true, 576), (true, 1499), (false, 1400)] {
        let (world, time) = send((mtu, Router::Tells), Opener::Peer, is_ipv4, 20 * SECOND);
        let network = world.network.lock().unwrap();
        // Sooner than the stack's timer.
        assert!(time < SECOND && network.dropped < 100, "{mtu}: {time} ms, {} dropped", network.dropped);
        assert_eq!(network.sizes.iter().max(), Some(&mtu), "no smaller than need be");
    }
}

#[test]
fn a_router_that_does_not_say_how_much_it_takes_is_tried_in_steps() {
    let (world, time) = send((1280, Router::TellsNoSize), Opener::Peer, true, 20 * SECOND);
    assert!(time < 10 * SECOND, "{time} ms");
    assert_eq!(world.network.lock().unwrap().sizes.iter().max(), Some(&1006));
}

#[test]
fn a_file_gets_through_a_network_that_takes_less_and_keeps_silent() {
    for (is_ipv4, mtu, most) in [(true, 1280, 8), (false, 1280, 8), (true, 1400, 8), (true, 600, 20)] {
        let (world, time) = send((mtu, Router::IsSilent), Opener::Us, is_ipv4, 60 * SECOND);
        assert!(time < most * SECOND, "{mtu}: {time} ms");
        assert!(world.network.lock().unwrap().dropped > 0);
    }
}

#[test]
fn the_next_connection_to_a_host_knows_what_gets_there() {
    let mut world = World::new(Network::new(1280, Router::Tells));
    for round in 0..3 {
        let connection = world.connect(Opener::Peer, true);
        assert!(world.transfer(connection, &file(), 10 * SECOND) == file());
        world.close(connection);
        let dropped = std::mem::take(&mut world.network.lock().unwrap().dropped);
        assert_eq!(dropped != 0, round == 0);
    }
}

#[test]
fn a_narrow_network_with_little_room_is_not_flooded() {
    for is_ipv4 in [true, false] {
        let mut world = World::new(Network::new(1500, Router::Tells));
        world.network.lock().unwrap().bottleneck = Some((2, 30));
        let connection = world.connect(Opener::Peer, is_ipv4);
        let file = file();
        for _ in 0..4 {
            assert!(world.transfer(connection, &file, 60 * SECOND) == file);
        }
        let network = world.network.lock().unwrap();
        let (arrived, time) = (network.sizes.len(), world.now());
        assert!(network.dropped > 0 && network.dropped < arrived / 10, "{} of {arrived}", network.dropped);
        // 1400 packets of data at two a millisecond.
        assert!(time < 4 * SECOND, "{time} ms");
    }
}

#[test]
fn what_gets_lost_now_and_then_is_sent_again() {
    for (is_ipv4, opener) in [(true, Opener::Us), (false, Opener::Peer)] {
        let mut world = World::new(Network::new(1500, Router::Tells));
        let mut count = 0;
        world.network.lock().unwrap().loses = Box::new(move |_| {
            count += 1;
            count % 97 == 0
        });
        let connection = world.connect(opener, is_ipv4);
        assert!(world.transfer(connection, &file(), 60 * SECOND) == file());
        assert!(world.now() < 8 * SECOND, "{} ms", world.now());
    }
}
