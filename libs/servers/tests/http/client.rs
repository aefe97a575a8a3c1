// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that says what it is told to, and a clock whose time passes only when nothing happens.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use futures::executor::block_on;
use prism_listener::Slots;
use prism_servers::clock::Clock;
use prism_servers::http::{File, Files, ReadError, Server, Site};

/// What a client does next.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Says(Vec<u8>),
    /// Is silent for ever.
    IsSilent,
}

/// The client's end of a connection, which it closes when it has done everything.
#[derive(Default)]
pub(crate) struct Client {
    acts: VecDeque<Act>,
    /// Bytes that it takes before it stops reading.
    pub(crate) appetite: Option<usize>,
    /// Time that passes whenever it takes something.
    pub(crate) delay: Duration,
    pub(crate) heard: Vec<u8>,
}

impl Client {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: acts.into_iter().collect(), ..Self::default() }
    }

    /// Has it do all that `other` does, after its own.
    pub(crate) fn append(&mut self, other: Self) {
        self.acts.extend(other.acts);
    }

    pub(crate) fn has_more_to_say(&self) -> bool {
        !self.acts.is_empty()
    }

    pub(crate) fn saying(text: &str) -> Self {
        Self::new([Act::Says(text.into())])
    }
}

impl ErrorType for Client {
    type Error = Infallible;
}

impl Read for Client {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        match self.acts.front_mut() {
            None => Ok(0),
            Some(Act::IsSilent) => pending().await,
            Some(Act::Says(text)) => {
                let length = text.len().min(into.len());
                into[..length].copy_from_slice(&text[..length]);
                text.drain(..length);
                if text.is_empty() {
                    self.acts.pop_front();
                }
                Ok(length)
            }
        }
    }
}

impl Write for Client {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let length = self.appetite.map_or(bytes.len(), |appetite| bytes.len().min(appetite));
        if length == 0 {
            pending::<()>().await;
        }
        self.appetite = self.appetite.map(|appetite| appetite - length);
        self.heard.extend_from_slice(&bytes[..length]);
        NOW.set(NOW.get() + self.delay);
        Ok(length)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

thread_local! {
    /// The times that had to pass.
    pub(crate) static PASSED: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Passes when all else has had its turn.
pub(crate) struct Turns;

impl Clock for Turns {
    async fn pause(&self, time: Duration) {
        let mut turns = 100;
        poll_fn(|context| {
            turns -= 1;
            context.waker().wake_by_ref();
            if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        PASSED.with_borrow_mut(|passed| passed.push(time));
    }

    fn now(&self) -> Duration {
        NOW.get()
    }
}

/// What the tests' site holds.
pub(crate) fn site() -> Files {
    Files::new(&[
        ("index.html", b"<p>Hello</p>"),
        ("ten.txt", b"0123456789"),
        ("empty", b""),
        ("large.bin", &[7; 100_000]),
    ])
}

/// What a server of [`site`] says to `client`.
pub(crate) fn serve(client: &mut Client) -> String {
    serve_site(site(), client)
}

pub(crate) fn serve_site(site: impl Site, client: &mut Client) -> String {
    let server = Server::new(site, Turns);
    block_on(server.serve(client, &Slots::new(1).take()));
    String::from_utf8_lossy(&client.heard).into_owned()
}

/// What it says to a client that says this and closes.
pub(crate) fn ask(text: &str) -> String {
    serve(&mut Client::saying(text))
}

/// The same for a GET with these further fields, each with its line end.
pub(crate) fn get(target: &str, fields: &str) -> String {
    ask(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"))
}

/// The number in the first line.
pub(crate) fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

/// The value of a field.
pub(crate) fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What stands behind the head.
pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A file that says it is longer than it is, and a site that cannot be read.
pub(crate) struct Damaged;

impl Site for Damaged {
    type File = Self;

    async fn open(&self, path: &str) -> Result<Option<Self>, ReadError> {
        if path == "unreadable" { Err(ReadError) } else { Ok(Some(Self)) }
    }
}

impl File for Damaged {
    fn length(&self) -> u64 {
        100
    }

    fn tag(&self) -> u64 {
        1
    }

    async fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        match offset {
            0 => {
                into[..10].fill(b'x');
                Ok(10)
            }
            _ => Ok(0),
        }
    }
}

/// A site on a disk that does not answer: not when a file is opened, or not when it is read.
pub(crate) struct Stuck;

impl Site for Stuck {
    type File = Self;

    async fn open(&self, path: &str) -> Result<Option<Self>, ReadError> {
        if path == "unopened" { pending().await } else { Ok(Some(Self)) }
    }
}

impl File for Stuck {
    fn length(&self) -> u64 {
        100
    }

    fn tag(&self) -> u64 {
        1
    }

    async fn read(&self, _: u64, _: &mut [u8]) -> Result<usize, ReadError> {
        pending().await
    }
}
