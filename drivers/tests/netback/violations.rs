// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::bridge::{Checksum, Packet};
use proptest::prelude::*;
use xen::xenbus::State;
use xen_sys::io::netif::*;

use super::frontend::{
    ALL, FRONTEND, Front, GUEST, Host, OTHER, a_while, arrives, deliver, deliver_from, frame, gso, of_extra,
    request,
};

const ERROR: i16 = NETIF_RSP_ERROR;
const OKAY: i16 = NETIF_RSP_OKAY;

#[test]
fn requests_that_make_no_sense_are_refused_and_others_of_the_round_are_served() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        let good = front.page(&frame(OTHER, GUEST, 60));
        let writable = front.peer.offer_to_write(&frame(OTHER, GUEST, 60)).number();
        let withdrawn = front.peer.offer_to_read(&[]);
        assert!(front.peer.withdraw(withdrawn));
        let (more, extra) = (NETTXF_more_data, NETTXF_extra_info);
        let bad = [
            vec![request(good, 0, 0, 1, 0)],
            vec![request(good, 4090, 0, 1, 60)],
            vec![request(good, 0, 0, 1, 4097)],
            vec![request(0, 0, 0, 1, 60)],
            vec![request(99_999, 0, 0, 1, 60)],
            vec![request(u32::MAX, 0, 0, 1, 60)],
            vec![request(withdrawn.number(), 0, 0, 1, 60)],
            vec![request(good, 0, more, 1, 60), request(99_999, 0, 0, 1, 10)],
            vec![request(good, 0, more, 1, 60), request(good, 0, 0, 1, 61)],
            vec![request(good, 0, NETTXF_csum_blank, 1, 60)],
            vec![request(good, 0, extra, 1, 60), of_extra(gso(1460, XEN_NETIF_GSO_TYPE_TCPV4))],
            vec![request(good, 0, extra, 1, 60), of_extra(gso(0, XEN_NETIF_GSO_TYPE_TCPV4))],
            vec![request(good, 0, extra, 1, 60), of_extra(gso(1460, 9))],
        ];
        for bad in bad {
            let last = bad.len();
            let entries = [&bad[..], &[request(writable, 0, 0, 2, 60)]].concat();
            front.push(&entries);
            let answers = front.answers(entries.len()).await;
            assert_eq!(answers[last], (2, OKAY), "{bad:?}");
            assert!(answers[..last].iter().all(|answer| [(1, ERROR), (0, NETIF_RSP_NULL)].contains(answer)));
            assert_eq!(arrives(&network).await.bytes(), frame(OTHER, GUEST, 60));
            assert!(network.take().is_none());
        }
    });
    assert!(host.failures.lock().unwrap().is_empty());
}

#[test]
fn pages_to_receive_into_that_are_none_cost_their_packets_only() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        let read_only = front.page(&[7; 100]);
        let bad = [0, 99_999, u32::MAX, read_only];
        for (index, gref) in (0..).zip(bad) {
            front.receive.request(index, netif_rx_request { id: 500 + index as u16, pad: 9, gref });
        }
        let good = front.peer.offer_to_write(&[]);
        front.receive.request(4, netif_rx_request { id: 77, pad: 0, gref: good.number() });
        front.receive.publish(5);
        (0..5).for_each(|_| drop(deliver(&network, 60)));
        a_while().await;
        assert_eq!(front.receive.responses(), 5);
        for index in 0..4 {
            let response: netif_rx_response = front.receive.response(index);
            assert_eq!((response.id, response.status), (500 + index as u16, ERROR));
        }
        let response: netif_rx_response = front.receive.response(4);
        assert_eq!((response.id, response.offset, response.status), (77, 0, 60));
        assert_eq!(front.peer.offered::<60>(good, 0)[..], frame(GUEST, OTHER, 60));
        assert_eq!(front.peer.offered::<100>(xen::grant::Reference::new(read_only).unwrap(), 0), [7; 100]);
    });
}

