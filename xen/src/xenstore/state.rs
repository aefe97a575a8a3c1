// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of a connection: the rings, what goes through them, and whether it works.
//!
//! ```text
//!             (1) impossible indices, too long a message, or an error word
//!    Live ----------------------------------------------------------------> Dead
//!    |  ^                                                                     |
//!    |  | (3) the page says CONNECTED                                         |
//!    |  |     requests that were sent and transactions end,                   |
//!    |  |     watches are set again                                           |
//!    v  |                                                                     |
//!  Reconnecting <-------------------------------------------------------------+
//!         (2) reconnect(), or the page says RECONNECT
//!
//!  (4) from anywhere to Live: restore(), with a new page; as (3), but all requests end
//! ```

use alloc::vec::Vec;
use core::mem;
use core::task::{Poll, Waker};

use super::calls::{Answer, Calls, Owner, replace};
use super::client::{Counters, Pumped};
use super::error::{Disconnect, Error, Result};
use super::reply;
use super::request::Request;
use super::ring::{self, Ring};
use super::watches::{Delivery, Event, Watches};
use super::wire::{Header, Incoming, Kind};
use crate::ring::Taken;

/// A transaction's number. xenstored gives the same ones again where the connection started anew.
#[derive(Clone, Copy)]
pub(super) struct Number {
    pub(super) id: u32,
    /// Times that the connection had started anew when it began.
    pub(super) resets: u64,
}

/// How a connection is.
enum Connection {
    Live,
    Reconnecting,
    Disconnected(Disconnect),
}

/// All of a connection. `wakers` collects whom to wake once the lock around this is open again.
pub(super) struct State {
    ring: Ring,
    connection: Connection,
    incoming: Incoming,
    /// The message that is being sent, and how much of it is.
    outgoing: Vec<u8>,
    sent: usize,
    calls: Calls,
    watches: Watches,
    counters: Counters,
    /// Transactions of ours that succeeded.
    commits: u64,
    /// Whether xenstored is to get an event although no byte moved.
    announce: bool,
    /// Whether there is something new for the pump.
    work: bool,
    pump: Option<Waker>,
}

impl State {
    pub(super) fn new(ring: Ring) -> Self {
        Self {
            ring,
            connection: Connection::Live,
            incoming: Incoming::default(),
            outgoing: Vec::new(),
            sent: 0,
            calls: Calls::new(),
            watches: Watches::default(),
            counters: Counters::default(),
            commits: 0,
            announce: false,
            work: false,
            pump: None,
        }
    }

    /// Moves what can be moved: at most one ring full each way.
    pub(super) fn pump(&mut self, wakers: &mut Vec<Waker>) -> Pumped {
        self.work = false;
        let notify = mem::take(&mut self.announce);
        if !self.is_usable(wakers) {
            return Pumped { notify, progress: false };
        }
        match self.exchange(wakers) {
            Ok(pumped) => Pumped { notify: notify || pumped.notify, ..pumped },
            Err(reason) => {
                self.disconnect(reason, wakers);
                Pumped { notify, progress: true }
            }
        }
    }

    /// Queues a request; see [`Calls::add`]. None for a transaction that a reset has ended: it could be taken
    /// for a newer one.
    pub(super) fn submit(
        &mut self,
        owner: Owner,
        transaction: Option<Number>,
        kind: Kind,
        payload: &[u8],
        wakers: &mut Vec<Waker>,
    ) -> Result<u32> {
        if transaction.is_some_and(|transaction| transaction.resets != self.counters.resets) {
            return Err(Disconnect::Reset.into());
        }
        if let Connection::Disconnected(reason) = self.connection {
            return Err(reason.into());
        }
        let id = self.calls.add(owner, kind, transaction.map_or(0, |transaction| transaction.id), payload)?;
        self.call_pump(wakers);
        Ok(id)
    }

    /// The answer to a request; see [`Calls::poll`].
    pub(super) fn poll_call(
        &mut self,
        id: u32,
        waker: &Waker,
        wakers: &mut Vec<Waker>,
    ) -> Poll<Result<Vec<u8>>> {
        self.calls.poll(id, waker, wakers)
    }

    /// Forgets a request; see [`Calls::remove`].
    pub(super) fn cancel(&mut self, id: u32, wakers: &mut Vec<Waker>) -> Option<Waker> {
        self.call_pump(wakers);
        self.calls.remove(id)
    }

