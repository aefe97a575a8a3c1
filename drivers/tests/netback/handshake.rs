// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::{BTreeMap, BTreeSet};

use prism_drivers::net::bridge::Traffic;
use prism_drivers::sim::{Clock, SimPlatform};
use xen::xenbus::State;
use xen_sys::io::netif::NETIF_RSP_OKAY;

use super::frontend::{
    ALL, BACKEND, FRONTEND, Front, GUEST, Host, OTHER, a_while, arrives, deliver, deliver_from, frame,
    yield_now,
};

#[test]
fn what_the_backend_can_do_is_told_before_it_is_connected_to() {
    let host = Host::new();
    host.serve(async {
        host.until(State::InitWait).await;
        let keys = ["feature-sg", "feature-rx-copy", "feature-gso-tcpv4", "feature-split-event-channels"];
        assert_eq!(keys.map(|key| host.key(key).unwrap()), ["1"; 4]);
        assert_eq!(
            (host.key("feature-rx-flip").as_deref(), host.key("hotplug-status")),
            (Some("0"), Some("".into()))
        );
        assert_eq!(host.key("multi-queue-max-queues").as_deref(), Some("4"));
        Front::connect(&host, ALL).await;
        assert_eq!(host.key("hotplug-status").as_deref(), Some("connected"));
        host.detach();
        host.be(State::Closed);
    });
}

#[test]
fn an_interface_without_an_address_of_its_own_is_told_of_and_offered_when_it_has_one() {
    for wrong in ["", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:16:3e:00:00:01", "\x1b[2J"] {
        let host = Host::new();
        host.set("mac", wrong);
        host.serve(async {
            host.until(State::Closed).await;
            host.set("mac", "00:16:3e:00:00:01");
            Front::connect(&host, ALL).await;
            host.detach();
            host.be(State::Closed);
        });
        let failures = host.failures.lock().unwrap();
        assert!(failures.len() == 1 && failures[0].contains("mac"), "{failures:?}");
        assert!(!failures[0].contains('\x1b'));
    }
}

#[test]
fn one_event_channel_for_both_rings_is_enough() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        host.until(State::InitWait).await;
        let front = Front::make(&host, ALL);
        let port = String::from_utf8(host.xenstored.read(&front_key("event-channel-tx")).unwrap()).unwrap();
        for key in ["event-channel-tx", "event-channel-rx"] {
            host.xenstored.remove(&front_key(key));
        }
        host.front("event-channel", port);
        host.be(State::Connected);
        host.until(State::Connected).await;
        front.send(&frame(OTHER, GUEST, 60), 4096, 0, None);
        assert_eq!(front.answers(1).await, [(0, NETIF_RSP_OKAY)]);
        arrives(&network).await;
        host.be(State::Closed);
        host.detach();
    });
}

#[test]
fn each_queue_has_its_flows_and_is_told_of_them_only() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        host.until(State::InitWait).await;
        let fronts = Front::make_several(&host, 3);
        host.be(State::Connected);
        host.until(State::Connected).await;
        for (length, front) in (60..).zip(&fronts) {
            front.offer(64);
            front.send(&frame(OTHER, GUEST, length), 4096, 0, None);
            assert_eq!(front.answers(1).await, [(0, NETIF_RSP_OKAY)]);
            assert_eq!(arrives(&network).await.bytes(), frame(OTHER, GUEST, length));
        }
        let mut queues = BTreeMap::new();
        for port in (0..2).flat_map(|_| 1000..1040) {
            let events: Vec<_> = fronts.iter().map(|front| front.far_receive.events()).collect();
            let bytes = deliver_from(&network, port);
            a_while().await;
            let takes: Vec<_> = fronts.iter().map(Front::take).collect();
            let queue = takes.iter().position(Option::is_some).unwrap();
            assert!(takes.iter().flatten().map(|packet| &packet.bytes).eq([&bytes]));
            assert_eq!(*queues.entry(port).or_insert(queue), queue);
            for (number, front) in fronts.iter().enumerate().filter(|(number, _)| *number != queue) {
                assert_eq!(front.far_receive.events(), events[number]);
            }
        }
        let used: BTreeSet<_> = queues.into_values().collect();
        assert_eq!(used.len(), 3);
        host.be(State::Closed);
        host.detach();
    });
    assert_eq!(*host.traffic.lock().unwrap(), Traffic { sent: 3, refused: 0, taken: 80, lost: 0 });
}

