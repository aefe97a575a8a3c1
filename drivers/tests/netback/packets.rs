// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::bridge::{Checksum, Mac, Packet, Source, Traffic};
use prism_drivers::net::{GsoInfo, fill_checksum, verify_checksum};
use proptest::prelude::*;
use xen_sys::io::netif::*;

use super::frontend::{
    ALL, Front, GUEST, Host, NONE, OTHER, a_while, arrives, deliver, frame, gso, of_extra, request, tcp,
};

const OKAY: i16 = NETIF_RSP_OKAY;
const TCPV4: u8 = XEN_NETIF_GSO_TYPE_TCPV4;
const VALIDATED: u16 = NETRXF_data_validated;
const BLANK: u16 = NETRXF_data_validated | NETRXF_csum_blank;

#[test]
fn packets_go_both_ways_as_they_are() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        front.offer(32);
        for length in [14, 60, 1000, 1514] {
            let bytes = frame(OTHER, GUEST, length);
            let entries = front.send(&bytes, 400, 0, None);
            let answers: Vec<_> = (0..entries).map(|id| (id as u16, OKAY)).collect();
            assert_eq!(front.answers(entries).await, answers);
            assert_eq!(arrives(&network).await.bytes(), bytes);
            let bytes = deliver(&network, length);
            let received = front.receive_by_event().await;
            assert_eq!((received.bytes, received.flags, received.gso), (bytes, VALIDATED, None));
        }
    });
    assert_eq!(*host.traffic.lock().unwrap(), Traffic { sent: 4, refused: 0, taken: 4, lost: 0 });
    assert!(host.failures.lock().unwrap().is_empty());
}

#[test]
fn segments_that_leave_as_one_pass_as_one() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        front.offer(64);
        for (payload, each) in [(60_000, 4096), (1461, 700), (65_000, 4000)] {
            let bytes = tcp(OTHER, GUEST, payload);
            let entries =
                front.send(&bytes, each, NETTXF_csum_blank | NETTXF_data_validated, Some(gso(1460, TCPV4)));
            let answers = front.answers(entries).await;
            assert_eq!(answers[1], (0, NETIF_RSP_NULL), "the extra information's");
            assert!(answers.iter().enumerate().all(|(index, (_, status))| index == 1 || *status == OKAY));
            let packet = arrives(&network).await;
            let info = GsoInfo { size: 1460, kind: TCPV4 };
            assert_eq!(
                (packet.gso(), packet.is_blank(), &packet.bytes()[54..]),
                (Some(info), true, &bytes[54..])
            );
            let bytes = tcp(GUEST, OTHER, payload);
            network.send(Packet::new(bytes.clone(), Checksum::Blank, Some(info)).unwrap(), 0);
            let received = front.receive().await;
            assert_eq!((received.flags, received.gso), (BLANK | NETRXF_extra_info, Some((1460, 1))));
            assert_eq!((received.bytes.len(), &received.bytes[54..]), (bytes.len(), &bytes[54..]));
        }
    });
}

#[test]
fn a_frontend_that_takes_less_gets_segments_in_pages_of_their_own_with_checksums() {
    let host = Host::new();
    let network = host.network();
    host.front("feature-no-csum-offload", "1");
    host.serve_with(NONE, async |front| {
        front.offer(16);
        let bytes = tcp(GUEST, OTHER, 4000);
        let info = Some(GsoInfo { size: 1460, kind: TCPV4 });
        network.send(Packet::new(bytes.clone(), Checksum::Blank, info).unwrap(), 0);
        let mut payload = Vec::<u8>::new();
        for _ in 0..3 {
            let received = front.receive().await;
            assert!(
                received.flags == VALIDATED && received.gso.is_none() && verify_checksum(&received.bytes)
            );
            payload.extend(&received.bytes[54..]);
        }
        assert_eq!(payload, bytes[54..]);
    });
}

