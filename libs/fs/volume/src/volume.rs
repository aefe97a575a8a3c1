// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side of those who ask.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use crate::server::{Answer, Kind, Opened, Request, Requests, Shared};

/// Bytes that are read from a file at once, and kept for whoever has it open.
pub const WINDOW: usize = 64 << 10;

/// A volume of files. A clone is the same one.
#[derive(Clone)]
pub struct Volume(Rc<Shared>);

/// A file cannot be told of, or not be read: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(pub String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ReadError {}

impl Volume {
    /// A volume, and what is asked of it, which somebody has to answer.
    pub fn new() -> (Self, Requests) {
        let shared = Rc::new(Shared::new());
        (Self(Rc::clone(&shared)), Requests(shared))
    }

    /// Opens the file at `path`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be told whether there is one.
    pub async fn open(&self, path: &str) -> Result<Option<File>, ReadError> {
        let opened = self.ask(|answer| Kind::Open(path.into(), answer)).await?;
        Ok(opened.map(|opened| File { volume: self.clone(), opened, window: RefCell::default() }))
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Kind) -> T {
        let answer = Answer::default();
        self.0.requests.send(Request(request(Rc::clone(&answer)))).await;
        answer.wait().await
    }
}

/// A file that is open until this is dropped.
pub struct File {
    volume: Volume,
    opened: Opened,
    /// What was read last, and where it is in the file.
    window: RefCell<(u64, Vec<u8>)>,
}

impl File {
    /// Bytes.
    pub fn length(&self) -> u64 {
        self.opened.length
    }

    /// A number that is another one when the file was changed, as well as the file system tells.
    pub fn tag(&self) -> u64 {
        self.opened.tag
    }

    /// Reads from `offset` on, and returns how many bytes; 0 only at the end.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        match self.copy(offset, into) {
            0 if offset < self.opened.length && !into.is_empty() => {
                let bytes = self.volume.ask(|answer| Kind::Read(self.opened.number, offset, answer)).await?;
                self.window.replace((offset, bytes));
                Ok(self.copy(offset, into))
            }
            length => Ok(length),
        }
    }

    /// Copies what the window has from `offset` on, and returns how much.
    fn copy(&self, offset: u64, into: &mut [u8]) -> usize {
        let window = self.window.borrow();
        let (start, bytes) = &*window;
        let skipped = offset.checked_sub(*start).and_then(|skipped| usize::try_from(skipped).ok());
        let rest = skipped.and_then(|skipped| bytes.get(skipped..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        if let (Some(from), Some(into)) = (rest.get(..length), into.get_mut(..length)) {
            into.copy_from_slice(from);
        }
        length
    }
}
