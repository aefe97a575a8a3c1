// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::{Link, Offer, Transport};
use prism_drivers::sim::SimPlatform;
use xen_sys::io::netif::*;

use crate::backend::{Backend, OFFER, PAGES, Sent, connected, frame, platform};

const ACK: u8 = 0x10;
const PUSH: u8 = 0x08;
const FIN: u8 = 0x01;

/// A TCP segment of port `port`, over IPv4 or IPv6, without checksums.
fn tcp(is_ipv4: bool, port: u8, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let length = 20 + payload.len() as u16;
    if is_ipv4 {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + length).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        let checksum = !folded(&frame[14..34]);
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([6, 64]);
        frame.extend([0x20; 32]);
    }
    frame.extend([0, port, 0, 9]);
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 7, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// The sum of big-endian words in 16 bits.
fn folded(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Sends `frames` in one go, and returns the packets that the backend got.
fn sent(offer: Offer, frames: &[Vec<u8>]) -> Vec<Sent> {
    let platform = platform();
    let (mut link, backend) = connected(&platform, offer);
    send(&mut link, &backend, frames)
}

fn send(link: &mut Link<'_, SimPlatform>, backend: &Backend, frames: &[Vec<u8>]) -> Vec<Sent> {
    for frame in frames {
        assert!(link.can_send(frame.len()).unwrap());
        link.send(&mut frame.clone());
    }
    let _ = link.publish();
    std::iter::from_fn(|| backend.take()).collect()
}

/// `count` segments of 1000 bytes of one flow, one after the other.
fn flow(is_ipv4: bool, count: u32) -> Vec<Vec<u8>> {
    let start = u32::MAX - 2500; // it wraps
    let segment =
        |number: u32| tcp(is_ipv4, 80, start.wrapping_add(number * 1000), ACK, &[number as u8; 1000]);
    (0..count).map(segment).collect()
}

#[test]
fn segments_of_one_flow_leave_as_one_packet() {
    for (is_ipv4, kind) in [(true, XEN_NETIF_GSO_TYPE_TCPV4), (false, XEN_NETIF_GSO_TYPE_TCPV6)] {
        let mut frames = flow(is_ipv4, 8);
        frames.push(tcp(is_ipv4, 80, u32::MAX.wrapping_sub(2500).wrapping_add(8000), ACK | PUSH, b"the end"));
        let sent = sent(OFFER, &frames);
        assert_eq!(sent.len(), 1);
        let packet = &sent[0];
        assert_eq!(packet.flags, NETTXF_csum_blank | NETTXF_data_validated | NETTXF_extra_info);
        let extra = packet.extra.expect("extra information");
        assert_eq!((extra.r#type, extra.flags), (XEN_NETIF_EXTRA_TYPE_GSO, 0));
        assert_eq!(extra.u, [1000, kind.into(), 0]);
        // As one segment with all the payload would be, to be pushed.
        let payload: Vec<u8> =
            frames.iter().flat_map(|frame| &frame[frames[0].len() - 1000..]).copied().collect();
        let mut whole = tcp(is_ipv4, 80, u32::MAX - 2500, ACK | PUSH, &payload);
        Transport::find(&whole).unwrap().blank(&mut whole);
        assert!(packet.bytes == whole);
        assert!(!is_ipv4 || folded(&packet.bytes[14..34]) == 0xffff, "the IPv4 header's checksum");
        assert_eq!(packet.ids.len(), whole.len().div_ceil(4096));
    }
}

#[test]
fn what_was_merged_is_counted() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    send(&mut link, &backend, &flow(true, 8));
    assert_eq!(link.merged(), 7);
}

#[test]
fn a_segment_alone_leaves_without_extra_information() {
    let mut frame = tcp(true, 80, 1, ACK, b"alone");
    let sent = sent(OFFER, std::slice::from_ref(&frame));
    Transport::find(&frame).unwrap().blank(&mut frame);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].flags, sent[0].extra), (NETTXF_csum_blank | NETTXF_data_validated, None));
    assert_eq!(sent[0].bytes, frame);
}

#[test]
fn segments_are_not_merged_for_a_backend_that_does_not_take_them() {
    for offer in [
        Offer { segments_ipv4: false, ..OFFER },
        Offer { scatters: false, ..OFFER },
        Offer { fills_ipv4: false, ..OFFER },
    ] {
        let sent = sent(offer, &flow(true, 4));
        assert_eq!(sent.len(), 4, "{offer:?}");
        assert!(sent.iter().all(|packet| packet.extra.is_none()));
    }
}