#[test]
fn a_queue_without_pages_holds_up_no_other() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        host.until(State::InitWait).await;
        let fronts = Front::make_several(&host, 2);
        host.be(State::Connected);
        host.until(State::Connected).await;
        fronts[1].offer(200);
        (0..100).for_each(|port| drop(deliver_from(&network, port)));
        a_while().await;
        let taken = std::iter::from_fn(|| fronts[1].take()).count();
        assert!(taken > 0 && fronts[0].take().is_none());
        fronts[0].offer(200);
        for _ in taken..100 {
            fronts[0].receive().await;
        }
        host.be(State::Closed);
        host.detach();
    });
}

fn front_key(key: &str) -> String {
    format!("{}/{key}", super::frontend::FRONTEND)
}

#[test]
fn a_frontend_that_is_gone_is_not_sent_what_came_before_when_it_is_back() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        let front = Front::connect(&host, ALL).await;
        front.send(&frame(OTHER, GUEST, 60), 4096, 0, None);
        arrives(&network).await;
        deliver(&network, 60);
        a_while().await;
        host.be(State::Closed);
        host.until(State::Closed).await;
        deliver(&network, 70);
        let front = Front::connect(&host, ALL).await;
        front.offer(4);
        let bytes = deliver(&network, 80);
        assert_eq!(front.receive().await.bytes, bytes);
        host.be(State::Closed);
        host.detach();
    });
    assert_eq!(*host.traffic.lock().unwrap(), Traffic { sent: 1, refused: 0, taken: 2, lost: 0 });
}

#[test]
fn two_hundred_connections_leave_nothing_behind() {
    // Rests come to last ten seconds.
    let host = Host { platform: SimPlatform::new(Clock::ExpiresAtOnce), ..Host::new() };
    let network = host.network();
    host.serve(async {
        for round in 0..200 {
            let front = Front::connect(&host, ALL).await;
            if round % 100 == 0 {
                front.send(&frame(OTHER, GUEST, 60), 4096, 0, None);
                arrives(&network).await;
            }
            host.be(if round % 2 == 0 { State::Closed } else { State::Initialising });
            host.until(if round % 2 == 0 { State::Closed } else { State::InitWait }).await;
            for ring in [&front.transmit, &front.receive] {
                assert!(ring.references().iter().all(|page| front.peer.withdraw(*page)));
            }
        }
        host.detach();
    });
    assert!(host.failures.lock().unwrap().is_empty());
}

/// How a frontend goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Closes,
    Vanishes,
    IsDetached,
    /// With its domain: the toolstack does not wait for us.
    IsDestroyed,
}

#[test]
fn a_frontend_that_goes_at_any_moment_leaves_nothing_behind() {
    for way in [Way::Closes, Way::Vanishes, Way::IsDetached, Way::IsDestroyed] {
        for turns in (0..100).step_by(5) {
            let host = Host { platform: SimPlatform::new(Clock::ExpiresAtOnce), ..Host::new() };
            let network = host.network();
            host.serve(async {
                host.until(State::InitWait).await;
                let front = Front::make(&host, ALL);
                front.offer(4);
                front.send(&frame(OTHER, GUEST, 60), 4096, 0, None);
                host.be(State::Connected);
                for _ in 0..turns {
                    yield_now().await;
                }
                deliver(&network, 60);
                match way {
                    Way::Closes => host.be(State::Closed),
                    Way::Vanishes => host.xenstored.remove(FRONTEND),
                    Way::IsDetached => host.detach(),
                    Way::IsDestroyed => {
                        [FRONTEND, BACKEND].iter().for_each(|path| host.xenstored.remove(path))
                    }
                }
                let mut granted = [front.transmit.references(), front.receive.references()].concat();
                // As long as a frontend that does not let go may take.
                for _ in 0..2000 {
                    if granted.is_empty() {
                        break;
                    }
                    granted.retain(|page| !front.peer.withdraw(*page));
                    yield_now().await;
                }
                assert!(granted.is_empty(), "{way:?} after {turns} turns");
                if !matches!(way, Way::IsDestroyed) {
                    host.detach();
                }
            });
        }
    }
}
