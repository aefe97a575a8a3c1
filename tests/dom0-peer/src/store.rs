// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real xenstored, through its socket (`docs/misc/xenstore.txt`, `io/xs_wire.h`).

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use xen_sys::io::xs_wire::*;

/// Where C xenstored listens.
const SOCKET: &str = "/run/xenstored/socket";

/// Longest time for an answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Bytes of a message's header.
pub(crate) const HEADER: usize = size_of::<xsd_sockmsg>();

/// A connection with all rights.
pub(crate) struct Store {
    stream: UnixStream,
    /// Events of watches that came between a request and its answer.
    events: u32,
}

impl Store {
    /// Connects.
    pub(crate) fn connect() -> Result<Self> {
        let stream = UnixStream::connect(SOCKET).with_context(|| format!("cannot connect to {SOCKET}"))?;
        Ok(Self { stream, events: 0 })
    }

    /// The value of a node; `None` if there is no such node. What is no text becomes one.
    pub(crate) fn read(&mut self, path: &str) -> Result<Option<String>> {
        match self.ask(XS_READ, 0, &[path, "\0"])? {
            Ok(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            Err(error) if error == "ENOENT" => Ok(None),
            Err(error) => bail!("{path} cannot be read: {error}"),
        }
    }

    /// Writes a node.
    pub(crate) fn write(&mut self, path: &str, value: &str) -> Result<()> {
        self.tell(XS_WRITE, &[path, "\0", value])
    }

    /// Writes a node, whatever the bytes.
    pub(crate) fn write_bytes(&mut self, path: &str, value: &[u8]) -> Result<()> {
        let payload = [path.as_bytes(), b"\0", value].concat();
        self.stream.write_all(&message(XS_WRITE, 0, &payload)?).context("xenstored is gone")?;
        let written = self.answer(XS_WRITE)?;
        written.map(drop).map_err(|error| anyhow::anyhow!("{path} cannot be written: {error}"))
    }

    /// Removes a node and all below, if it is there.
    pub(crate) fn remove(&mut self, path: &str) -> Result<()> {
        match self.ask(XS_RM, 0, &[path, "\0"])? {
            Err(error) if error != "ENOENT" => bail!("{path} cannot be removed: {error}"),
            _ => Ok(()),
        }
    }

    /// Makes a directory that is `owner`'s, and that `reader` may read, with these nodes in it. Whoever
    /// watches it finds all of them.
    pub(crate) fn make(&mut self, path: &str, owner: u16, reader: u16, nodes: &[(&str, &str)]) -> Result<()> {
        while !self.try_make(path, &format!("n{owner}\0r{reader}\0"), nodes)? {}
        Ok(())
    }

    /// The same, in one transaction; false if another writer came between.
    fn try_make(&mut self, path: &str, permissions: &str, nodes: &[(&str, &str)]) -> Result<bool> {
        let id = self.begin()?;
        let told = |answer: Result<Vec<u8>, String>| {
            answer.map(drop).map_err(|error| anyhow::anyhow!("{path} cannot be made: {error}"))
        };
        told(self.ask(XS_MKDIR, id, &[path, "\0"])?)?;
        told(self.ask(XS_SET_PERMS, id, &[path, "\0", permissions])?)?;
        for (name, value) in nodes {
            told(self.ask(XS_WRITE, id, &[path, "/", name, "\0", value])?)?;
        }
        self.commit(id)
    }

    /// Waits until a node is as `wanted`, and gives its value, or none if it is not there; `None` if it is
    /// not so in time. What is no text becomes one.
    pub(crate) fn wait_until(
        &mut self,
        path: &str,
        limit: Duration,
        wanted: impl Fn(Option<&str>) -> bool,
    ) -> Result<Option<Option<String>>> {
        let deadline = Instant::now() + limit;
        self.tell(XS_WATCH, &[path, "\0", "until", "\0"])?;
        let found = loop {
            // The watch fires once by itself.
            if !self.has_event(deadline)? {
                break None;
            }
            let value = self.ask(XS_READ, 0, &[path, "\0"])?.ok();
            let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
            if wanted(value.as_deref()) {
                break Some(value);
            }
        };
        self.tell(XS_UNWATCH, &[path, "\0", "until", "\0"])?;
        self.events = 0;
        Ok(found)
    }

    /// Writes the same to many nodes at once.
    pub(crate) fn write_all(&mut self, paths: &[String], value: &str) -> Result<()> {
        let messages = paths.iter().map(|path| message(XS_WRITE, 0, [path, "\0", value].concat().as_bytes()));
        let messages = messages.collect::<Result<Vec<_>>>()?.concat();
        self.stream.write_all(&messages).context("xenstored is gone")?;
        for path in paths {
            let answer = self.answer(XS_WRITE)?;
            ensure!(answer.is_ok(), "{path} cannot be written: {answer:?}");
        }
        Ok(())
    }

    /// Waits until a node has a value, and gives it.
    pub(crate) fn wait_for(&mut self, path: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        self.tell(XS_WATCH, &[path, "\0", "wait", "\0"])?;
        let value = loop {
            // The watch fires once by itself.
            self.next_event(deadline).with_context(|| format!("{path} did not appear"))?;
            if let Some(value) = self.read(path)?.filter(|value| !value.is_empty()) {
                break value;
            }
        };
        self.tell(XS_UNWATCH, &[path, "\0", "wait", "\0"])?;
        self.events = 0;
        Ok(value)
    }

    /// Has `change` made of a node's number what it gives, in one transaction; false if another
    /// writer came between.
    pub(crate) fn try_change(&mut self, path: &str, change: impl Fn(u64) -> u64) -> Result<bool> {
        let id = self.begin()?;
        let value = self.ask(XS_READ, id, &[path, "\0"])?;
        let value = value.map_err(|error| anyhow::anyhow!("{path} cannot be read: {error}"))?;
        let value = change(String::from_utf8(value)?.parse()?).to_string();
        let written = self.ask(XS_WRITE, id, &[path, "\0", &value])?;
        ensure!(written.is_ok(), "{path} cannot be written: {written:?}");
        self.commit(id)
    }

    /// Begins a transaction.
    fn begin(&mut self) -> Result<u32> {
        let id = self.ask(XS_TRANSACTION_START, 0, &["\0"])?;
        let id = String::from_utf8(id.map_err(|error| anyhow::anyhow!("no transaction: {error}"))?)?;
        Ok(id.trim_end_matches('\0').parse()?)
    }

    /// Ends a transaction; false if another writer came between, and nothing is done.
    fn commit(&mut self, id: u32) -> Result<bool> {
        match self.ask(XS_TRANSACTION_END, id, &["T\0"])? {
            Ok(_) => Ok(true),
            Err(error) if error == "EAGAIN" => Ok(false),
            Err(error) => bail!("the transaction failed: {error}"),
        }
    }

    /// Has xenstored forget a domain, which goes on.
    pub(crate) fn release(&mut self, domain: u16) -> Result<()> {
        self.tell(XS_RELEASE, &[&domain.to_string(), "\0"])
    }

    /// Has xenstored serve a domain, whose port for this is `port`.
    pub(crate) fn introduce(&mut self, domain: u16, port: u32) -> Result<()> {
        // The frame is found by its grant; the number is ignored.
        self.tell(XS_INTRODUCE, &[&domain.to_string(), "\0", "0", "\0", &port.to_string(), "\0"])
    }

    fn tell(&mut self, kind: u32, payload: &[&str]) -> Result<()> {
        let answer = self.ask(kind, 0, payload)?;
        answer.map(drop).map_err(|error| anyhow::anyhow!("request {kind} {payload:?} failed: {error}"))
    }

    /// Sends a request and waits for its answer; the inner error is xenstored's.
    fn ask(&mut self, kind: u32, transaction: u32, payload: &[&str]) -> Result<Result<Vec<u8>, String>> {
        let message = message(kind, transaction, payload.concat().as_bytes())?;
        self.stream.write_all(&message).context("xenstored is gone")?;
        self.answer(kind)
    }

    /// Waits for the answer to a request of this kind.
    fn answer(&mut self, kind: u32) -> Result<Result<Vec<u8>, String>> {
        loop {
            let (answer, payload) = self.receive(Instant::now() + LIMIT)?;
            match answer {
                XS_WATCH_EVENT => self.events += 1,
                XS_ERROR => {
                    let name = String::from_utf8_lossy(&payload).trim_end_matches('\0').to_owned();
                    return Ok(Err(name));
                }
                _ if answer == kind => return Ok(Ok(payload)),
                _ => bail!("xenstored answered request {kind} with {answer}"),
            }
        }
    }

    /// Waits for the next event of a watch; false if none comes in time.
    fn has_event(&mut self, deadline: Instant) -> Result<bool> {
        if self.events == 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
            if poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&left))? == 0 {
                return Ok(false);
            }
        }
        // What has begun to come is not left half read.
        self.next_event(Instant::now() + LIMIT).map(|()| true)
    }

    /// Waits for the next event of a watch.
    fn next_event(&mut self, deadline: Instant) -> Result<()> {
        if self.events > 0 {
            self.events -= 1;
            return Ok(());
        }
        let (kind, _) = self.receive(deadline)?;
        ensure!(kind == XS_WATCH_EVENT, "xenstored sent an answer ({kind}) to no request");
        Ok(())
    }

    /// The type and the payload of the next message.
    fn receive(&mut self, deadline: Instant) -> Result<(u32, Vec<u8>)> {
        let mut header = [0; HEADER];
        self.fill(&mut header, deadline)?;
        let header = words(&header);
        let mut payload = vec![0; header[3] as usize];
        self.fill(&mut payload, deadline)?;
        Ok((header[0], payload))
    }

    fn fill(&mut self, mut buffer: &mut [u8], deadline: Instant) -> Result<()> {
        while !buffer.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "xenstored is silent");
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(buffer) {
                Ok(0) => bail!("xenstored closed the connection"),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error).context("xenstored cannot be read"),
            }
        }
        Ok(())
    }
}

/// A request as it is sent. One is answered at a time, so all have the same number.
fn message(kind: u32, transaction: u32, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(payload.len())?;
    let header = [kind, 1, transaction, length].map(u32::to_le_bytes).concat();
    Ok([&header, payload].concat())
}

/// The words of a header: type, id, transaction, length.
pub(crate) fn words(header: &[u8; HEADER]) -> [u32; 4] {
    let (words, _) = header.as_chunks::<4>();
    [0, 1, 2, 3].map(|index| u32::from_le_bytes(words[index]))
}