#[test]
fn of_blank_checksums_over_ipv6_only_who_says_so_takes_any() {
    for (keys, flags) in [(&ALL[..5], VALIDATED), (ALL, BLANK)] {
        let host = Host::new();
        let network = host.network();
        host.serve_with(keys, async |front| {
            front.offer(1);
            let mut bytes = [&GUEST[..], &OTHER, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 12, 17, 64]].concat();
            bytes.extend([7; 32]);
            bytes.extend([0, 9, 0, 7, 0, 12, 0, 0, 1, 2, 3, 4]);
            network.send(Packet::new(bytes, Checksum::Blank, None).unwrap(), 0);
            let received = front.receive().await;
            assert_eq!((received.flags, verify_checksum(&received.bytes)), (flags, flags == VALIDATED));
        });
    }
}

#[test]
fn between_guests_a_blank_checksum_stays_blank_and_a_wrong_one_goes_nowhere() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        let mut good = tcp(OTHER, GUEST, 100);
        fill_checksum(&mut good);
        let mut bad = good.clone();
        bad[99] ^= 1;
        front.send(&bad, 4096, 0, None);
        assert_eq!(front.answers(1).await, [(0, NETIF_RSP_ERROR)]);
        front.send(&good, 4096, 0, None);
        assert_eq!(front.answers(1).await, [(0, OKAY)]);
        let packet = arrives(&network).await;
        assert!(packet.bytes() == good && !packet.is_blank());
        // What is in the field does not count.
        front.send(&bad, 4096, NETTXF_csum_blank, None);
        let packet = arrives(&network).await;
        assert!(packet.is_blank() && verify_checksum(&packet.filled()));
    });
}

#[test]
fn packets_wait_for_pages_and_too_many_are_lost() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        let bytes: Vec<_> = (0..1000).map(|_| deliver(&network, 1514)).collect();
        a_while().await;
        assert_eq!(front.receive.responses(), 0);
        front.offer(1);
        assert_eq!(front.receive_by_event().await.bytes, bytes[0]);
        a_while().await;
        assert!(front.take().is_none());
        let mut rest = 0;
        for _ in 0..5 {
            front.offer(200);
            a_while().await;
            rest +=
                std::iter::from_fn(|| front.take()).map(|packet| assert_eq!(packet.bytes, bytes[0])).count();
        }
        assert!((500..700).contains(&rest), "{rest}");
    });
    let traffic = *host.traffic.lock().unwrap();
    assert_eq!(traffic.taken + traffic.lost, 1000);
}

#[test]
fn what_a_network_does_not_take_waits_in_the_frontends_ring() {
    let host = Host::new();
    let network = host.network();
    // So that the bridge knows where it is.
    network.send(Packet::new(frame([8; 6], OTHER, 60), Checksum::Right, None).unwrap(), 0);
    host.serve_one(async |front| {
        let (mut sent, mut answered) = (0, 0);
        let payload = |number: usize| tcp(OTHER, GUEST, 60_000 + number);
        loop {
            let bytes = payload(sent);
            let entries = front.send(&bytes, 4096, NETTXF_csum_blank, Some(gso(1460, TCPV4)));
            sent += 1;
            a_while().await;
            let answers = front.responses().len();
            answered += answers;
            if answers < entries {
                assert_eq!(answers, 0);
                break;
            }
            assert!(sent < 100, "it is never held back");
        }
        assert!(sent > 3);
        // One more is in the ring, and all of it arrives as it is taken, in its order.
        for number in 0..sent {
            assert_eq!(arrives(&network).await.bytes().len(), payload(number).len());
        }
        assert_eq!(front.responses().len(), 16);
        assert!(answered > 0 && network.take().is_none());
    });
    assert_eq!(network.traffic().lost, 0);
}

#[test]
fn a_packet_of_several_pages_waits_until_there_are_enough() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        let info = GsoInfo { size: 1460, kind: TCPV4 };
        let bytes = tcp(GUEST, OTHER, 10_000);
        network.send(Packet::new(bytes.clone(), Checksum::Blank, Some(info)).unwrap(), 0);
        a_while().await;
        for _ in 0..3 {
            front.offer(1);
            a_while().await;
            assert_eq!(front.receive.responses(), 0, "three for the data, one for what is told of it");
        }
        front.offer(1);
        assert_eq!(front.receive().await.bytes[54..], bytes[54..]);
    });
}

