// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a peer says of itself in the SYN of a TCP connection.

use super::headers::{Headers, get};

/// Kinds of options: RFC 9293, section 3.1; RFC 7323, section 2.2.
const SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;

/// The largest shift of a window: RFC 7323, section 2.3.
const MAX_SHIFT: u8 = 14;

/// What a peer says of itself in its SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Bytes of payload of segments to it.
    pub(super) segment: u16,
    /// By how many bits windows in its later segments are shifted.
    pub(super) shift: u8,
}

impl Peer {
    /// What the SYN in `frame` says, on a network of `mtu`.
    pub(super) fn find(frame: &[u8], headers: &Headers, mtu: usize) -> Self {
        // Without the option: RFC 9293, section 3.7.1.
        let (usual, ours) =
            if headers.is_ipv4 { (536, mtu.saturating_sub(40)) } else { (1220, mtu.saturating_sub(60)) };
        let value = |kind, length| headers.option(frame, kind).filter(|found| found.1 == length);
        let segment = value(SEGMENT_SIZE, 2).and_then(|(place, _)| get(frame, place)).map(u16::from_be_bytes);
        let shift = value(WINDOW_SCALE, 1).and_then(|(place, _)| get(frame, place));
        let segment = segment.unwrap_or(usual).min(u16::try_from(ours).unwrap_or(u16::MAX));
        Self { segment, shift: shift.map_or(0, |[shift]| shift).min(MAX_SHIFT) }
    }
}
