// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree of nodes, seen from outside or inside of a transaction.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::connection::Connection;
use super::error::{Error, Result};
use super::permissions::Permission;
use super::reply;
use super::request::Request;
use super::state::Number;
use super::value::{Expected, Value};
use super::wire::Kind;

/// The tree of nodes.
///
/// A [`Client`](super::Client) and a [`Transaction`](super::Transaction) both deref to this, so
/// that a function which takes a `&Store` works inside and outside of transactions. Paths are as
/// [`path`](super::path) says. Dropping the future of a request cancels it, unless xenstored has
/// it already.
///
/// # Errors
///
/// All methods: [`Error::Path`] and [`Error::TooLong`] before anything is sent,
/// [`Error::Refused`] with xenstored's reason, [`Error::Disconnected`] when the connection breaks.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Connection>,
    /// The transaction that it is seen from, if any.
    transaction: Option<Number>,
}

impl Store {
    pub(super) fn new(connection: Arc<Connection>, transaction: Option<Number>) -> Self {
        Self { connection, transaction }
    }

    /// Reads a node.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.call(Request::Read(path)).await
    }

    /// Reads a node as text; [`Error::Value`] if it is none.
    pub async fn read_str(&self, path: &str) -> Result<String> {
        let bytes = self.read(path).await?;
        String::from_utf8(bytes)
            .map_err(|error| Value::new(path, error.into_bytes()).unreadable(Expected::Text).into())
    }

    /// Reads a node that is to be a number, an address or the like.
    pub async fn value(&self, path: &str) -> Result<Value> {
        Ok(Value::new(path, self.read(path).await?))
    }

    /// Writes a node, and makes it and its parents if they are not there. Any bytes will do, but
    /// printable ASCII is the custom.
    pub async fn write(&self, path: &str, value: impl AsRef<[u8]>) -> Result<()> {
        self.call(Request::Write { path, value: value.as_ref() }).await.map(drop)
    }

    /// Makes an empty node and its parents; one that is there stays as it is.
    ///
    /// QEMU's xenstored (`hw/i386/kvm/xen_xenstore.c`) ends QEMU with a failed assertion when this
    /// succeeds; [`write`](Self::write) of an empty value does the same everywhere.
    pub async fn mkdir(&self, path: &str) -> Result<()> {
        self.call(Request::MakeDirectory(path)).await.map(drop)
    }

    /// Removes a node and all below it. One that is not there is fine if its parent is.
    pub async fn rm(&self, path: &str) -> Result<()> {
        self.call(Request::Remove(path)).await.map(drop)
    }

    /// Reads who may do what with a node.
    pub async fn get_perms(&self, path: &str) -> Result<Vec<Permission>> {
        let payload = self.call(Request::GetPermissions(path)).await?;
        let entries = reply::strings(&payload).filter(|entries| !entries.is_empty());
        let entries = entries.and_then(|entries| entries.into_iter().map(Permission::parse).collect());
        entries.ok_or(Error::Protocol(Kind::GetPermissions))
    }

    /// Sets who may do what with a node. The first entry names the owner, which only a privileged
    /// domain can change.
    pub async fn set_perms(&self, path: &str, permissions: &[Permission]) -> Result<()> {
        self.call(Request::SetPermissions { path, permissions }).await.map(drop)
    }

    pub(super) async fn call(&self, request: Request<'_>) -> Result<Vec<u8>> {
        self.connection.call(self.transaction, request)?.await
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}
