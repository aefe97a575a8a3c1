// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checksums of TCP and UDP in Ethernet frames: checked, filled in, or left to the other side.
//!
//! A checksum is "blank" when its field holds only the sum over the pseudo header: whoever puts the
//! frame on a wire adds the rest (`NETTXF_csum_blank`, `NETRXF_csum_blank` of
//! `xen/include/public/io/netif.h`). Sums are those of RFC 1071, pseudo headers those of RFC 9293
//! section 3.1 and RFC 8200 section 8.1.

use super::frame::ETHERNET_HEADER;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Fills the checksum of TCP or UDP in `frame` in, if that holds one.
pub fn fill_checksum(frame: &mut [u8]) {
    if let Some(transport) = Transport::find(frame) {
        transport.fill_checksum(frame);
    }
}

/// Whether the checksum of TCP or UDP in `frame` is right, if that holds one.
pub fn verify_checksum(frame: &[u8]) -> bool {
    Transport::find(frame).is_none_or(|transport| transport.verify_checksum(frame))
}

/// A TCP segment or UDP datagram that a frame holds whole: neither a fragment, nor behind options of
/// IPv6, nor cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its first byte in the frame.
    start: usize,
    /// The byte behind its last; what follows is padding.
    end: usize,
    /// Where its checksum is in the frame.
    field: usize,
    protocol: u8,
    is_ipv4: bool,
    /// The sum over the addresses.
    addresses: u32,
}

impl Transport {
    /// What `frame` holds; `None` if that is something else.
    pub fn find(frame: &[u8]) -> Option<Self> {
        match frame.get(12..ETHERNET_HEADER)? {
            [0x08, 0x00] => Self::in_ipv4(frame),
            [0x86, 0xdd] => Self::in_ipv6(frame),
            _ => None,
        }
    }

    fn in_ipv4(frame: &[u8]) -> Option<Self> {
        let header: &[u8; 20] = frame.get(ETHERNET_HEADER..)?.first_chunk()?;
        let [first, _, l0, l1, _, _, f0, f1, _, protocol, _, _, addresses @ ..] = header;
        let is_fragment = (f0 & 0x3f, *f1) != (0, 0); // an offset, or more to follow
        let header_length = usize::from(first & 0xf) * 4;
        if first >> 4 != 4 || header_length < 20 || is_fragment {
            return None;
        }
        let start = ETHERNET_HEADER + header_length;
        let end = ETHERNET_HEADER + usize::from(u16::from_be_bytes([*l0, *l1]));
        Self::new(frame, start, end, *protocol, addresses)
    }

    fn in_ipv6(frame: &[u8]) -> Option<Self> {
        let header: &[u8; 40] = frame.get(ETHERNET_HEADER..)?.first_chunk()?;
        let [first, _, _, _, l0, l1, protocol, _, addresses @ ..] = header;
        let start = ETHERNET_HEADER + header.len();
        let end = start + usize::from(u16::from_be_bytes([*l0, *l1]));
        if first >> 4 == 6 { Self::new(frame, start, end, *protocol, addresses) } else { None }
    }

    fn new(frame: &[u8], start: usize, end: usize, protocol: u8, addresses: &[u8]) -> Option<Self> {
        let (shortest, field) = match protocol {
            TCP => (20, start + 16),
            UDP => (8, start + 6),
            _ => return None,
        };
        let fits = end >= start + shortest && end <= frame.len();
        fits.then(|| Self {
            start,
            end,
            field,
            protocol,
            is_ipv4: addresses.len() == 8,
            addresses: sum(addresses),
        })
    }

    /// Whether it is in an IPv4 packet, and not in one of IPv6.
    pub fn is_ipv4(&self) -> bool {
        self.is_ipv4
    }

    /// A number below `count`, which is 65536 at most, that the packets of a flow have in common, in this
    /// direction.
    pub(super) fn choose(&self, frame: &[u8], count: usize) -> usize {
        let ports = frame.get(self.start..self.start + 4).unwrap_or_default();
        // Fibonacci hashing: a remainder would not do, as Linux's clients choose ports of one parity.
        let hash = (self.addresses + sum(ports)).wrapping_mul(0x9e37_79b9) >> 16;
        (hash as usize * count) >> 16
    }

