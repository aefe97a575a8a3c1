// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request to the disk, until it is finished.

use alloc::vec::Vec;
use core::task::Waker;

use xen::page::PAGE_SIZE;

use crate::block::{Buffer, Content, Discard, Error};

/// What is asked of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    Flush,
    Discard(Discard),
}

/// A request to the disk. It goes to the backend in one or several chunks.
pub(super) struct PendingRequest<P> {
    pub(super) operation: Operation,
    /// Where on the disk, in bytes.
    pub(super) offset: u64,
    /// The buffer's pages; those that the backend has are missing.
    pages: Vec<Option<P>>,
    /// What they hold before a backend writes to them.
    pub(super) content: Content,
    /// Bytes of the buffer, or of what is discarded.
    pub(super) length: u64,
    /// Chunks that have not been answered yet.
    chunks: usize,
    /// The first thing that went wrong.
    error: Option<Error>,
    waker: Option<Waker>,
    /// Nobody waits any more.
    abandoned: bool,
    /// Of a flush: writes that had been acknowledged when it was sent.
    pub(super) covers: u64,
}

/// A part of a request: a whole number of pages but for the last, so that each page is in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) request: usize,
    /// First byte, from the request's start.
    pub(super) start: u64,
    pub(super) length: u64,
}

impl<P> PendingRequest<P> {
    /// A request of one chunk.
    pub(super) fn new(operation: Operation, offset: u64, pages: Vec<P>, length: u64) -> Self {
        let pages = pages.into_iter().map(Some).collect();
        Self {
            operation,
            offset,
            pages,
            content: Content::Unknown,
            length,
            chunks: 1,
            error: None,
            waker: None,
            abandoned: false,
            covers: 0,
        }
    }

    /// The same request, whose pages hold this.
    pub(super) fn holding(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// What its pages hold when a backend has had them.
    pub(super) fn content_after(&self) -> Content {
        if self.operation == Operation::Write { self.content } else { Content::Unknown }
    }

    /// Whether there is no point in asking the backend for what it was not asked for yet.
    pub(super) fn is_obsolete(&self) -> bool {
        self.abandoned || self.error.is_some()
    }

    /// Takes the page that holds byte `start`.
    pub(super) fn take_page(&mut self, start: u64) -> Option<P> {
        self.pages.get_mut(index(start))?.take()
    }

    /// Gives the page that holds byte `start` back.
    pub(super) fn return_page(&mut self, start: u64, page: P) {
        if let Some(place) = self.pages.get_mut(index(start)) {
            *place = Some(page);
        }
    }

    /// A chunk became two.
    pub(super) fn split(&mut self) {
        self.chunks += 1;
    }

    /// A chunk is finished; the waker that is returned is to be woken.
    pub(super) fn finish_chunk(&mut self, error: Option<Error>) -> Option<Waker> {
        self.error = self.error.or(error);
        self.chunks -= 1;
        if self.chunks == 0 { self.waker.take() } else { None }
    }

    /// Whether all chunks are finished.
    pub(super) fn is_finished(&self) -> bool {
        self.chunks == 0
    }

    /// Has `waker` woken when the request is finished.
    pub(super) fn wait(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|before| before.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Nobody waits for it any more; it is removed when its chunks are finished.
    pub(super) fn abandon(&mut self) -> Option<Waker> {
        self.abandoned = true;
        self.waker.take()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned
    }
}

impl<P: xen::grant::Page> PendingRequest<P> {
    /// What came of it. A buffer of which the backend kept pages is lost.
    pub(super) fn into_result(self) -> Result<Buffer<P>, (Error, Buffer<P>)> {
        let content = self.content_after();
        let pages: Option<Vec<P>> = self.pages.into_iter().collect();
        let buffer = pages.map(|pages| Buffer::from_pages(pages, self.length as usize).holding(content));
        match (buffer, self.error) {
            (Some(buffer), None) => Ok(buffer),
            (Some(buffer), Some(error)) => Err((error, buffer)),
            (None, error) => Err((error.unwrap_or(Error::Broken), Buffer::empty())),
        }
    }
}

/// Which page of a buffer a byte is in.
fn index(start: u64) -> usize {
    (start / PAGE_SIZE as u64) as usize
}
