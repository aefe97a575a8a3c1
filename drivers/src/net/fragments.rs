// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragmentation of IPv6 packets, which only their sender may do (RFC 8200, section 4.5).

use alloc::vec::Vec;

use super::frame::ETHERNET_HEADER;

/// Bytes in front of the payload of a packet without extension headers, and of the header of a fragment.
const START: usize = ETHERNET_HEADER + 40;
const HEADER: usize = 8;

/// The next header of a fragment.
const FRAGMENT: u8 = 44;

/// Calls `send` with the fragments of the packet of IPv6 in `frame` for a path of `mtu`, each with this
/// `number`; with none if there is none, or it has extension headers. Its checksum has been filled in.
pub(super) fn divide(frame: &[u8], mtu: usize, number: u32, mut send: impl FnMut(&mut [u8])) {
    const MORE: u16 = 1;
    let Some((headers, rest)) = frame.split_first_chunk::<START>() else { return };
    let [.., 0x86, 0xdd, 0x60..=0x6f, _, _, _, l0, l1, 6 | 17 | 58, _] = headers.split_at(22).0 else {
        return;
    };
    // Counted in eights, as places are.
    let size = mtu.saturating_sub(40 + HEADER) / 8 * 8;
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    let Some(payload) = rest.get(..length).filter(|_| size != 0) else { return };
    let count = length.div_ceil(size);
    for (index, part) in payload.chunks(size).enumerate() {
        let more = if index + 1 < count { MORE } else { 0 };
        let place = (index * size) as u16 | more; // of 64 KiB at most
        let mut first = *headers;
        [first[18], first[19]] = ((HEADER + part.len()) as u16).to_be_bytes();
        let protocol = core::mem::replace(&mut first[20], FRAGMENT);
        let ([p0, p1], [n0, n1, n2, n3]) = (place.to_be_bytes(), number.to_be_bytes());
        let mut piece = Vec::from(first);
        piece.extend([protocol, 0, p0, p1, n0, n1, n2, n3]);
        piece.extend(part);
        send(&mut piece);
    }
}
