// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection: requests, one after the other, and their answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use embedded_io_async::{Read, Write};
use prism_listener::{Slot, Usage};

use super::request::{Method, Request};
use super::response::{Connection, Head, Status};
use super::send_timeout::SendTimeout;
use super::server::Server;
use super::site::{File, ReadError, Site};
use crate::buffer::zeroed;
use crate::clock::{Clock, within};

/// Bytes that the head of a request can have.
pub const HEAD_LIMIT: usize = 4096;
/// Bytes of a file that are read and sent at once.
pub const PIECE: usize = 8192;
/// Time that the head of a request may take, once it has begun.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time that a connection may be open without a request.
pub const IDLE_TIME: Duration = Duration::from_secs(15);
/// Time that a client has to go on which was waited for when the domain was suspended. What it sent meanwhile
/// is lost, and its TCP sends that again as much later as the domain was away for, but no later than this
/// (Linux's `TCP_RTO_MAX`, include/net/tcp.h).
pub const RESUMED_TIME: Duration = Duration::from_secs(120);
/// Time that the site may take to open a file, or to read a [`PIECE`] of it.
pub const SITE_TIME: Duration = Duration::from_secs(30);

/// Why a connection ends before its time.
enum Broken {
    /// The client is gone, or too slow.
    Client,
    /// The file cannot be read after all; the answer has begun.
    File,
}

impl<S: Site, C: Clock> Server<S, C> {
    /// Serves a connection until it is to be closed. Between requests, and while the client is slow, its
    /// slot may go to another.
    pub async fn serve<T: Read + Write>(&self, stream: &mut T, slot: &Slot<'_>) {
        self.metrics.begun();
        let mut connection = Exchange { server: self, stream, slot, received: Vec::new() };
        while let Ok(Connection::Persistent | Connection::KeepAlive) = connection.exchange().await {}
        self.metrics.ended();
    }
}

struct Exchange<'a, S, C, T> {
    server: &'a Server<S, C>,
    stream: &'a mut T,
    slot: &'a Slot<'a>,
    /// Received, and not understood yet.
    received: Vec<u8>,
}

/// What to answer.
struct Answer<F> {
    status: Status,
    head: Head,
    body: Body<F>,
}

enum Body<F> {
    Text(String),
    /// A part of a file.
    Part(F, u64, u64),
    /// None, whatever its length would be.
    None,
}

impl<S: Site, C: Clock, T: Read + Write> Exchange<'_, S, C, T> {
    /// Answers a request, and returns what becomes of the connection.
    async fn exchange(&mut self) -> Result<Connection, Broken> {
        let request = match self.request().await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(Connection::Close),
            Err(status) => {
                let answer = self.error(status);
                self.answer("-", answer, Method::Get, Connection::Close).await?;
                return Ok(Connection::Close);
            }
        };
        let connection = if self.server.is_stopping() { Connection::Close } else { request.connection };
        let path = request.path.as_deref().unwrap_or("-");
        let answer = match within(&self.server.clock, SITE_TIME, self.find(&request)).await {
            Some(Ok(answer)) => answer,
            Some(Err(ReadError)) => self.error(Status::InternalServerError),
            None => self.error(Status::ServiceUnavailable),
        };
        self.answer(path, answer, request.method, connection).await?;
        Ok(connection)
    }

    /// The next request; `None` if the client is done.
    async fn request(&mut self) -> Result<Option<Request>, Status> {
        let slot = self.slot;
        if self.received.is_empty() {
            let begun = slot.yielding(Usage::Idle, self.patiently(IDLE_TIME, Self::receive)).await;
            if !matches!(begun, Some(Some(Ok(1..)))) {
                return Ok(None);
            }
        }
        match slot.yielding(Usage::Slow, self.patiently(HEAD_TIME, Self::head)).await {
            Some(Some(request)) => request,
            Some(None) | None => Err(Status::RequestTimeout),
        }
    }

    async fn head(&mut self) -> Result<Option<Request>, Status> {
        loop {
            // Line ends before a request are to be ignored: RFC 9112 section 2.2.
            let blank = self.received.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.received.drain(..blank);
            if let Some((request, length)) = Request::parse(&self.received)? {
                self.received.drain(..length);
                return Ok(Some(request));
            }
            if self.received.len() >= HEAD_LIMIT {
                let has_line = self.received.contains(&b'\n');
                return Err(if has_line { Status::HeaderFieldsTooLarge } else { Status::UriTooLong });
            }
            match self.receive().await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }

    /// Receives some bytes, and returns how many; 0 at the end.
    async fn receive(&mut self) -> Result<usize, T::Error> {
        let mut buffer = [0; 1024];
        let room = (HEAD_LIMIT - self.received.len().min(HEAD_LIMIT)).min(buffer.len());
        let length = self.stream.read(buffer.get_mut(..room).unwrap_or_default()).await?;
        self.received.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }

    /// What `work`, which waits for the client, makes; `None` if that takes too long.
    async fn patiently<R>(&mut self, mut limit: Duration, work: impl AsyncFn(&mut Self) -> R) -> Option<R> {
        let server = self.server;
        loop {
            let resumes = server.resumes();
            match within(&server.clock, limit, work(self)).await {
                None if server.resumes() != resumes => limit = RESUMED_TIME,
                done => return done,
            }
        }
    }

    async fn find(&self, request: &Request) -> Result<Answer<S::File>, ReadError> {
        let Some(path) = &request.path else { return Ok(self.error(Status::NotFound)) };
        if path == "metrics" {
            let mut text = self.server.metrics.text();
            (self.server.more_metrics)(&mut text);
            return Ok(of_text(Status::Ok, "text/plain; version=0.0.4", text));
        }
        match self.server.site.open(path).await? {
            Some(file) => Ok(of_file(request, path, file)),
            None => Ok(self.error(Status::NotFound)),
        }
    }

    fn error(&self, status: Status) -> Answer<S::File> {
        let mut answer = of_text(status, "text/plain", alloc::format!("{}\n", status.reason()));
        if status == Status::MethodNotAllowed {
            answer.head = answer.head.field("Allow", "GET, HEAD");
        }
        answer
    }

    async fn answer(
        &mut self,
        path: &str,
        answer: Answer<S::File>,
        method: Method,
        connection: Connection,
    ) -> Result<(), Broken> {
        let Answer { status, head, body } = answer;
        let head = head.finish(connection, self.server.date());
        let mut timeout = SendTimeout::new();
        let sent = match (self.send(head.as_bytes(), &mut timeout).await, method) {
            (Ok(()), Method::Get) => self.body(&body, &mut timeout).await,
            (sent, _) => sent.map(|()| 0),
        };
        let bytes = *sent.as_ref().unwrap_or(&0);
        self.server.metrics.answered(status, bytes);
        (self.server.log)(path, status, bytes);
        sent.map(drop)
    }

    /// Sends the body, and returns its length.
    async fn body(&mut self, body: &Body<S::File>, timeout: &mut SendTimeout) -> Result<u64, Broken> {
        match body {
            Body::None => Ok(0),
            Body::Text(text) => self.send(text.as_bytes(), timeout).await.map(|()| text.len() as u64),
            Body::Part(file, start, length) => {
                self.part(file, *start, *length, timeout).await.map(|()| *length)
            }
        }
    }

    async fn part(
        &mut self,
        file: &S::File,
        start: u64,
        length: u64,
        timeout: &mut SendTimeout,
    ) -> Result<(), Broken> {
        let buffer = zeroed(usize::try_from(length).unwrap_or(PIECE).min(PIECE));
        let mut buffer = buffer.ok_or(Broken::File)?;
        let mut sent = 0;
        while sent < length {
            let most = usize::try_from(length - sent).unwrap_or(PIECE).min(buffer.len());
            let piece = buffer.get_mut(..most).unwrap_or_default();
            let count = within(&self.server.clock, SITE_TIME, file.read(start + sent, piece)).await;
            let Some(Ok(count)) = count else { return Err(Broken::File) };
            match piece.get(..count) {
                None | Some([]) => return Err(Broken::File),
                Some(bytes) => self.send(bytes, timeout).await?,
            }
            sent += count as u64;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8], timeout: &mut SendTimeout) -> Result<(), Broken> {
        let (clock, begun, slot) = (&self.server.clock, self.server.clock.now(), self.slot);
        let written = within(clock, timeout.limit(bytes.len()), self.stream.write_all(bytes));
        let written = match timeout.is_slow() {
            true => slot.yielding(Usage::Slow, written).await.flatten(),
            false => written.await,
        };
        timeout.sent(bytes.len(), clock.now().saturating_sub(begun));
        if let Some(Ok(())) = written { Ok(()) } else { Err(Broken::Client) }
    }
}

