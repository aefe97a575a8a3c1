// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is watched, and what happened there.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;
use core::task::{Poll, Waker};

use super::calls::replace;
use super::error::{Error, Result};
use super::path;
use super::reply;

/// Events of a watch that are kept until it is asked for them.
pub(super) const EVENTS: usize = 16;

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The node that was written, made, removed or given other permissions; relative if the
    /// watched path is.
    pub path: String,
    /// Whether there were more events than are kept. `path` is the watched path then, and
    /// anything below it may have changed.
    pub overflow: bool,
}

/// A watch in the table.
struct Entry {
    path: String,
    events: VecDeque<Event>,
    failed: Option<Error>,
    waker: Option<Waker>,
}

/// What became of an event.
#[must_use = "it has whom to wake"]
pub(super) enum Delivery {
    /// A watch has it; this is whom to wake.
    Kept(Option<Waker>),
    /// The watch had too many; this is whom to wake.
    Overflow(Option<Waker>),
    /// No watch could want it.
    Stray,
}

/// All watches, by token.
#[derive(Default)]
pub(super) struct Watches {
    entries: BTreeMap<u32, Entry>,
    last: u32,
}

impl Watches {
    /// Enters a watch, and returns its token.
    pub(super) fn add(&mut self, path: &str) -> u32 {
        let mut token = self.last.wrapping_add(1); // tokens may be used again
        while self.entries.contains_key(&token) {
            token = token.wrapping_add(1);
        }
        self.last = token;
        let entry = Entry { path: path.to_string(), events: VecDeque::new(), failed: None, waker: None };
        self.entries.insert(token, entry);
        token
    }

    /// Forgets a watch, and returns its path and the waker of the task that waited.
    pub(super) fn remove(&mut self, token: u32) -> Option<(String, Option<Waker>)> {
        self.entries.remove(&token).map(|entry| (entry.path, entry.waker))
    }

    /// Files the event in `payload`.
    pub(super) fn deliver(&mut self, payload: &[u8]) -> Delivery {
        let Some((path, token)) = reply::watch_event(payload) else { return Delivery::Stray };
        let entry = token.parse().ok().and_then(|token| self.entries.get_mut(&token));
        match entry {
            Some(entry) if path::is_within(path, &entry.path) => entry.push(path),
            _ => Delivery::Stray,
        }
    }

    /// Files an event of the watched path itself.
    pub(super) fn touch(&mut self, token: u32, wakers: &mut Vec<Waker>) {
        if let Some(entry) = self.entries.get_mut(&token) {
            entry.touch(wakers);
        }
    }

    /// Files an event of the watched path itself for each watch.
    pub(super) fn touch_all(&mut self, wakers: &mut Vec<Waker>) {
        self.entries.values_mut().for_each(|entry| entry.touch(wakers));
    }

    /// The next event of a watch; `waker` is woken when there is one.
    pub(super) fn poll(&mut self, token: u32, waker: &Waker, wakers: &mut Vec<Waker>) -> Poll<Result<Event>> {
        let Some(entry) = self.entries.get_mut(&token) else { return Poll::Pending };
        if let Some(event) = entry.events.pop_front() {
            return Poll::Ready(Ok(event));
        }
        if let Some(error) = &entry.failed {
            return Poll::Ready(Err(error.clone()));
        }
        replace(&mut entry.waker, waker, wakers);
        Poll::Pending
    }

    /// Ends a watch with an error, which its owner hears after the events it already has.
    pub(super) fn fail(&mut self, token: u32, error: Error) -> Option<Waker> {
        let entry = self.entries.get_mut(&token)?;
        entry.failed = Some(error);
        entry.waker.take()
    }

    /// Ends all watches with an error.
    pub(super) fn fail_all(&mut self, error: &Error, wakers: &mut Vec<Waker>) {
        for entry in self.entries.values_mut() {
            entry.failed = Some(error.clone());
            wakers.extend(entry.waker.take());
        }
    }

    /// Forgets the errors: the connection is being made anew.
    pub(super) fn forgive(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.failed = None);
    }

    /// All tokens and paths, for an xenstored that has forgotten them.
    pub(super) fn paths(&self) -> Vec<(u32, String)> {
        self.entries.iter().map(|(token, entry)| (*token, entry.path.clone())).collect()
    }
}

impl Entry {
    /// Files an event of the watched path itself.
    fn touch(&mut self, wakers: &mut Vec<Waker>) {
        let path = self.path.clone();
        if let Delivery::Kept(waker) | Delivery::Overflow(waker) = self.push(&path) {
            wakers.extend(waker);
        }
    }

    fn push(&mut self, path: &str) -> Delivery {
        let known = self.events.iter().any(|event| event.overflow || event.path == path);
        if known {
            return Delivery::Kept(self.waker.take());
        }
        let overflow = self.events.len() == EVENTS;
        if overflow {
            self.events.clear();
        }
        let path = if overflow { &self.path } else { path };
        self.events.push_back(Event { path: path.to_string(), overflow });
        let waker = mem::take(&mut self.waker);
        if overflow { Delivery::Overflow(waker) } else { Delivery::Kept(waker) }
    }
}
