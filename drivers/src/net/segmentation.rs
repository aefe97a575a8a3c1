// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segmentation and fragmentation of frames that are too long for the network, in software.
//!
//! The stack is told of the largest MTU that there can be, and divides nothing itself. (smoltcp can fragment
//! IPv4, but puts a wrong checksum into ICMP messages that it fragments: it also sums what longer ones left
//! in its buffer.) It makes several TCP segments as one frame, which costs it less than one frame each. Such
//! a frame leaves as it is where the backend takes GSO packets (`netfront::gso`). Elsewhere it is divided
//! here, like long packets of other kinds.
//!
//! Peers never see that MTU, but for DHCP's option of the maximum message size. The segment size in our SYNs
//! is the network's. One that a peer's SYN allows is raised for the stack only if it is at least that. So
//! only peers that take segments as long as the network does are sent frames that have to be divided; all
//! others get segments of the size that they allow.

use alloc::vec;
use core::sync::atomic::{AtomicU16, Ordering};

use super::checksum::{self, Transport};
use super::fragments;
use super::frame::ETHERNET_HEADER;
use super::properties::MAX_MTU;
use super::segment::{MAX_HEADERS, Segment};

/// Bytes of the headers of IP and TCP without options.
const HEADERS_IPV4: usize = 20 + 20;
const HEADERS_IPV6: usize = 40 + 20;

/// The longest packet of TCP segments on a network of `mtu`, if the stack may make `segments` as one. Headers
/// of IPv6 are longer, but each of its segments is shorter by as much.
pub(super) fn max_of_segments(mtu: usize, segments: usize) -> usize {
    HEADERS_IPV4 + size_on(mtu, HEADERS_IPV4) * max_segments(mtu, segments)
}

/// `segments`, or as many as one packet can hold.
fn max_segments(mtu: usize, segments: usize) -> usize {
    let most = (MAX_MTU - HEADERS_IPV6) / size_on(mtu, HEADERS_IPV4).max(1);
    segments.min(most).max(1)
}

/// The size of TCP segments on a network of `mtu`.
fn size_on(mtu: usize, headers: usize) -> usize {
    mtu.saturating_sub(headers)
}

/// Frames at most that one of `length` bytes becomes on a network of `mtu`.
pub(super) fn max_pieces(length: usize, mtu: usize) -> usize {
    match length <= ETHERNET_HEADER + mtu {
        true => 1,
        false => length.div_ceil((ETHERNET_HEADER + mtu).saturating_sub(MAX_HEADERS).max(1)),
    }
}

/// Raises the segment size that the SYN in `frame`, if it is one, allows: the stack may make `segments` as
/// one.
pub(super) fn raise_segment_size(frame: &mut [u8], mtu: usize, segments: usize) {
    let Some((size, headers)) = segment_size(frame) else { return };
    let ours = size_on(mtu, headers);
    if usize::from(u16::from_be_bytes(*size)) >= ours {
        let raised = ours * max_segments(mtu, segments);
        *size = u16::try_from(raised).unwrap_or(u16::MAX).to_be_bytes();
    }
}

/// Lowers the segment size that the SYN in `frame`, if it is one, allows to the network's.
pub(super) fn lower_segment_size(frame: &mut [u8], mtu: usize) {
    let Some((size, headers)) = segment_size(frame) else { return };
    let ours = u16::try_from(size_on(mtu, headers)).unwrap_or(u16::MAX);
    *size = u16::from_be_bytes(*size).min(ours).to_be_bytes();
}

/// The segment size that the SYN in `frame` allows, and how long the headers of segments are (RFC 9293,
/// section 3.2).
fn segment_size(frame: &mut [u8]) -> Option<(&mut [u8; 2], usize)> {
    const SYN: u8 = 0x02;
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const SEGMENT_SIZE: u8 = 2;
    let transport = Transport::find(frame).filter(|transport| transport.is_tcp())?;
    let (words, flags) = (*frame.get(transport.start() + 12)? >> 4, *frame.get(transport.start() + 13)?);
    if flags & SYN == 0 {
        return None;
    }
    let end = (transport.start() + usize::from(words) * 4).min(transport.end());
    let mut options = frame.get_mut(transport.start() + 20..end)?;
    let headers = if transport.is_ipv4() { HEADERS_IPV4 } else { HEADERS_IPV6 };
    loop {
        options = match options {
            [END, ..] | [] | [_] => return None,
            [NOTHING, rest @ ..] => rest,
            [SEGMENT_SIZE, 4, size @ ..] => return size.first_chunk_mut().map(|size| (size, headers)),
            [_, length, ..] => {
                let length = usize::from(*length).max(2);
                options.get_mut(length..)?
            }
        };
    }
}

