// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::MAX_FRAME;
use prism_drivers::net::netfront::{BackendFeatures, QueuePair, RingPages};
use prism_drivers::net::{ETHERNET_HEADER, Transport};
use xen_sys::io::netif::*;

use crate::backend::{Backend, FEATURES, PAGES, WAYS, connected, connected_with, frame, platform, receive};

#[test]
fn packets_come_in_order_and_each_page_again_and_again() {
    for receive in WAYS {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        assert_eq!(backend.room(), PAGES.receive as u32);
        for number in 0..1000_u16 {
            let frame = frame(&number.to_be_bytes());
            backend.deliver(&frame);
            assert_eq!(receive(&mut pair).unwrap(), Some(frame));
            assert_eq!(receive(&mut pair).unwrap(), None);
            let _ = pair.publish();
            assert_eq!(backend.room(), PAGES.receive as u32);
        }
    }
}

#[test]
fn a_packet_of_many_parts_comes_as_one() {
    for receive in WAYS {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        let bytes: Vec<u8> = (0..64_000_u32).map(|number| number as u8).collect();
        let (first, rest) = bytes.split_at(100);
        let flags = NETRXF_extra_info | NETRXF_more_data | NETRXF_csum_blank | NETRXF_data_validated;
        backend.part(3000, first, |response| response.flags = flags);
        let gso = [1448, u16::from(XEN_NETIF_GSO_TYPE_TCPV4), 0];
        backend.extra(netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_GSO, flags: 0, u: gso });
        let mut parts = rest.chunks(4096).peekable();
        while let Some(part) = parts.next() {
            let more = if parts.peek().is_some() { NETRXF_more_data } else { 0 };
            backend.part(0, part, |response| response.flags = more);
        }
        assert!(backend.publish());
        assert!(receive(&mut pair).unwrap() == Some(bytes));
        assert_eq!(pair.gso().map(|info| (info.size, info.kind)), Some((1448, XEN_NETIF_GSO_TYPE_TCPV4)));
        backend.deliver(&frame(&[7]));
        assert!(receive(&mut pair).unwrap().is_some() && pair.gso().is_none());
    }
}

#[test]
fn a_packet_whose_end_has_not_come_yet_is_waited_for() {
    for receive in WAYS {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        let frame = frame(&[5; 1000]);
        backend.part(0, &frame[..500], |response| response.flags = NETRXF_more_data);
        backend.publish();
        assert_eq!(receive(&mut pair).unwrap(), None);
        assert!(!pair.request_event().unwrap());
        backend.part(0, &frame[500..], |_| ());
        assert!(backend.publish(), "it wants to be told");
        assert_eq!(receive(&mut pair).unwrap(), Some(frame));
    }
}

/// Delivers a packet of five pages; whether the frontend wants an event.
fn deliver_long(backend: &Backend) -> bool {
    for left in (0..5).rev() {
        let more = if left > 0 { NETRXF_more_data } else { 0 };
        backend.part(0, &[7; 4096], |response| response.flags = NETRXF_data_validated | more);
    }
    backend.publish()
}

#[test]
fn long_packets_share_events_unless_few_come() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    let take_all = |pair: &mut QueuePair<_>| {
        let taken = (0..).take_while(|_| receive(pair).unwrap().is_some()).count();
        assert!(!pair.request_event().unwrap());
        let _ = pair.publish();
        taken
    };
    for _ in 0..4 {
        assert!(deliver_long(&backend));
        assert_eq!(take_all(&mut pair), 1);
    }
    let several = (PAGES.receive / 3).div_ceil(5);
    for _ in 0..10 {
        for _ in 1..several {
            assert!(!deliver_long(&backend));
            assert!(!pair.needs_poll(false).unwrap());
        }
        assert!(deliver_long(&backend));
        assert!(pair.needs_poll(false).unwrap());
        assert_eq!(take_all(&mut pair), several);
    }
    pair.poll_deferred().unwrap();
    assert!(!pair.needs_poll(false).unwrap());
    assert!(deliver_long(&backend), "somebody looks");
    assert_eq!(take_all(&mut pair), 1);
    assert!(!deliver_long(&backend));
    assert!(!pair.needs_poll(false).unwrap());
    pair.poll_deferred().unwrap();
    assert!(pair.needs_poll(false).unwrap(), "somebody looked");
    assert_eq!(take_all(&mut pair), 1);
    assert!(deliver_long(&backend), "it was in vain");
}

