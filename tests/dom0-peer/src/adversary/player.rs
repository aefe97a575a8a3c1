// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who makes the moves: a backend of some devices. One of them has the turn; when its frontend cannot go on
//! at once, another one gets it, so that nobody waits for a driver that pauses after what was done to it.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::bus::{Device, state};
use super::console::Console;
use super::game::Kind;
use super::link::{Class, LOOK};
use super::moves::Move;
use super::seat::Seat;
use crate::guest::Guest;
use crate::page::Page;

/// How long to wait for a request, where some frontend is connected.
const SOON: Duration = Duration::from_millis(400);
/// How long to wait for a frontend to connect: the guest may have others to leave.
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
    /// Time that went by while nothing could be played.
    pub(crate) waited: Duration,
}

/// A player.
pub(crate) struct Player {
    kind: Kind,
    class: &'static Class,
    /// The guest's console, once it was played with.
    console: Option<Console>,
    /// What was written below the guest's home.
    written: BTreeSet<String>,
    seats: Vec<Seat>,
    /// Which of them has the turn.
    turn: usize,
    kept: Vec<Page>,
    /// What came of the moves until now.
    pub(crate) tally: Tally,
    /// When it began to play.
    pub(crate) begun: Instant,
}

impl Player {
    /// A player without devices, of which it will make some of this kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            class: Class::of(kind),
            console: None,
            written: BTreeSet::new(),
            seats: Vec::new(),
            turn: 0,
            kept: Vec::new(),
            tally: Tally::default(),
            begun: Instant::now(),
        }
    }

    /// Begins a game: with a new device, if it is about devices.
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
        let mut forgotten = Vec::new();
        for path in std::mem::take(&mut self.written) {
            let whole = guest.path(&path);
            // The guest may write these, which it could not if they were made again.
            if matches!(&*path, "control/shutdown" | "control/sysrq") {
                guest.store.write(&whole, "")?;
            } else if !path.starts_with("memory/") && !path.starts_with("cpu/0/") {
                forgotten.push(whole);
            }
        }
        guest.store.remove_each(&forgotten)
    }

    /// Writes nodes below the guest's home.
    fn write(&mut self, guest: &mut Guest, nodes: &[(&str, &[u8])]) -> Result<bool> {
        self.written.extend(nodes.iter().map(|(path, _)| (*path).to_owned()));
        let nodes: Vec<_> = nodes.iter().map(|(path, value)| (guest.path(path), value.to_vec())).collect();
        guest.store.write_each(&nodes).map(|()| true)
    }

    fn play_at_console(&mut self, guest: &mut Guest, play: &Move) -> Result<bool> {
        if self.console.is_none() {
            self.console = Some(Console::of(guest.domain)?);
        }
        Ok(self.console.as_ref().is_some_and(|console| console.play(play)))
    }

    /// Makes a move.
    pub(crate) fn play(&mut self, guest: &mut Guest, play: &Move) -> Result<()> {
        let class = self.class;
        let made = match play {
            Move::Renew => {
                self.fill_seats(guest)?;
                self.renew(guest, self.turn).map(|()| true)
            }
            Move::Close => self.seat(guest)?.device.be(guest, state::CLOSING).map(|()| true),
            Move::Restart => {
                let pages = self.seat(guest)?.abandon();
                self.kept.extend(pages);
                self.seat(guest)?.offer(guest, class).map(|()| true)
            }
            Move::Offer => self.seat(guest)?.offer(guest, class).map(|()| true),
            Move::Connect => {
                let connected = self.seat(guest)?.connect(guest, class)?;
                self.tally.connections += u64::from(connected);
                Ok(self.seat(guest)?.link().is_some())
            }
            Move::State(number) => self.seat(guest)?.device.be(guest, *number).map(|()| true),
            Move::Key(name, value) => self.say(guest, name, value.as_bytes()),
            Move::Binary(name) => self.say(guest, name, &every_byte()),
            Move::Remove(name) => {
                let seat = self.seat(guest)?;
                seat.has_said(name);
                seat.device.forget(guest, name).map(|()| true)
            }
            Move::Vanish => self.seat(guest)?.device.vanish(guest).map(|()| true),
            Move::Node(path, value) => self.write(guest, &[(path, value.as_bytes())]),
            Move::Bytes(path) => self.write(guest, &[(path, &every_byte())]),
            Move::Forget(path) => {
                self.written.retain(|written| !written.starts_with(&**path));
                let whole = guest.path(path);
                guest.store.remove(&whole).map(|()| true)
            }
            Move::Crowd(count) => {
                let paths = (0..*count).map(|number| format!("device/vbd/{}/backend", 60000 + number));
                let paths: Vec<_> = paths.collect();
                let nodes = paths.iter().map(|path| (&**path, &b"/local/domain/0/nowhere"[..]));
                self.write(guest, &nodes.collect::<Vec<_>>())
            }
            Move::Console(..) | Move::Type(_) | Move::Settle => self.play_at_console(guest, play),
            Move::Silence(milliseconds) => {
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
        self.fill_seats(guest)?;
        while self.kept.len() < most {
            let before = self.kept.len();
            if self.play_on_ring(guest, &Move::Keep)? {
                self.tally.made += 1;
                let pages = self.seat(guest)?.abandon();
                self.kept.extend(pages);
            } else if let Some(error) = self.refusal(guest)? {
                return Ok(format!("{} pages kept, and then: {error}", self.kept.len()));
            }
            if self.kept.len() > before {
                self.renew(guest, self.turn)?;
            }
        }
        Ok(format!("{} pages kept, and no end", self.kept.len()))
    }

    /// What a frontend says of pages that are kept.
    fn refusal(&mut self, guest: &mut Guest) -> Result<Option<String>> {
        for seat in &self.seats {
            let error = seat.device.error(guest)?;
            if let Some(error) = error.filter(|error| error.contains("pages")) {
                return Ok(Some(error));
            }
        }
        Ok(None)
    }

    /// Pages that are kept now.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Takes the devices away, and lets go of all pages.
    pub(crate) fn leave(&mut self, guest: &mut Guest) -> Result<()> {
        self.tidy_up(guest)?;
        for seat in self.seats.drain(..) {
            seat.device.remove(guest)?;
        }
        self.kept.clear();
        Ok(())
    }

    /// Makes all devices, if there are none yet.
    fn fill_seats(&mut self, guest: &mut Guest) -> Result<()> {
        if self.seats.is_empty() {
            Device::make_home(guest)?;
        }
        // Who plays in xenstore has hardly a use for connections.
        let seats = if self.kind == Kind::Store { 2 } else { self.class.seats };
        while self.seats.len() < seats {
            let seat = self.make_seat(guest)?;
            self.seats.push(seat);
        }
        Ok(())
    }

    fn make_seat(&mut self, guest: &mut Guest) -> Result<Seat> {
        let Class { numbers: (first, step), count, .. } = *self.class;
        let number = first + step * (self.tally.devices % u64::from(count)) as u32;
        self.tally.devices += 1;
        Seat::make(guest, self.class, number)
    }

    /// Takes a device away, and makes another one.
    fn renew(&mut self, guest: &mut Guest, place: usize) -> Result<()> {
        if let Some(seat) = self.seats.get(place) {
            seat.device.remove(guest)?;
        }
        let seat = self.make_seat(guest)?;
        if let Some(place) = self.seats.get_mut(place) {
            *place = seat;
        }
        Ok(())
    }

    /// The device that has the turn, with its frontend as it is now.
    fn seat(&mut self, guest: &mut Guest) -> Result<&mut Seat> {
        self.fill_seats(guest)?;
        self.look(guest)?;
        self.seats.get_mut(self.turn).context("there is no device")
    }

    fn say(&mut self, guest: &mut Guest, key: &str, value: &[u8]) -> Result<bool> {
        let seat = self.seat(guest)?;
        seat.has_said(key);
        seat.device.say(guest, &[(key, value)]).map(|()| true)
    }

    /// Does what the frontends' states ask for, but where a move may come before it.
    fn look(&mut self, guest: &mut Guest) -> Result<()> {
        let changed: BTreeSet<_> = guest.store.take_events()?.into_iter().collect();
        for seat in &mut self.seats {
            if changed.contains(&seat.device.token()) {
                self.tally.connections += u64::from(seat.look(guest)?);
            }
        }
        let turn = self.turn;
        for place in (0..self.seats.len()).filter(|place| *place != turn) {
            self.take_part(guest, place)?;
        }
        Ok(())
    }

    /// Does what a backend does for this device; if its frontend does nothing, there will be another one.
    fn take_part(&mut self, guest: &mut Guest, place: usize) -> Result<()> {
        if self.seats.get_mut(place).is_some_and(Seat::is_stuck) {
            self.renew(guest, place)?;
        }
        let Some(seat) = self.seats.get_mut(place) else { return Ok(()) };
        self.tally.connections += u64::from(seat.take_part(guest, self.class)?);
        Ok(())
    }

    /// Makes a move on the rings of the device that has the turn, or else of another one, which has it then.
    fn play_on_ring(&mut self, guest: &mut Guest, play: &Move) -> Result<bool> {
        self.fill_seats(guest)?;
        let begun = Instant::now();
        loop {
            self.look(guest)?;
            if let Some(place) = self.who_plays(play) {
                self.turn = place;
                self.tally.waited += begun.elapsed();
                let Self { seats, kept, .. } = self;
                return seats.get_mut(place).map_or(Ok(false), |seat| seat.play(play, kept));
            }
            self.take_part(guest, self.turn)?;
            let limit = if self.seats.iter().any(Seat::is_connected) { SOON } else { LATER };
            if begun.elapsed() > limit {
                self.tally.waited += begun.elapsed();
                return Ok(false);
            }
            self.wait(guest, play)?;
        }
    }

    /// The first device, from the one on that has the turn, that this move can be played with.
    fn who_plays(&mut self, play: &Move) -> Option<usize> {
        let (before, after) = self.seats.split_at_mut(self.turn);
        let (count, turn) = (before.len() + after.len(), before.len());
        let place = after.iter_mut().chain(before).position(|seat| seat.is_ready(play))?;
        Some((turn + place) % count)
    }

    /// Waits until something happens at one of the devices, for a short time.
    fn wait(&mut self, guest: &mut Guest, play: &Move) -> Result<()> {
        let mut links: Vec<_> = self.seats.iter_mut().filter_map(Seat::link).collect();
        for link in &mut links {
            link.arm();
            // It may have come meanwhile.
            if link.is_ready(play) {
                return Ok(());
            }
        }
        if !guest.store.has_received(Duration::ZERO)? {
            let fds = links.iter().map(|link| PollFd::from_borrowed_fd(link.events(), PollFlags::IN));
            let mut fds: Vec<_> = fds.chain([PollFd::new(&guest.store, PollFlags::IN)]).collect();
            let limit = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
            poll(&mut fds, Some(&limit))?;
        }
        links.into_iter().try_for_each(|link| link.take_events())
    }
}

/// 2 KiB, the most that a node takes, of all there is.
fn every_byte() -> Vec<u8> {
    (0..=255).cycle().take(2048).collect()
}
