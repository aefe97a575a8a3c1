// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers of TCP and UDP that the stack would find where nobody has looked at them.
//!
//! The boundary looks at packets, and the stack puts fragments together. A first one may be so small that
//! what the boundary looks for is in the next one, or a later one may be put over it (RFC 1858, section 3).
//! And the stack skips one extension header of IPv6. Nobody sends TCP or UDP so.

use super::super::frame::ETHERNET_HEADER;
use super::headers::{TCP, UDP, get};

/// Bytes that a first fragment has at least, and that no later one may begin below: all of TCP but its
/// options, and the ids of DNS and of DHCP. Links take more (RFC 791, section 3.2).
const FIRST: usize = 20;

/// IPv6's header of options for each router, which the stack skips.
const HOP_BY_HOP: u8 = 0;

/// Whether the frame has such headers.
pub(super) fn is_hidden(frame: &[u8]) -> bool {
    let packet = frame.get(ETHERNET_HEADER..).unwrap_or_default();
    match frame.get(12..ETHERNET_HEADER) {
        Some([0x08, 0x00]) => is_hidden_in_ipv4(packet),
        Some([0x86, 0xdd]) => {
            get(packet, 6) == Some([HOP_BY_HOP]) && get(packet, 40).is_some_and(|[next]| is_ported(next))
        }
        _ => false,
    }
}

fn is_hidden_in_ipv4(packet: &[u8]) -> bool {
    const MORE: u8 = 0x20;
    let Some([first, _, l0, l1, _, _, f0, f1, _, protocol]) = get(packet, 0) else { return false };
    let place = usize::from(u16::from_be_bytes([f0 & 0x1f, f1])) * 8;
    let length = usize::from(u16::from_be_bytes([l0, l1])).saturating_sub(usize::from(first & 0xf) * 4);
    let is_short = place == 0 && f0 & MORE != 0 && length < FIRST;
    is_ported(protocol) && (is_short || (1..FIRST.next_multiple_of(8)).contains(&place))
}

fn is_ported(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP)
}