#[test]
fn damaged_packets_are_dropped_unless_the_backend_vouches_for_them() {
    for receive in WAYS {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        let mut damaged = frame(b"payload");
        Transport::find(&damaged).unwrap().fill_checksum(&mut damaged);
        backend.deliver(&damaged);
        assert_eq!(receive(&mut pair).unwrap(), Some(damaged.clone()));
        damaged[45] ^= 1;
        backend.deliver(&damaged);
        assert_eq!(receive(&mut pair).unwrap(), Some(Vec::new()));
        for flags in [NETRXF_data_validated, NETRXF_csum_blank] {
            backend.part(0, &damaged, |response| response.flags = flags);
            backend.publish();
            assert_eq!(receive(&mut pair).unwrap(), Some(damaged.clone()));
        }
    }
}

#[test]
fn a_packet_that_the_backend_failed_to_receive_is_skipped() {
    for receive in WAYS {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        backend.part(0, b"", |response| response.status = NETIF_RSP_ERROR);
        backend.part(0, b"", |response| response.status = NETIF_RSP_DROPPED);
        backend.deliver(&frame(b"next"));
        assert_eq!(receive(&mut pair).unwrap(), Some(frame(b"next")));
    }
}

#[test]
fn checksums_are_left_to_a_backend_that_fills_them_in_and_to_no_other() {
    let platform = platform();
    for (features, flags) in [
        (FEATURES, NETTXF_csum_blank | NETTXF_data_validated),
        (BackendFeatures { checksum_ipv4: false, ..FEATURES }, 0),
    ] {
        let (mut pair, backend) = connected(&platform, features);
        let mut packet = frame(b"payload");
        pair.send(&mut packet);
        assert!(pair.publish().transmit);
        let sent = backend.take().unwrap();
        assert_eq!(sent.flags, flags);
        let transport = Transport::find(&sent.bytes).unwrap();
        let mut filled = sent.bytes.clone();
        transport.fill_checksum(&mut filled);
        assert_eq!(sent.bytes == filled, flags == 0);
        // What is blank holds the sum of the pseudo header.
        let mut blank = sent.bytes.clone();
        transport.blank(&mut blank);
        assert_eq!(sent.bytes == blank, flags != 0);
    }
}

#[test]
fn what_is_no_tcp_or_udp_is_sent_as_it_is() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[8, 6]);
    pair.send(&mut arp);
    let _ = pair.publish();
    let sent = backend.take().unwrap();
    assert_eq!((sent.bytes, sent.flags), (arp, 0));
}

#[test]
fn packets_sent_in_one_go_are_told_once() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    backend.request_event();
    for number in 0..10 {
        pair.send(&mut frame(&[number]));
    }
    assert!(backend.take().is_none(), "nothing is seen before it is published");
    assert!(pair.publish().transmit);
    assert!(!pair.publish().transmit);
    assert_eq!((0..20).filter(|_| backend.take().is_some()).count(), 10);
    pair.send(&mut frame(b"more"));
    assert!(!pair.publish().transmit, "a backend that is at work is not told");
}

#[test]
fn a_jumbo_frame_leaves_in_parts() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    let mut packet = frame(&vec![7; 8958]);
    assert_eq!(packet.len(), 9000);
    assert!(pair.can_send(packet.len()).unwrap());
    pair.send(&mut packet);
    let _ = pair.publish();
    let sent = backend.take().unwrap();
    assert_eq!((sent.ids.len(), sent.bytes == packet), (3, true));
}

