// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who makes the moves: a backend of one device at a time.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::bus::{Device, state};
use super::console::Console;
use super::game::Kind;
use super::link::{Class, Link};
use super::moves::Move;
use crate::guest::Guest;
use crate::page::Page;

/// How long a step of a frontend's that is at work may take.
const SOON: Duration = Duration::from_millis(400);
/// How long a frontend may take for a device that was just made: its guest has others to leave.
const LATER: Duration = Duration::from_secs(30);

/// What came of moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Moves that were made.
    pub(crate) made: u64,
    /// Moves that there was no request, or no connection, for.
    pub(crate) idle: u64,
    /// Connections to a frontend.
    pub(crate) connections: u64,
    /// Devices that were made.
    pub(crate) devices: u64,
}

/// A player.
pub(crate) struct Player {
    kind: Kind,
    class: &'static Class,
    /// The guest's console, once it was played with.
    console: Option<Console>,
    /// What was written below the guest's home.
    written: BTreeSet<String>,
    device: Option<Device>,
    link: Option<Box<dyn Link>>,
    kept: Vec<Page>,
    /// What came of the moves until now.
    pub(crate) tally: Tally,
}

impl Player {
    /// A player without a device, of which it will make some of this kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            class: Class::of(kind),
            console: None,
            written: BTreeSet::new(),
            device: None,
            link: None,
            kept: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Begins a game: with a device, if it is about devices.
    pub(crate) fn begin(&mut self, guest: &mut Guest) -> Result<()> {
        if self.kind == Kind::Console {
            return Ok(());
        }
        self.play(guest, &Move::Renew)
    }

    /// Ends a game: what is not a device's is as it was before.
    pub(crate) fn tidy_up(&mut self, guest: &mut Guest) -> Result<()> {
        if let Some(console) = &self.console {
            console.settle();
        }
        for path in std::mem::take(&mut self.written) {
            let whole = guest.path(&path);
            // The guest may write these, which it could not if they were made again.
            if matches!(&*path, "control/shutdown" | "control/sysrq") {
                guest.store.write(&whole, "")?;
            } else if !path.starts_with("memory/") && !path.starts_with("cpu/0/") {
                guest.store.remove(&whole)?;
            }
        }
        Ok(())
    }

    /// Writes a node below the guest's home.
    fn write(&mut self, guest: &mut Guest, path: &str, value: &[u8]) -> Result<bool> {
        let whole = guest.path(path);
        self.written.insert(path.into());
        guest.store.write_bytes(&whole, value).map(|()| true)
    }

    fn play_at_console(&mut self, guest: &mut Guest, play: &Move) -> Result<bool> {
        if self.console.is_none() {
            self.console = Some(Console::of(guest.domain)?);
        }
        Ok(self.console.as_ref().is_some_and(|console| console.play(play)))
    }

    /// Makes a move.
    pub(crate) fn play(&mut self, guest: &mut Guest, play: &Move) -> Result<()> {
        let made = match play {
            Move::Renew => self.renew(guest).map(|()| true),
            Move::Close => self.close(guest).map(|()| true),
            Move::Restart => {
                self.keep_link();
                self.offer(guest).map(|()| true)
            }
            Move::Offer => self.offer(guest).map(|()| true),
            Move::Connect => self.connect(guest, SOON),
            Move::State(number) => self.device(guest)?.be(guest, *number).map(|()| true),
            Move::Key(name, value) => self.say(guest, name, value.as_bytes()),
            Move::Binary(name) => self.say(guest, name, &every_byte()),
            Move::Remove(name) => self.device(guest)?.forget(guest, name).map(|()| true),
            Move::Vanish => self.device(guest)?.vanish(guest).map(|()| true),
            Move::Node(path, value) => self.write(guest, path, value.as_bytes()),
            Move::Bytes(path) => self.write(guest, path, &every_byte()),
            Move::Forget(path) => {
                self.written.retain(|written| !written.starts_with(&**path));
                let whole = guest.path(path);
                guest.store.remove(&whole).map(|()| true)
            }
            Move::Crowd(count) => (0..*count).try_fold(true, |made, number| {
                let path = format!("device/vbd/{}/backend", 60000 + number);
                Ok(self.write(guest, &path, b"/local/domain/0/nowhere")? && made)
            }),
            Move::Console(..) | Move::Type(_) | Move::Settle => self.play_at_console(guest, play),
            Move::Silence(milliseconds) if self.kind == Kind::Console => {
                thread::sleep(Duration::from_millis((*milliseconds).into()));
                Ok(true)
            }
            _ => self.play_on_ring(guest, play),
        }?;
        self.tally.made += u64::from(made);
        self.tally.idle += u64::from(!made);
        Ok(())
    }

