// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device that is played with: what its frontend was last seen to do, and what a backend does about it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::bus::{Device, state};
use super::link::{Class, Link};
use super::moves::Move;
use crate::guest::Guest;
use crate::page::Page;

/// How long a frontend that has been offered a device, or has a connection, may do nothing. Then another
/// device is made: a driver that has failed pauses before it begins again, longer each time.
const SOON: Duration = Duration::from_millis(600);
/// The same of one that has not begun: its guest may be busy.
const LATER: Duration = Duration::from_secs(10);

/// A device, and the connection to its frontend.
pub(crate) struct Seat {
    pub(crate) device: Device,
    link: Option<Box<dyn Link>>,
    /// The frontend's state, as it was last seen.
    state: u32,
    /// Whether the device was offered, and its frontend has not connected since.
    offered: bool,
    /// Whether what the frontend has published is of the connection that was left.
    stale: bool,
    /// Keys that moves have written, or removed, since there was a connection: they are left as they are.
    said: BTreeSet<String>,
    /// When anything last came of this.
    since: Instant,
}

impl Seat {
    /// With a new device of this number.
    pub(crate) fn make(guest: &mut Guest, class: &'static Class, number: u32) -> Result<Self> {
        let text = number.to_string();
        let own = [&[("virtual-device", &*text), ("handle", &text)], class.own].concat();
        let device = Device::make(guest, class.name, number, &own)?;
        Ok(Self {
            device,
            link: None,
            state: state::INITIALISING,
            offered: false,
            stale: false,
            said: BTreeSet::new(),
            since: Instant::now(),
        })
    }

    /// Whether its frontend is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_some() && self.state == state::CONNECTED
    }

    /// Whether its frontend is connected, and has what this move needs.
    pub(crate) fn is_ready(&mut self, play: &Move) -> bool {
        self.state == state::CONNECTED && self.link.as_mut().is_some_and(|link| link.is_ready(play))
    }

    /// Whether nothing comes of it any more.
    pub(crate) fn is_stuck(&mut self) -> bool {
        if self.is_ready(&Move::Serve(1)) {
            return false;
        }
        let has_begun = self.state != state::INITIALISING;
        self.since.elapsed() > if has_begun { SOON } else { LATER }
    }

    /// The connection.
    pub(crate) fn link(&mut self) -> Option<&mut Box<dyn Link>> {
        self.link.as_mut()
    }

    /// Makes a move on the rings. What is kept goes to `kept`.
    pub(crate) fn play(&mut self, play: &Move, kept: &mut Vec<Page>) -> Result<bool> {
        self.since = Instant::now();
        self.link.as_mut().map_or(Ok(false), |link| link.play(play, kept))
    }

    /// Looks at the frontend's state, which has changed; true if it is connected since.
    pub(crate) fn look(&mut self, guest: &mut Guest) -> Result<bool> {
        let now = self.device.state(guest)?;
        let before = std::mem::replace(&mut self.state, now);
        if before != now {
            self.since = Instant::now();
        }
        match now {
            state::INITIALISING | state::CLOSING => self.stale = false,
            state::CLOSED => {
                self.stale = false;
                self.offered = false;
                self.link = None;
                self.device.be(guest, state::CLOSED)?;
            }
            _ => {}
        }
        Ok(before != now && self.is_connected())
    }

    /// Does what the frontend waits for, as a backend does; true if it is connected by that.
    pub(crate) fn take_part(&mut self, guest: &mut Guest, class: &Class) -> Result<bool> {
        match self.state {
            state::INITIALISING | state::CLOSED if !self.offered => self.offer(guest, class).map(|()| false),
            state::INITIALISED if !self.stale => self.connect(guest, class),
            // Some frontends know no other state when they have published their rings.
            state::CONNECTED if !self.stale && self.offered => self.connect(guest, class),
            _ => Ok(false),
        }
    }

    /// Offers the device, as a backend does, but for keys that moves have written.
    pub(crate) fn offer(&mut self, guest: &mut Guest, class: &Class) -> Result<()> {
        self.offered = true;
        self.since = Instant::now();
        let keys = self.unsaid(class.offer);
        self.device.say_and_be(guest, &keys, state::INIT_WAIT)
    }

    /// Connects to what the frontend has published; true if the frontend is connected by that.
    pub(crate) fn connect(&mut self, guest: &mut Guest, class: &Class) -> Result<bool> {
        if self.link.is_some() || !matches!(self.state, state::INITIALISED | state::CONNECTED) {
            return Ok(false);
        }
        let Some(link) = (class.open)(guest, &self.device)? else { return Ok(false) };
        self.link = Some(link);
        self.offered = false;
        self.since = Instant::now();
        let keys = self.unsaid(class.properties);
        self.said.clear();
        self.device.say_and_be(guest, &keys, state::CONNECTED)?;
        Ok(self.state == state::CONNECTED)
    }

    /// Remembers that a move has written or removed a key.
    pub(crate) fn has_said(&mut self, key: &str) {
        self.said.insert(key.into());
    }

    /// Leaves the frontend without a word; the pages of the rings.
    pub(crate) fn abandon(&mut self) -> Vec<Page> {
        self.stale = matches!(self.state, state::INITIALISED | state::CONNECTED);
        self.link.take().map(|link| link.into_pages()).unwrap_or_default()
    }

    /// Those of a class's keys that no move has written.
    fn unsaid(&self, keys: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        keys.iter().copied().filter(|(key, _)| !self.said.contains(*key)).collect()
    }
}