#[test]
fn a_frontend_that_breaks_the_protocol_is_closed_and_served_when_it_starts_again() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        for round in 0..4 {
            let front = Front::connect(&host, ALL).await;
            let bytes = frame(OTHER, GUEST, 60);
            front.send(&bytes, 4096, 0, None);
            arrives(&network).await;
            let kept = [front.transmit.references(), front.receive.references()].concat();
            let good = front.page(&bytes);
            match round {
                0 => drop(front.transmit.publish(front.transmit.requests() + 257)),
                1 => drop(front.transmit.publish(front.transmit.requests() - 1)),
                2 => front.push(&[request(good, 0, NETTXF_more_data, 1, 60)]),
                _ => front.push(&[request(good, 0, NETTXF_extra_info, 1, 60)]),
            }
            front.far.notify();
            host.until(State::Closing).await;
            assert!(kept.iter().all(|page| front.peer.withdraw(*page)), "its rings are unmapped");
            host.be(State::Closed);
            host.until(State::Closed).await;
        }
        host.detach();
    });
    let failures = host.failures.lock().unwrap();
    assert_eq!(failures.len(), 4);
    assert!(failures[0].contains("unanswered requests in a ring of 256"), "{failures:?}");
    assert!(failures[2].contains("invalid request"), "{failures:?}");
}

#[test]
fn a_frontend_that_claims_too_many_pages_to_receive_into_is_closed() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        let front = Front::connect(&host, ALL).await;
        front.receive.publish(300);
        deliver(&network, 60);
        host.until(State::Closing).await;
        host.detach();
        host.be(State::Closed);
    });
    assert_eq!(host.failures.lock().unwrap().len(), 1);
}

#[test]
fn keys_that_make_no_sense_are_told_and_nothing_is_mapped() {
    let lies = [
        ("tx-ring-ref", "0"),
        ("tx-ring-ref", "-1"),
        ("tx-ring-ref", "99999"),
        ("rx-ring-ref", ""),
        ("rx-ring-ref", "4294967296"),
        ("event-channel-tx", "0"),
        ("event-channel-tx", "4000"),
        ("event-channel-rx", "x"),
        ("multi-queue-num-queues", "0"),
        ("multi-queue-num-queues", "2"),
        ("multi-queue-num-queues", "5"),
        ("multi-queue-num-queues", "4294967297"),
        ("multi-queue-num-queues", "-1"),
        ("request-rx-copy", "0"),
        ("feature-sg", "2"),
        ("feature-gso-tcpv4", "\x1b[2J"),
    ];
    for (key, value) in lies {
        let host = Host::new();
        host.serve(async {
            host.until(State::InitWait).await;
            let front = Front::make(&host, ALL);
            host.front(key, value);
            host.be(State::Connected);
            host.until(State::Closing).await;
            let rings = [front.transmit.references(), front.receive.references()].concat();
            assert!(rings.iter().all(|page| front.peer.uses(*page) == 0), "{key}={value}");
            host.be(State::Closed);
            host.until(State::Closed).await;
            host.detach();
        });
        let failures = host.failures.lock().unwrap();
        assert_eq!(failures.len(), 1, "{key}={value}");
        assert!(!failures[0].contains('\x1b'));
    }
}

/// Has the frontend say the same twice.
fn repeat(host: &Host, key: &str, other: &str) {
    host.front(other, host.xenstored.read(&format!("{FRONTEND}/{key}")).unwrap());
}

#[test]
fn queues_that_make_no_sense_are_told_and_nothing_of_the_others_is_left() {
    let lies: [fn(&Host); 6] = [
        |host| host.front("multi-queue-num-queues", "3"),
        |host| host.xenstored.remove(&format!("{FRONTEND}/queue-1/tx-ring-ref")),
        |host| host.xenstored.remove(&format!("{FRONTEND}/queue-1/event-channel-rx")),
        |host| host.front("queue-1/rx-ring-ref", "99999"),
        |host| repeat(host, "queue-0/event-channel-tx", "queue-1/event-channel-tx"),
        |host| repeat(host, "queue-1/event-channel-tx", "queue-1/event-channel-rx"),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let host = Host::new();
        host.serve(async {
            host.until(State::InitWait).await;
            let fronts = Front::make_several(&host, 2);
            lie(&host);
            host.be(State::Connected);
            host.until(State::Closing).await;
            assert_eq!(host.platform.channels(), 0, "lie {number}");
            for front in &fronts {
                let rings = [front.transmit.references(), front.receive.references()].concat();
                assert!(rings.iter().all(|page| front.peer.uses(*page) == 0), "lie {number}");
            }
            host.be(State::Closed);
            host.until(State::Closed).await;
            host.detach();
        });
        assert_eq!(host.failures.lock().unwrap().len(), 1, "lie {number}");
        assert!(host.bridge.guests().is_empty());
    }
}