#[test]
fn a_frontend_that_tells_nobody_of_pages_is_looked_after() {
    let host = Host::new();
    let network = host.network();
    host.serve_with(&["request-rx-copy", "feature-sg"], async |front| {
        let bytes = deliver(&network, 100);
        a_while().await;
        // Behind the backend's back.
        let page = front.peer.offer_to_write(&[]);
        front.receive.request(0, netif_rx_request { id: 3, pad: 0, gref: page.number() });
        front.receive.publish(1);
        a_while().await;
        let response: netif_rx_response = front.receive.response(0);
        assert_eq!((response.id, response.status), (3, 100));
        assert_eq!(front.peer.offered::<100>(page, 0), bytes[..]);
    });
}

#[test]
fn nobody_sees_what_a_guest_sends_from_another_address() {
    let host = Host::new();
    let network = host.network();
    let other = host.bridge.attach(Source::Only(OTHER), 1500).unwrap();
    host.serve_one(async |front| {
        front.send(&frame([0xff; 6], OTHER, 60), 4096, 0, None);
        assert_eq!(front.answers(1).await, [(0, OKAY)]);
        front.send(&frame([0xff; 6], GUEST, 61), 4096, 0, None);
        assert_eq!(arrives(&network).await.bytes().len(), 61);
        assert_eq!(arrives(&other).await.bytes().len(), 61);
    });
    assert_eq!(*host.traffic.lock().unwrap(), Traffic { sent: 2, refused: 1, taken: 0, lost: 0 });
}

