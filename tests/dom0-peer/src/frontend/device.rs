// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device in xenstore, whose frontend is ours and whose backend is the driver domain's.

use anyhow::{Result, ensure};

use super::PATIENCE;
pub(super) use crate::adversary::state;
use crate::guest::Guest;
use crate::store::Directory;

/// Where frontends' directories are: not where a driver of dom0's would look for one of its own.
const FRONTENDS: &str = "/local/domain/0/liar";

/// The number of the device: `xvda`, or an interface.
const NUMBER: u32 = 51712;

/// The device.
pub(super) struct Device {
    frontend: String,
    backend: String,
}

impl Device {
    /// Makes a device, as the toolstack does, with these keys for the backend.
    pub(super) fn make(backend: &mut Guest, class: &str, configured: &[(&str, &str)]) -> Result<Self> {
        let device = Self {
            frontend: format!("{FRONTENDS}/{class}/{NUMBER}"),
            backend: backend.path(&format!("backend/{class}/0/{NUMBER}")),
        };
        let domain = backend.domain.to_string();
        let initialising = state::INITIALISING.to_string();
        let own = [("backend", &*device.backend), ("backend-id", &domain), ("state", &initialising)];
        let keys = [
            ("frontend", &*device.frontend),
            ("frontend-id", "0"),
            ("online", "1"),
            ("state", &initialising),
        ];
        let keys = [configured, &keys].concat();
        let domain = backend.domain;
        backend.store.make(&[
            Directory { path: &device.frontend, owner: 0, reader: domain, nodes: &own },
            Directory { path: &device.backend, owner: domain, reader: 0, nodes: &keys },
        ])?;
        Ok(device)
    }

    /// Has the backend remove the device.
    pub(super) fn remove(self, backend: &mut Guest) -> Result<()> {
        backend.store.write(&format!("{}/online", self.backend), "0")?;
        backend.store.write(&format!("{}/state", self.backend), &state::CLOSING.to_string())?;
        let gone = backend
            .store
            .wait_until(&format!("{}/state", self.backend), PATIENCE, |value| value.is_none())?;
        ensure!(gone.is_some(), "the backend does not remove the device");
        backend.store.remove(&self.frontend)
    }

    /// Writes a key of the frontend's.
    pub(super) fn say(&self, backend: &mut Guest, key: &str, value: &str) -> Result<()> {
        backend.store.write(&format!("{}/{key}", self.frontend), value)
    }

    /// Is in this state from now on.
    pub(super) fn be(&self, backend: &mut Guest, state: u32) -> Result<()> {
        self.say(backend, "state", &state.to_string())
    }

    /// Waits until the backend is in one of these states; false if it is not in time.
    pub(super) fn until(&self, backend: &mut Guest, states: &[u32]) -> Result<bool> {
        let wanted = |value: Option<&str>| {
            value.and_then(|value| value.parse().ok()).is_some_and(|state: u32| states.contains(&state))
        };
        Ok(backend.store.wait_until(&format!("{}/state", self.backend), PATIENCE, wanted)?.is_some())
    }

    /// The backend's state; 0 if it has none.
    pub(super) fn backend_state(&self, backend: &mut Guest) -> Result<u32> {
        let state = backend.store.read(&format!("{}/state", self.backend))?;
        Ok(state.and_then(|state| state.parse().ok()).unwrap_or(0))
    }
}
