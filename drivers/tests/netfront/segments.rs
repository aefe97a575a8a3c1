// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::MAX_FRAME;
use prism_drivers::net::netfront::{BackendFeatures, QueuePair, RingPages};
use prism_drivers::net::{ETHERNET_HEADER, Transport};
use prism_drivers::sim::SimPlatform;
use xen_sys::io::netif::*;

use crate::backend::{Backend, FEATURES, PAGES, Sent, connected, connected_with, frame, platform};

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
fn sent(features: BackendFeatures, frames: &[Vec<u8>]) -> Vec<Sent> {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, features);
    send(&mut pair, &backend, frames)
}

fn send(pair: &mut QueuePair<'_, SimPlatform>, backend: &Backend, frames: &[Vec<u8>]) -> Vec<Sent> {
    for frame in frames {
        assert!(pair.can_send(frame.len()).unwrap());
        pair.send(&mut frame.clone());
    }
    let _ = pair.publish();
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
        let sent = sent(FEATURES, &frames);
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
    let (mut pair, backend) = connected(&platform, FEATURES);
    send(&mut pair, &backend, &flow(true, 8));
    assert_eq!(pair.merged(), 7);
}

#[test]
fn a_segment_alone_leaves_without_extra_information() {
    let mut frame = tcp(true, 80, 1, ACK, b"alone");
    let sent = sent(FEATURES, std::slice::from_ref(&frame));
    Transport::find(&frame).unwrap().blank(&mut frame);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].flags, sent[0].extra), (NETTXF_csum_blank | NETTXF_data_validated, None));
    assert_eq!(sent[0].bytes, frame);
}

#[test]
fn segments_are_not_merged_for_a_backend_that_does_not_take_them() {
    for features in [
        BackendFeatures { gso_ipv4: false, ..FEATURES },
        BackendFeatures { scatter_gather: false, ..FEATURES },
        BackendFeatures { checksum_ipv4: false, ..FEATURES },
    ] {
        let sent = sent(features, &flow(true, 4));
        assert_eq!(sent.len(), 4, "{features:?}");
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
        ("no payload", tcp(true, 80, 1000, ACK, &[])),
        ("no TCP", frame(b"datagram")),
    ];
    for (what, other) in others {
        let sent = sent(FEATURES, &[first(), other.clone()]);
        assert_eq!(sent.len(), 2, "{what}");
        assert!(sent[0].bytes.ends_with(&[1; 1000]), "{what}");
        assert_eq!(sent[1].bytes.len(), other.len(), "{what}");
    }
    for (what, position) in
        [("another window", 48), ("another acknowledgement", 45), ("another host", 33), ("a mark", 15)]
    {
        let mut other = tcp(true, 80, 1000, ACK, &[2; 1000]);
        other[position] ^= 1;
        assert_eq!(sent(FEATURES, &[first(), other]).len(), 2, "{what}");
    }
}

#[test]
fn nothing_follows_a_short_segment_or_one_that_is_pushed_or_the_end_of_the_stream() {
    for (flags, length) in [(ACK, 999), (ACK | PUSH, 1000), (ACK | FIN, 1000)] {
        let frames = [
            tcp(true, 80, 0, ACK, &[1; 1000]),
            tcp(true, 80, 1000, flags, &vec![2; length]),
            tcp(true, 80, 1000 + length as u32, ACK, &[3; 10]),
        ];
        let lengths: Vec<usize> = sent(FEATURES, &frames).iter().map(|packet| packet.bytes.len()).collect();
        assert_eq!(lengths, [54 + 1000 + length, 54 + 10]);
    }
}

#[test]
fn flows_whose_segments_come_in_turns_are_merged_each() {
    let frames: Vec<Vec<u8>> = (0..15_u32)
        .map(|number| tcp(true, (number % 3) as u8, number / 3 * 1000, ACK, &[number as u8; 1000]))
        .collect();
    let sent = sent(FEATURES, &frames);
    assert_eq!(sent.iter().map(|packet| packet.bytes[35]).collect::<Vec<_>>(), [0, 1, 2], "in order");
    for packet in sent {
        let flow = packet.bytes[35];
        let numbers: Vec<u8> = packet.bytes[54..].chunks(1000).map(|payload| payload[0]).collect();
        assert_eq!(numbers, [flow, flow + 3, flow + 6, flow + 9, flow + 12]);
    }
}

