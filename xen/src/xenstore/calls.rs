// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests on their way: who waits for which answer, and which request may go next.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::mem;
use core::task::{Poll, Waker};

use super::error::{Disconnect, Error, Result};
use super::reply;
use super::wire::{self, Header, Kind};

/// Requests of tasks that xenstored may have before it at once.
///
/// C xenstored stops reading from a domain that has 20 unanswered requests; with [`CHORES`] this
/// stays below, and leaves room in its queues for watch events.
const TASKS: usize = 12;
/// Requests that nobody waits for (unwatch, abort, watch again) of which xenstored may have as
/// many before it at once. They have a limit of their own, so that answers to them that never come
/// hold up no task.
const CHORES: usize = 4;

/// Who wants the answer to a request.
pub(super) enum Owner {
    /// A task that waits, once it has been polled.
    Task(Option<Waker>),
    /// Nobody: it is sent for what it does.
    Nobody,
    /// The watch with this token, which xenstored forgot when the connection was reset.
    Watch(u32),
}

/// A request in the table.
struct Call {
    kind: Kind,
    transaction: u32,
    owner: Owner,
    progress: Progress,
}

enum Progress {
    /// The message, which is still here.
    Queued(Vec<u8>),
    /// xenstored has it, or a part of it.
    Sent,
    /// The answer, which the task has not fetched yet.
    Done(Result<Vec<u8>>),
}

/// Requests of one sort, first come, first served.
struct Lane {
    queue: VecDeque<u32>,
    in_flight: usize,
    limit: usize,
    /// Whether xenstored had as many as it may, and has answered less than half of them since.
    full: bool,
}

impl Lane {
    const fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), in_flight: 0, limit, full: false }
    }

    /// The request that may be sent next. Each time that some are sent costs a notification, and answers come
    /// one by one: when there is room for half of the limit again, that many go at once.
    fn next(&mut self) -> Option<u32> {
        if self.in_flight >= self.limit {
            self.full = true;
        } else if self.in_flight <= self.limit / 2 {
            self.full = false;
        }
        if self.full { None } else { self.queue.pop_front() }
    }
}

/// What an answer was good for.
pub(super) enum Answer {
    /// Somebody's; this is whom to wake.
    Taken(Option<Waker>),
    /// A watch was set again, or not.
    Watch(u32, Result<()>),
    /// Somebody's, but of the wrong type; this is whom to wake.
    WrongType(Option<Waker>),
    /// Nobody's.
    Stray,
}

/// All requests on their way.
pub(super) struct Calls {
    calls: BTreeMap<u32, Call>,
    last: u32,
    tasks: Lane,
    chores: Lane,
    /// Whether requests stay in their queues.
    held: bool,
}

impl Calls {
    pub(super) const fn new() -> Self {
        Self {
            calls: BTreeMap::new(),
            last: 0,
            tasks: Lane::new(TASKS),
            chores: Lane::new(CHORES),
            held: false,
        }
    }

    /// Keeps requests in their queues, or no longer does.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether xenstored has no request before it.
    pub(super) fn is_quiet(&self) -> bool {
        self.tasks.in_flight == 0 && self.chores.in_flight == 0
    }

