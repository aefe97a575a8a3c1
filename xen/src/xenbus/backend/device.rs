// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device that this domain serves: its backend directory, and the frontend's.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::device::{optional, other_half};
use super::super::state::State;
use super::handshake::Event;
use crate::DomainId;
use crate::time::Delay;
use crate::xenstore::{Client, Error, Result, Transaction, Value, Watch};

/// Names of nodes below the backend's directory, and their values.
pub type Nodes = Vec<(&'static str, String)>;

/// A device as xenstore has it: this domain's directory, and the frontend's that it points to.
///
/// Where the frontend is, and which domain, stands in the backend's directory, which only the toolstack and
/// this domain can write. What is in the frontend's directory may be anything.
#[derive(Clone)]
pub struct Device {
    client: Client,
    /// Times that the domain had been restored when the device was opened.
    restores: u64,
    backend: String,
    frontend: String,
    frontend_id: DomainId,
}

impl Device {
    /// The device whose backend's directory is `backend`, such as `backend/vbd/7/51712`.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] if `frontend` is no absolute path or `frontend-id` no domain's number.
    pub async fn open(client: &Client, backend: &str) -> Result<Self> {
        let restores = client.restores();
        let (frontend, frontend_id) = other_half(client, backend, ["frontend", "frontend-id"]).await?;
        Ok(Self { client: client.clone(), restores, backend: backend.to_string(), frontend, frontend_id })
    }

    /// The client that the device was opened with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The backend's directory.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The frontend's directory.
    pub fn frontend(&self) -> &str {
        &self.frontend
    }

    /// The frontend's domain: the one whose pages and event channels may be used.
    pub fn frontend_id(&self) -> DomainId {
        self.frontend_id
    }

    /// A key that the frontend wrote, such as `ring-ref`; `None` if it did not.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store). A frontend can have xenstored refuse to show a key.
    pub async fn read(&self, key: &str) -> Result<Option<Value>> {
        optional(self.client.value(&format!("{}/{key}", self.frontend)).await)
    }

    /// A key in our directory, such as the toolstack's `mode`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn read_own(&self, key: &str) -> Result<Option<Value>> {
        optional(self.client.value(&format!("{}/{key}", self.backend)).await)
    }

    /// Writes nodes of our directory, all at once, unless the toolstack has removed it: that must not bring
    /// it back.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store); [`Error::is_not_found`] if the directory is gone.
    pub async fn write(&self, delay: &impl Delay, nodes: &[(&'static str, String)]) -> Result<()> {
        let frontend = format!("{}/frontend", self.backend);
        let written = self.client.transaction(delay, async |transaction| {
            transaction.read(&frontend).await?;
            for (name, value) in nodes {
                transaction.write(&format!("{}/{name}", self.backend), value).await?;
            }
            Ok::<(), Error>(())
        });
        written.await
    }

    /// Whether the domain was restored since the device was opened: nothing of it is left.
    pub(super) fn is_of_former_life(&self) -> bool {
        self.client.restores() != self.restores
    }

    /// The frontend's state. A directory that is gone, or that we may not see, is [`State::Unknown`].
    pub(super) async fn frontend_state(&self) -> Result<State> {
        match self.read("state").await {
            Err(Error::Refused(_)) => Ok(State::Unknown),
            state => Ok(state?.map_or(State::Unknown, |value| State::of(&value))),
        }
    }

    /// What the toolstack wants, if it is anything but to keep the device.
    pub(super) async fn wish(&self) -> Result<Option<Event>> {
        if self.read_own("frontend").await?.is_none() {
            return Ok(Some(Event::Gone));
        }
        let online = self.read_own("online").await?;
        Ok(online.is_some_and(|online| online.flag() == Ok(false)).then_some(Event::Leave))
    }

    pub(super) async fn watch_frontend(&self) -> Result<Watch> {
        self.client.watch(&format!("{}/state", self.frontend)).await
    }

    pub(super) async fn watch_own(&self) -> Result<Watch> {
        self.client.watch(&format!("{}/online", self.backend)).await
    }

    /// Removes our directory, and the one above for the frontend's domain if nothing else is in it, unless
    /// the toolstack has done that, or made the device anew.
    pub(super) async fn remove(&self, delay: &impl Delay) -> Result<()> {
        let backend = &self.backend;
        let online = format!("{backend}/online");
        let removed = self.client.transaction(delay, async |transaction| {
            if transaction.value(&online).await?.flag() != Ok(false) {
                return Ok(());
            }
            transaction.rm(backend).await?;
            remove_if_empty(transaction, above(backend)).await;
            Ok::<(), Error>(())
        });
        removed.await
    }

    /// Leaves a message where the toolstack looks for it; whether it arrives does not matter.
    pub(super) async fn report(&self, message: &str) {
        let _ = self.client.write(&format!("{}/error", self.messages()), message).await;
    }

    /// Removes the message: who serves guests that come and go would come to have one of each, and xenstored
    /// lets a domain have so many nodes.
    pub(super) async fn retract(&self, delay: &impl Delay) {
        let messages = self.messages();
        let removed = self.client.transaction(delay, async |transaction| {
            transaction.rm(&messages).await?;
            remove_if_empty(transaction, above(&messages)).await;
            Ok::<(), Error>(())
        });
        // Mostly there is none.
        let _ = removed.await;
    }

    /// Where messages are left.
    fn messages(&self) -> String {
        format!("error/{}", self.backend)
    }
}

/// Removes a directory if nothing is in it. It may be the toolstack's, and not ours to remove.
async fn remove_if_empty(transaction: &Transaction, directory: &str) {
    if transaction.directory(directory).await.is_ok_and(|others| others.is_empty()) {
        let _ = transaction.rm(directory).await;
    }
}

/// The directory that a path is in.
fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(above, _)| above)
}
