// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending back what comes: the Echo Protocol (RFC 862).

use alloc::vec;

use embedded_io_async::{Read, Write};

/// The protocol's port.
pub const PORT: u16 = 7;

/// Sends back all that comes on `stream`, until its end. It is not flushed, which would wait for
/// the peer to acknowledge.
///
/// # Errors
///
/// The stream's.
pub async fn stream<S: Read + Write>(stream: &mut S) -> Result<(), S::Error> {
    let mut buffer = vec![0; 4096];
    loop {
        let length = stream.read(&mut buffer).await?;
        match buffer.get(..length) {
            None | Some([]) => return Ok(()),
            Some(bytes) => stream.write_all(bytes).await?,
        }
    }
}
