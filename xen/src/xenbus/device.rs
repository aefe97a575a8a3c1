// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device: its frontend directory and its backend directory.

use alloc::format;
use alloc::string::{String, ToString};

use xen_sys::xen::DOMID_FIRST_RESERVED;

use super::state::State;
use crate::DomainId;
use crate::time::all;
use crate::xenstore::{Client, Error, Refusal, Result, Value, Watch};

/// A device as xenstore has it: the frontend's directory, and the backend's that it points to.
///
/// Where the backend is stands in the frontend's directory, which only the toolstack and this
/// domain can write.
#[derive(Clone)]
pub struct Device {
    client: Client,
    /// Times that the domain had been restored when the device was opened.
    restores: u64,
    frontend: String,
    backend: String,
    backend_id: DomainId,
}

impl Device {
    /// The device whose frontend's directory is `frontend`, such as `device/vif/0`.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] if `backend` is no absolute path or `backend-id` no domain's number.
    pub async fn open(client: &Client, frontend: &str) -> Result<Self> {
        let restores = client.restores();
        let (backend, backend_id) = other_half(client, frontend, ["backend", "backend-id"]).await?;
        Ok(Self { client: client.clone(), restores, frontend: frontend.to_string(), backend, backend_id })
    }

    /// The client that the device was opened with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The frontend's directory.
    pub fn frontend(&self) -> &str {
        &self.frontend
    }

    /// The backend's directory.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The backend's domain: the one to grant pages and offer event channels to.
    pub fn backend_id(&self) -> DomainId {
        self.backend_id
    }

    /// A key that the backend wrote; `None` if it did not.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn read(&self, key: &str) -> Result<Option<Value>> {
        optional(self.client.value(&format!("{}/{key}", self.backend)).await)
    }

    /// A key in our directory, such as `mac`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn read_own(&self, key: &str) -> Result<Option<Value>> {
        optional(self.client.value(&format!("{}/{key}", self.frontend)).await)
    }

    /// Keys that the backend wrote, asked for at once: that takes one round trip, not one for each.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn read_all<const N: usize>(&self, keys: [&str; N]) -> Result<[Option<Value>; N]> {
        values(&self.client, &self.backend, keys).await
    }

    /// Keys in our directory, asked for at once.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn read_own_all<const N: usize>(&self, keys: [&str; N]) -> Result<[Option<Value>; N]> {
        values(&self.client, &self.frontend, keys).await
    }

    /// Writes keys for the backend to read, and removes those without a value, which it should not find any
    /// more. xenstored gets all of it at once, and does it in this order; a key need not be there to be
    /// removed.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store); the others were carried out all the same.
    pub async fn update(&self, keys: impl IntoIterator<Item = (String, Option<String>)>) -> Result<()> {
        let updates = keys.into_iter().map(|(key, value)| async move {
            match value {
                Some(value) => self.write(&key, value).await,
                None => self.remove(&key).await,
            }
        });
        all(updates).await.into_iter().collect()
    }

    /// Writes a key for the backend to read.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn write(&self, key: &str, value: impl AsRef<[u8]>) -> Result<()> {
        self.client.write(&format!("{}/{key}", self.frontend), value).await
    }

    /// Removes a key that the backend should not find any more, such as one of a former life, if it is there.
    ///
    /// # Errors
    ///
    /// As for [`Store`](crate::xenstore::Store).
    pub async fn remove(&self, key: &str) -> Result<()> {
        // C xenstored removes what is not there, QEMU's refuses to.
        match self.client.rm(&format!("{}/{key}", self.frontend)).await {
            Err(error) if error.is_not_found() => Ok(()),
            removed => removed,
        }
    }

    /// Whether the domain was restored since the device was opened: its backend is another one now.
    pub(super) fn is_of_former_life(&self) -> bool {
        self.client.restores() != self.restores
    }

    /// Whether the device is still where it was when it was opened.
    pub(super) async fn is_in_place(&self) -> bool {
        let now = Self::open(&self.client, &self.frontend).await;
        now.is_ok_and(|now| (now.backend, now.backend_id) == (self.backend.clone(), self.backend_id))
    }

    /// Our state as it stands in xenstore.
    pub(super) async fn own_state(&self) -> Result<State> {
        Ok(self.read_own("state").await?.map_or(State::Unknown, |value| State::of(&value)))
    }

    /// The backend's state. A directory that is gone, or was made anew for somebody else, is
    /// [`State::Unknown`].
    pub(super) async fn backend_state(&self) -> Result<State> {
        match self.read("state").await {
            Err(Error::Refused(_)) => Ok(State::Unknown),
            state => Ok(state?.map_or(State::Unknown, |value| State::of(&value))),
        }
    }

    pub(super) async fn watch_backend(&self) -> Result<Watch> {
        self.client.watch(&format!("{}/state", self.backend)).await
    }

    /// Whether the toolstack wants to keep the device although it is closed (`online`).
    pub(super) async fn is_online(&self) -> bool {
        matches!(self.read("online").await, Ok(Some(online)) if online.flag() == Ok(true))
    }

    /// Leaves a message where the toolstack looks for it; whether it arrives does not matter.
    pub(super) async fn report(&self, message: &str) {
        let _ = self.client.write(&format!("error/{}/error", self.frontend), message).await;
    }
}

/// Directory and domain of a device's other half, as these two keys of `directory` have them.
///
/// # Errors
///
/// [`Error::Value`] if they are no absolute path or no domain's number.
pub(super) async fn other_half(
    client: &Client,
    directory: &str,
    keys: [&str; 2],
) -> Result<(String, DomainId)> {
    let [path, id] = values(client, directory, keys).await?;
    let missing = Error::Refused(Refusal::NotFound);
    let (Some(path), Some(id)) = (path, id) else { return Err(missing) };
    let path = path.absolute_path()?.to_string();
    Ok((path, DomainId(id.integer(0..=u64::from(DOMID_FIRST_RESERVED) - 1)? as u16)))
}

/// Keys of a directory, asked for at once; `None` for those that are not there.
async fn values<const N: usize>(
    client: &Client,
    directory: &str,
    keys: [&str; N],
) -> Result<[Option<Value>; N]> {
    let mut found = [const { None }; N];
    let reads = keys.iter().zip(&mut found).map(|(key, found)| async move {
        *found = optional(client.value(&format!("{directory}/{key}")).await)?;
        Ok(())
    });
    all(reads).await.into_iter().collect::<Result<()>>()?;
    Ok(found)
}

pub(super) fn optional(value: Result<Value>) -> Result<Option<Value>> {
    match value {
        Err(error) if error.is_not_found() => Ok(None),
        value => value.map(Some),
    }
}
