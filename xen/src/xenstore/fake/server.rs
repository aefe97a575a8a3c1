// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fake does with the page: requests out of it, answers and events into it.

#![allow(clippy::panic, reason = "a fake says loudly what a client does wrong")]

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use xen_sys::io::xs_wire::*;

use super::super::wire::{Header, Kind};
use super::state::{State, strings};
use super::{Fault, Page, Settings};

/// Requests of a client before xenstored that are too many: what the client promises.
const OUTSTANDING: usize = 16;

/// An answer, or an event with the number 0, and how much of it is not in the page yet.
struct Message {
    request: u32,
    bytes: Vec<u8>,
}

pub(super) struct Server {
    page: Page,
    state: State,
    /// Bytes from the client that are no whole request yet.
    inbox: Vec<u8>,
    /// Answers and events that are not in the page yet.
    outbox: VecDeque<Message>,
    held: Vec<Message>,
    /// Numbers of requests whose answers are not in the page yet.
    outstanding: BTreeSet<u32>,
    most_outstanding: usize,
    notifications: usize,
    fault: VecDeque<Fault>,
    reverse: bool,
    hold: bool,
    ignore_reconnect: bool,
    event: bool,
}

impl Server {
    pub(super) fn new(page: Page, settings: Settings) -> Self {
        let mut words = page.read();
        words.server_features = settings.features;
        page.write(words);
        Self {
            page,
            state: State::new(settings),
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            held: Vec::new(),
            outstanding: BTreeSet::new(),
            most_outstanding: 0,
            notifications: 0,
            fault: VecDeque::new(),
            reverse: false,
            hold: false,
            ignore_reconnect: false,
            event: false,
        }
    }

    pub(super) fn page(&self) -> Page {
        self.page
    }

    pub(super) fn take_event(&mut self) -> bool {
        core::mem::take(&mut self.event)
    }

    /// Looks at the page, and does all there is to do.
    pub(super) fn serve(&mut self) {
        self.notifications += 1;
        if self.page.read().connection == XENSTORE_RECONNECT {
            if !self.ignore_reconnect {
                self.reset();
            }
            return;
        }
        self.receive();
        while let Some((header, payload)) = self.next_request() {
            assert!(self.outstanding.insert(header.request), "the number {} is used twice", header.request);
            self.most_outstanding = self.most_outstanding.max(self.outstanding.len());
            assert!(self.outstanding.len() <= OUTSTANDING, "more than {OUTSTANDING} requests at once");
            self.answer(&header, &payload);
        }
        self.release();
        self.send();
    }

    /// Forgets the client's requests, watches and transactions, and starts at indices of its own
    /// choice.
    fn reset(&mut self) {
        self.inbox.clear();
        self.outbox.clear();
        self.held.clear();
        self.outstanding.clear();
        self.state.forget_client();
        let mut words = self.page.read();
        (words.req_cons, words.req_prod) = (u32::MAX - 9, u32::MAX - 9);
        (words.rsp_cons, words.rsp_prod) = (77, 77);
        words.error = XENSTORE_ERROR_NONE;
        words.connection = XENSTORE_CONNECTED;
        self.page.write(words);
        self.event = true;
    }

    fn receive(&mut self) {
        let mut words = self.page.read();
        let size = words.req_prod.wrapping_sub(words.req_cons); // free-running indices
        assert!(size as usize <= XENSTORE_RING_SIZE, "the client wrote impossible indices");
        for index in 0..size {
            let place = MASK_XENSTORE_IDX(words.req_cons.wrapping_add(index)); // a free-running index
            self.inbox.extend(words.req.get(place));
        }
        words.req_cons = words.req_prod;
        self.page.write(words);
        self.event |= size > 0;
    }

    fn next_request(&mut self) -> Option<(Header, Vec<u8>)> {
        if self.inbox.is_empty() {
            return None;
        }
        let Some(header) = self.inbox.first_chunk() else { panic!("the client cut a header in two") };
        let Ok(header) = Header::decode(*header) else { panic!("the client sent too long a payload") };
        let end = Header::SIZE + header.length as usize;
        let payload = self.inbox.get(Header::SIZE..end)?.to_vec();
        self.inbox.drain(..end);
        Some((header, payload))
    }

