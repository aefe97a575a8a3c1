// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side that answers.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Display;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;

use crate::volume::{ReadError, WINDOW};
use crate::{FileSystem, OpenFile};

/// Requests that wait; more wait to be put there.
const WAITING: usize = 4;

/// What both sides have.
pub(crate) struct Shared {
    pub(crate) requests: Channel<NoopRawMutex, Request, WAITING>,
    /// The numbers of files that nobody reads any more.
    closed: RefCell<Vec<u64>>,
}

impl Shared {
    pub(crate) const fn new() -> Self {
        Self { requests: Channel::new(), closed: RefCell::new(Vec::new()) }
    }
}

/// Where an answer is put.
pub(crate) type Answer<T> = Rc<Signal<NoopRawMutex, T>>;

/// Something to be done for whoever waits for it.
pub struct Request(pub(crate) Kind);

pub(crate) enum Kind {
    Open(String, Answer<Result<Option<Opened>, ReadError>>),
    /// Of a file by its number, from an offset on.
    Read(u64, u64, Answer<Result<Vec<u8>, ReadError>>),
}

/// A file that is open until this is dropped: whoever asked may have gone before it was.
pub(crate) struct Opened {
    shared: Rc<Shared>,
    pub(crate) number: u64,
    pub(crate) length: u64,
    pub(crate) tag: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.closed.borrow_mut().push(self.number);
    }
}

/// What is asked of a volume.
pub struct Requests(pub(crate) Rc<Shared>);

impl Requests {
    /// The next one.
    pub async fn next(&self) -> Request {
        self.0.requests.receive().await
    }

    /// Who answers them by what is on `volume`.
    pub fn server<'v>(&self, volume: &'v dyn FileSystem) -> Server<'v> {
        Server { volume, files: BTreeMap::new(), next: 0, shared: Rc::clone(&self.0) }
    }
}

/// Answers requests to a volume, and keeps its open files.
pub struct Server<'v> {
    volume: &'v dyn FileSystem,
    files: BTreeMap<u64, Box<dyn OpenFile + 'v>>,
    /// The number of the next file.
    next: u64,
    shared: Rc<Shared>,
}

impl Server<'_> {
    /// Does what is asked for; blocks as long as the file system does. What nobody waits for any more is not
    /// done.
    pub fn answer(&mut self, request: Request) {
        for closed in self.shared.closed.take() {
            self.files.remove(&closed);
        }
        match request.0 {
            Kind::Open(path, answer) if is_awaited(&answer) => answer.signal(self.open(&path)),
            Kind::Read(number, offset, answer) if is_awaited(&answer) => {
                let file = self.files.get_mut(&number).ok_or_else(|| failed("a file", &"it is closed"));
                answer.signal(file.and_then(|file| read(&mut **file, offset)));
            }
            Kind::Open(..) | Kind::Read(..) => {}
        }
    }

    fn open(&mut self, path: &str) -> Result<Option<Opened>, ReadError> {
        let Some(file) = self.volume.open(path).map_err(|error| failed(path, &error))? else {
            return Ok(None);
        };
        let number = self.next;
        self.next += 1;
        let shared = Rc::clone(&self.shared);
        let opened = Opened { shared, number, length: file.length(), tag: file.tag() };
        self.files.insert(number, file);
        Ok(Some(opened))
    }
}

fn is_awaited<T>(answer: &Answer<T>) -> bool {
    Rc::strong_count(answer) > 1
}

/// A window of a file, from `offset` on.
fn read(file: &mut dyn OpenFile, offset: u64) -> Result<Vec<u8>, ReadError> {
    let rest = usize::try_from(file.length().saturating_sub(offset)).unwrap_or(WINDOW);
    let mut window = zeroed(rest.min(WINDOW)).ok_or_else(|| failed("a file", &"no memory is left"))?;
    let count = file.read(offset, &mut window).map_err(|error| failed("a file", &error))?;
    window.truncate(count);
    Ok(window)
}

/// So many zeros; `None` if there is no memory for them.
fn zeroed(length: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).ok()?;
    buffer.resize(length, 0);
    Some(buffer)
}

fn failed(what: &str, error: &dyn Display) -> ReadError {
    ReadError(format!("{what:?} cannot be read: {error}"))
}
