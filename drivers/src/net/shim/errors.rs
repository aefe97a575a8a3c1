// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that packets do not arrive: of routers, that one is too big for the next network, and of the
//! stack, that nobody has a port.

use super::super::checksum::is_sum_right;
use super::super::frame::ETHERNET_HEADER;
use super::headers::{Direction, Headers, Tuple};

/// A router's message that a packet of ours is too big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooBig {
    /// The largest packet that would get through, in bytes; 0 if the router does not tell.
    pub(super) mtu: usize,
    /// The packet's headers, as the message quotes them. Its place is counted from that of the quotation.
    pub(super) quoted: Headers,
    /// The first four bytes behind the ports: the sequence number, if it is of TCP.
    pub(super) sequence: u32,
}

/// Bytes of an ICMP message in front of what it quotes.
const HEADER: usize = 8;

/// Whose datagram, and to which port, the stack refuses in `frame`; `None` if that is something else.
pub(super) fn refused(frame: &[u8]) -> Option<Tuple> {
    let packet = frame.get(ETHERNET_HEADER..)?;
    let message = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&1) => packet.get(20..)?,
        6 if packet.get(6) == Some(&58) => packet.get(40..)?,
        _ => return None,
    };
    // Port unreachable: RFC 792, and RFC 4443, section 3.1.
    match (packet.first()? >> 4, message.first_chunk::<HEADER>()?) {
        (4, [3, 3, ..]) | (6, [1, 4, ..]) => {}
        _ => return None,
    }
    Some(Headers::of_quoted(message.get(HEADER..)?)?.tuple(Direction::In))
}

impl TooBig {
    /// The message in `frame`; `None` if that is something else, or damaged.
    pub(super) fn find(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(ETHERNET_HEADER..)?;
        match frame.get(12..ETHERNET_HEADER)? {
            [0x08, 0x00] => Self::in_ipv4(packet),
            [0x86, 0xdd] => Self::in_ipv6(packet),
            _ => None,
        }
    }

    /// RFC 1191, section 4.
    fn in_ipv4(packet: &[u8]) -> Option<Self> {
        const ICMP: u8 = 1;
        const UNREACHABLE: u8 = 3;
        const NEEDS_FRAGMENTS: u8 = 4;
        let [first, _, l0, l1, _, _, f0, f1, _, protocol, ..] = *packet.first_chunk::<20>()?;
        let is_fragment = (f0 & 0x3f, f1) != (0, 0);
        let (start, end) = (usize::from(first & 0xf) * 4, usize::from(u16::from_be_bytes([l0, l1])));
        if first >> 4 != 4 || start < 20 || is_fragment || protocol != ICMP {
            return None;
        }
        let message = packet.get(start..end)?;
        let [kind, code, _, _, _, _, m0, m1] = *message.first_chunk::<HEADER>()?;
        if (kind, code) != (UNREACHABLE, NEEDS_FRAGMENTS) || !is_sum_right(&[], 0, message) {
            return None;
        }
        Self::of(message, usize::from(u16::from_be_bytes([m0, m1])), true)
    }

    /// RFC 4443, section 3.2.
    fn in_ipv6(packet: &[u8]) -> Option<Self> {
        const ICMP: u8 = 58;
        const TOO_BIG: u8 = 2;
        let (header, rest) = packet.split_first_chunk::<40>()?;
        let [first, _, _, _, l0, l1, protocol, _, addresses @ ..] = header;
        if first >> 4 != 6 || *protocol != ICMP {
            return None;
        }
        let message = rest.get(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
        let [kind, _, _, _, mtu @ ..] = *message.first_chunk::<HEADER>()?;
        if kind != TOO_BIG || !is_sum_right(addresses, ICMP, message) {
            return None;
        }
        Self::of(message, usize::try_from(u32::from_be_bytes(mtu)).ok()?, false)
    }

    fn of(message: &[u8], mtu: usize, is_ipv4: bool) -> Option<Self> {
        let packet = message.get(HEADER..)?;
        let quoted = Headers::of_quoted(packet).filter(|quoted| quoted.is_ipv4 == is_ipv4)?;
        let sequence = packet.get(quoted.start + 4..)?.first_chunk().copied()?;
        Some(Self { mtu, quoted, sequence: u32::from_be_bytes(sequence) })
    }
}