#[test]
fn no_packet_is_longer_than_the_protocol_can_say_and_all_of_it_arrives() {
    let platform = platform();
    let (mut pair, backend) = connected_with_many_pages(&platform);
    let sent = send(&mut pair, &backend, &flow(true, 100));
    assert_eq!(sent.iter().map(|packet| packet.bytes.len() - 54).sum::<usize>(), 100_000);
    assert_eq!(sent[0].bytes.len(), 65_054, "65 segments");
}

fn connected_with_many_pages(platform: &SimPlatform) -> (QueuePair<'_, SimPlatform>, Backend) {
    connected_with(platform, FEATURES, RingPages { transmit: 64, ..PAGES }, MAX_FRAME - ETHERNET_HEADER)
}

#[test]
fn pages_of_merged_segments_come_back_and_are_used_again() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    let mut index = 0;
    for _ in 0..50 {
        let sent = send(&mut pair, &backend, &flow(true, 8));
        assert_eq!(sent.len(), 1);
        for (id, position) in sent[0].ids.iter().zip(0..) {
            backend.answer(index, *id, NETIF_RSP_OKAY);
            index += 1;
            if position == 0 {
                // What stands for the extra information has no id.
                backend.answer(index, 0xdead, NETIF_RSP_NULL);
                index += 1;
            }
        }
    }
    assert!(pair.can_send(usize::from(PAGES.transmit) * 4096).unwrap(), "all pages are back");
}

#[test]
fn an_answer_that_does_not_stand_for_the_extra_information_is_caught() {
    for status in [NETIF_RSP_OKAY, NETIF_RSP_ERROR] {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        let ids = send(&mut pair, &backend, &flow(true, 4))[0].ids.clone();
        backend.answer(0, ids[0], NETIF_RSP_OKAY);
        backend.answer(1, ids[0], status);
        assert!(pair.can_send(16 * 4096).is_err());
    }
}

#[test]
fn when_all_pages_wait_to_be_filled_they_leave() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    let mut count = 0;
    for frame in flow(true, 100) {
        if !pair.can_send(frame.len()).unwrap() {
            break;
        }
        pair.send(&mut frame.clone());
        count += 1;
    }
    assert!((61..66).contains(&count), "16 pages hold {count} segments of 1000 bytes");
    let _ = pair.publish();
    let sent = std::iter::from_fn(|| backend.take()).count();
    assert!(sent >= 1);
}

/// A frame as the stack makes it of eight segments of 1460 bytes, of which the last is short.
fn long_frame(is_ipv4: bool, flags: u8) -> (Vec<u8>, Vec<u8>, usize) {
    let size = if is_ipv4 { 1460 } else { 1440 };
    let payload: Vec<u8> = (0..size * 7 + 100).map(|index| (index % 251) as u8).collect();
    (tcp(is_ipv4, 80, u32::MAX - 3000, flags, &payload), payload, size)
}

#[test]
fn segments_that_the_stack_made_as_one_leave_as_one() {
    for is_ipv4 in [true, false] {
        let (frame, payload, size) = long_frame(is_ipv4, ACK | PUSH);
        let platform = platform();
        let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
        let full = tcp(is_ipv4, 80, (u32::MAX - 3000).wrapping_sub(size as u32 * 2), ACK, &vec![9; size * 2]);
        let sent = send(&mut pair, &backend, &[full, frame]);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].extra.unwrap().u[0], size as u16);
        assert!(sent[0].bytes.ends_with(&payload));
        let start = sent[0].bytes.len() - payload.len() - size * 2;
        assert_eq!(sent[0].bytes[start - 20 + 13], ACK | PUSH);
    }
}

#[test]
fn nothing_follows_segments_whose_last_is_short() {
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
    let (frame, payload, _) = long_frame(true, ACK);
    let next = tcp(true, 80, (u32::MAX - 3000).wrapping_add(payload.len() as u32), ACK, &[1; 10]);
    assert_eq!(send(&mut pair, &backend, &[frame, next]).len(), 2);
}

