// SPDX-License-Identifier: MIT OR Apache-2.0
//! The nodes, who may touch them, and how many there may be.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::super::path::is_within;
use super::super::permissions::{Access, Permission};
use super::Settings;
use crate::DomainId;

/// What xenstored says when it does not.
pub(super) type Refusable<T> = Result<T, &'static str>;

/// The control domain, which may do everything.
pub(super) const CONTROL: u16 = 0;

#[derive(Clone)]
struct Node {
    value: Vec<u8>,
    permissions: Vec<Permission>,
    /// Changes whenever a child comes or goes.
    generation: u64,
}

/// All nodes, by absolute path.
#[derive(Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// What a toolstack makes for a domain: a home that it can read, with places it can write.
    pub(super) fn new(domain: u16) -> Self {
        let root = Node { value: Vec::new(), permissions: vec![entry(CONTROL, Access::Read)], generation: 0 };
        let mut tree = Self { nodes: BTreeMap::from([("/".to_string(), root)]) };
        let settings = Settings::default();
        let home = format!("/local/domain/{domain}");
        for place in ["data", "device", "error", "feature", "control/shutdown"] {
            let path = format!("{home}/{place}");
            let _ = tree.write(CONTROL, &path, Some(b""), &settings);
            tree.give(&path, domain);
        }
        tree
    }

    pub(super) fn read(&self, who: u16, path: &str) -> Refusable<Vec<u8>> {
        Ok(self.readable(who, path)?.value.clone())
    }

    /// Writes a node; with `None` only makes it. Returns whether anything changed.
    pub(super) fn write(
        &mut self,
        who: u16,
        path: &str,
        value: Option<&[u8]>,
        settings: &Settings,
    ) -> Refusable<bool> {
        let size = path.len() + value.map_or(0, <[u8]>::len);
        if who != CONTROL && size > settings.node_size {
            return Err(settings.quota_refusal);
        }
        match self.nodes.get_mut(path) {
            Some(node) if !may(&node.permissions, who, Access::Write) => Err("EACCES"),
            Some(node) => {
                value.iter().for_each(|value| node.value = value.to_vec());
                Ok(value.is_some())
            }
            None => self.make(who, path, value.unwrap_or_default(), settings).map(|()| true),
        }
    }

    fn make(&mut self, who: u16, path: &str, value: &[u8], settings: &Settings) -> Refusable<()> {
        let missing: Vec<String> =
            ancestors(path).take_while(|path| !self.nodes.contains_key(*path)).map(String::from).collect();
        let base = missing.last().map_or("/", |path| parent(path));
        let permissions = self.nodes.get(base).map(|node| node.permissions.clone()).unwrap_or_default();
        if !may(&permissions, who, Access::Write) {
            return Err("EACCES");
        }
        let owned = self.nodes.values().filter(|node| owner(&node.permissions) == who).count();
        if who != CONTROL && owned + missing.len() > settings.nodes {
            return Err(settings.quota_refusal);
        }
        for path in missing {
            let mut permissions = permissions.clone();
            if let (Some(first), true) = (permissions.first_mut(), who != CONTROL) {
                first.domain = DomainId(who);
            }
            self.changed_children(parent(&path));
            self.nodes.insert(path, Node { value: Vec::new(), permissions, generation: 0 });
        }
        if let Some(node) = self.nodes.get_mut(path) {
            node.value = value.to_vec();
        }
        Ok(())
    }

    /// Removes a node and all below it. Returns whether it was there.
    pub(super) fn remove(&mut self, who: u16, path: &str) -> Refusable<bool> {
        let Some(node) = self.nodes.get(path) else {
            return if self.nodes.contains_key(parent(path)) { Ok(false) } else { Err("ENOENT") };
        };
        if !may(&node.permissions, who, Access::Write) {
            return Err("EACCES");
        }
        if path == "/" {
            return Err("EINVAL");
        }
        self.nodes.retain(|node, _| !is_within(node, path));
        self.changed_children(parent(path));
        Ok(true)
    }

    /// The generation of a node's children, and their names, each with a NUL.
    pub(super) fn directory(&self, who: u16, path: &str) -> Refusable<(u64, Vec<u8>)> {
        let generation = self.readable(who, path)?.generation;
        let prefix = if path == "/" { path.to_string() } else { format!("{path}/") };
        let names = self.nodes.keys().filter_map(|node| node.strip_prefix(&prefix));
        let names = names.filter(|name| !name.is_empty() && !name.contains('/'));
        Ok((generation, names.flat_map(|name| name.bytes().chain([0])).collect()))
    }

    pub(super) fn permissions(&self, who: u16, path: &str) -> Refusable<&[Permission]> {
        Ok(&self.readable(who, path)?.permissions)
    }

    pub(super) fn set_permissions(
        &mut self,
        who: u16,
        path: &str,
        permissions: Vec<Permission>,
    ) -> Refusable<()> {
        let node = self.nodes.get_mut(path).ok_or("ENOENT")?;
        if who != CONTROL && owner(&node.permissions) != who {
            return Err("EACCES");
        }
        if who != CONTROL && owner(&permissions) != who {
            return Err("EPERM");
        }
        node.permissions = permissions;
        Ok(())
    }

    /// Makes `domain` the owner of a node.
    pub(super) fn give(&mut self, path: &str, domain: u16) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.permissions = vec![entry(domain, Access::None)];
        }
    }

    fn readable(&self, who: u16, path: &str) -> Refusable<&Node> {
        let node = self.nodes.get(path).ok_or("ENOENT")?;
        if may(&node.permissions, who, Access::Read) { Ok(node) } else { Err("EACCES") }
    }

    fn changed_children(&mut self, path: &str) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.generation += 1;
        }
    }
}

fn entry(domain: u16, access: Access) -> Permission {
    Permission { domain: DomainId(domain), access }
}

fn owner(permissions: &[Permission]) -> u16 {
    permissions.first().map_or(CONTROL, |first| first.domain.0)
}

fn may(permissions: &[Permission], who: u16, what: Access) -> bool {
    let own = permissions.iter().skip(1).find(|entry| entry.domain.0 == who).or(permissions.first());
    who == CONTROL
        || owner(permissions) == who
        || own.is_some_and(|entry| entry.access == what || entry.access == Access::Both)
}

/// The path of the node above; the root's is its own.
fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// The path, the one above, and so on, without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(path), |path| Some(parent(path))).take_while(|path| *path != "/")
}
