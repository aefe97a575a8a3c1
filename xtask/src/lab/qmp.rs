// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's machine protocol, as far as snapshots, screens and keyboards need it.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How often a running migration is asked for its state.
const POLL: Duration = Duration::from_millis(50);

/// A connection to a QEMU's control socket.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Connects to the socket at `path` and leaves the negotiation behind.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn connect(path: &Path) -> Result<Self> {
        let writer = UnixStream::connect(path).context("cannot reach QEMU's control socket")?;
        let reader = BufReader::new(writer.try_clone().context("cannot share QEMU's control socket")?);
        let mut qmp = Self { reader, writer };
        qmp.message()?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Writes the machine's whole state to `file` and leaves the machine stopped.
    ///
    /// # Errors
    /// If QEMU cannot write it.
    pub fn save(&mut self, file: &Path) -> Result<()> {
        // The default limit is that of a network; this is a local file.
        self.execute("migrate-set-parameters", json!({"max-bandwidth": 1_u64 << 40}))?;
        self.execute("migrate", json!({"uri": format!("file:{}", file.display())}))?;
        loop {
            let state = self.execute("query-migrate", json!({}))?;
            match state["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    bail!("QEMU cannot save the machine: {}", state["error-desc"])
                }
                _ => thread::sleep(POLL),
            }
        }
    }

    /// The registers of all processors.
    ///
    /// # Errors
    /// If QEMU is gone.
    pub fn registers(&mut self) -> Result<String> {
        let text = self.execute("human-monitor-command", json!({"command-line": "info registers -a"}))?;
        Ok(text.as_str().unwrap_or_default().replace('\r', ""))
    }

    /// Saves what the guest has at these addresses to `file`, relative to QEMU's directory.
    ///
    /// # Errors
    /// If QEMU cannot write it.
    pub fn save_memory(&mut self, addresses: Range<u64>, file: &str) -> Result<()> {
        let (start, size) = (addresses.start, addresses.end - addresses.start);
        self.execute("pmemsave", json!({"val": start, "size": size, "filename": file})).map(drop)
    }

    /// Types a letter, digit, blank or line end on the guest's keyboard.
    ///
    /// # Errors
    /// If there is no key for it.
    pub fn press(&mut self, character: char) -> Result<()> {
        let key = match character {
            '\n' => "ret".to_owned(),
            ' ' => "spc".to_owned(),
            character => character.to_ascii_lowercase().to_string(),
        };
        let shift = character.is_ascii_uppercase().then_some("shift");
        let keys = shift.into_iter().chain([key.as_str()]);
        let keys: Vec<Value> = keys.map(|key| json!({"type": "qcode", "data": key})).collect();
        self.execute("send-key", json!({"keys": keys})).map(drop)
    }

    /// Presses the machine's power button.
    ///
    /// # Errors
    /// If QEMU is gone.
    pub fn power_down(&mut self) -> Result<()> {
        self.execute("system_powerdown", json!({})).map(drop)
    }

    /// Ends QEMU.
    ///
    /// # Errors
    /// If QEMU is gone already.
    pub fn quit(&mut self) -> Result<()> {
        self.execute("quit", json!({})).map(drop)
    }

    /// Has QEMU do what a command says, and gives its answer.
    ///
    /// # Errors
    /// If QEMU refuses, or is gone.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        // In one piece: QEMU acts on the closing brace, and told to quit it is gone before a line
        // end that comes later.
        let line = format!("{request}\n");
        self.writer.write_all(line.as_bytes()).context("QEMU closed its control socket")?;
        loop {
            let mut message = self.message()?;
            if message.get("event").is_some() {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("QEMU refused {command}: {}", error["desc"]);
            }
            return Ok(message["return"].take());
        }
    }

    fn message(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).context("cannot read QEMU's control socket")? == 0 {
            bail!("QEMU ended");
        }
        serde_json::from_str(&line).context("QEMU's control socket speaks no JSON")
    }
}
