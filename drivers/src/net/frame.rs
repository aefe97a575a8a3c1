// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ethernet frames.

use xen_sys::io::netif::XEN_NETIF_MAX_TX_SIZE;

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER: usize = 14;

/// The longest frame, in bytes: the longest IP packet with its Ethernet header.
pub const MAX_FRAME: usize = ETHERNET_HEADER + XEN_NETIF_MAX_TX_SIZE;

/// Makes `frame` one that the stack ignores: its EtherType becomes one of no protocol.
pub(super) fn discard(frame: &mut [u8]) {
    if let Some(kind) = frame.get_mut(12..14) {
        kind.fill(0);
    }
}
