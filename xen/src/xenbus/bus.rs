// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices of a class.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::xenstore::{Client, Event, Result, Watch};

/// Watches for devices of a class that come and go.
pub struct Bus {
    client: Client,
    directory: String,
    watch: Watch,
    /// The devices that there were, in order.
    known: Vec<u32>,
}

impl Bus {
    /// The devices of `class`, such as `vbd`.
    ///
    /// # Errors
    ///
    /// As for [`Client::watch`].
    pub async fn watch(client: &Client, class: &str) -> Result<Self> {
        let directory = format!("device/{class}");
        let watch = client.watch(&directory).await?;
        Ok(Self { client: client.clone(), directory, watch, known: Vec::new() })
    }

    /// The numbers of the devices that there are, in order: at first, and after each change. Names that are
    /// no numbers are ignored, and a directory that is not there has none. What happens within a device's
    /// directory is no change: most of it is what its driver writes.
    ///
    /// # Errors
    ///
    /// As for [`Watch::next`] and [`Store::directory`](crate::xenstore::Store::directory).
    pub async fn next(&mut self) -> Result<Vec<u32>> {
        loop {
            let event = self.watch.next().await?;
            if self.concerns(&event) {
                return self.scan().await;
            }
        }
    }

    /// Whether a device may have come or gone: something has happened at `device/vbd` or `device/vbd/51712`,
    /// or below one that was not there before.
    fn concerns(&self, event: &Event) -> bool {
        let below = event.path.strip_prefix(&self.directory).unwrap_or_default();
        let mut names = below.split('/').skip(1);
        let device = names.next().and_then(number);
        let is_known = device.is_some_and(|device| self.known.binary_search(&device).is_ok());
        event.overflow || names.next().is_none() || !is_known
    }

    async fn scan(&mut self) -> Result<Vec<u32>> {
        let names = match self.client.directory(&self.directory).await {
            Err(error) if error.is_not_found() => Vec::new(),
            names => names?,
        };
        self.known = names.iter().filter_map(|name| number(name)).collect();
        self.known.sort_unstable();
        Ok(self.known.clone())
    }
}

/// A device's number, as it is a directory's name: digits, without a superfluous zero.
pub(super) fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number: &u32| number.to_string() == name)
}
