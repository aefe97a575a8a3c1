// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each of a listener's sockets is used for, and which one is evicted for a new connection.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select};

/// What a slot is used for that is not worth as much as serving somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The peer has sent SYN, and not acknowledged ours.
    HalfOpen,
    /// Nothing is asked of us.
    Idle,
    /// The peer takes more time than it should.
    Slow,
    /// All has been said; the peer has to take the rest of it.
    Closing,
    /// The peer has taken all; it has to end the connection, too.
    Lingering,
}

/// Half-open connections that are left alone: those of clients that come at the same time.
const SPARED: usize = 4;
/// Sockets that listen at once, at first. The stack looks at every socket in each of its rounds. Clients of
/// which more connect between two rounds have to try again, once: from then on twice as many listen.
const LISTENING: usize = 32;

/// What a slot is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has it.
    Free,
    /// Enough others listen.
    Resting,
    /// What it was used for is over, and its socket is about to listen.
    Away,
    Listening,
    /// Established, and not served yet.
    Queued,
    /// No longer served; left alone for now.
    Ending,
    Served,
    /// For this, until somebody wants it.
    Yielding(Usage),
}

/// The slots of a listener, one for each socket; some of them can be served at once.
#[derive(Debug)]
pub struct Slots {
    table: RefCell<Table>,
}

#[derive(Debug)]
struct Table {
    entries: Vec<Entry>,
    /// Connections that are served at once.
    most: usize,
    /// Sockets that listen at once, if there are so many.
    enough: usize,
    /// Entries whose sockets listen, and those of connections that wait.
    listening: usize,
    queued: usize,
    /// Changes of state so far.
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// The change that made the state this.
    since: u64,
    /// It is to be used for something better.
    is_wanted: bool,
    waker: Option<Waker>,
}

impl Entry {
    fn is_served(&self) -> bool {
        matches!(self.state, State::Served | State::Yielding(Usage::Idle | Usage::Slow))
    }

    fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Slots {
    /// No slots yet, of which `most` can be served at once.
    pub const fn new(most: usize) -> Self {
        let table =
            Table { entries: Vec::new(), most, enough: LISTENING, listening: 0, queued: 0, changes: 0 };
        Self { table: RefCell::new(table) }
    }

    /// One more slot, for a task that has a socket.
    pub fn take(&self) -> Slot<'_> {
        let mut table = self.table.borrow_mut();
        let free = table.entries.iter().position(|entry| entry.state == State::Free);
        let index = free.unwrap_or(table.entries.len());
        if free.is_none() {
            table.entries.push(Entry { state: State::Free, since: 0, is_wanted: false, waker: None });
        }
        table.change(index, State::Away);
        Slot { slots: self, index }
    }

    /// Whether a socket listens.
    pub fn is_listening(&self) -> bool {
        self.table.borrow().listening > 0
    }

    /// Connections that are served, wait to be, or end.
    pub fn open(&self) -> usize {
        let is_open = |entry: &Entry| {
            let is_ending =
                matches!(entry.state, State::Ending | State::Yielding(Usage::Closing | Usage::Lingering));
            entry.is_served() || entry.state == State::Queued || is_ending
        };
        self.table.borrow().count(is_open)
    }
}

