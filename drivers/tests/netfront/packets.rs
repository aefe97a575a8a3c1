// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::packet::LONGEST;
use prism_drivers::net::{ETHERNET_HEADER, Link, Offer, Pages, Transport};
use xen_sys::io::netif::*;

use crate::backend::{Backend, OFFER, PAGES, connected, connected_with, frame, platform, receive};

#[test]
fn packets_come_in_order_and_each_page_again_and_again() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    assert_eq!(backend.room(), PAGES.receive as u32);
    for number in 0..1000_u16 {
        let frame = frame(&number.to_be_bytes());
        backend.deliver(&frame);
        assert_eq!(receive(&mut link).unwrap(), Some(frame));
        assert_eq!(receive(&mut link).unwrap(), None);
        let _ = link.publish();
        assert_eq!(backend.room(), PAGES.receive as u32);
    }
}

#[test]
fn a_packet_of_many_parts_comes_as_one() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
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
    assert!(receive(&mut link).unwrap() == Some(bytes));
}

#[test]
fn a_packet_whose_end_has_not_come_yet_is_waited_for() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    let frame = frame(&[5; 1000]);
    backend.part(0, &frame[..500], |response| response.flags = NETRXF_more_data);
    backend.publish();
    assert_eq!(receive(&mut link).unwrap(), None);
    assert!(!link.listen().unwrap());
    backend.part(0, &frame[500..], |_| ());
    assert!(backend.publish(), "it wants to be told");
    assert_eq!(receive(&mut link).unwrap(), Some(frame));
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
    let (mut link, backend) = connected(&platform, OFFER);
    let take_all = |link: &mut Link<_>| {
        let taken = (0..).take_while(|_| receive(link).unwrap().is_some()).count();
        assert!(!link.listen().unwrap());
        let _ = link.publish();
        taken
    };
    for _ in 0..4 {
        assert!(deliver_long(&backend));
        assert_eq!(take_all(&mut link), 1);
    }
    let several = (PAGES.receive / 3).div_ceil(5);
    for _ in 0..10 {
        for _ in 1..several {
            assert!(!deliver_long(&backend));
            assert!(!link.has_news(false).unwrap());
        }
        assert!(deliver_long(&backend));
        assert!(link.has_news(false).unwrap());
        assert_eq!(take_all(&mut link), several);
    }
    link.look().unwrap();
    assert!(!link.has_news(false).unwrap());
    assert!(deliver_long(&backend), "somebody looks");
    assert_eq!(take_all(&mut link), 1);
    assert!(!deliver_long(&backend));
    assert!(!link.has_news(false).unwrap());
    link.look().unwrap();
    assert!(link.has_news(false).unwrap(), "somebody looked");
    assert_eq!(take_all(&mut link), 1);
    assert!(deliver_long(&backend), "it was in vain");
}

#[test]
fn damaged_packets_are_dropped_unless_the_backend_vouches_for_them() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    let mut damaged = frame(b"payload");
    Transport::find(&damaged).unwrap().fill(&mut damaged);
    backend.deliver(&damaged);
    assert_eq!(receive(&mut link).unwrap(), Some(damaged.clone()));
    damaged[45] ^= 1;
    backend.deliver(&damaged);
    assert_eq!(receive(&mut link).unwrap(), Some(Vec::new()));
    for flags in [NETRXF_data_validated, NETRXF_csum_blank] {
        backend.part(0, &damaged, |response| response.flags = flags);
        backend.publish();
        assert_eq!(receive(&mut link).unwrap(), Some(damaged.clone()));
    }
}

#[test]
fn a_packet_that_the_backend_failed_to_receive_is_skipped() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    backend.part(0, b"", |response| response.status = NETIF_RSP_ERROR);
    backend.part(0, b"", |response| response.status = NETIF_RSP_DROPPED);
    backend.deliver(&frame(b"next"));
    assert_eq!(receive(&mut link).unwrap(), Some(frame(b"next")));
}

#[test]
fn checksums_are_left_to_a_backend_that_fills_them_in_and_to_no_other() {
    let platform = platform();
    for (offer, flags) in
        [(OFFER, NETTXF_csum_blank | NETTXF_data_validated), (Offer { fills_ipv4: false, ..OFFER }, 0)]
    {
        let (mut link, backend) = connected(&platform, offer);
        let mut packet = frame(b"payload");
        link.send(&mut packet);
        assert!(link.publish().transmit);
        let sent = backend.take().unwrap();
        assert_eq!(sent.flags, flags);
        let transport = Transport::find(&sent.bytes).unwrap();
        let mut filled = sent.bytes.clone();
        transport.fill(&mut filled);
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
    let (mut link, backend) = connected(&platform, OFFER);
    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[8, 6]);
    link.send(&mut arp);
    let _ = link.publish();
    let sent = backend.take().unwrap();
    assert_eq!((sent.bytes, sent.flags), (arp, 0));
}

