// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest, and how it is talked to: by the nodes below `data/peer` of its home in xenstore.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::store::Store;

/// Longest time to wait for anything of the guest's.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running guest.
pub(crate) struct Guest {
    /// Its number.
    pub(crate) domain: u16,
    /// The xenstored that serves it.
    pub(crate) store: Store,
}

impl Guest {
    /// The guest whose number is the text `domain`.
    pub(crate) fn new(domain: &str) -> Result<Self> {
        let domain = domain.parse().with_context(|| format!("{domain:?} is no domain"))?;
        Ok(Self { domain, store: Store::connect()? })
    }

    /// The full path of a path below the guest's home.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("/local/domain/{}/{path}", self.domain)
    }

    /// What the guest says as `name`, once it says anything.
    pub(crate) fn hear(&mut self, name: &str) -> Result<String> {
        let path = self.path(&format!("data/peer/{name}"));
        self.store.wait_for(&path, LIMIT)
    }

    /// Tells the guest something as `name`.
    pub(crate) fn tell(&mut self, name: &str, value: &str) -> Result<()> {
        let path = self.path(&format!("data/peer/{name}"));
        self.store.write(&path, value)
    }
}
