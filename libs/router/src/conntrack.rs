// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connection tracking (`nf_conntrack` of Linux): which connections there are, and how far they are.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::packet::Side;
use crate::rules::Path;
use crate::tuple::{Flags, Protocol, Tuple};

/// Of a connection, the direction of the packet that opened it, or the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Original,
    Reply,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Only one side was heard.
    New,
    /// Both sides were heard.
    Established,
    /// A TCP connection that one side has ended.
    Closing,
    /// A TCP connection that both sides have ended, or one has reset.
    Closed,
}

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// What its packets have in common as they arrive: those of the original direction, and replies.
    pub(crate) original: Tuple,
    pub(crate) reply: Tuple,
    pub(crate) path: Path,
    /// Where the guest's address is replaced.
    pub(crate) is_masqueraded: bool,
    /// Added to the ids of DNS queries, and taken from those of answers, by exclusive or.
    pub(crate) dns_mask: u16,
    /// The guest that has to answer for it.
    pub(crate) guest: IpAddr,
    state: State,
    ended_by: Option<Direction>,
    expires: Duration,
}

impl Connection {
    pub(crate) fn new(original: Tuple, reply: Tuple, path: Path, guest: IpAddr) -> Self {
        Self {
            original,
            reply,
            path,
            is_masqueraded: false,
            dns_mask: 0,
            guest,
            state: State::New,
            ended_by: None,
            expires: Duration::ZERO,
        }
    }

    /// What packets of this direction arrive as.
    fn tuple(&self, direction: Direction) -> Tuple {
        match direction {
            Direction::Original => self.original,
            Direction::Reply => self.reply,
        }
    }

    /// What packets of this direction leave as.
    pub(crate) fn translated(&self, direction: Direction) -> Tuple {
        self.tuple(direction.other()).reversed()
    }

    /// What a packet of the other direction arrived as, which an ICMP error of this one quotes.
    pub(crate) fn quoted(&self, direction: Direction) -> Tuple {
        self.tuple(direction.other())
    }

    /// Where packets of this direction leave.
    pub(crate) fn leaves(&self, direction: Direction) -> Side {
        match (self.path, direction) {
            (Path::Out, Direction::Original) | (Path::In, Direction::Reply) => Side::Network,
            _ => Side::Guests,
        }
    }

    /// Where packets of this direction arrive.
    pub(crate) fn arrives(&self, direction: Direction) -> Side {
        self.leaves(direction.other())
    }

    /// Where it is addressed to behind the router, as rules see it.
    pub(crate) fn seen_by_rules(&self) -> Tuple {
        Tuple { destination: self.reply.source, ..self.original }
    }

    fn update(&mut self, direction: Direction, flags: Flags, now: Duration) {
        if direction == Direction::Reply && self.state == State::New {
            self.state = State::Established;
        }
        if self.original.protocol == Protocol::Tcp {
            if flags.syn && !flags.ack && direction == Direction::Original {
                // The same ports are used again.
                (self.state, self.ended_by) = (State::New, None);
            }
            if flags.fin {
                let by_other = self.ended_by.is_some_and(|by| by != direction);
                self.state = if by_other { State::Closed } else { State::Closing };
                self.ended_by.get_or_insert(direction);
            }
            if flags.rst {
                self.state = State::Closed;
            }
        }
        self.expires = now.saturating_add(self.timeout());
    }

    /// How long it is kept while nothing is heard: RFC 5382, section 5, RFC 4787, section 4.3, and RFC 5508,
    /// section 3.2.
    fn timeout(&self) -> Duration {
        let seconds = match (self.original.protocol, self.state) {
            (Protocol::Tcp, State::New) => 120,
            (Protocol::Tcp, State::Established) => 2 * 60 * 60 + 4 * 60,
            (Protocol::Tcp, State::Closing) => 240,
            (Protocol::Tcp, State::Closed) => 60,
            (Protocol::Udp, State::New) => 30,
            (Protocol::Udp, _) => 180,
            (Protocol::Icmp, _) => 60,
        };
        Duration::from_secs(seconds)
    }
}