#[test]
fn segments_that_the_stack_made_as_one_are_cut_for_a_backend_that_does_not() {
    for features in [
        BackendFeatures { gso_ipv4: false, gso_ipv6: false, ..FEATURES },
        BackendFeatures { scatter_gather: false, checksum_ipv4: false, checksum_ipv6: false, ..FEATURES },
    ] {
        for is_ipv4 in [true, false] {
            let (frame, payload, size) = long_frame(is_ipv4, ACK | FIN | PUSH);
            let platform = platform();
            let (mut pair, backend) = connected_with(&platform, features, PAGES, 1500);
            let sent = send(&mut pair, &backend, &[frame]);
            assert_eq!(sent.len(), 8);
            for (index, (packet, part)) in sent.iter().zip(payload.chunks(size)).enumerate() {
                let ends = if index == 7 { FIN | PUSH } else { 0 };
                let sequence = (u32::MAX - 3000).wrapping_add((index * size) as u32);
                let mut segment = tcp(is_ipv4, 80, sequence, ACK | ends, part);
                let transport = Transport::find(&segment).unwrap();
                if features.checksum_ipv4 {
                    transport.blank(&mut segment)
                } else {
                    transport.fill_checksum(&mut segment)
                }
                assert!(packet.bytes == segment, "{index}");
                assert!(packet.bytes.len() <= 1514 && packet.extra.is_none());
            }
        }
    }
}

/// A datagram over IPv4, without checksums, in a packet whose number, flags and offset these are.
pub(crate) fn datagram(length: usize, number: u16, position: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((28 + length as u16).to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.extend(position.to_be_bytes());
    frame.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0, 9]);
    frame.extend((8 + length as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((0..length).map(|index| (index % 249) as u8));
    frame
}

fn word(packet: &Sent, position: usize) -> u16 {
    u16::from_be_bytes([packet.bytes[position], packet.bytes[position + 1]])
}

#[test]
fn a_long_datagram_leaves_as_fragments() {
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
    let mut frame = datagram(5000, 0, 0x4000);
    let sent = send(&mut pair, &backend, &[frame.clone(), frame.clone()]);
    assert_eq!(sent.len(), 8);
    Transport::find(&frame).unwrap().fill_checksum(&mut frame);
    let payload: Vec<u8> = sent[..4].iter().flat_map(|packet| &packet.bytes[34..]).copied().collect();
    assert!(payload == frame[34..], "with its checksum");
    for (index, packet) in sent[..4].iter().enumerate() {
        assert_eq!(folded(&packet.bytes[14..34]), 0xffff, "the header's checksum");
        assert_eq!(usize::from(word(packet, 16)), packet.bytes.len() - 14);
        let more = if index < 3 { 0x2000 } else { 0 };
        assert_eq!(word(packet, 20), more | (index * 185) as u16, "offsets in eights, and no order not to");
        assert_eq!(word(packet, 18), word(&sent[0], 18));
        assert!(packet.bytes.len() <= 1514 && packet.flags == 0);
    }
    assert_ne!(word(&sent[0], 18), word(&sent[4], 18), "numbers differ");
}

#[test]
fn a_long_fragment_leaves_as_fragments_of_the_same_packet() {
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
    for more in [0, 0x2000] {
        let sent = send(&mut pair, &backend, &[datagram(2000, 77, more | 1000)]);
        assert_eq!(sent.iter().map(|packet| word(packet, 18)).collect::<Vec<_>>(), [77, 77]);
        let places = [word(&sent[0], 20), word(&sent[1], 20)];
        assert_eq!(places, [0x2000 | 1000, more | 1185]);
    }
}

#[test]
fn a_long_datagram_over_ipv6_leaves_as_fragments() {
    let mut frame = tcp(false, 80, 0, ACK, &[1; 3000]);
    frame[20] = 17;
    frame.splice(58..60, (frame.len() as u16 - 54).to_be_bytes());
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
    let sent = send(&mut pair, &backend, &[frame.clone()]);
    Transport::find(&frame).unwrap().fill_checksum(&mut frame);
    assert_eq!(sent.len(), 3);
    let payload: Vec<u8> = sent.iter().flat_map(|packet| &packet.bytes[62..]).copied().collect();
    assert!(payload == frame[54..], "with its checksum");
    for (index, packet) in sent.iter().enumerate() {
        assert_eq!((packet.bytes[20], packet.bytes[54], packet.bytes[55]), (44, 17, 0));
        assert_eq!(usize::from(word(packet, 18)), packet.bytes.len() - 54);
        assert_eq!(usize::from(word(packet, 56)), index * 1448 + usize::from(index < 2));
        assert_eq!(packet.bytes[58..62], sent[0].bytes[58..62]);
        assert!(packet.bytes.len() <= 1514 && packet.flags == 0);
    }
}

#[test]
fn what_is_too_long_and_cannot_be_divided_does_not_leave() {
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
    let mut with_options = datagram(2000, 0, 0);
    with_options[14] = 0x46;
    let mut cut_short = datagram(2000, 0, 0);
    cut_short[16] = 0xff;
    let mut six = tcp(false, 80, 0, ACK, &[1; 2000]);
    six[20] = 0;
    for frame in [with_options, cut_short, six, vec![0x45; 3000]] {
        assert!(send(&mut pair, &backend, &[frame]).is_empty());
    }
    assert_eq!(pair.failed(), 4);
}

#[test]
fn there_is_room_for_all_pieces_of_what_can_be_sent() {
    for mtu in [68, 576, 1280, 1500, 4000, 4083, 8190, 9000, 20_000] {
        for transmit in [32, 40] {
            let platform = platform();
            let features = BackendFeatures { gso_ipv4: false, ..FEATURES };
            let (mut pair, backend) =
                connected_with(&platform, features, RingPages { transmit, ..PAGES }, mtu);
            let count = (65_000 / (mtu - 40)).min(8);
            let payload = vec![1; count * (mtu - 40)];
            let sent = send(&mut pair, &backend, &[tcp(true, 80, 0, ACK, &payload)]);
            assert_eq!(sent.iter().map(|packet| packet.bytes.len() - 54).sum::<usize>(), payload.len());
            assert_eq!((sent.len(), pair.failed()), (count, 0), "{mtu}");
        }
    }
}

#[test]
fn what_has_more_pieces_than_there_are_pages_does_not_block_the_rest() {
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, PAGES, 1500);
    assert!(pair.can_send(62_774).unwrap(), "as an interface of MTU 9000 asks");
    assert_eq!(send(&mut pair, &backend, &[datagram(30_000, 0, 0)]).len(), usize::from(PAGES.transmit));
    assert!(!pair.can_send(1514).unwrap());
}

