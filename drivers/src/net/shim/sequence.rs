// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequence numbers that nobody can foresee (RFC 6528).
//!
//! The stack begins its connections with numbers of a generator whose later ones follow from a few earlier
//! ones. So all numbers of a connection are moved by a secret that belongs to its two ends: who sees the
//! numbers of his own connections learns nothing of others. It is worked out for each segment, and nothing
//! has to be remembered.

use super::headers::{ACK, Headers, RST, get, set};

/// Where in a TCP header the fields are.
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;

/// The option for blocks that are acknowledged selectively, by their edges (RFC 2018, section 3).
const SELECTIVE: u8 = 5;

/// Moves the stack's numbers in a segment of its own by `offset`.
pub(super) fn hide(frame: &mut [u8], headers: &Headers, offset: u32) {
    let flags = headers.flags(frame);
    let Some(sequence) = get(frame, headers.start + SEQUENCE).map(u32::from_be_bytes) else { return };
    // A reset of what is no connection has no number of its own (RFC 9293, section 3.5.2).
    if sequence == 0 && flags & (RST | ACK) == RST | ACK {
        return;
    }
    set(frame, headers.start + SEQUENCE, sequence.wrapping_add(offset).to_be_bytes());
}

/// Moves the stack's numbers in a peer's segment back by `offset`: what it acknowledges, at once and
/// selectively.
pub(super) fn reveal(frame: &mut [u8], headers: &Headers, offset: u32) {
    let flags = headers.flags(frame);
    if flags & ACK == 0 {
        return;
    }
    move_back(frame, headers.start + ACKNOWLEDGEMENT, offset);
    if let Some((start, length)) = headers.option(frame, SELECTIVE) {
        (start..start + length / 8 * 8).step_by(4).for_each(|place| move_back(frame, place, offset));
    }
}

fn move_back(frame: &mut [u8], place: usize, offset: u32) {
    if let Some(number) = get(frame, place).map(u32::from_be_bytes) {
        set(frame, place, number.wrapping_sub(offset).to_be_bytes());
    }
}
