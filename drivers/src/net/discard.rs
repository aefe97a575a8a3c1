// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames that the stack is not to see.

/// Makes `frame` one that the stack does not look at: of no protocol.
pub(super) fn discard(frame: &mut [u8]) {
    if let Some(kind) = frame.get_mut(12..14) {
        kind.fill(0);
    }
}