    fn answer(&mut self, header: &Header, payload: &[u8]) {
        let fault = self.fault.pop_front();
        let refused = match fault {
            Some(Fault::Refuse(name)) => Some(name),
            _ => None,
        };
        let result = refused.map_or_else(|| self.state.execute(header, payload), Err);
        let (kind, payload) = match result {
            Ok(payload) => (header.kind, payload),
            Err(name) => (Kind::Error.number(), strings(&[name])),
        };
        let length = payload.len() as u32;
        let answer = Header { kind, length, ..*header };
        match fault {
            None | Some(Fault::Refuse(_)) => self.reply(&answer, &payload),
            Some(fault) => self.answer_wrongly(&answer, &payload, fault),
        }
        self.fire_all();
    }

    fn answer_wrongly(&mut self, answer: &Header, payload: &[u8], fault: Fault) {
        match fault {
            Fault::WrongId => {
                let request = answer.request.wrapping_add(0x8000_0000); // any other number
                self.reply(&Header { request, ..*answer }, payload);
                self.outstanding.remove(&answer.request);
            }
            Fault::WrongType => self.reply(&Header { kind: 99, ..*answer }, payload),
            Fault::Length(length) => self.reply(&Header { length, ..*answer }, payload),
            Fault::NoReply => drop(self.outstanding.remove(&answer.request)),
            Fault::Twice => {
                self.reply(answer, payload);
                self.reply(answer, payload);
            }
            Fault::Payload(payload) => {
                self.reply(&Header { length: payload.len() as u32, ..*answer }, &payload);
            }
            Fault::Bytes(bytes) => self.held.push(Message { request: answer.request, bytes }),
            Fault::Refuse(_) => {}
        }
    }

    fn reply(&mut self, header: &Header, payload: &[u8]) {
        self.held.push(message(header, payload));
    }

    /// Lets go of the answers that are held back, unless they are to be.
    fn release(&mut self) {
        if self.hold {
            return;
        }
        if self.reverse {
            self.held.reverse();
        }
        self.outbox.extend(self.held.drain(..));
    }

    fn send(&mut self) {
        let mut words = self.page.read();
        while let Some(message) = self.outbox.front_mut() {
            let unread = words.rsp_prod.wrapping_sub(words.rsp_cons) as usize; // free-running indices
            assert!(unread <= XENSTORE_RING_SIZE, "the client wrote impossible indices");
            let count = message.bytes.len().min(XENSTORE_RING_SIZE - unread);
            for byte in message.bytes.drain(..count) {
                if let Some(place) = words.rsp.get_mut(MASK_XENSTORE_IDX(words.rsp_prod)) {
                    *place = byte;
                }
                words.rsp_prod = words.rsp_prod.wrapping_add(1); // a free-running index
            }
            self.event |= count > 0;
            if !message.bytes.is_empty() {
                break;
            }
            self.outstanding.remove(&message.request);
            self.outbox.pop_front();
        }
        self.page.write(words);
    }

    pub(super) fn write(&mut self, path: &str, value: &[u8]) {
        self.state.write(path, value);
        self.fire_all();
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.state.remove(path);
        self.fire_all();
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn give(&mut self, path: &str, domain: u16) {
        self.state.give(path, domain);
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.fault.push_back(fault);
    }

    pub(super) fn reverse(&mut self, reverse: bool) {
        self.reverse = reverse;
    }

    pub(super) fn hold(&mut self, hold: bool) {
        self.hold = hold;
        self.release();
        self.send();
    }

    pub(super) fn ignore_reconnect(&mut self, ignore: bool) {
        self.ignore_reconnect = ignore;
    }

    fn fire_all(&mut self) {
        for (path, token) in self.state.take_events() {
            self.fire(&path, &token);
        }
    }

    /// Events overtake answers that are held back, but not those that are on their way.
    pub(super) fn fire(&mut self, path: &str, token: &str) {
        let payload = strings(&[path, token]);
        let header = Header {
            kind: Kind::WatchEvent.number(),
            request: 0,
            transaction: 0,
            length: payload.len() as u32,
        };
        let message = message(&header, &payload);
        if self.hold || self.held.is_empty() {
            self.outbox.push_back(message)
        } else {
            self.held.push(message)
        }
        self.send();
    }

    pub(super) fn most_outstanding(&self) -> usize {
        self.most_outstanding
    }

    pub(super) fn notifications(&self) -> usize {
        self.notifications
    }
}

fn message(header: &Header, payload: &[u8]) -> Message {
    Message { request: header.request, bytes: [&header.encode(), payload].concat() }
}