#[test]
fn a_round_of_packets_costs_one_event_each_way() {
    let host = Host::new();
    let network = host.network();
    host.serve_one(async |front| {
        front.offer(64);
        a_while().await;
        front.responses();
        let before = (front.far.events(), front.far_receive.events());
        let gref = front.page(&frame(OTHER, GUEST, 60));
        let entries: Vec<_> = (0..32).map(|id| super::frontend::request(gref, 0, 0, id, 60)).collect();
        front.push(&entries);
        front.receive.listen(1);
        (0..32).for_each(|_| drop(deliver(&network, 60)));
        front.answers(32).await;
        a_while().await;
        assert_eq!((front.far.events() - before.0, front.far_receive.events() - before.1), (1, 1));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever an honest frontend sends, in whatever pieces, arrives in order and whole, and the same the
    /// other way.
    #[test]
    fn what_is_sent_arrives_in_order_and_whole(
        packets in prop::collection::vec((14..1515_usize, 90..4097_usize, any::<bool>(), 1..60_000_usize), 1..40),
    ) {
        let host = Host::new();
        let network = host.network();
        host.serve_one(async |front| {
            for (length, each, segments, payload) in packets {
                front.offer(20_u32.saturating_sub(front.receive.requests() - front.receive.responses()));
                let each = if segments { each.max(4000) } else { each };
                let (bytes, back, info) = if segments {
                    (tcp(OTHER, GUEST, payload), tcp(GUEST, OTHER, payload), Some(GsoInfo { size: 1000, kind: TCPV4 }))
                } else {
                    (frame(OTHER, GUEST, length), frame(GUEST, OTHER, length), None)
                };
                let flags = if segments { NETTXF_csum_blank } else { 0 };
                front.send(&bytes, each, flags, info.map(|info| gso(info.size, info.kind)));
                let packet = arrives(&network).await;
                assert!(packet.bytes().len() == bytes.len() && (segments || packet.bytes() == bytes));
                assert!(!segments || packet.bytes()[54..] == bytes[54..]);
                network.send(Packet::new(back.clone(), Checksum::Unverified, info).unwrap_or_else(|_| {
                    Packet::new(back.clone(), Checksum::Blank, info).unwrap()
                }), 0);
                let received = front.receive_by_event().await;
                assert!(!received.failed && received.bytes.len() == back.len());
                assert_eq!(received.bytes[54.min(back.len())..], back[54.min(back.len())..]);
            }
        });
        assert_eq!(host.traffic.lock().unwrap().lost, 0);
    }
}

/// Names a group in a request without data; returns how that is answered.
async fn name_group(front: &Front, kind: u8, [a, b, c, d, e, f]: Mac) -> i16 {
    let u = [[a, b], [c, d], [e, f]].map(u16::from_ne_bytes);
    let extra = netif_extra_info { r#type: kind, flags: 0, u };
    front.push(&[request(0, 0, NETTXF_extra_info, 5, 0), of_extra(extra)]);
    let answers = front.answers(2).await;
    assert_eq!((answers[0].0, answers[1]), (5, (0, NETIF_RSP_NULL)));
    answers[0].1
}

const JOIN: u8 = XEN_NETIF_EXTRA_TYPE_MCAST_ADD;
const LEAVE: u8 = XEN_NETIF_EXTRA_TYPE_MCAST_DEL;

/// A group's address.
fn group(number: u8) -> Mac {
    [0x33, 0x33, 0, 0, 0, number]
}

#[test]
fn a_frontend_that_names_its_groups_gets_no_others() {
    let host = Host::new();
    let network = host.network();
    host.serve_with(&["request-rx-copy", "request-multicast-control"], async |front| {
        assert_eq!(host.key("feature-multicast-control").as_deref(), Some("1"));
        front.offer(16);
        let send =
            |to| network.send(Packet::new(frame(to, OTHER, 60), Checksum::Unverified, None).unwrap(), 0);
        // Whether what is sent to group 9 comes: what is sent to all behind that comes in any case.
        let sent_to_9 = async || {
            send(group(9));
            send([0xff; 6]);
            let first = front.receive().await.bytes;
            let is_there = first == frame(group(9), OTHER, 60);
            let last = if is_there { front.receive().await.bytes } else { first };
            assert_eq!(last, frame([0xff; 6], OTHER, 60));
            is_there
        };
        assert!(!sent_to_9().await, "it has joined none");
        assert_eq!(name_group(&front, JOIN, group(9)).await, OKAY);
        assert_eq!(name_group(&front, JOIN, group(9)).await, OKAY);
        assert!(sent_to_9().await);
        send(group(8));
        let own = deliver(&network, 60);
        assert_eq!(front.receive().await.bytes, own);
        assert_eq!(name_group(&front, LEAVE, group(8)).await, OKAY);
        assert_eq!(name_group(&front, LEAVE, group(9)).await, OKAY);
        assert!(!sent_to_9().await);
    });
}

#[test]
fn a_frontend_is_in_no_more_groups_than_are_kept_and_joins_no_single_address() {
    let host = Host::new();
    host.serve_with(&["request-rx-copy", "request-multicast-control"], async |front| {
        assert_eq!(name_group(&front, JOIN, OTHER).await, NETIF_RSP_ERROR);
        for number in 0..64 {
            assert_eq!(name_group(&front, JOIN, group(number)).await, OKAY);
        }
        assert_eq!(name_group(&front, JOIN, group(64)).await, NETIF_RSP_ERROR);
        assert_eq!(name_group(&front, JOIN, group(63)).await, OKAY, "it is in that one");
        assert_eq!(name_group(&front, LEAVE, group(0)).await, OKAY);
        assert_eq!(name_group(&front, JOIN, group(64)).await, OKAY);
    });
}

#[test]
fn a_frontend_that_names_no_groups_gets_all() {
    let host = Host::new();
    let network = host.network();
    host.serve_with(ALL, async |front| {
        front.offer(16);
        assert_eq!(name_group(&front, JOIN, group(1)).await, OKAY);
        assert_eq!(name_group(&front, LEAVE, group(2)).await, OKAY);
        let bytes = frame(group(2), OTHER, 60);
        network.send(Packet::new(bytes.clone(), Checksum::Unverified, None).unwrap(), 0);
        assert_eq!(front.receive().await.bytes, bytes);
    });
}