#[test]
fn a_queue_that_breaks_the_protocol_closes_them_all() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        host.until(State::InitWait).await;
        let fronts = Front::make_several(&host, 4);
        host.be(State::Connected);
        host.until(State::Connected).await;
        fronts[3].receive.publish(300);
        fronts[0].send(&frame(OTHER, GUEST, 60), 4096, 0, None);
        arrives(&network).await;
        (0..20).for_each(|port| drop(deliver_from(&network, port)));
        host.until(State::Closing).await;
        assert_eq!(host.platform.channels(), 0);
        host.be(State::Closed);
        host.until(State::Closed).await;
        // What is one queue's only is where it always was.
        host.front("multi-queue-num-queues", "1");
        let front = Front::connect(&host, ALL).await;
        front.send(&frame(OTHER, GUEST, 70), 4096, 0, None);
        assert_eq!(arrives(&network).await.bytes().len(), 70);
        host.detach();
        host.be(State::Closed);
    });
    assert_eq!(host.failures.lock().unwrap().len(), 1);
}

#[test]
fn a_frontend_without_keys_is_told_so() {
    for missing in ["tx-ring-ref", "rx-ring-ref", "event-channel-tx", "event-channel-rx"] {
        let host = Host::new();
        host.serve(async {
            host.until(State::InitWait).await;
            let _front = Front::make(&host, ALL);
            host.xenstored.remove(&format!("{}/{missing}", super::frontend::FRONTEND));
            host.be(State::Connected);
            host.until(State::Closing).await;
            host.detach();
            host.be(State::Closed);
        });
        assert!(host.failures.lock().unwrap()[0].contains("does not say where its rings"));
    }
}

#[test]
fn one_page_for_both_rings_does_no_harm() {
    let host = Host::new();
    let network = host.network();
    host.serve(async {
        host.until(State::InitWait).await;
        let front = Front::make(&host, ALL);
        host.front("rx-ring-ref", front.transmit.references()[0].to_string());
        host.be(State::Connected);
        host.until(State::Connected).await;
        for _ in 0..40 {
            front.send(&frame(OTHER, GUEST, 60), 4096, 0, None);
            deliver(&network, 60);
            a_while().await;
        }
        host.be(State::Closed);
        host.detach();
    });
}

#[test]
fn events_without_requests_are_noted() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        for _ in 0..5 {
            front.far.notify();
            a_while().await;
        }
        assert!(front.far.in_vain() >= 4);
        front.send(&frame(OTHER, GUEST, 60), 4096, 0, None);
        arrives(&network).await;
        assert_eq!(front.far.in_vain(), 0);
    });
}

#[test]
fn events_of_a_guest_that_is_held_back_are_noted_too() {
    let host = Host::new();
    let network = host.network();
    // So that the bridge knows where it is.
    network.send(Packet::new(frame([8; 6], OTHER, 60), Checksum::Right, None).unwrap(), 0);
    host.serve_one(async |front| {
        let page = front.page(&frame(OTHER, GUEST, 1500));
        let many: Vec<_> = (0..250).map(|id| request(page, 0, NETTXF_data_validated, id, 1500)).collect();
        front.push(&many);
        let answered = front.answers(150).await.len();
        a_while().await;
        assert!(answered + front.responses().len() < 250, "it is held back");
        for _ in 0..5 {
            front.far.notify();
            a_while().await;
        }
        assert!(front.far.in_vain() >= 4);
        for _ in 0..250 {
            arrives(&network).await;
        }
        assert_eq!(front.far.in_vain(), 0);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is in the ring, each request is answered once and in order, or the connection is closed.
    #[test]
    fn every_request_is_answered_once_whatever_it_says(
        entries in prop::collection::vec((0..20_u32, 0..16_u16, any::<[u16; 2]>(), 0..4_u8), 1..64),
    ) {
        let host = Host::new();
        let network = host.network();
        host.serve(async {
            let front = Front::connect(&host, ALL).await;
            front.offer(8);
            let page = front.page(&frame(OTHER, GUEST, 4096));
            for (number, (choice, flags, [offset, size], small)) in (0_u16..).zip(entries) {
                let gref = if choice > 1 { page } else { choice * 77 };
                let (offset, size) = if small > 0 { (offset % 100, size % 2000) } else { (offset, size) };
                front.push(&[request(gref, offset, flags, number, size)]);
                a_while().await;
                deliver(&network, 60);
                let state = host.key("state");
                if state.as_deref() != Some("4") {
                    break;
                }
                let answers = front.answers(1).await;
                assert_eq!((answers.len(), answers[0].0), (1, number));
                assert!([OKAY, ERROR].contains(&answers[0].1));
            }
            host.be(State::Closed);
            host.until(State::Closed).await;
            host.detach();
        });
    }
}