    /// Whether there is no request without an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.is_quiet() && self.tasks.queue.is_empty() && self.chores.queue.is_empty()
    }

    /// Queues a request, and returns the number by which its answer will be known.
    pub(super) fn add(&mut self, owner: Owner, kind: Kind, transaction: u32, payload: &[u8]) -> Result<u32> {
        let id = self.free_id();
        let message = wire::message(kind, id, transaction, payload)?;
        self.lane(&owner).queue.push_back(id);
        self.calls.insert(id, Call { kind, transaction, owner, progress: Progress::Queued(message) });
        self.last = id;
        Ok(id)
    }

    /// The message that may be sent next; from now on xenstored has it.
    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        if self.held {
            return None;
        }
        let id = self.chores.next().or_else(|| self.tasks.next())?;
        let call = self.calls.get_mut(&id)?;
        let Progress::Queued(message) = mem::replace(&mut call.progress, Progress::Sent) else { return None };
        let chore = !matches!(call.owner, Owner::Task(_));
        if chore {
            self.chores.in_flight += 1
        } else {
            self.tasks.in_flight += 1
        }
        Some(message)
    }

    /// Files an answer.
    pub(super) fn answer(&mut self, header: &Header, payload: Vec<u8>) -> Answer {
        let Some(call) = self.calls.get_mut(&header.request) else { return Answer::Stray };
        if !matches!(call.progress, Progress::Sent) {
            return Answer::Stray;
        }
        let expected = [call.kind, Kind::Error].iter().any(|kind| kind.number() == header.kind);
        let result = result(call.kind, header, payload);
        match &mut call.owner {
            Owner::Task(waker) => {
                let waker = waker.take();
                call.progress = Progress::Done(result);
                self.tasks.in_flight = self.tasks.in_flight.saturating_sub(1);
                if expected { Answer::Taken(waker) } else { Answer::WrongType(waker) }
            }
            Owner::Watch(token) => {
                let token = *token;
                self.remove(header.request);
                Answer::Watch(token, result.map(drop))
            }
            Owner::Nobody => {
                self.remove(header.request);
                if expected { Answer::Taken(None) } else { Answer::WrongType(None) }
            }
        }
    }

    /// The answer to a request, which is forgotten then; `waker` is woken when it comes, in place
    /// of a former one, which is woken now.
    pub(super) fn poll(&mut self, id: u32, waker: &Waker, wakers: &mut Vec<Waker>) -> Poll<Result<Vec<u8>>> {
        let Some(call) = self.calls.get_mut(&id) else { return Poll::Ready(Err(Disconnect::Reset.into())) };
        if !matches!(call.progress, Progress::Done(_)) {
            if let Owner::Task(known) = &mut call.owner {
                replace(known, waker, wakers);
            }
            return Poll::Pending;
        }
        match self.calls.remove(&id).map(|call| call.progress) {
            Some(Progress::Done(result)) => Poll::Ready(result),
            _ => Poll::Pending,
        }
    }

    /// Forgets a request: if it was not sent it never will be, if it was its answer is dropped.
    /// Returns the waker of the task that waited.
    pub(super) fn remove(&mut self, id: u32) -> Option<Waker> {
        let call = self.calls.remove(&id)?;
        let lane = self.lane(&call.owner);
        match call.progress {
            Progress::Queued(_) => lane.queue.retain(|queued| *queued != id),
            Progress::Sent => lane.in_flight = lane.in_flight.saturating_sub(1),
            Progress::Done(_) => {}
        }
        match call.owner {
            Owner::Task(waker) => waker,
            Owner::Nobody | Owner::Watch(_) => None,
        }
    }

    /// Whether chores pile up.
    pub(super) fn is_busy_with_chores(&self) -> bool {
        self.chores.queue.len() >= CHORES
    }

    /// Ends all requests with `reason`.
    pub(super) fn end_all(&mut self, reason: Disconnect, wakers: &mut Vec<Waker>) {
        self.end(reason, wakers, |_| true);
    }

    /// Ends with [`Disconnect::Reset`] the requests that a reset of the rings lost: those that were
    /// sent, and those of transactions, which are gone, even if nobody has fetched their number yet.
    pub(super) fn end_lost(&mut self, wakers: &mut Vec<Waker>) {
        self.end(Disconnect::Reset, wakers, |call| {
            let begun = call.kind == Kind::TransactionStart && matches!(call.progress, Progress::Done(_));
            matches!(call.progress, Progress::Sent) || call.transaction != 0 || begun
        });
    }

    fn end(&mut self, reason: Disconnect, wakers: &mut Vec<Waker>, lost: impl Fn(&Call) -> bool) {
        self.calls.retain(|_, call| matches!(call.owner, Owner::Task(_)));
        self.chores = Lane::new(CHORES);
        self.tasks.in_flight = 0;
        for call in self.calls.values_mut().filter(|call| lost(call)) {
            if matches!(call.progress, Progress::Done(_)) && call.kind != Kind::TransactionStart {
                continue;
            }
            call.progress = Progress::Done(Err(Error::Disconnected(reason)));
            if let Owner::Task(waker) = &mut call.owner {
                wakers.extend(waker.take());
            }
        }
        let calls = &self.calls;
        let is_queued =
            |id: &u32| calls.get(id).is_some_and(|call| matches!(call.progress, Progress::Queued(_)));
        self.tasks.queue.retain(is_queued);
    }

    fn lane(&mut self, owner: &Owner) -> &mut Lane {
        if matches!(owner, Owner::Task(_)) { &mut self.tasks } else { &mut self.chores }
    }

    /// A number that no request has; never 0, which watch events have.
    fn free_id(&self) -> u32 {
        let mut id = self.last.wrapping_add(1); // numbers may be used again
        while id == 0 || self.calls.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        id
    }
}

/// Puts `waker` in the place of the one that is known, which is woken if it is another: whoever
/// it was may have been moved, and nothing foreign is dropped under the lock.
pub(super) fn replace(known: &mut Option<Waker>, waker: &Waker, wakers: &mut Vec<Waker>) {
    if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
        wakers.extend(known.replace(waker.clone()));
    }
}

fn result(asked: Kind, header: &Header, payload: Vec<u8>) -> Result<Vec<u8>> {
    if header.kind == asked.number() {
        Ok(payload)
    } else if header.kind == Kind::Error.number() {
        Err(Error::Refused(reply::refusal(&payload)))
    } else {
        Err(Error::Protocol(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the requests that may be sent now.
    fn sent(calls: &mut Calls) -> Vec<u32> {
        let messages = core::iter::from_fn(|| calls.next_message());
        messages.map(|message| Header::decode(*message.first_chunk().unwrap()).unwrap().request).collect()
    }

    fn answer(calls: &mut Calls, request: u32) {
        let header = Header { kind: Kind::Read.number(), request, transaction: 0, length: 0 };
        assert!(matches!(calls.answer(&header, Vec::new()), Answer::Taken(None)));
    }

    #[test]
    fn what_does_not_fit_follows_when_half_was_answered() {
        let mut calls = Calls::new();
        for _ in 0..20 {
            calls.add(Owner::Task(None), Kind::Read, 0, b"a\0").unwrap();
        }
        assert_eq!(sent(&mut calls), (1..=12).collect::<Vec<_>>());
        for request in 1..=5 {
            answer(&mut calls, request);
            assert_eq!(sent(&mut calls), [], "{request}");
        }
        // Its asker has lost interest.
        let _ = calls.remove(6);
        assert_eq!(sent(&mut calls), (13..=18).collect::<Vec<_>>());
    }
}
