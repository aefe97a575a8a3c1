// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runner's console in a lab machine: shell commands in, output and exit status out.
//!
//! The other end is the loop at the end of `init.sh`. A request is a line of a token and a
//! command; the answer is what the command writes, then a record separator, the token and the
//! status. Files travel as raw bytes on the same console.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::terminal::{self, AtEnd, Closed};

const SEPARATOR: u8 = 0x1e;

/// Longest end of an answer: separator, token, status and line end.
const LONGEST_END: usize = 32;

/// Most that is read of a file at once: less than a socket holds unread.
const PIECE: usize = 64 << 10;

/// How often a file is looked at that somebody watches.
const LOOK: Duration = Duration::from_millis(200);

/// Longest time for a command that only touches files.
const FILE_LIMIT: Duration = Duration::from_secs(60);

/// What a command wrote, and its exit status.
#[derive(Debug)]
pub struct Output {
    /// Standard output and standard error, as they came.
    pub bytes: Vec<u8>,
    /// Exit status of the shell.
    pub status: i32,
}

impl Output {
    /// The bytes as text, without carriage returns; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).replace('\r', "")
    }
}

/// The connection to a machine's agent.
#[derive(Debug)]
pub struct Agent {
    stream: UnixStream,
    requests: u32,
}

impl Agent {
    /// Takes over the connection.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, requests: 0 }
    }

    /// Waits for the agent's greeting after boot.
    ///
    /// # Errors
    /// If it does not come within `limit`.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        self.answer("ready", limit).context("the lab machine did not come up").map(drop)
    }

    /// Runs a shell command, given as one line, and waits for its end.
    ///
    /// # Errors
    /// If the machine does not answer within `limit`: it is then of no further use.
    pub fn sh(&mut self, command: &str, limit: Duration) -> Result<Output> {
        let token = self.send(command)?;
        self.answer(&token, limit).with_context(|| format!("the lab machine did not finish `{command}`"))
    }

    /// The same, but `look` is called again and again meanwhile, and once afterwards.
    ///
    /// # Errors
    /// Those of [`Self::sh`], and those of `look`.
    pub fn sh_watching(
        &mut self,
        command: &str,
        limit: Duration,
        mut look: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Output> {
        const RESULT: &str = "/tmp/watched";
        self.check(&format!(
            "rm -f {RESULT}.*; (sh -c {} >{RESULT}.out 2>&1; echo $? >{RESULT}.status) </dev/null >/dev/null 2>&1 &",
            quoted(command)
        ))?;
        let begun = Instant::now();
        loop {
            let ended = !self.get(&format!("{RESULT}.status"))?.is_empty();
            look(self)?;
            if ended {
                let status =
                    String::from_utf8_lossy(&self.get(&format!("{RESULT}.status"))?).trim().parse()?;
                return Ok(Output { bytes: self.get(&format!("{RESULT}.out"))?, status });
            }
            if begun.elapsed() > limit {
                bail!("the lab machine did not finish `{command}` within {} s", limit.as_secs());
            }
            thread::sleep(LOOK);
        }
    }

    /// Runs a short shell command that must succeed, and gives what it wrote.
    ///
    /// # Errors
    /// If it fails or takes longer than a minute.
    pub fn check(&mut self, command: &str) -> Result<String> {
        let output = self.sh(command, FILE_LIMIT)?;
        if output.status != 0 {
            bail!("`{command}` failed in the lab machine ({}): {}", output.status, output.text().trim_end());
        }
        Ok(output.text())
    }

    /// Writes a file in the machine.
    ///
    /// # Errors
    /// If the machine has no room or does not answer.
    pub fn put(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let token = self.send(&format!("head -c {} <$RUNNER >{path}", content.len()))?;
        self.stream.write_all(content).context("the lab machine closed its console")?;
        let output = self.answer(&token, FILE_LIMIT)?;
        if output.status != 0 {
            bail!("cannot write {path} in the lab machine: {}", output.text().trim_end());
        }
        Ok(())
    }

    /// Reads a file in the machine; empty if there is none.
    ///
    /// Piece by piece, each asked for when the one before has come: QEMU drops what a console
    /// writes while nobody has room for it.
    ///
    /// # Errors
    /// If the machine does not answer.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let skip = content.len() / PIECE;
            let read = format!("dd if={path} bs={PIECE} skip={skip} count=1 2>/dev/null");
            let piece = self.sh(&read, FILE_LIMIT)?.bytes;
            content.extend_from_slice(&piece);
            if piece.len() < PIECE {
                return Ok(content);
            }
        }
    }

    /// Reads a file in the machine from a byte on; empty if there is none.
    ///
    /// # Errors
    /// If the machine does not answer.
    pub fn get_from(&mut self, path: &str, start: usize) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let at = start + content.len() + 1;
            let read = format!("tail -c +{at} {path} 2>/dev/null | head -c {PIECE}");
            let piece = self.sh(&read, FILE_LIMIT)?.bytes;
            content.extend_from_slice(&piece);
            if piece.len() < PIECE {
                return Ok(content);
            }
        }
    }

    /// Runs a shell command on this process's terminal until it ends or the person leaves, and
    /// gives all that it wrote.
    ///
    /// # Errors
    /// If the machine closes its console.
    pub fn interact(&mut self, command: &str, at_end: AtEnd) -> Result<Closed> {
        // On a terminal of its own: the end of a session hangs up its terminal, which would be ours.
        let (rows, columns) = terminal::size().unwrap_or((24, 80));
        let token = self.send(&format!(
            "stty rows {rows} cols {columns} <$RUNNER; script -qec {} /dev/null <$RUNNER",
            quoted(&format!("stty sane; {command}"))
        ))?;
        self.stream.set_read_timeout(None).context("cannot lift the time limit")?;
        terminal::connect(&self.stream, at_end, |bytes| split(bytes, &token))
    }

    fn send(&mut self, command: &str) -> Result<String> {
        ensure!(!command.contains('\n'), "the lab machine takes one line at a time, not {command:?}");
        self.requests += 1;
        let token = format!("r{}", self.requests);
        self.stream
            .write_all(format!("{token} {command}\n").as_bytes())
            .context("the lab machine closed its console")?;
        Ok(token)
    }

    fn answer(&mut self, token: &str, limit: Duration) -> Result<Output> {
        let deadline = Instant::now() + limit;
        let mut bytes = Vec::new();
        loop {
            if let Some((length, status)) = end_of_answer(&bytes, token) {
                bytes.truncate(length);
                return Ok(Output { bytes, status });
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                bail!("no answer within {} s", limit.as_secs());
            };
            self.receive(&mut bytes, left)?;
        }
    }

    fn receive(&mut self, bytes: &mut Vec<u8>, limit: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(limit)).context("cannot set a time limit")?;
        let mut chunk = [0; 16384];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("the lab machine ended"),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            // With a time limit, a signal that was caught ends the call, too.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error).context("cannot read the lab machine's console"),
        }
        Ok(())
    }
}