/// Calls `send` with the pieces of `frame`, which is too long for a path of `mtu`: segments, if `segment` was
/// found in it, or fragments; with none if it cannot be divided.
pub(super) fn divide(frame: &mut [u8], segment: Option<&Segment>, mtu: usize, send: impl FnMut(&mut [u8])) {
    match segment {
        Some(segment) => cut(frame, segment, send),
        None if frame.get(12..ETHERNET_HEADER) == Some(&[0x86, 0xdd]) => {
            checksum::fill_checksum(frame);
            fragments::divide(frame, mtu, NUMBER.fetch_add(1, Ordering::Relaxed).into(), send);
        }
        None => fragment(frame, mtu, send),
    }
}

/// Calls `send` with each segment of `frame`, where the long `segment` was found.
pub(super) fn cut(frame: &[u8], segment: &Segment, mut send: impl FnMut(&mut [u8])) {
    let mut piece = vec![0; segment.start + segment.size];
    let payload = frame.get(segment.start..).unwrap_or_default();
    let mut sequence = segment.sequence;
    let mut left = payload.len();
    for part in payload.chunks(segment.size.max(1)) {
        let Some(piece) = piece.get_mut(..segment.start + part.len()) else { return };
        left -= part.len();
        let ends = if left == 0 { segment.ends } else { 0 };
        segment.put_headers(piece.len(), sequence, ends, |headers| {
            let (first, rest) = piece.split_at_mut(headers.len());
            first.copy_from_slice(headers);
            rest.copy_from_slice(part);
        });
        if segment.is_ipv4() {
            number(piece);
        }
        send(piece);
        sequence = sequence.wrapping_add(part.len() as u32);
    }
}

/// Numbers for packets that become fragments.
static NUMBER: AtomicU16 = AtomicU16::new(0);

/// Where the flags and the identification of an IPv4 packet are in its header, and the checksum.
const FLAGS: usize = 6;
const IDENTIFICATION: usize = 4;
const CHECKSUM: usize = 10;

/// Lets routers divide the IPv4 packet in `frame`.
pub(super) fn allow_fragments(frame: &mut [u8]) {
    const DO_NOT_DIVIDE: u8 = 0x40;
    if let Some(flags) = frame.get_mut(ETHERNET_HEADER + FLAGS) {
        *flags &= !DO_NOT_DIVIDE;
    }
    number(frame);
}

/// Gives the IPv4 packet in `frame` a number of its own, if routers may divide it: its fragments are told
/// apart by that (RFC 6864).
fn number(frame: &mut [u8]) {
    const DO_NOT_DIVIDE: u8 = 0x40;
    let Some([first, ..]) = frame.get(ETHERNET_HEADER..) else { return };
    let end = ETHERNET_HEADER + usize::from(first & 0xf) * 4;
    if frame.get(ETHERNET_HEADER + FLAGS).is_none_or(|flags| flags & DO_NOT_DIVIDE != 0) {
        return;
    }
    put(frame, IDENTIFICATION, NUMBER.fetch_add(1, Ordering::Relaxed));
    put(frame, CHECKSUM, 0);
    let checksum = checksum::of_header(frame.get(ETHERNET_HEADER..end).unwrap_or_default());
    put(frame, CHECKSUM, checksum);
}

/// Calls `send` with the fragments of the IPv4 packet in `frame` (RFC 791, section 3.2), which may be a
/// fragment itself; with none if there is none, or it has options.
fn fragment(frame: &mut [u8], mtu: usize, mut send: impl FnMut(&mut [u8])) {
    const START: usize = ETHERNET_HEADER + 20;
    const MORE: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;
    checksum::fill_checksum(frame);
    let Some(header @ [.., 0x08, 0x00, 0x45, _, l0, l1, n0, n1, f0, f1, _, _, _, _, _, _, _, _, _, _, _, _]) =
        frame.first_chunk::<START>()
    else {
        return;
    };
    let end = ETHERNET_HEADER + usize::from(u16::from_be_bytes([*l0, *l1]));
    let place = u16::from_be_bytes([*f0, *f1]);
    let (offset, more) = (place & OFFSET, place & MORE);
    let number = match (offset, more) {
        (0, 0) => NUMBER.fetch_add(1, Ordering::Relaxed),
        _ => u16::from_be_bytes([*n0, *n1]),
    };
    // Counted in eights.
    let size = mtu.saturating_sub(20) / 8;
    let bytes = (size * 8).max(8);
    let Some(payload) = frame.get(START..end).filter(|_| size != 0) else { return };
    let mut piece = vec![0; START + bytes];
    let count = payload.chunks(bytes).len();
    for (index, part) in payload.chunks(bytes).enumerate() {
        let Some(piece) = piece.get_mut(..START + part.len()) else { return };
        let Some((first, rest)) = piece.split_at_mut_checked(START) else { return };
        first.copy_from_slice(header);
        rest.copy_from_slice(part);
        let more = if index + 1 < count { MORE } else { more };
        let offset = (usize::from(offset) + index * size) as u16; // of 64 KiB at most
        let length = (piece.len() - ETHERNET_HEADER) as u16;
        for (place, word) in [(2, length), (4, number), (6, offset & OFFSET | more), (10, 0)] {
            put(piece, place, word);
        }
        let checksum = checksum::of_header(piece.get(ETHERNET_HEADER..START).unwrap_or_default());
        put(piece, 10, checksum);
        send(piece);
    }
}