#[test]
fn what_does_not_follow_leaves_by_itself_and_in_its_order() {
    let first = || tcp(true, 80, 0, ACK, &[1; 1000]);
    let others = [
        ("a gap", tcp(true, 80, 1001, ACK, &[2; 1000])),
        ("sent again", tcp(true, 80, 0, ACK, &[1; 1000])),
        ("longer", tcp(true, 80, 1000, ACK, &[2; 1001])),
        ("the end of the stream", tcp(true, 80, 1000, ACK | FIN, &[2; 1000])),
        ("no payload", tcp(true, 80, 1000, ACK, &[])),
        ("no TCP", frame(b"datagram")),
    ];
    for (what, other) in others {
        let sent = sent(OFFER, &[first(), other.clone()]);
        assert_eq!(sent.len(), 2, "{what}");
        assert!(sent[0].bytes.ends_with(&[1; 1000]), "{what}");
        assert_eq!(sent[1].bytes.len(), other.len(), "{what}");
    }
    for (what, place) in
        [("another window", 48), ("another acknowledgement", 45), ("another host", 33), ("a mark", 15)]
    {
        let mut other = tcp(true, 80, 1000, ACK, &[2; 1000]);
        other[place] ^= 1;
        assert_eq!(sent(OFFER, &[first(), other]).len(), 2, "{what}");
    }
}

#[test]
fn nothing_follows_a_short_segment_or_one_that_is_pushed() {
    for (flags, length) in [(ACK, 999), (ACK | PUSH, 1000)] {
        let frames = [
            tcp(true, 80, 0, ACK, &[1; 1000]),
            tcp(true, 80, 1000, flags, &vec![2; length]),
            tcp(true, 80, 1000 + length as u32, ACK, &[3; 10]),
        ];
        let lengths: Vec<usize> = sent(OFFER, &frames).iter().map(|packet| packet.bytes.len()).collect();
        assert_eq!(lengths, [54 + 1000 + length, 54 + 10]);
    }
}

#[test]
fn flows_whose_segments_come_in_turns_are_merged_each() {
    let frames: Vec<Vec<u8>> = (0..15_u32)
        .map(|number| tcp(true, (number % 3) as u8, number / 3 * 1000, ACK, &[number as u8; 1000]))
        .collect();
    let sent = sent(OFFER, &frames);
    assert_eq!(sent.len(), 3);
    for packet in sent {
        let flow = packet.bytes[35];
        let numbers: Vec<u8> = packet.bytes[54..].chunks(1000).map(|payload| payload[0]).collect();
        assert_eq!(numbers, [flow, flow + 3, flow + 6, flow + 9, flow + 12]);
    }
}

#[test]
fn no_packet_is_longer_than_the_protocol_can_say_and_all_of_it_arrives() {
    let platform = platform();
    let (mut link, backend) = connected_with_many_pages(&platform);
    let sent = send(&mut link, &backend, &flow(true, 100));
    assert_eq!(sent.iter().map(|packet| packet.bytes.len() - 54).sum::<usize>(), 100_000);
    assert_eq!(sent[0].bytes.len(), 65_054, "65 segments");
}

fn connected_with_many_pages(platform: &SimPlatform) -> (Link<'_, SimPlatform>, Backend) {
    crate::backend::connected_with(platform, OFFER, prism_drivers::net::Pages { transmit: 64, ..PAGES })
}

#[test]
fn pages_of_merged_segments_come_back_and_are_used_again() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    let mut index = 0;
    for _ in 0..50 {
        let sent = send(&mut link, &backend, &flow(true, 8));
        assert_eq!(sent.len(), 1);
        for (id, place) in sent[0].ids.iter().zip(0..) {
            backend.answer(index, *id, NETIF_RSP_OKAY);
            index += 1;
            if place == 0 {
                // What stands for the extra information has no id.
                backend.answer(index, 0xdead, NETIF_RSP_NULL);
                index += 1;
            }
        }
    }
    assert!(link.can_send(usize::from(PAGES.transmit) * 4096).unwrap(), "all pages are back");
}

#[test]
fn an_answer_that_does_not_stand_for_the_extra_information_is_caught() {
    for status in [NETIF_RSP_OKAY, NETIF_RSP_ERROR] {
        let platform = platform();
        let (mut link, backend) = connected(&platform, OFFER);
        let ids = send(&mut link, &backend, &flow(true, 4))[0].ids.clone();
        backend.answer(0, ids[0], NETIF_RSP_OKAY);
        backend.answer(1, ids[0], status);
        assert!(link.can_send(16 * 4096).is_err());
    }
}

#[test]
fn when_all_pages_wait_to_be_filled_they_leave() {
    let platform = platform();
    let (mut link, backend) = connected(&platform, OFFER);
    let mut count = 0;
    for frame in flow(true, 100) {
        if !link.can_send(frame.len()).unwrap() {
            break;
        }
        link.send(&mut frame.clone());
        count += 1;
    }
    assert!((61..66).contains(&count), "16 pages hold {count} segments of 1000 bytes");
    let _ = link.publish();
    let sent = std::iter::from_fn(|| backend.take()).count();
    assert!(sent >= 1);
}