    /// Ends a transaction whose owner has lost interest.
    pub(super) fn abort(&mut self, transaction: Number, wakers: &mut Vec<Waker>) {
        self.chore(Owner::Nobody, Some(transaction), Request::Abort, wakers);
    }

    /// Counts a transaction that succeeded.
    pub(super) fn count_commit(&mut self) {
        self.commits += 1;
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// Enters a watch; xenstored has yet to be asked.
    pub(super) fn add_watch(&mut self, path: &str) -> u32 {
        self.watches.add(path)
    }

    /// Makes up the event with which a watch begins.
    pub(super) fn touch_watch(&mut self, token: u32, wakers: &mut Vec<Waker>) {
        self.watches.touch(token, wakers);
    }

    /// The next event of a watch; see [`Watches::poll`].
    pub(super) fn poll_watch(
        &mut self,
        token: u32,
        waker: &Waker,
        wakers: &mut Vec<Waker>,
    ) -> Poll<Result<Event>> {
        self.watches.poll(token, waker, wakers)
    }

    /// Forgets a watch, and has xenstored forget it. Returns the waker of the task that waited.
    pub(super) fn unwatch(&mut self, token: u32, wakers: &mut Vec<Waker>) -> Option<Waker> {
        let (path, waker) = self.watches.remove(token)?;
        self.chore(Owner::Nobody, None, Request::Unwatch { path: &path, token }, wakers);
        waker
    }

    /// Asks xenstored to reset the rings; false if it cannot.
    pub(super) fn reconnect(&mut self, wakers: &mut Vec<Waker>) -> bool {
        let able = matches!(self.connection, Connection::Reconnecting) || self.ring.request_reconnect();
        if able {
            self.connection = Connection::Reconnecting;
            self.watches.forgive();
            self.announce = true;
            self.call_pump(wakers);
        }
        able
    }

    /// Goes on with another page. Each watch has an event at once, whatever xenstored makes of it. Requests
    /// end, also those that were not sent: they were meant for the domain of before, whose devices, number
    /// and grants are others.
    pub(super) fn restore(&mut self, ring: Ring, wakers: &mut Vec<Waker>) {
        self.ring = ring;
        self.calls.hold(false);
        self.calls.end_all(Disconnect::Reset, wakers);
        self.resume(wakers);
        self.watches.touch_all(wakers);
        self.call_pump(wakers);
    }

    /// Keeps requests from xenstored, or no longer does.
    pub(super) fn hold(&mut self, held: bool, wakers: &mut Vec<Waker>) {
        self.calls.hold(held);
        self.call_pump(wakers);
    }

    /// Whether no request or answer is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.sent == self.outgoing.len() && self.incoming.is_empty() && self.calls.is_quiet()
    }

