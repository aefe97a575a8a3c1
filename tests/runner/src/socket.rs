// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting to sockets that a program just started is about to open.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a socket that is not there yet is tried again.
const POLL: Duration = Duration::from_millis(20);

/// Connects to the socket at `path` as soon as somebody listens.
///
/// # Errors
/// If nobody does within `limit`.
pub fn connect(path: &Path, limit: Duration) -> Result<UnixStream> {
    let deadline = Instant::now() + limit;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => bail!("nobody listens on {}: {error}", path.display()),
            Err(_) => thread::sleep(POLL),
        }
    }
}