#[test]
fn a_narrow_path_never_takes_the_room_of_an_idle_ring() {
    for mtu in [1500, 9000, 20_000] {
        let platform = platform();
        let pages = RingPages { transmit: 256, ..PAGES };
        let (mut pair, _backend) = connected_with(&platform, FEATURES, pages, mtu);
        pair.send_within(&mut tcp(true, 80, 0, ACK, &[1; 600]), 552);
        assert!(pair.can_send(62_774).unwrap(), "{mtu}");
    }
}

#[test]
fn a_narrow_path_asks_for_more_room_only_as_long_as_something_is_sent_there() {
    const MINUTE: u64 = 60_000_000_000;
    let platform = platform();
    let (mut pair, backend) = connected_with(&platform, FEATURES, RingPages { transmit: 16, ..PAGES }, 1500);
    send(&mut pair, &backend, &[frame(b"on its way")]);
    // All pieces of what the stack sends at most, in narrow ones as many as there are pages.
    let has_room = |pair: &mut QueuePair<'_, SimPlatform>, now| {
        pair.needs_renotify(now);
        pair.can_send(14 + 40 + 8 * 1460).unwrap()
    };
    assert!(has_room(&mut pair, 0));
    let mut answered = 0;
    for minute in 1..10 {
        pair.send_within(&mut datagram(600, 0, 0), 552);
        for sent in send(&mut pair, &backend, &[]) {
            backend.answer(answered, sent.ids[0], NETIF_RSP_OKAY);
            answered += 1;
        }
        assert!(!has_room(&mut pair, minute * MINUTE));
    }
    assert!(has_room(&mut pair, 11 * MINUTE));
}

#[test]
fn segments_are_no_longer_than_their_path_takes() {
    for features in [FEATURES, BackendFeatures { gso_ipv4: false, gso_ipv6: false, ..FEATURES }] {
        for is_ipv4 in [true, false] {
            let (mut frame, payload, size) = long_frame(is_ipv4, ACK | PUSH);
            let platform = platform();
            let (mut pair, backend) = connected_with(&platform, features, PAGES, 1500);
            pair.send_within(&mut frame, 1280);
            let _ = pair.publish();
            let sent: Vec<_> = std::iter::from_fn(|| backend.take()).collect();
            let size = size - 220;
            match features.gso_ipv4 {
                true => assert_eq!((sent.len(), sent[0].extra.unwrap().u[0]), (1, size as u16)),
                false => assert_eq!(sent.len(), payload.len().div_ceil(size)),
            }
            assert!(sent.iter().all(|packet| packet.extra.is_some() || packet.bytes.len() <= 14 + 1280));
        }
    }
}
