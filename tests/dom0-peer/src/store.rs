// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real xenstored, through its socket (`docs/misc/xenstore.txt`, `io/xs_wire.h`).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use xen_sys::io::xs_wire::*;

/// Where C xenstored listens.
const SOCKET: &str = "/run/xenstored/socket";

/// Longest time for an answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Requests that are sent before the first one's answer is read.
const AT_ONCE: usize = 32;

/// Bytes of a message's header.
pub(crate) const HEADER: usize = size_of::<xsd_sockmsg>();

/// A connection with all rights.
pub(crate) struct Store {
    stream: UnixStream,
    /// The tokens of watches whose events came while something else was waited for.
    events: VecDeque<String>,
    /// What was received and is not read yet.
    received: VecDeque<u8>,
}

/// A directory that is made.
pub(crate) struct Directory<'a> {
    /// Its path.
    pub(crate) path: &'a str,
    /// The domain that may write it.
    pub(crate) owner: u16,
    /// Another one that may read it.
    pub(crate) reader: u16,
    /// The names and values of its nodes.
    pub(crate) nodes: &'a [(&'a str, &'a str)],
}

/// Tokens of the watches that are made while a node is waited for.
const UNTIL: &str = "until";
const WAIT: &str = "wait";

impl Store {
    /// Connects.
    pub(crate) fn connect() -> Result<Self> {
        let stream = UnixStream::connect(SOCKET).with_context(|| format!("cannot connect to {SOCKET}"))?;
        Ok(Self { stream, events: VecDeque::new(), received: VecDeque::new() })
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

    /// Removes a node and all below, if it is there.
    pub(crate) fn remove(&mut self, path: &str) -> Result<()> {
        match self.ask(XS_RM, 0, &[path, "\0"])? {
            Err(error) if error != "ENOENT" => bail!("{path} cannot be removed: {error}"),
            _ => Ok(()),
        }
    }

    /// Makes directories, in place of those that were there. Whoever watches one of them finds all of it.
    pub(crate) fn make(&mut self, directories: &[Directory]) -> Result<()> {
        while !self.try_make(directories)? {}
        Ok(())
    }

    /// The same, in one transaction; false if another writer came between.
    fn try_make(&mut self, directories: &[Directory]) -> Result<bool> {
        let id = self.begin()?;
        let mut requests = Vec::new();
        for Directory { path, owner, reader, nodes } in directories {
            requests.push((XS_RM, format!("{path}\0").into_bytes()));
            requests.push((XS_MKDIR, format!("{path}\0").into_bytes()));
            requests.push((XS_SET_PERMS, format!("{path}\0n{owner}\0r{reader}\0").into_bytes()));
            let nodes = nodes.iter();
            requests.extend(
                nodes.map(|(name, value)| (XS_WRITE, format!("{path}/{name}\0{value}").into_bytes())),
            );
        }
        for ((kind, payload), answer) in requests.iter().zip(self.ask_all(id, &requests)?) {
            match answer {
                Err(error) if error == "ENOENT" && *kind == XS_RM => {}
                Err(error) => bail!("{} cannot be made: {error}", String::from_utf8_lossy(payload)),
                Ok(_) => {}
            }
        }
        self.commit(id)
    }

    /// The values of nodes, one for each path; `None` if there is no such node. What is no text becomes one.
    pub(crate) fn read_each(&mut self, paths: &[String]) -> Result<Vec<Option<String>>> {
        let requests: Vec<_> =
            paths.iter().map(|path| (XS_READ, [path.as_bytes(), b"\0"].concat())).collect();
        let answers = self.ask_all(0, &requests)?.into_iter();
        Ok(answers.map(|value| Some(String::from_utf8_lossy(&value.ok()?).into_owned())).collect())
    }

    /// Writes nodes, one after another.
    pub(crate) fn write_each(&mut self, nodes: &[(String, Vec<u8>)]) -> Result<()> {
        let requests = nodes.iter().map(|(path, value)| (XS_WRITE, [path.as_bytes(), b"\0", value].concat()));
        let requests: Vec<_> = requests.collect();
        for ((path, _), written) in nodes.iter().zip(self.ask_all(0, &requests)?) {
            written.map_err(|error| anyhow::anyhow!("{path} cannot be written: {error}"))?;
        }
        Ok(())
    }

    /// Removes nodes and all below, those of them that are there.
    pub(crate) fn remove_each(&mut self, paths: &[String]) -> Result<()> {
        let requests: Vec<_> = paths.iter().map(|path| (XS_RM, [path.as_bytes(), b"\0"].concat())).collect();
        for (path, removed) in paths.iter().zip(self.ask_all(0, &requests)?) {
            match removed {
                Err(error) if error != "ENOENT" => bail!("{path} cannot be removed: {error}"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Has a node watched: events carry this token, which is none of this module's.
    pub(crate) fn watch(&mut self, path: &str, token: &str) -> Result<()> {
        self.tell(XS_WATCH, &[path, "\0", token, "\0"])
    }

    /// Ends that. Events that are on their way may still come.
    pub(crate) fn unwatch(&mut self, path: &str, token: &str) -> Result<()> {
        self.tell(XS_UNWATCH, &[path, "\0", token, "\0"])
    }

    /// The tokens of all events of watches that have come until now, in their order.
    pub(crate) fn take_events(&mut self) -> Result<Vec<String>> {
        while self.has_received(Duration::ZERO)? {
            self.hear_event(Instant::now() + LIMIT)?;
        }
        Ok(self.events.drain(..).collect())
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
        self.watch(path, UNTIL)?;
        let found = loop {
            // The watch fires once by itself.
            if !self.has_event(UNTIL, deadline)? {
                break None;
            }
            let value = self.ask(XS_READ, 0, &[path, "\0"])?.ok();
            let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
            if wanted(value.as_deref()) {
                break Some(value);
            }
        };
        self.unwatch(path, UNTIL)?;
        self.events.retain(|token| token != UNTIL);
        Ok(found)
    }

    /// Writes the same to many nodes at once.
    pub(crate) fn write_all(&mut self, paths: &[String], value: &str) -> Result<()> {
        let nodes: Vec<_> = paths.iter().map(|path| (path.clone(), value.into())).collect();
        self.write_each(&nodes)
    }

    /// Waits until a node has a value, and gives it.
    pub(crate) fn wait_for(&mut self, path: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        self.watch(path, WAIT)?;
        let value = loop {
            // The watch fires once by itself.
            ensure!(self.has_event(WAIT, deadline)?, "{path} did not appear");
            if let Some(value) = self.read(path)?.filter(|value| !value.is_empty()) {
                break value;
            }
        };
        self.unwatch(path, WAIT)?;
        self.events.retain(|token| token != WAIT);
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

    /// Sends requests at once, each a kind and a payload, and waits for their answers.
    fn ask_all(
        &mut self,
        transaction: u32,
        requests: &[(u32, Vec<u8>)],
    ) -> Result<Vec<Result<Vec<u8>, String>>> {
        let mut answers = Vec::new();
        // The socket holds so many, whatever their size: nobody waits for the other one to read.
        for some in requests.chunks(AT_ONCE) {
            let messages = some.iter().map(|(kind, payload)| message(*kind, transaction, payload));
            let messages = messages.collect::<Result<Vec<_>>>()?.concat();
            self.stream.write_all(&messages).context("xenstored is gone")?;
            for (kind, _) in some {
                answers.push(self.answer(*kind)?);
            }
        }
        Ok(answers)
    }

    /// Waits for the answer to a request of this kind.
    fn answer(&mut self, kind: u32) -> Result<Result<Vec<u8>, String>> {
        loop {
            let (answer, payload) = self.receive(Instant::now() + LIMIT)?;
            match answer {
                XS_WATCH_EVENT => self.events.push_back(token(&payload)),
                XS_ERROR => {
                    let name = String::from_utf8_lossy(&payload).trim_end_matches('\0').to_owned();
                    return Ok(Err(name));
                }
                _ if answer == kind => return Ok(Ok(payload)),
                _ => bail!("xenstored answered request {kind} with {answer}"),
            }
        }
    }

    /// Waits for the next event of the watch with this token; false if none comes in time.
    fn has_event(&mut self, token: &str, deadline: Instant) -> Result<bool> {
        loop {
            if let Some(place) = self.events.iter().position(|event| event == token) {
                self.events.remove(place);
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.has_received(left)? {
                return Ok(false);
            }
            // What has begun to come is not left half read.
            self.hear_event(Instant::now() + LIMIT)?;
        }
    }

    /// Whether there is something to read, or will be in time.
    pub(crate) fn has_received(&self, limit: Duration) -> Result<bool> {
        let limit = Timespec { tv_sec: limit.as_secs().try_into()?, tv_nsec: limit.subsec_nanos().into() };
        Ok(!self.received.is_empty()
            || poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&limit))? > 0)
    }

    /// Waits for the next event of any watch.
    fn hear_event(&mut self, deadline: Instant) -> Result<()> {
        let (kind, payload) = self.receive(deadline)?;
        ensure!(kind == XS_WATCH_EVENT, "xenstored sent an answer ({kind}) to no request");
        self.events.push_back(token(&payload));
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

    fn fill(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<()> {
        while self.received.len() < buffer.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "xenstored is silent");
            self.stream.set_read_timeout(Some(left))?;
            let mut some = [0; 4096];
            match self.stream.read(&mut some) {
                Ok(0) => bail!("xenstored closed the connection"),
                Ok(count) => self.received.extend(&some[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error).context("xenstored cannot be read"),
            }
        }
        let received = self.received.drain(..buffer.len());
        for (byte, received) in buffer.iter_mut().zip(received) {
            *byte = received;
        }
        Ok(())
    }
}

/// What is polled for events of watches.
impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The token of a watch's event, which is its path and that.
fn token(event: &[u8]) -> String {
    let token = event.split(|byte| *byte == 0).nth(1).unwrap_or_default();
    String::from_utf8_lossy(token).into_owned()
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