    /// Whether it is a TCP segment.
    pub(super) fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }

    /// Its first byte in the frame.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The byte behind its last.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The same, but it ends at `end`.
    pub(super) fn ending_at(self, end: usize) -> Self {
        Self { end, ..self }
    }

    /// Whether the checksum in `frame`, where this was found, is right. UDP over IPv4 may have none, but not
    /// over IPv6 (RFC 8200, section 8.1).
    pub fn verify_checksum(&self, frame: &[u8]) -> bool {
        let Some(bytes) = frame.get(self.start..self.end) else { return false };
        let may_have_none = self.protocol == UDP && self.is_ipv4;
        let none = may_have_none && frame.get(self.field..self.field + 2) == Some(&[0, 0]);
        none || fold(self.pseudo_header() + sum(bytes)) == 0xffff
    }

    /// Leaves the checksum in `frame`, where this was found, blank.
    pub fn blank(&self, frame: &mut [u8]) {
        self.set(frame, fold(self.pseudo_header()));
    }

    /// Fills the checksum in `frame`, where this was found, in.
    pub fn fill_checksum(&self, frame: &mut [u8]) {
        self.blank(frame);
        let Some(bytes) = frame.get(self.start..self.end) else { return };
        let checksum = !fold(sum(bytes));
        // To UDP 0 means that there is none; the sum is the same with its other zero.
        self.set(frame, if checksum == 0 { 0xffff } else { checksum });
    }

    fn set(&self, frame: &mut [u8], value: u16) {
        if let Some(field) = frame.get_mut(self.field..self.field + 2) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// The sum over addresses, length and protocol.
    fn pseudo_header(&self) -> u32 {
        self.addresses + (self.end - self.start) as u32 + u32::from(self.protocol)
    }
}

/// The sum of `bytes` as big-endian 16-bit words, in 17 bits: carries are added at the other end, as in
/// [`fold`]. Eight bytes are added at a time, of which no number of them in memory overflows the sum.
fn sum(bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let long = |eight: &[u8; 8]| {
        let word = u64::from_be_bytes(*eight);
        (word >> 32) + (word & 0xffff_ffff)
    };
    let sum: u64 = eights.iter().map(long).sum();
    let (words, rest) = rest.as_chunks::<2>();
    let words: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    let sum = sum + words + rest.first().map_or(0, |last| u64::from(*last) << 8);
    let once = (sum >> 32) + (sum & 0xffff_ffff);
    let twice = (once >> 16) + (once & 0xffff);
    ((twice >> 16) + (twice & 0xffff)) as u32
}

/// Whether the checksum in an ICMP `message` is right, whose pseudo header has `addresses` and `protocol`, if
/// any.
pub(super) fn is_sum_right(addresses: &[u8], protocol: u8, message: &[u8]) -> bool {
    let length = if addresses.is_empty() { 0 } else { message.len() as u32 };
    fold(sum(addresses) + length + u32::from(protocol) + sum(message)) == 0xffff
}

/// The checksum of an IPv4 header, in which its field is 0.
pub(super) fn of_header(header: &[u8]) -> u16 {
    !fold(sum(header))
}

/// The checksum of the ICMPv6 `message` between `addresses`, source and destination (RFC 4443, section 2.3):
/// what is to be filled in where its field is 0, and 0 where it is right.
pub(super) fn icmpv6(addresses: &[u8], message: &[u8]) -> u16 {
    const ICMPV6: u32 = 58;
    !fold(sum(addresses) + message.len() as u32 + ICMPV6 + sum(message))
}