/// Where the answer to `token` ends in `bytes` and with which status, if it has ended.
fn end_of_answer(bytes: &[u8], token: &str) -> Option<(usize, i32)> {
    let start = bytes.iter().rposition(|&byte| byte == SEPARATOR)?;
    let line = std::str::from_utf8(&bytes[start + 1..]).ok()?.strip_suffix('\n')?;
    let status = line.trim_end().strip_prefix(token)?.strip_prefix(' ')?;
    Some((start, status.parse().ok()?))
}

/// How much of `bytes` is output for sure, and whether the answer to `token` has ended.
fn split(bytes: &[u8], token: &str) -> (usize, bool) {
    match (end_of_answer(bytes, token), bytes.iter().rposition(|&byte| byte == SEPARATOR)) {
        (Some((end, _)), _) => (end, true),
        (None, Some(start)) if bytes.len() - start < LONGEST_END => (start, false),
        _ => (bytes.len(), false),
    }
}

/// `text` as one word of a shell command.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Command;

    use super::*;

    /// An agent whose machine is this one, as the loop of `init.sh` does it.
    pub(crate) fn agent_of_this_machine() -> Agent {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let requests = BufReader::new(theirs.try_clone().unwrap());
        thread::spawn(move || {
            for line in requests.lines().map_while(Result::ok) {
                let (token, command) = line.split_once(' ').unwrap();
                let output = Command::new("sh").args(["-c", command]).output().unwrap();
                theirs.write_all(&output.stdout).unwrap();
                let status = output.status.code().unwrap();
                theirs.write_all(format!("\x1e{token} {status}\n").as_bytes()).unwrap();
            }
        });
        Agent::new(ours)
    }

    #[test]
    fn a_request_of_two_lines_is_an_error() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Agent::new(ours).sh("true\nfalse", Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("one line at a time"), "{error}");
    }

    #[test]
    fn an_answer_ends_with_its_own_token() {
        assert_eq!(end_of_answer(b"text\n\x1er7 0\n", "r7"), Some((5, 0)));
        assert_eq!(end_of_answer(b"text\n\x1er7 124\r\n", "r7"), Some((5, 124)));
        assert_eq!(end_of_answer(b"text\n\x1er6 0\n", "r7"), None);
        assert_eq!(end_of_answer(b"text\n\x1er7 ", "r7"), None);
        assert_eq!(end_of_answer(b"\x1er70 0\n", "r7"), None);
    }

    #[test]
    fn what_may_be_the_end_of_an_answer_is_held_back() {
        assert_eq!(split(b"text\x1er7", "r7"), (4, false));
        assert_eq!(split(b"text\x1er7 0\n", "r7"), (4, true));
        assert_eq!(split(b"text", "r7"), (4, false));
    }

    #[test]
    fn a_quoted_word_keeps_its_quotes() {
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