impl Direction {
    fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// There is no room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// All connections. A guest has a quarter of the room at most, so that it does not keep others out.
#[derive(Debug)]
pub(crate) struct Conntrack {
    most: usize,
    connections: Vec<Option<Connection>>,
    /// Places of connections that are over.
    free: Vec<usize>,
    tuples: BTreeMap<Tuple, (usize, Direction)>,
    guests: BTreeMap<IpAddr, usize>,
    swept: Duration,
}

/// While there is no room, it is looked for connections that are over so often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

impl Conntrack {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            connections: Vec::new(),
            free: Vec::new(),
            tuples: BTreeMap::new(),
            guests: BTreeMap::new(),
            swept: Duration::ZERO,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.tuples.len() / 2
    }

    /// The connection whose packets arrive as `tuple`.
    pub(crate) fn find(&self, tuple: &Tuple, now: Duration) -> Option<(&Connection, Direction)> {
        let (place, direction) = *self.tuples.get(tuple)?;
        let connection = self.connections.get(place)?.as_ref()?;
        (connection.expires > now).then_some((connection, direction))
    }

    /// The same, of which a packet has arrived.
    pub(crate) fn arrive(
        &mut self,
        tuple: &Tuple,
        flags: Flags,
        now: Duration,
    ) -> Option<(&Connection, Direction)> {
        let (place, direction) = self.place(tuple, now)?;
        let connection = self.connections.get_mut(place)?.as_mut()?;
        connection.update(direction, flags, now);
        Some((connection, direction))
    }

    /// Whether packets of a connection arrive as `tuple`; one that is over gives way.
    pub(crate) fn is_taken(&mut self, tuple: &Tuple, now: Duration) -> bool {
        self.place(tuple, now).is_some()
    }

    fn place(&mut self, tuple: &Tuple, now: Duration) -> Option<(usize, Direction)> {
        let found = *self.tuples.get(tuple)?;
        let is_over = self.connections.get(found.0)?.as_ref()?.expires <= now;
        if is_over {
            self.remove(found.0);
        }
        (!is_over).then_some(found)
    }

    /// Whether there is room for a connection of `guest`.
    pub(crate) fn has_room(&mut self, guest: IpAddr, now: Duration) -> bool {
        let has_room = |table: &Self| {
            let own = table.guests.get(&guest).copied().unwrap_or(0);
            table.len() < table.most && own < table.most.div_ceil(4)
        };
        if !has_room(self) && now.saturating_sub(self.swept) >= SWEEP_INTERVAL {
            self.sweep(now);
        }
        has_room(self)
    }

    /// Adds a connection, whose first packet has arrived.
    pub(crate) fn insert(
        &mut self,
        mut connection: Connection,
        flags: Flags,
        now: Duration,
    ) -> Result<(), Full> {
        let is_taken = [connection.original, connection.reply].iter().any(|tuple| self.is_taken(tuple, now));
        if is_taken || connection.original == connection.reply || !self.has_room(connection.guest, now) {
            return Err(Full);
        }
        connection.update(Direction::Original, flags, now);
        let place = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.tuples.insert(connection.original, (place, Direction::Original));
        self.tuples.insert(connection.reply, (place, Direction::Reply));
        *self.guests.entry(connection.guest).or_default() += 1;
        if let Some(free) = self.connections.get_mut(place) {
            *free = Some(connection);
        }
        Ok(())
    }

    /// Removes connections that are over.
    pub(crate) fn sweep(&mut self, now: Duration) {
        self.swept = now;
        self.retain(|connection| connection.expires > now);
    }

    /// Removes connections that `keep` does not want; returns how many.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Connection) -> bool) -> usize {
        let is_unwanted = |connection: &Option<Connection>| connection.as_ref().is_some_and(|one| !keep(one));
        let unwanted: Vec<usize> = self
            .connections
            .iter()
            .enumerate()
            .filter(|(_, connection)| is_unwanted(connection))
            .map(|(place, _)| place)
            .collect();
        unwanted.iter().for_each(|place| self.remove(*place));
        unwanted.len()
    }

    fn remove(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place).and_then(Option::take) else { return };
        self.free.push(place);
        self.tuples.remove(&connection.original);
        self.tuples.remove(&connection.reply);
        if let Some(count) = self.guests.get_mut(&connection.guest) {
            *count -= 1;
            if *count == 0 {
                self.guests.remove(&connection.guest);
            }
        }
    }
}