impl Table {
    fn count(&self, is: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| is(entry)).count()
    }

    fn change(&mut self, index: usize, state: State) {
        self.changes += 1;
        let since = self.changes;
        if let Some(entry) = self.entries.get_mut(index) {
            let before = core::mem::replace(&mut entry.state, state);
            (entry.since, entry.is_wanted) = (since, false);
            self.listening += usize::from(state == State::Listening);
            self.listening -= usize::from(before == State::Listening);
            self.queued += usize::from(state == State::Queued);
            self.queued -= usize::from(before == State::Queued);
            if before == State::Listening && self.listening == 0 {
                self.enough = (2 * self.enough).min(self.entries.len());
            }
        }
        self.call();
        // Most changes: nobody is in need.
        if self.queued > 0 || self.listening == 0 {
            self.reassign();
        }
    }

    /// The entry that has been in this state for longest, among those that nobody wants yet.
    fn longest(&mut self, state: State) -> Option<&mut Entry> {
        let entries = self.entries.iter_mut().filter(|entry| entry.state == state && !entry.is_wanted);
        entries.min_by_key(|entry| entry.since)
    }

    /// Has slots that rest listen, if fewer than enough do or are about to: those whose buffers were used
    /// last.
    fn call(&mut self) {
        let listening = self.count(|entry| matches!(entry.state, State::Listening | State::Away));
        for _ in listening..self.enough {
            let resting = self.entries.iter_mut().filter(|entry| entry.state == State::Resting);
            let Some(entry) = resting.max_by_key(|entry| entry.since) else { break };
            entry.state = State::Away;
            entry.wake();
        }
    }

    /// Gives slots to who can use them better.
    fn reassign(&mut self) {
        while self.count(Entry::is_served) < self.most {
            let Some(entry) = self.longest(State::Queued) else { break };
            entry.state = State::Served;
            entry.wake();
            self.queued -= 1;
        }
        for _ in self.count(|entry| entry.is_served() && entry.is_wanted)..self.queued {
            if !self.ask(Usage::Idle) && !self.ask(Usage::Slow) {
                break;
            }
        }
        let will_listen = |entry: &Entry| match entry.state {
            State::Away => true,
            State::Yielding(Usage::HalfOpen | Usage::Closing | Usage::Lingering) => entry.is_wanted,
            _ => false,
        };
        if self.listening == 0 && self.count(will_listen) == 0 {
            // By how little is lost.
            let half_open = self.count(|entry| entry.state == State::Yielding(Usage::HalfOpen));
            let _ = self.ask(Usage::Lingering)
                || half_open > SPARED && self.ask(Usage::HalfOpen)
                || self.ask(Usage::Closing);
        }
    }

    /// Asks the slot that has been used for this for longest; whether there is one.
    fn ask(&mut self, usage: Usage) -> bool {
        let Some(entry) = self.longest(State::Yielding(usage)) else { return false };
        entry.is_wanted = true;
        entry.wake();
        true
    }
}

/// A slot, which a task has for its socket.
#[derive(Debug)]
pub struct Slot<'a> {
    slots: &'a Slots,
    index: usize,
}

impl Slot<'_> {
    fn change(&self, state: State) {
        self.slots.table.borrow_mut().change(self.index, state);
    }

    /// Waits until `is` holds of the entry.
    async fn until(&self, is: impl Fn(&Entry) -> bool) {
        poll_fn(|context: &mut Context<'_>| {
            let mut table = self.slots.table.borrow_mut();
            let Some(entry) = table.entries.get_mut(self.index).filter(|entry| !is(entry)) else {
                return Poll::Ready(());
            };
            entry.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Rests while enough others listen.
    pub async fn rest(&self) {
        self.change(State::Resting);
        self.until(|entry| entry.state != State::Resting).await;
    }

    /// The socket listens.
    pub fn listens(&self) {
        self.change(State::Listening);
    }

    /// The connection is not served any more.
    pub fn ends(&self) {
        self.change(State::Ending);
    }

    /// Waits in the queue until the connection can be served. If this is dropped, the slot is out of it.
    pub async fn admitted(&self) {
        let mut queued = Entered::new(self, State::Queued, State::Away);
        self.until(|entry| entry.state == State::Served).await;
        queued.after = State::Served;
    }

    /// What `work` makes, for which the slot is used like this; `None` if somebody else needs the slot more
    /// before it is done: then the connection is to end at once.
    pub async fn yielding<T>(&self, usage: Usage, work: impl Future<Output = T>) -> Option<T> {
        match select(work, self.wanted(usage)).await {
            Either::First(result) => Some(result),
            Either::Second(()) => None,
        }
    }

    /// Has the slot used for this, and waits until somebody else needs it more: then what it is used for is
    /// to end at once. If this is dropped before, the connection is served as any other.
    pub async fn wanted(&self, usage: Usage) {
        let after = match usage {
            Usage::HalfOpen | Usage::Closing | Usage::Lingering => State::Away,
            Usage::Idle | Usage::Slow => State::Served,
        };
        let mut yielding = Entered::new(self, State::Yielding(usage), after);
        self.until(|entry| entry.is_wanted).await;
        yielding.after = State::Away;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.change(State::Free);
    }
}

/// A state that lasts for as long as somebody waits in it.
struct Entered<'a> {
    slot: &'a Slot<'a>,
    after: State,
}

impl<'a> Entered<'a> {
    fn new(slot: &'a Slot<'a>, state: State, after: State) -> Self {
        slot.change(state);
        Self { slot, after }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.slot.change(self.after);
    }
}

#[cfg(test)]
mod tests;
