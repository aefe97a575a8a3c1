// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending back what comes: the Echo Protocol (RFC 862), and a client that looks at what came back.

use alloc::vec;
use alloc::vec::Vec;

use embedded_io_async::{Read, Write};
use prism_listener::{Place, Usage};

/// The protocol's port.
pub const PORT: u16 = 7;

/// Sends back all that comes on `stream`, until its end, or until somebody else needs the place of a peer
/// that neither says nor takes anything. It is not flushed, which would wait for the peer to acknowledge.
///
/// # Errors
///
/// The stream's.
pub async fn stream<S: Read + Write>(stream: &mut S, place: &Place<'_>) -> Result<(), S::Error> {
    let mut buffer = vec![0; 4096];
    loop {
        let Some(length) = place.yielding(Usage::Idle, stream.read(&mut buffer)).await else { return Ok(()) };
        match buffer.get(..length?) {
            None | Some([]) => return Ok(()),
            Some(bytes) => match place.yielding(Usage::Idle, stream.write_all(bytes)).await {
                Some(written) => written?,
                None => return Ok(()),
            },
        }
    }
}

/// Bytes that a client sends before it waits for them.
const BLOCK: usize = 4096;

/// What a client sends in turn `number`, `length` bytes that are of that turn only.
pub fn block(number: u32, length: usize) -> Vec<u8> {
    (0..length as u32).map(|place| (place ^ place >> 8).wrapping_mul(7).wrapping_add(number) as u8).collect()
}

/// Sends `blocks` blocks of 4096 bytes on `stream`, and returns how many of them came back as they were
/// before one did not.
pub async fn converse<S: Read + Write>(stream: &mut S, blocks: u32) -> u32 {
    let mut back = vec![0; BLOCK];
    for number in 0..blocks {
        let sent = block(number, BLOCK);
        let came = stream.write_all(&sent).await.is_ok() && stream.read_exact(&mut back).await.is_ok();
        if !came || back != sent {
            return number;
        }
    }
    blocks
}