/// Writes `word` at byte `place` of the IP header.
fn put(frame: &mut [u8], place: usize, word: u16) {
    if let Some(field) = frame.get_mut(ETHERNET_HEADER + place..ETHERNET_HEADER + place + 2) {
        field.copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN with these options, which fill words.
    fn syn(is_ipv4: bool, options: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let length = 20 + options.len() as u16;
        if is_ipv4 {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend((20 + length).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        } else {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([6, 64]);
            frame.extend([0x20; 32]);
        }
        let words = (length / 4) as u8;
        frame.extend([0, 80, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, words << 4, 2, 1, 0, 0, 0, 0, 0]);
        frame.extend(options);
        frame
    }

    fn told(frame: &mut [u8]) -> Option<u16> {
        segment_size(frame).map(|(size, _)| u16::from_be_bytes(*size))
    }

    fn with_size(size: u16) -> [u8; 8] {
        let [high, low] = size.to_be_bytes();
        [1, 3, 3, 7, 2, 4, high, low]
    }

    #[test]
    fn a_peer_with_the_networks_segment_size_is_sent_several_segments_as_one() {
        for (is_ipv4, ours) in [(true, 1460), (false, 1440)] {
            for (size, expected) in [(ours, ours * 8), (8960, ours * 8), (ours - 1, ours - 1), (0, 0)] {
                let mut frame = syn(is_ipv4, &with_size(size));
                raise_segment_size(&mut frame, 1500, 8);
                assert_eq!(told(&mut frame), Some(expected));
            }
        }
    }

    #[test]
    fn peers_are_told_the_networks_segment_size() {
        for (is_ipv4, ours) in [(true, 1460), (false, 1440)] {
            for (size, expected) in [(11680, ours), (ours, ours), (536, 536)] {
                let mut frame = syn(is_ipv4, &with_size(size));
                lower_segment_size(&mut frame, 1500);
                assert_eq!(told(&mut frame), Some(expected));
            }
        }
    }

    #[test]
    fn segments_fit_into_what_room_is_asked_for() {
        assert_eq!(max_of_segments(1500, 8), 40 + 8 * 1460);
        assert_eq!(max_of_segments(1500, 1), 1500);
        for mtu in 68..=MAX_MTU {
            let most = max_of_segments(mtu, 8);
            assert!((mtu..=MAX_MTU).contains(&most), "{mtu}");
            for (is_ipv4, headers) in [(true, HEADERS_IPV4), (false, HEADERS_IPV6)] {
                let mut frame = syn(is_ipv4, &with_size(u16::MAX));
                raise_segment_size(&mut frame, mtu, 8);
                let size = usize::from(told(&mut frame).unwrap());
                assert!(size + headers <= most && size % (mtu - headers) == 0, "{mtu}");
            }
        }
    }

    #[test]
    fn what_is_no_syn_or_has_no_such_option_is_left_as_it_is() {
        let mut others = vec![
            syn(true, &[]),
            syn(true, &[0, 0, 0, 0]),
            syn(true, &[1, 1, 1, 1]),
            syn(true, &[0, 2, 4, 5]),
            syn(true, &[3, 0, 2, 4]),
            syn(true, &[3, 255, 2, 4]),
            syn(true, &[1, 2, 4, 255]),
            syn(true, &[2, 3, 255, 255]),
        ];
        let mut no_syn = syn(true, &with_size(1460));
        no_syn[47] = 0x10;
        others.push(no_syn);
        let mut datagram = syn(true, &with_size(1460));
        datagram[23] = 17;
        others.push(datagram);
        for frame in others {
            let mut raised = frame.clone();
            raise_segment_size(&mut raised, 1500, 8);
            lower_segment_size(&mut raised, 600);
            assert_eq!(raised, frame);
        }
    }

    #[test]
    fn a_header_that_is_longer_than_the_packet_is_read_to_the_packets_end() {
        let whole = syn(true, &with_size(1460));
        for words in 0..16 {
            let mut frame = whole.clone();
            frame[46] = words << 4;
            raise_segment_size(&mut frame, 1500, 8);
        }
    }
}
