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
/// If nobody does within `limit`, or while the program `is_running`.
pub fn connect(path: &Path, limit: Duration, mut is_running: impl FnMut() -> bool) -> Result<UnixStream> {
    let deadline = Instant::now() + limit;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => bail!("nobody listens on {}: {error}", path.display()),
            Err(_) if !is_running() => bail!("the program ended before it opened {}", path.display()),
            Err(_) => thread::sleep(POLL),
        }
    }
}
