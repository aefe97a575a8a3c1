// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fake does with the page and with requests.

#![allow(clippy::panic, reason = "a fake says loudly what a client does wrong")]

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use xen_sys::io::xs_wire::*;

use super::super::path;
use super::super::permissions::Permission;
use super::super::wire::{Header, Kind};
use super::tree::{CONTROL, Refusable, Tree};
use super::{Mischief, Page, Settings, absolute};

/// Requests of a client before xenstored that are too many: what the client promises.
const OUTSTANDING: usize = 16;

/// An answer, or an event with the number 0, and how much of it is not in the page yet.
struct Message {
    request: u32,
    bytes: Vec<u8>,
}

struct Transaction {
    tree: Tree,
    /// The store's version when it began.
    version: u64,
    changed: Vec<(String, Change)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Written,
    Removed,
}

pub(super) struct Server {
    page: Page,
    settings: Settings,
    /// Bytes from the client that are no whole request yet.
    inbox: Vec<u8>,
    /// Answers and events that are not in the page yet.
    outbox: VecDeque<Message>,
    held: Vec<Message>,
    /// Numbers of requests whose answers are not in the page yet.
    outstanding: BTreeSet<u32>,
    most_outstanding: usize,
    tree: Tree,
    version: u64,
    /// Path and token, as they were given.
    watches: Vec<(String, String)>,
    transactions: BTreeMap<u32, Transaction>,
    last_transaction: u32,
    mischief: VecDeque<Mischief>,
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
            tree: Tree::new(settings.domain),
            settings,
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            held: Vec::new(),
            outstanding: BTreeSet::new(),
            most_outstanding: 0,
            version: 0,
            watches: Vec::new(),
            transactions: BTreeMap::new(),
            last_transaction: 0,
            mischief: VecDeque::new(),
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
        self.watches.clear();
        self.transactions.clear();
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
        let mischief = self.mischief.pop_front();
        let refused = match mischief {
            Some(Mischief::Refuse(name)) => Some(name),
            _ => None,
        };
        let result = refused.map_or_else(|| self.execute(header, payload), Err);
        let (kind, payload) = match result {
            Ok(payload) => (header.kind, payload),
            Err(name) => (Kind::Error.number(), strings(&[name])),
        };
        let length = payload.len() as u32;
        let answer = Header { kind, length, ..*header };
        match mischief {
            None | Some(Mischief::Refuse(_)) => self.reply(&answer, &payload),
            Some(mischief) => self.misanswer(&answer, &payload, mischief),
        }
        self.fire_new_watch(&answer);
    }

    fn misanswer(&mut self, answer: &Header, payload: &[u8], mischief: Mischief) {
        match mischief {
            Mischief::WrongId => {
                let request = answer.request.wrapping_add(0x8000_0000); // any other number
                self.reply(&Header { request, ..*answer }, payload);
                self.outstanding.remove(&answer.request);
            }
            Mischief::WrongType => self.reply(&Header { kind: 99, ..*answer }, payload),
            Mischief::Length(length) => self.reply(&Header { length, ..*answer }, payload),
            Mischief::Silence => drop(self.outstanding.remove(&answer.request)),
            Mischief::Twice => {
                self.reply(answer, payload);
                self.reply(answer, payload);
            }
            Mischief::Payload(payload) => {
                self.reply(&Header { length: payload.len() as u32, ..*answer }, &payload);
            }
            Mischief::Bytes(bytes) => self.held.push(Message { request: answer.request, bytes }),
            Mischief::Refuse(_) => {}
        }
    }

    fn reply(&mut self, header: &Header, payload: &[u8]) {
        self.held.push(message(header, payload));
    }

    /// Answers first, then the events they caused.
    fn fire_new_watch(&mut self, answer: &Header) {
        if answer.kind == Kind::Watch.number()
            && let Some((path, token)) = self.watches.last().cloned()
        {
            self.fire(&path, &token);
        }
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

    /// Does what a request asks.
    fn execute(&mut self, header: &Header, payload: &[u8]) -> Refusable<Vec<u8>> {
        if header.kind == Kind::Write.number() {
            let (path, value) = split(payload);
            return self.change(header, path, |tree, path, settings| {
                tree.write(settings.domain, path, Some(value), settings)
                    .map(|made| made.then_some(Change::Written))
            });
        }
        let strings = whole_strings(payload);
        let of = |kind: Kind| kind.number() == header.kind;
        match strings.as_slice() {
            [path] if of(Kind::Read) => self.look(header, path, |tree, who, path| tree.read(who, path)),
            [path] if of(Kind::Directory) => self.directory(header, path),
            [path, offset] if of(Kind::DirectoryPart) => self.directory_part(header, path, offset),
            [path] if of(Kind::MakeDirectory) => self.change(header, path, |tree, path, settings| {
                tree.write(settings.domain, path, None, settings).map(|made| made.then_some(Change::Written))
            }),
            [path] if of(Kind::Remove) => self.change(header, path, |tree, path, settings| {
                tree.remove(settings.domain, path).map(|was| was.then_some(Change::Removed))
            }),
            [path] if of(Kind::GetPermissions) => self.look(header, path, |tree, who, path| {
                Ok(tree.permissions(who, path)?.iter().flat_map(|entry| nul(&entry.text())).collect())
            }),
            [path, entries @ ..] if of(Kind::SetPermissions) && !entries.is_empty() => {
                let entries: Option<Vec<_>> = entries.iter().map(|entry| Permission::parse(entry)).collect();
                let entries = entries.ok_or("EINVAL")?;
                self.change(header, path, |tree, path, settings| {
                    tree.set_permissions(settings.domain, path, entries).map(|()| Some(Change::Written))
                })
            }
            [path, token] if of(Kind::Watch) => self.watch(path, token),
            [path, token] if of(Kind::Unwatch) => self.unwatch(path, token),
            [""] if of(Kind::ResetWatches) => {
                self.watches.clear();
                self.transactions.clear();
                Ok(ok())
            }
            [""] if of(Kind::TransactionStart) => self.start(header),
            ["T"] if of(Kind::TransactionEnd) => self.end(header, true),
            ["F"] if of(Kind::TransactionEnd) => self.end(header, false),
            [domain] if of(Kind::GetDomainPath) => Ok(nul(&format!("/local/domain/{domain}"))),
            strings => panic!("request {header:?} with {strings:?}"),
        }
    }

    fn look<T>(
        &self,
        header: &Header,
        path: &str,
        look: impl FnOnce(&Tree, u16, &str) -> Refusable<T>,
    ) -> Refusable<T> {
        let path = self.checked(path);
        let tree = match header.transaction {
            0 => &self.tree,
            id => &self.transactions.get(&id).ok_or("ENOENT")?.tree,
        };
        look(tree, self.settings.domain, &path)
    }

    fn directory(&self, header: &Header, path: &str) -> Refusable<Vec<u8>> {
        let (_, names) = self.look(header, path, Tree::directory)?;
        if names.len() > XENSTORE_PAYLOAD_MAX { Err("E2BIG") } else { Ok(names) }
    }

    /// Cuts within names, as QEMU's does.
    fn directory_part(&self, header: &Header, path: &str, offset: &str) -> Refusable<Vec<u8>> {
        let (generation, mut names) = self.look(header, path, Tree::directory)?;
        names.push(0);
        let offset = offset.parse().map_err(|_| "EINVAL")?;
        let mut part = nul(&generation.to_string());
        let room = XENSTORE_PAYLOAD_MAX - part.len();
        part.extend(names.iter().skip(offset).take(room));
        Ok(part)
    }

    fn change(
        &mut self,
        header: &Header,
        path: &str,
        act: impl FnOnce(&mut Tree, &str, &Settings) -> Refusable<Option<Change>>,
    ) -> Refusable<Vec<u8>> {
        let path = self.checked(path);
        if header.transaction == 0 {
            if let Some(change) = act(&mut self.tree, &path, &self.settings)? {
                self.changed(&path, change);
            }
        } else {
            let transaction = self.transactions.get_mut(&header.transaction).ok_or("ENOENT")?;
            let change = act(&mut transaction.tree, &path, &self.settings)?;
            transaction.changed.extend(change.map(|change| (path, change)));
        }
        Ok(ok())
    }

    /// Tells those who watch.
    fn changed(&mut self, changed: &str, change: Change) {
        self.version += 1;
        let home = absolute(self.settings.domain, "");
        for (path, token) in self.watches.clone() {
            let watched = absolute(self.settings.domain, &path);
            if path::is_within(changed, &watched) {
                let relative = if path.starts_with('/') { "" } else { home.as_str() };
                self.fire(changed.strip_prefix(relative).unwrap_or(changed), &token);
            } else if change == Change::Removed && path::is_within(&watched, changed) {
                self.fire(&path, &token);
            }
        }
    }

    fn watch(&mut self, path: &str, token: &str) -> Refusable<Vec<u8>> {
        assert_eq!(path::check_watchable(path), Ok(()), "the client watches what is no path");
        let watch = (path.to_string(), token.to_string());
        if self.watches.contains(&watch) {
            return Err("EEXIST");
        }
        if self.watches.len() == self.settings.watches {
            return Err(self.settings.quota_refusal);
        }
        self.watches.push(watch);
        Ok(ok())
    }

    fn unwatch(&mut self, path: &str, token: &str) -> Refusable<Vec<u8>> {
        let place = self.watches.iter().position(|(p, t)| p == path && t == token).ok_or("ENOENT")?;
        self.watches.remove(place);
        Ok(ok())
    }

    fn start(&mut self, header: &Header) -> Refusable<Vec<u8>> {
        assert_eq!(header.transaction, 0, "the client starts a transaction within another");
        if self.transactions.len() == self.settings.transactions {
            return Err(self.settings.quota_refusal);
        }
        self.last_transaction += 1;
        let transaction = Transaction { tree: self.tree.clone(), version: self.version, changed: Vec::new() };
        self.transactions.insert(self.last_transaction, transaction);
        Ok(nul(&self.last_transaction.to_string()))
    }

    /// Any writer in between is one too many.
    fn end(&mut self, header: &Header, commit: bool) -> Refusable<Vec<u8>> {
        let transaction = self.transactions.remove(&header.transaction).ok_or("ENOENT")?;
        if commit && transaction.version != self.version {
            return Err("EAGAIN");
        }
        if commit {
            self.tree = transaction.tree;
            transaction.changed.iter().for_each(|(path, change)| self.changed(path, *change));
        }
        Ok(ok())
    }

    fn checked(&self, path: &str) -> String {
        assert_eq!(path::check(path), Ok(()), "the client asks for what is no path");
        absolute(self.settings.domain, path)
    }

    pub(super) fn write(&mut self, path: &str, value: &[u8]) {
        assert!(path.starts_with('/'), "{path} is relative");
        if self.tree.write(CONTROL, path, Some(value), &self.settings).is_ok() {
            self.changed(path, Change::Written);
            self.send();
        }
    }

    pub(super) fn remove(&mut self, path: &str) {
        if self.tree.remove(CONTROL, path).is_ok() {
            self.changed(path, Change::Removed);
            self.send();
        }
    }

    pub(super) fn give(&mut self, path: &str, domain: u16) {
        self.tree.give(path, domain);
    }

    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.tree.read(CONTROL, path).ok()
    }

    pub(super) fn misbehave(&mut self, mischief: Mischief) {
        self.mischief.push_back(mischief);
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

    pub(super) fn watches(&self) -> Vec<(String, String)> {
        self.watches.clone()
    }

    pub(super) fn transactions(&self) -> usize {
        self.transactions.len()
    }

    pub(super) fn most_outstanding(&self) -> usize {
        self.most_outstanding
    }
}

fn message(header: &Header, payload: &[u8]) -> Message {
    Message { request: header.request, bytes: [&header.encode(), payload].concat() }
}

fn ok() -> Vec<u8> {
    nul("OK")
}

fn nul(text: &str) -> Vec<u8> {
    strings(&[text])
}

fn strings(strings: &[&str]) -> Vec<u8> {
    strings.iter().flat_map(|string| string.bytes().chain([0])).collect()
}

/// The strings of a payload that is nothing but strings.
fn whole_strings(payload: &[u8]) -> Vec<&str> {
    match core::str::from_utf8(payload).ok().and_then(|text| text.strip_suffix('\0')) {
        Some(text) => text.split('\0').collect(),
        None => panic!("the client's payload {payload:?} does not end with a NUL"),
    }
}

/// The path and the value of a write.
fn split(payload: &[u8]) -> (&str, &[u8]) {
    let mut parts = payload.splitn(2, |byte| *byte == 0);
    match (parts.next().and_then(|path| core::str::from_utf8(path).ok()), parts.next()) {
        (Some(path), Some(value)) => (path, value),
        _ => panic!("the client's write {payload:?} has no path"),
    }
}