/// The sum in 16 bits: carries are added at the other end.
fn fold(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + (once & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Ethernet header and an IPv4 packet of UDP from 192.0.2.1 to 192.0.2.2 with `payload`.
    fn udp(payload: &[u8]) -> Vec<u8> {
        let length = 8 + payload.len() as u16;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((20 + length).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, UDP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0, 9]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        frame
    }

    /// The same with TCP over IPv6.
    fn tcp6(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0];
        frame.extend((20 + payload.len() as u16).to_be_bytes());
        frame.extend([TCP, 64]);
        frame.extend((0..32).map(|byte| byte * 3));
        frame.extend([0, 7, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn a_checksum_worked_out_by_hand_is_filled_in() {
        // Pseudo header c000 0201 c000 0202 0011 000b, header 0007 0009 000b 0000, payload 6162 6300.
        let mut frame = udp(b"abc");
        let transport = Transport::find(&frame).unwrap();
        transport.fill_checksum(&mut frame);
        assert_eq!(frame[40..42], (!0x489eu16).to_be_bytes());
        assert!(transport.verify_checksum(&frame));
    }

    #[test]
    fn many_bytes_are_summed_as_word_by_word() {
        let bytes: Vec<u8> = (0..=u16::MAX).map(|number| (number.wrapping_mul(40503) >> 8) as u8).collect();
        for length in (0..64).chain([1448, 65535, 65536]) {
            for bytes in [&bytes[..length], &vec![0xff; length]] {
                let word =
                    |word: &[u8]| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low));
                let mut expected: u64 = bytes.chunks(2).map(word).sum();
                while expected >> 16 != 0 {
                    expected = (expected >> 16) + (expected & 0xffff);
                }
                assert_eq!(u64::from(fold(sum(bytes))), expected, "{length}");
            }
        }
    }

    #[test]
    fn filled_in_sums_are_right_until_a_bit_changes() {
        for mut frame in [udp(b""), udp(b"odd"), udp(&[0xff; 1472]), tcp6(b"payload"), tcp6(&[1; 65000])] {
            let transport = Transport::find(&frame).unwrap();
            transport.fill_checksum(&mut frame);
            assert!(transport.verify_checksum(&frame));
            let last = frame.len() - 1;
            for (place, bit) in [(last, 1), (transport.start, 0x80), (transport.field, 4)] {
                frame[place] ^= bit;
                assert!(!transport.verify_checksum(&frame), "byte {place}");
                frame[place] ^= bit;
            }
        }
    }

    #[test]
    fn what_a_nic_adds_makes_a_blank_checksum_right() {
        let mut frame = tcp6(b"payload");
        let transport = Transport::find(&frame).unwrap();
        transport.blank(&mut frame);
        assert!(!transport.verify_checksum(&frame));
        let checksum = !fold(sum(&frame[transport.start..]));
        transport.set(&mut frame, checksum);
        assert!(transport.verify_checksum(&frame));
    }

    #[test]
    fn padding_behind_the_packet_does_not_count() {
        let mut frame = udp(b"a");
        frame.resize(60, 0xaa);
        let transport = Transport::find(&frame).unwrap();
        transport.fill_checksum(&mut frame);
        frame[59] = 0;
        assert!(transport.verify_checksum(&frame));
    }

    #[test]
    fn udp_without_a_checksum_is_right_over_ipv4_alone() {
        let frame = udp(b"abc");
        assert!(Transport::find(&frame).unwrap().verify_checksum(&frame));
        let mut frame = tcp6(b"abc");
        frame[20] = UDP;
        let transport = Transport::find(&frame).unwrap();
        transport.fill_checksum(&mut frame);
        assert!(transport.verify_checksum(&frame));
        transport.set(&mut frame, 0);
        assert!(!transport.verify_checksum(&frame));
    }

    #[test]
    fn fragments_and_what_is_cut_short_or_something_else_are_left_alone() {
        let whole = udp(b"abcdef");
        for length in 0..whole.len() {
            assert_eq!(Transport::find(&whole[..length]), None, "{length}");
        }
        // The version, the header's length, more fragments, an offset, the protocol, the Ethernet type.
        for (place, value) in [(14, 0x65), (14, 0x44), (20, 0x20), (21, 1), (23, 1), (12, 9)] {
            let mut frame = whole.clone();
            frame[place] = value;
            assert_eq!(Transport::find(&frame), None, "byte {place}");
        }
        // A header with options reaches into what would be UDP's.
        let mut frame = whole;
        frame[14] = 0x4f;
        assert_eq!(Transport::find(&frame), None);
    }
}