#[test]
fn when_all_pages_are_on_their_way_there_is_an_event_for_half_of_them_and_then_room() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    for _ in 0..PAGES.transmit {
        assert!(pair.can_send(1514).unwrap());
        pair.send(&mut frame(&[0; 1400]));
    }
    // The driver shows it later.
    assert!(!pair.can_send(1514).unwrap());
    assert!(pair.publish().transmit && !pair.publish().transmit, "it wants one event");
    let ids: Vec<u16> = (0..PAGES.transmit).map(|_| backend.take().unwrap().ids[0]).collect();
    let half = u32::from(PAGES.transmit) / 2;
    for (id, index) in ids.into_iter().zip(0..) {
        assert_eq!(pair.needs_poll(true).unwrap(), index >= half, "one look finds room, those before none");
        assert_eq!(backend.answer(index, id, NETIF_RSP_OKAY), index + 1 == half);
    }
    assert!(pair.can_send(1514).unwrap());
}

#[test]
fn who_needs_more_than_half_of_the_pages_is_told_when_there_are_as_many() {
    const LONG: usize = 50_000;
    let platform = platform();
    let pages = RingPages { transmit: 16, ..PAGES };
    let (mut pair, backend) = connected_with(&platform, FEATURES, pages, MAX_FRAME - ETHERNET_HEADER);
    assert!(pair.can_send(LONG).unwrap());
    for _ in 0..pages.transmit {
        pair.send(&mut frame(&[0; 1400]));
    }
    let _ = pair.publish();
    assert!(!pair.can_send(LONG).unwrap());
    let told = (0..u32::from(pages.transmit)).filter(|index| {
        let sent = backend.take().unwrap();
        backend.answer(*index, sent.ids[0], NETIF_RSP_OKAY)
    });
    assert_eq!(told.collect::<Vec<_>>(), [LONG.div_ceil(4096) as u32 - 1]);
    assert!(pair.needs_poll(true).unwrap() && pair.can_send(LONG).unwrap());
}

#[test]
fn what_the_backend_could_not_send_is_counted() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    for status in [NETIF_RSP_OKAY, NETIF_RSP_ERROR, NETIF_RSP_DROPPED] {
        pair.send(&mut frame(&[0; 100]));
        let _ = pair.publish();
        let sent = backend.take().unwrap();
        backend.answer(
            match status {
                NETIF_RSP_OKAY => 0,
                NETIF_RSP_ERROR => 1,
                _ => 2,
            },
            sent.ids[0],
            status,
        );
    }
    while pair.can_send(1514).unwrap() && pair.failed() == 0 {
        pair.send(&mut frame(&[0; 100]));
    }
    let _ = pair.can_send(1514);
    assert_eq!(pair.failed(), 2);
}

#[test]
fn nothing_is_left_when_the_rings_go_unless_the_backend_keeps_it() {
    let platform = platform();
    let (pair, backend) = connected(&platform, FEATURES);
    let table = prism_drivers::hal::Platform::grants(&platform);
    assert_eq!(table.report().granted, 2 + PAGES.receive as u32 + u32::from(PAGES.transmit));
    drop(pair);
    assert_eq!(table.report().quarantined, 2, "the rings, which it has mapped");
    drop(backend);
    assert_eq!(table.retry_quarantine(), 2);
    assert!(table.report().is_idle());
}

#[test]
fn a_backend_that_does_not_answer_is_notified_again_once_a_second() {
    const SECOND: u64 = 1_000_000_000;
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    assert!(!pair.needs_renotify(0), "nothing is on its way");
    pair.send(&mut frame(b"x"));
    let _ = pair.publish();
    let told: Vec<bool> = (0..8).map(|half| pair.needs_renotify(5 * SECOND + half * SECOND / 2)).collect();
    assert_eq!(told, [false, false, true, false, true, false, true, false]);
    let id = backend.take().unwrap().ids[0];
    backend.answer(0, id, NETIF_RSP_OKAY);
    assert!(!pair.needs_renotify(20 * SECOND));
}