#[test]
fn packets_sent_in_one_go_are_told_once() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    backend.listen();
    for number in 0..10 {
        link.send(&mut frame(&[number]));
    }
    assert!(backend.take().is_none(), "nothing is seen before it is published");
    assert!(link.publish().transmit);
    assert!(!link.publish().transmit);
    assert_eq!((0..20).filter(|_| backend.take().is_some()).count(), 10);
    link.send(&mut frame(b"more"));
    assert!(!link.publish().transmit, "a backend that is at work is not told");
}

#[test]
fn a_jumbo_frame_leaves_in_parts() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    let mut packet = frame(&vec![7; 8958]);
    assert_eq!(packet.len(), 9000);
    assert!(link.can_send(packet.len()).unwrap());
    link.send(&mut packet);
    let _ = link.publish();
    let sent = backend.take().unwrap();
    assert_eq!((sent.ids.len(), sent.bytes == packet), (3, true));
}

#[test]
fn when_all_pages_are_on_their_way_there_is_an_event_for_half_of_them_and_then_room() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    for _ in 0..PAGES.transmit {
        assert!(link.can_send(1514).unwrap());
        link.send(&mut frame(&[0; 1400]));
    }
    // The driver shows it later.
    assert!(!link.can_send(1514).unwrap());
    assert!(link.publish().transmit && !link.publish().transmit, "it wants one event");
    let ids: Vec<u16> = (0..PAGES.transmit).map(|_| backend.take().unwrap().ids[0]).collect();
    let half = u32::from(PAGES.transmit) / 2;
    for (id, index) in ids.into_iter().zip(0..) {
        assert_eq!(link.has_news(true).unwrap(), index >= half, "one look finds room, those before none");
        assert_eq!(backend.answer(index, id, NETIF_RSP_OKAY), index + 1 == half);
    }
    assert!(link.can_send(1514).unwrap());
}

#[test]
fn who_needs_more_than_half_of_the_pages_is_told_when_there_are_as_many() {
    const LONG: usize = 50_000;
    let platform = platform();
    let pages = Pages { transmit: 16, ..PAGES };
    let (mut link, backend) = connected_with(&platform, OFFER, pages, LONGEST - ETHERNET_HEADER);
    assert!(link.can_send(LONG).unwrap());
    for _ in 0..pages.transmit {
        link.send(&mut frame(&[0; 1400]));
    }
    let _ = link.publish();
    assert!(!link.can_send(LONG).unwrap());
    let told = (0..u32::from(pages.transmit)).filter(|index| {
        let sent = backend.take().unwrap();
        backend.answer(*index, sent.ids[0], NETIF_RSP_OKAY)
    });
    assert_eq!(told.collect::<Vec<_>>(), [LONG.div_ceil(4096) as u32 - 1]);
    assert!(link.has_news(true).unwrap() && link.can_send(LONG).unwrap());
}

#[test]
fn what_the_backend_could_not_send_is_counted() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    for status in [NETIF_RSP_OKAY, NETIF_RSP_ERROR, NETIF_RSP_DROPPED] {
        link.send(&mut frame(&[0; 100]));
        let _ = link.publish();
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
    while link.can_send(1514).unwrap() && link.failed() == 0 {
        link.send(&mut frame(&[0; 100]));
    }
    let _ = link.can_send(1514);
    assert_eq!(link.failed(), 2);
}

#[test]
fn nothing_is_left_when_the_rings_go_unless_the_backend_keeps_it() {
    let platform = platform();
    let (link, backend) = connected(&platform, OFFER);
    let table = prism_drivers::hal::Platform::grants(&platform);
    assert_eq!(table.report().granted, 2 + PAGES.receive as u32 + u32::from(PAGES.transmit));
    drop(link);
    assert_eq!(table.report().quarantined, 2, "the rings, which it has mapped");
    drop(backend);
    assert_eq!(table.retry_quarantine(), 2);
    assert!(table.report().is_idle());
}

#[test]
fn a_backend_that_is_silent_is_told_again_once_a_second() {
    const SECOND: u64 = 1_000_000_000;
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    assert!(!link.is_ignored(0), "nothing is on its way");
    link.send(&mut frame(b"x"));
    let _ = link.publish();
    let told: Vec<bool> = (0..8).map(|half| link.is_ignored(5 * SECOND + half * SECOND / 2)).collect();
    assert_eq!(told, [false, false, true, false, true, false, true, false]);
    let id = backend.take().unwrap().ids[0];
    backend.answer(0, id, NETIF_RSP_OKAY);
    assert!(!link.is_ignored(20 * SECOND));
}
