// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device in xenstore: the frontend's directory, as the toolstack makes it, and the backend's, as a backend
//! fills it (`xen/include/public/io/xenbus.h`).

use anyhow::Result;

use crate::guest::Guest;
use crate::store::Directory;

/// Where backends' directories are: not where Linux would look for a driver of its own.
const BACKENDS: &str = "/local/domain/0/adversary";

/// States of a device's side.
pub(crate) mod state {
    pub(crate) const INITIALISING: u32 = 1;
    pub(crate) const INIT_WAIT: u32 = 2;
    pub(crate) const INITIALISED: u32 = 3;
    pub(crate) const CONNECTED: u32 = 4;
    pub(crate) const CLOSING: u32 = 5;
    pub(crate) const CLOSED: u32 = 6;
}

/// A device of a guest's.
pub(crate) struct Device {
    class: &'static str,
    number: u32,
    domain: u16,
    /// Whether the backend's directory was removed.
    has_vanished: bool,
}

impl Device {
    /// Makes a device; it is not offered yet. Events of its frontend's state carry its [token](Self::token).
    pub(crate) fn make(
        guest: &mut Guest,
        class: &'static str,
        number: u32,
        keys: &[(&str, &str)],
    ) -> Result<Self> {
        let device = Self { class, number, domain: guest.domain, has_vanished: false };
        let (frontend, backend) = (device.frontend(), device.backend());
        let state = state::INITIALISING.to_string();
        let own = [("backend", &*backend), ("backend-id", "0"), ("state", &state)];
        let nodes = [keys, &own].concat();
        let own = Directory { path: &frontend, owner: guest.domain, reader: 0, nodes: &nodes };
        device.make_backend(guest, Some(own))?;
        guest.store.watch(&format!("{frontend}/state"), &device.token())?;
        Ok(device)
    }

    /// Takes the device away, both halves at once.
    pub(crate) fn remove(&self, guest: &mut Guest) -> Result<()> {
        guest.store.unwatch(&format!("{}/state", self.frontend()), &self.token())?;
        guest.store.remove_each(&[self.frontend(), self.backend()])
    }

    /// What events of its frontend's state carry.
    pub(crate) fn token(&self) -> String {
        self.number.to_string()
    }

    /// Removes the backend's directory.
    pub(crate) fn vanish(&mut self, guest: &mut Guest) -> Result<()> {
        self.has_vanished = true;
        guest.store.remove(&self.backend())
    }

    /// Makes the backend's directory, and another one before it.
    fn make_backend(&self, guest: &mut Guest, other: Option<Directory>) -> Result<()> {
        let (frontend, backend, domain) = (self.frontend(), self.backend(), self.domain.to_string());
        let state = state::INITIALISING.to_string();
        let nodes = [("frontend", &*frontend), ("frontend-id", &domain), ("online", "1"), ("state", &state)];
        let own = Directory { path: &backend, owner: 0, reader: self.domain, nodes: &nodes };
        let both: Vec<_> = other.into_iter().chain([own]).collect();
        guest.store.make(&both)
    }

    /// Makes the directory that backends of the guest's are in; the guest may see that one of them is gone.
    pub(crate) fn make_home(guest: &mut Guest) -> Result<()> {
        let path = format!("{BACKENDS}/{}", guest.domain);
        guest.store.make(&[Directory { path: &path, owner: 0, reader: guest.domain, nodes: &[] }])
    }

    /// Writes keys of the backend's, one after another; all are made anew if they have vanished.
    pub(crate) fn say(&mut self, guest: &mut Guest, keys: &[(&str, &[u8])]) -> Result<()> {
        if std::mem::take(&mut self.has_vanished) {
            self.make_backend(guest, None)?;
        }
        let backend = self.backend();
        let nodes = keys.iter().map(|(key, value)| (format!("{backend}/{key}"), value.to_vec()));
        guest.store.write_each(&nodes.collect::<Vec<_>>())
    }

    /// Says these keys, and is in this state then.
    pub(crate) fn say_and_be(&mut self, guest: &mut Guest, keys: &[(&str, &str)], state: u32) -> Result<()> {
        let state = state.to_string();
        let last = [("state", &*state)];
        let keys = keys.iter().chain(&last).map(|(key, value)| (*key, value.as_bytes()));
        self.say(guest, &keys.collect::<Vec<_>>())
    }

    /// Removes a key of the backend's.
    pub(crate) fn forget(&self, guest: &mut Guest, key: &str) -> Result<()> {
        guest.store.remove(&format!("{}/{key}", self.backend()))
    }

    /// Is in this state from now on.
    pub(crate) fn be(&mut self, guest: &mut Guest, state: u32) -> Result<()> {
        self.say_and_be(guest, &[], state)
    }

    /// Keys of the frontend's that are numbers.
    pub(crate) fn numbers<const N: usize>(
        &self,
        guest: &mut Guest,
        keys: [&str; N],
    ) -> Result<[Option<u32>; N]> {
        let frontend = self.frontend();
        let values = guest.store.read_each(&keys.map(|key| format!("{frontend}/{key}")))?;
        let mut values = values.into_iter();
        Ok(keys.map(|_| values.next().flatten().and_then(|value| value.parse().ok())))
    }

    /// The frontend's state; 0 if it has none.
    pub(crate) fn state(&self, guest: &mut Guest) -> Result<u32> {
        let [state] = self.numbers(guest, ["state"])?;
        Ok(state.unwrap_or(0))
    }

    /// What the frontend says has gone wrong, where the toolstack looks for it.
    pub(crate) fn error(&self, guest: &mut Guest) -> Result<Option<String>> {
        let path = guest.path(&format!("error/device/{}/{}/error", self.class, self.number));
        guest.store.read(&path)
    }

    fn frontend(&self) -> String {
        format!("/local/domain/{}/device/{}/{}", self.domain, self.class, self.number)
    }

    fn backend(&self) -> String {
        format!("{BACKENDS}/{}/{}/{}", self.domain, self.class, self.number)
    }
}
