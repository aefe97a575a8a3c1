// SPDX-License-Identifier: MIT OR Apache-2.0
//! This process's terminal, connected to the console of a guest or of a lab machine.

use std::io::{ErrorKind, IsTerminal, Read, Write, stdin, stdout};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The key that ends a connection: Ctrl and ].
const ESCAPE: u8 = 0x1d;

/// End of input, as a terminal's line discipline understands it.
const END_OF_INPUT: u8 = 0x04;

/// What is done when standard input ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// The other side is told, as by Ctrl and D.
    Tell,
    /// The other side just hears no more.
    Silence,
}

/// How a connection ended.
#[derive(Debug)]
pub struct Closed {
    /// All that the other side wrote.
    pub bytes: Vec<u8>,
    /// Whether the person left by the escape key.
    pub escaped: bool,
}

/// The size of this terminal in rows and columns, if there is one.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdout()).ok()?;
    (size.ws_row > 0).then_some((size.ws_row, size.ws_col))
}

/// Connects this terminal to `stream` until the other side closes it, `split` finds an end in
/// what it wrote, or the person leaves.
///
/// `split` gives the number of bytes that may be shown, and whether the end is reached.
///
/// # Errors
/// If the stream fails.
pub fn connect(stream: &UnixStream, at_end: AtEnd, split: impl Fn(&[u8]) -> (usize, bool)) -> Result<Closed> {
    let _raw = Raw::enter()?;
    let sink = stream.try_clone().context("cannot share the console")?;
    let escaped = Arc::new(AtomicBool::new(false));
    let escape = Arc::clone(&escaped);
    // Left behind when the connection ends: nothing can wake a reader of standard input.
    thread::spawn(move || forward(sink, at_end, &escape));
    let mut bytes = Vec::new();
    let mut shown = 0;
    let mut chunk = [0; 4096];
    loop {
        match (&*stream).read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error).context("cannot read the console"),
        }
        let (showable, ended) = split(&bytes);
        show(&bytes[shown.min(showable)..showable])?;
        shown = showable.max(shown);
        if ended {
            bytes.truncate(showable);
            break;
        }
    }
    Ok(Closed { bytes, escaped: escaped.load(Ordering::Relaxed) })
}

/// Sends standard input to the other side; the escape key closes the connection.
fn forward(mut sink: UnixStream, at_end: AtEnd, escaped: &AtomicBool) {
    let mut chunk = [0; 256];
    loop {
        let count = stdin().lock().read(&mut chunk).unwrap_or(0);
        if stdin().is_terminal() && chunk[..count].contains(&ESCAPE) {
            escaped.store(true, Ordering::Relaxed);
            let _ = sink.shutdown(Shutdown::Both);
            return;
        }
        let bytes = if count > 0 {
            &chunk[..count]
        } else if at_end == AtEnd::Tell {
            [END_OF_INPUT].as_slice()
        } else {
            &[]
        };
        if sink.write_all(bytes).is_err() || count == 0 {
            return;
        }
    }
}

/// Writes to standard output what was said elsewhere, at once.
///
/// # Errors
/// If standard output takes nothing.
pub fn show(bytes: &[u8]) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// A terminal that hands every key through, until dropped.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Result<Self> {
        if !stdin().is_terminal() {
            return Ok(Self(None));
        }
        let saved = tcgetattr(stdin()).context("cannot read the terminal's settings")?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).context("cannot change the terminal's settings")?;
        Ok(Self(Some(saved)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(saved) = &self.0 {
            // Nothing to be done about a terminal that has gone.
            let _ = tcsetattr(stdin(), OptionalActions::Now, saved);
        }
    }
}