fn of_text<F>(status: Status, kind: &str, text: String) -> Answer<F> {
    let head = Head::new(status).field("Content-Type", kind).field("Content-Length", text.len());
    Answer { status, head, body: Body::Text(text) }
}

/// The file, the part of it that is wanted, or that the client has it.
fn of_file<F: File>(request: &Request, path: &str, file: F) -> Answer<F> {
    let (length, tag) = (file.length(), Tag(file.tag()));
    let head = |status| Head::new(status).field("ETag", &tag).field("Accept-Ranges", "bytes");
    if request.if_match.as_deref().is_some_and(|field| !tag.is_strongly_in(field)) {
        return of_text(Status::PreconditionFailed, "text/plain", "Precondition Failed\n".into());
    }
    if request.if_none_match.as_deref().is_some_and(|field| tag.is_in(field)) {
        let status = Status::NotModified;
        return Answer { status, head: head(status), body: Body::None };
    }
    let same = request.if_range.as_deref().is_none_or(|field| tag.is_this(field.trim()));
    let (status, start, part) = match request.range.filter(|_| same).map(|range| range.of(length)) {
        None => (Status::Ok, 0, length),
        Some(Some(part)) => (Status::PartialContent, part.start, part.length),
        Some(None) => {
            let status = Status::RangeNotSatisfiable;
            let head = head(status).field("Content-Range", format_args!("bytes */{length}"));
            return Answer { status, head: head.field("Content-Length", 0), body: Body::None };
        }
    };
    let mut head = head(status).field("Content-Type", kind_of(path)).field("Content-Length", part);
    if status == Status::PartialContent {
        let last = start + part - 1;
        head = head.field("Content-Range", format_args!("bytes {start}-{last}/{length}"));
    }
    Answer { status, head, body: Body::Part(file, start, part) }
}

/// An entity tag: RFC 9110 section 8.8.3.
struct Tag(u64);

impl Tag {
    /// By the strong comparison: RFC 9110 section 8.8.3.2.
    fn is_this(&self, tag: &str) -> bool {
        tag == alloc::format!("{self}")
    }

    fn is_strongly_in(&self, field: &str) -> bool {
        field.split(',').map(str::trim).any(|tag| tag == "*" || self.is_this(tag))
    }

    /// By the weak one.
    fn is_in(&self, field: &str) -> bool {
        let is_this = |tag: &str| tag == "*" || self.is_this(tag.strip_prefix("W/").unwrap_or(tag));
        field.split(',').map(str::trim).any(is_this)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:016x}\"", self.0)
    }
}

/// The media type of a file, by its name.
fn kind_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
