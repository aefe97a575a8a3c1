// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device in xenstore: the frontend's directory, as the toolstack makes it, and the backend's, as a backend
//! fills it (`xen/include/public/io/xenbus.h`).

use std::time::Duration;

use anyhow::Result;

use crate::guest::Guest;

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
}

impl Device {
    /// Makes a device; it is not offered yet.
    pub(crate) fn make(
        guest: &mut Guest,
        class: &'static str,
        number: u32,
        keys: &[(&str, &str)],
    ) -> Result<Self> {
        let device = Self { class, number, domain: guest.domain };
        device.remove(guest)?;
        device.make_backend(guest)?;
        let backend = device.backend();
        let state = state::INITIALISING.to_string();
        let own = [("backend", &*backend), ("backend-id", "0"), ("state", &state)];
        guest.store.make(&device.frontend(), guest.domain, 0, &[keys, &own].concat())?;
        Ok(device)
    }

    /// Takes the device away, both halves at once.
    pub(crate) fn remove(&self, guest: &mut Guest) -> Result<()> {
        guest.store.remove(&self.frontend())?;
        self.vanish(guest)
    }

    /// Removes the backend's directory.
    pub(crate) fn vanish(&self, guest: &mut Guest) -> Result<()> {
        guest.store.remove(&self.backend())
    }

    /// Makes the backend's directory.
    fn make_backend(&self, guest: &mut Guest) -> Result<()> {
        let (frontend, domain) = (self.frontend(), self.domain.to_string());
        let state = state::INITIALISING.to_string();
        let keys = [("frontend", &*frontend), ("frontend-id", &domain), ("online", "1"), ("state", &state)];
        // The guest may see that it is gone, too.
        guest.store.make(&format!("{BACKENDS}/{}", self.domain), 0, self.domain, &[])?;
        guest.store.make(&self.backend(), 0, self.domain, &keys)
    }

    /// Writes a key of the backend's; it is made anew if it has vanished.
    pub(crate) fn say(&self, guest: &mut Guest, key: &str, value: &[u8]) -> Result<()> {
        let backend = self.backend();
        if guest.store.read(&format!("{backend}/frontend"))?.is_none() {
            self.make_backend(guest)?;
        }
        guest.store.write_bytes(&format!("{backend}/{key}"), value)
    }

    /// Removes a key of the backend's.
    pub(crate) fn forget(&self, guest: &mut Guest, key: &str) -> Result<()> {
        guest.store.remove(&format!("{}/{key}", self.backend()))
    }

    /// Is in this state from now on.
    pub(crate) fn be(&self, guest: &mut Guest, state: u32) -> Result<()> {
        self.say(guest, "state", state.to_string().as_bytes())
    }

    /// A key of the frontend's that is a number.
    pub(crate) fn number(&self, guest: &mut Guest, key: &str) -> Result<Option<u32>> {
        let value = guest.store.read(&format!("{}/{key}", self.frontend()))?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// The frontend's state; 0 if it has none.
    pub(crate) fn state(&self, guest: &mut Guest) -> Result<u32> {
        Ok(self.number(guest, "state")?.unwrap_or(0))
    }

    /// Waits until the frontend is in one of these states; false if it is not in time.
    pub(crate) fn until(&self, guest: &mut Guest, states: &[u32], limit: Duration) -> Result<bool> {
        let wanted = |value: Option<&str>| {
            value.and_then(|value| value.parse().ok()).is_some_and(|state: u32| states.contains(&state))
        };
        let path = format!("{}/state", self.frontend());
        Ok(guest.store.wait_until(&path, limit, wanted)?.is_some())
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
