// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices that this domain is the backend of.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use xen_sys::xen::DOMID_FIRST_RESERVED;

use super::super::bus::number;
use crate::DomainId;
use crate::xenstore::{Client, Error, Event, Result, Watch};

/// A device by the domain that uses it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// The frontend's domain.
    pub frontend: DomainId,
    /// The device's number, as in `device/vbd/51712`.
    pub number: u32,
}

impl Id {
    /// The device of these numbers; `None` if `frontend` is no domain's.
    fn new(frontend: u32, number: u32) -> Option<Self> {
        let frontend = u16::try_from(frontend).ok().filter(|id| *id < DOMID_FIRST_RESERVED)?;
        Some(Self { frontend: DomainId(frontend), number })
    }

    /// The device of two directories' names.
    fn of(frontend: &str, device: &str) -> Option<Self> {
        Self::new(number(frontend)?, number(device)?)
    }

    /// The backend's directory of this device of `class`, such as `vbd`.
    pub fn directory(self, class: &str) -> String {
        format!("backend/{class}/{self}")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.frontend.0, self.number)
    }
}

/// The devices of a class, such as `vbd`, that there are at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// In order.
    pub devices: Vec<Id>,
    /// How many more there are than were asked for.
    pub ignored: usize,
}

/// Watches for devices of a class that come and go.
pub struct Bus {
    client: Client,
    directory: String,
    watch: Watch,
    most: usize,
    /// The devices that there were, all of them, in order.
    known: Vec<Id>,
}

impl Bus {
    /// The devices of `class`, such as `vbd`; `most` at a time are told of.
    ///
    /// # Errors
    ///
    /// As for [`Client::watch`].
    pub async fn watch(client: &Client, class: &str, most: usize) -> Result<Self> {
        let directory = format!("backend/{class}");
        let watch = client.watch(&directory).await?;
        Ok(Self { client: client.clone(), directory, watch, most, known: Vec::new() })
    }

    /// The devices that there are, at first and after each change. What happens within a device's directory
    /// is no change.
    ///
    /// # Errors
    ///
    /// As for [`Watch::next`] and [`Store::directory`](crate::xenstore::Store::directory).
    pub async fn next(&mut self) -> Result<Devices> {
        loop {
            let event = self.watch.next().await?;
            if self.concerns(&event) {
                return self.scan().await;
            }
        }
    }

    /// Whether a device may have come or gone: something has happened at `backend/vbd`, `backend/vbd/7` or
    /// `backend/vbd/7/51712`, or below one that was not there before.
    fn concerns(&self, event: &Event) -> bool {
        let below = event.path.strip_prefix(&self.directory).unwrap_or_default();
        let mut names = below.split('/').skip(1);
        let id = names.next().zip(names.next()).and_then(|(frontend, number)| Id::of(frontend, number));
        let is_known = id.is_some_and(|id| self.known.binary_search(&id).is_ok());
        event.overflow || names.next().is_none() || !is_known
    }

    async fn scan(&mut self) -> Result<Devices> {
        let mut devices = Vec::new();
        for frontend in self.numbers(&self.directory).await? {
            let there = self.numbers(&format!("{}/{frontend}", self.directory)).await?;
            devices.extend(there.into_iter().filter_map(|number| Id::new(frontend, number)));
        }
        self.known.clone_from(&devices);
        let ignored = devices.len().saturating_sub(self.most);
        devices.truncate(self.most);
        Ok(Devices { devices, ignored })
    }

    /// The numbers in a directory, in order. One that is gone, or that we may not see, has none.
    async fn numbers(&self, directory: &str) -> Result<Vec<u32>> {
        let names = match self.client.directory(directory).await {
            Err(Error::Refused(_)) => Vec::new(),
            names => names?,
        };
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