    /// Keeps pages of connections until the frontend connects no more, or until there are so many. What it
    /// says of it.
    pub(crate) fn hoard(&mut self, guest: &mut Guest, most: usize) -> Result<String> {
        self.renew(guest)?;
        while self.kept.len() < most {
            if self.play_on_ring(guest, &Move::Keep)? {
                self.tally.made += 1;
                self.keep_link();
                continue;
            }
            let error = self.device(guest)?.error(guest)?;
            if let Some(error) = error.filter(|error| error.contains("pages")) {
                return Ok(format!("{} pages kept, and then: {error}", self.kept.len()));
            }
            self.renew(guest)?;
        }
        Ok(format!("{} pages kept, and no end", self.kept.len()))
    }

    /// Pages that are kept now.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Takes the device away, and lets go of all pages.
    pub(crate) fn leave(&mut self, guest: &mut Guest) -> Result<()> {
        self.tidy_up(guest)?;
        if let Some(device) = self.device.take() {
            device.remove(guest)?;
        }
        self.link = None;
        self.kept.clear();
        Ok(())
    }

    /// Takes the device away, and makes another one.
    fn renew(&mut self, guest: &mut Guest) -> Result<()> {
        if let Some(device) = self.device.take() {
            device.remove(guest)?;
        }
        self.link = None;
        let Class { name, numbers: (first, step), count, own, .. } = *self.class;
        let number = first + step * (self.tally.devices % u64::from(count)) as u32;
        let number_text = number.to_string();
        let own = [&[("virtual-device", &*number_text), ("handle", &number_text)], own].concat();
        self.device = Some(Device::make(guest, name, number, &own)?);
        self.tally.devices += 1;
        Ok(())
    }

    /// The device; one is made if there is none.
    fn device(&mut self, guest: &mut Guest) -> Result<&Device> {
        if self.device.is_none() {
            self.renew(guest)?;
        }
        self.device.as_ref().ok_or_else(|| anyhow::anyhow!("there is no device"))
    }

    fn say(&mut self, guest: &mut Guest, key: &str, value: &[u8]) -> Result<bool> {
        self.device(guest)?.say(guest, key, value).map(|()| true)
    }

    fn offer(&mut self, guest: &mut Guest) -> Result<()> {
        let offer = self.class.offer;
        let device = self.device(guest)?;
        for (key, value) in offer {
            device.say(guest, key, value.as_bytes())?;
        }
        device.be(guest, state::INIT_WAIT)
    }

    /// Connects to what the frontend publishes within `limit`; false if it does not.
    fn connect(&mut self, guest: &mut Guest, limit: Duration) -> Result<bool> {
        if self.link.is_some() {
            return Ok(false);
        }
        let Class { properties, open, .. } = *self.class;
        let device = self.device(guest)?;
        if !device.until(guest, &[state::INITIALISED, state::CONNECTED], limit)? {
            return Ok(false);
        }
        let Some(link) = open(guest, device)? else { return Ok(false) };
        for (key, value) in properties {
            device.say(guest, key, value.as_bytes())?;
        }
        device.be(guest, state::CONNECTED)?;
        let connected = device.until(guest, &[state::CONNECTED], limit)?;
        self.link = Some(link);
        self.tally.connections += u64::from(connected);
        Ok(connected)
    }

    fn close(&mut self, guest: &mut Guest) -> Result<()> {
        let device = self.device(guest)?;
        device.be(guest, state::CLOSING)?;
        device.until(guest, &[state::CLOSED, 0], SOON)?;
        self.link = None;
        self.device(guest)?.be(guest, state::CLOSED)
    }

    /// Keeps what is mapped of the ring.
    fn keep_link(&mut self) {
        self.kept.extend(self.link.take().map(|link| link.into_pages()).unwrap_or_default());
    }

    /// Makes a move on the ring; there is a connection first, if the frontend takes part.
    fn play_on_ring(&mut self, guest: &mut Guest, play: &Move) -> Result<bool> {
        if !self.is_connected(guest)? && !self.reconnect(guest)? {
            return Ok(false);
        }
        let Self { link: Some(link), kept, .. } = self else { return Ok(false) };
        link.play(play, kept)
    }

    fn is_connected(&mut self, guest: &mut Guest) -> Result<bool> {
        Ok(self.link.is_some() && self.device(guest)?.state(guest)? == state::CONNECTED)
    }

    /// Has the frontend connect as it does after it was left, or else to another device.
    fn reconnect(&mut self, guest: &mut Guest) -> Result<bool> {
        self.link = None;
        let device = self.device(guest)?;
        if matches!(device.state(guest)?, state::CLOSING | state::CLOSED) {
            device.be(guest, state::CLOSED)?;
            device.until(guest, &[state::INITIALISING], SOON)?;
        }
        if self.device(guest)?.state(guest)? == state::INITIALISING {
            self.offer(guest)?;
            if self.connect(guest, SOON)? {
                return Ok(true);
            }
        }
        self.renew(guest)?;
        self.offer(guest)?;
        self.connect(guest, LATER)
    }
}

/// 2 KiB, the most that a node takes, of all there is.
fn every_byte() -> Vec<u8> {
    (0..=255).cycle().take(2048).collect()
}
