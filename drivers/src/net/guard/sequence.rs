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
const OPTIONS: usize = 20;

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
    let words = get(frame, headers.start + 12).map_or(0, |[words]: [u8; 1]| words >> 4);
    let end = (headers.start + usize::from(words) * 4).min(headers.end);
    if let Some((start, end)) = blocks(frame, headers.start + OPTIONS, end) {
        (start..end).step_by(4).for_each(|place| move_back(frame, place, offset));
    }
}

fn move_back(frame: &mut [u8], place: usize, offset: u32) {
    if let Some(number) = get(frame, place).map(u32::from_be_bytes) {
        set(frame, place, number.wrapping_sub(offset).to_be_bytes());
    }
}

/// Where the edges of blocks that are acknowledged selectively are (RFC 2018, section 3), among the options
/// from `place` to `end`.
fn blocks(frame: &[u8], place: usize, end: usize) -> Option<(usize, usize)> {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const SELECTIVE: u8 = 5;
    let mut place = place;
    while place < end {
        let next = match frame.get(place..end)? {
            [END, ..] => return None,
            [NOTHING, ..] => place + 1,
            [kind, length, ..] => {
                let behind = place + usize::from(*length).max(2);
                if *kind == SELECTIVE {
                    return (behind <= end).then_some((place + 2, place + 2 + (behind - place - 2) / 8 * 8));
                }
                behind
            }
            _ => return None,
        };
        place = next;
    }
    None
}
