// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fake keeps - nodes, watches, transactions - and does with it when asked.

#![allow(clippy::panic, reason = "a fake says loudly what a client does wrong")]

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use xen_sys::io::xs_wire::XENSTORE_PAYLOAD_MAX;

use super::super::path;
use super::super::permissions::Permission;
use super::super::wire::{Header, Kind};
use super::tree::{CONTROL, Refusable, Tree};
use super::{Settings, absolute};

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

/// The nodes, and what the client has to do with them.
pub(super) struct State {
    settings: Settings,
    tree: Tree,
    version: u64,
    /// Path and token, as they were given.
    watches: Vec<(String, String)>,
    transactions: BTreeMap<u32, Transaction>,
    last_transaction: u32,
    /// Path and token of events that have not been sent.
    events: Vec<(String, String)>,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            tree: Tree::new(settings.domain),
            settings,
            version: 0,
            watches: Vec::new(),
            transactions: BTreeMap::new(),
            last_transaction: 0,
            events: Vec::new(),
        }
    }

    /// Forgets the client's watches and transactions.
    pub(super) fn forget_client(&mut self) {
        self.watches.clear();
        self.transactions.clear();
        self.events.clear();
    }

    pub(super) fn take_events(&mut self) -> Vec<(String, String)> {
        core::mem::take(&mut self.events)
    }

    pub(super) fn watches(&self) -> &[(String, String)] {
        &self.watches
    }

    pub(super) fn transactions(&self) -> usize {
        self.transactions.len()
    }

    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.tree.read(CONTROL, path).ok()
    }

    pub(super) fn write(&mut self, path: &str, value: &[u8]) {
        assert!(path.starts_with('/'), "{path} is relative");
        if self.tree.write(CONTROL, path, Some(value), &self.settings).is_ok() {
            self.changed(path, Change::Written);
        }
    }

    pub(super) fn remove(&mut self, path: &str) {
        if self.tree.remove(CONTROL, path).is_ok() {
            self.changed(path, Change::Removed);
        }
    }

    pub(super) fn give(&mut self, path: &str, domain: u16) {
        self.tree.give(path, domain);
    }

    /// Does what a request asks.
    pub(super) fn execute(&mut self, header: &Header, payload: &[u8]) -> Refusable<Vec<u8>> {
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
                let path = changed.strip_prefix(relative).unwrap_or(changed);
                self.events.push((path.to_string(), token));
            } else if change == Change::Removed && path::is_within(&watched, changed) {
                self.events.push((path, token));
            }
        }
    }

    /// Each watch fires once when it is set.
    fn watch(&mut self, path: &str, token: &str) -> Refusable<Vec<u8>> {
        assert_eq!(path::check_watchable(path), Ok(()), "the client watches what is no path");
        let watch = (path.to_string(), token.to_string());
        if self.watches.contains(&watch) {
            return Err("EEXIST");
        }
        if self.watches.len() == self.settings.watches {
            return Err(self.settings.quota_refusal);
        }
        self.watches.push(watch.clone());
        self.events.push(watch);
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
}

fn ok() -> Vec<u8> {
    nul("OK")
}

fn nul(text: &str) -> Vec<u8> {
    strings(&[text])
}

/// The strings, each with its NUL.
pub(super) fn strings(strings: &[&str]) -> Vec<u8> {
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