    /// Whether there is no request without an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.is_quiet() && self.calls.is_idle()
    }

    /// Ready when there is something new for the pump; `waker` is woken when there is.
    pub(super) fn poll_work(&mut self, waker: &Waker, wakers: &mut Vec<Waker>) -> Poll<()> {
        if self.work {
            return Poll::Ready(());
        }
        replace(&mut self.pump, waker, wakers);
        Poll::Pending
    }

    pub(super) fn disconnect_reason(&self) -> Option<Disconnect> {
        match self.connection {
            Connection::Disconnected(reason) => Some(reason),
            Connection::Live | Connection::Reconnecting => None,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Looks at the words of the page that say how the connection is.
    fn is_usable(&mut self, wakers: &mut Vec<Waker>) -> bool {
        let reconnecting = self.ring.is_reconnecting();
        match self.connection {
            Connection::Disconnected(_) => return false,
            Connection::Live if reconnecting => self.connection = Connection::Reconnecting,
            Connection::Reconnecting if !reconnecting => {
                self.ring.restart();
                self.resume(wakers);
            }
            Connection::Live | Connection::Reconnecting => {}
        }
        if reconnecting {
            return false;
        }
        if let Some(error) = self.ring.error() {
            self.disconnect(Disconnect::Server(error), wakers);
            return false;
        }
        true
    }

    /// Receives, then sends; answers make room for requests.
    fn exchange(&mut self, wakers: &mut Vec<Waker>) -> core::result::Result<Pumped, Disconnect> {
        let received = self.receive(wakers)?;
        let sent = self.send()?;
        Ok(Pumped { notify: sent || received.was_full, progress: sent || received.count > 0 })
    }

    fn receive(&mut self, wakers: &mut Vec<Waker>) -> core::result::Result<Taken, Disconnect> {
        let mut buffer = [0; ring::SIZE];
        let taken = self.ring.read(&mut buffer)?;
        let mut stream = buffer.get(..taken.count).unwrap_or_default();
        while let Some((header, payload)) = self.incoming.take(&mut stream)? {
            self.dispatch(&header, payload, wakers);
        }
        Ok(taken)
    }

    fn send(&mut self) -> core::result::Result<bool, Disconnect> {
        let mut moved = false;
        while self.load() {
            // A header is never cut in two: QEMU's xenstored would take the rest of it for
            // payload, and read on into the next message.
            if self.sent == 0 && self.ring.room()? < Header::SIZE {
                break;
            }
            let written = self.ring.write(self.outgoing.get(self.sent..).unwrap_or_default())?;
            self.sent += written;
            moved |= written > 0;
            if self.sent < self.outgoing.len() {
                break;
            }
        }
        Ok(moved)
    }

    /// Whether there is something to send, after fetching the next message if need be.
    fn load(&mut self) -> bool {
        if self.sent < self.outgoing.len() {
            return true;
        }
        self.outgoing = self.calls.next_message().unwrap_or_default();
        self.sent = 0;
        !self.outgoing.is_empty()
    }

    fn dispatch(&mut self, header: &Header, payload: Vec<u8>, wakers: &mut Vec<Waker>) {
        if header.kind == Kind::WatchEvent.number() {
            return self.deliver(&payload, wakers);
        }
        let late = late_transaction(header, &payload);
        match self.calls.answer(header, payload) {
            Answer::Taken(waker) => wakers.extend(waker),
            Answer::Watch(token, Err(error)) => wakers.extend(self.watches.fail(token, error)),
            Answer::Watch(_, Ok(())) => {}
            Answer::WrongType(waker) => {
                self.counters.wrong_types += 1;
                wakers.extend(waker);
            }
            Answer::Stray => {
                self.counters.stray_answers += 1;
                if let Some(transaction) = late.filter(|_| !self.calls.is_busy_with_chores()) {
                    let transaction = Number { id: transaction, resets: self.counters.resets };
                    self.abort(transaction, wakers);
                }
            }
        }
    }

    fn deliver(&mut self, payload: &[u8], wakers: &mut Vec<Waker>) {
        match self.watches.deliver(payload) {
            Delivery::Kept(waker) => wakers.extend(waker),
            Delivery::Overflow(waker) => {
                self.counters.overflows += 1;
                wakers.extend(waker);
            }
            Delivery::Stray => self.counters.stray_events += 1,
        }
    }

    fn disconnect(&mut self, reason: Disconnect, wakers: &mut Vec<Waker>) {
        self.counters.disconnects += 1;
        self.connection = Connection::Disconnected(reason);
        self.drop_pieces();
        self.calls.end_all(reason, wakers);
        self.watches.fail_all(&Error::Disconnected(reason), wakers);
    }

    /// Starts anew with an xenstored that knows nothing of us.
    fn resume(&mut self, wakers: &mut Vec<Waker>) {
        self.counters.resets += 1;
        self.connection = Connection::Live;
        self.drop_pieces();
        self.calls.end_lost(wakers);
        self.watches.forgive();
        for (token, path) in self.watches.paths() {
            self.chore(Owner::Watch(token), None, Request::Watch { path: &path, token }, wakers);
        }
    }

    fn drop_pieces(&mut self) {
        self.incoming = Incoming::default();
        self.outgoing = Vec::new();
        self.sent = 0;
    }

    /// Queues what nobody waits for. Without a connection there is nothing to be done: xenstored
    /// has forgotten, or will have when there is one again.
    fn chore(
        &mut self,
        owner: Owner,
        transaction: Option<Number>,
        request: Request<'_>,
        wakers: &mut Vec<Waker>,
    ) {
        if let (Connection::Live, Ok(payload)) = (&self.connection, request.payload()) {
            let _ = self.submit(owner, transaction, request.kind(), &payload, wakers);
        }
    }

    fn call_pump(&mut self, wakers: &mut Vec<Waker>) {
        self.work = true;
        wakers.extend(self.pump.take());
    }
}

/// The transaction that began although nobody waited for it any more.
fn late_transaction(header: &Header, payload: &[u8]) -> Option<u32> {
    if header.kind == Kind::TransactionStart.number() { reply::number(payload) } else { None }
}
