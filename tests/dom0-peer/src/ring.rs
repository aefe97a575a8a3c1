// SPDX-License-Identifier: MIT OR Apache-2.0
//! xenstored's end of a guest's ring (`docs/misc/xenstore-ring.txt`), taken from the real one.

use std::mem::offset_of;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xen_sys::grant_table::GNTTAB_RESERVED_XENSTORE;
use xen_sys::io::xs_wire::*;

use crate::channel::{Channels, Port};
use crate::guest::{Guest, LIMIT};
use crate::page::{Access, Page};

pub(crate) const REQUESTS_TAKEN: usize = offset_of!(xenstore_domain_interface, req_cons);
pub(crate) const REQUESTS_MADE: usize = offset_of!(xenstore_domain_interface, req_prod);
const ANSWERS_TAKEN: usize = offset_of!(xenstore_domain_interface, rsp_cons);
pub(crate) const ANSWERS_MADE: usize = offset_of!(xenstore_domain_interface, rsp_prod);
const FEATURES: usize = offset_of!(xenstore_domain_interface, server_features);
pub(crate) const CONNECTION: usize = offset_of!(xenstore_domain_interface, connection);
pub(crate) const ERROR: usize = offset_of!(xenstore_domain_interface, error);

/// How often the page is looked at when no event comes.
const LOOK: Duration = Duration::from_millis(100);

/// A guest's ring.
pub(crate) struct Ring {
    page: Page,
    channels: Channels,
    port: Port,
    /// Bytes of the next request.
    unread: Vec<u8>,
}

/// A request of the guest's.
pub(crate) struct Request {
    pub(crate) kind: u32,
    pub(crate) id: u32,
    pub(crate) transaction: u32,
    pub(crate) payload: Vec<u8>,
}

impl Ring {
    /// Has the real xenstored forget the guest, which must not run yet, takes its place, and lets
    /// the guest run.
    pub(crate) fn take(guest: &mut Guest) -> Result<(Self, u32)> {
        let port = guest.path("store/port");
        let port = guest.store.read(&port)?.context("the guest has no port for xenstore")?.parse()?;
        guest.store.release(guest.domain)?;
        let page = Page::of_guest(guest.domain, GNTTAB_RESERVED_XENSTORE, Access::ReadWrite)?;
        let mut channels = Channels::new()?;
        let own = channels.connect(guest.domain, port)?;
        let ring = Self { page, channels, port: own, unread: Vec::new() };
        ring.set(FEATURES, XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
        let run = Command::new("xl").args(["unpause", &guest.domain.to_string()]).status()?;
        ensure!(run.success(), "the guest could not be started");
        Ok((ring, port))
    }

    /// The next request; `None` if the guest waits for the ring to be reset.
    pub(crate) fn next_request(&mut self) -> Result<Option<Request>> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if self.word(CONNECTION) == XENSTORE_RECONNECT {
                return Ok(None);
            }
            self.receive()?;
            if let Some(request) = self.parse() {
                return Ok(Some(request));
            }
            ensure!(Instant::now() < deadline, "the guest asks for nothing any more");
            self.channels.wait(LOOK)?;
        }
    }

    /// Sends a message, waiting for room as need be; gives up if the guest has the ring reset.
    pub(crate) fn send(&mut self, words: [u32; 4], payload: &[u8]) -> Result<()> {
        let header = words.map(u32::to_le_bytes).concat();
        let message = [&header, payload].concat();
        let mut rest = message.as_slice();
        let deadline = Instant::now() + LIMIT;
        while !rest.is_empty() && self.word(CONNECTION) != XENSTORE_RECONNECT {
            let (made, taken) = (self.word(ANSWERS_MADE), self.word(ANSWERS_TAKEN));
            let room = XENSTORE_RING_SIZE.saturating_sub(made.wrapping_sub(taken) as usize);
            let (now, later) = rest.split_at(room.min(rest.len()));
            for (index, byte) in now.iter().enumerate() {
                let place = MASK_XENSTORE_IDX(made.wrapping_add(index as u32));
                self.page.write(offset_of!(xenstore_domain_interface, rsp) + place, &[*byte]);
            }
            self.set(ANSWERS_MADE, made.wrapping_add(now.len() as u32));
            self.notify()?;
            rest = later;
            ensure!(Instant::now() < deadline, "the guest does not take its answers");
            if !rest.is_empty() {
                self.channels.wait(LOOK)?;
            }
        }
        Ok(())
    }

    /// Waits until the guest has taken all answers.
    pub(crate) fn wait_until_taken(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.word(ANSWERS_MADE) != self.word(ANSWERS_TAKEN) {
            ensure!(Instant::now() < deadline, "the guest does not take its answers");
            self.channels.wait(LOOK)?;
        }
        Ok(())
    }

    /// Raises an event that means nothing, or that something outside of the rings changed.
    pub(crate) fn notify(&self) -> Result<()> {
        self.channels.notify(self.port)
    }

    /// A word of the page.
    pub(crate) fn word(&self, offset: usize) -> u32 {
        self.page.word(offset).load(Ordering::Acquire)
    }

    /// Changes a word of the page.
    pub(crate) fn set(&self, offset: usize, value: u32) {
        self.page.word(offset).store(value, Ordering::Release);
    }

    /// Starts anew, and says so.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.unread.clear();
        for word in [REQUESTS_TAKEN, REQUESTS_MADE, ANSWERS_TAKEN, ANSWERS_MADE, ERROR] {
            self.set(word, 0);
        }
        self.set(CONNECTION, XENSTORE_CONNECTED);
        self.notify()
    }

    /// Takes the bytes that are there.
    fn receive(&mut self) -> Result<()> {
        let (made, taken) = (self.word(REQUESTS_MADE), self.word(REQUESTS_TAKEN));
        // More than fits is what is left of a lie about how far the requests were read.
        let count = made.wrapping_sub(taken);
        let count = if count as usize <= XENSTORE_RING_SIZE { count } else { 0 };
        for index in 0..count {
            let mut byte = [0];
            self.page.read(MASK_XENSTORE_IDX(taken.wrapping_add(index)), &mut byte);
            self.unread.push(byte[0]);
        }
        if count > 0 {
            self.set(REQUESTS_TAKEN, made);
            self.notify()?;
        }
        Ok(())
    }

    /// The first request among the bytes, if it is whole.
    fn parse(&mut self) -> Option<Request> {
        let (header, rest) = self.unread.split_first_chunk()?;
        let [kind, id, transaction, length] = crate::store::words(header);
        let (payload, rest) = rest.split_at_checked(length as usize)?;
        let request = Request { kind, id, transaction, payload: payload.to_vec() };
        self.unread = rest.to_vec();
        Some(request)
    }
}
