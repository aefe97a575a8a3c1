// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of a disk, behind its lock: requests, queues, what the backend is like.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Waker;

use xen::page::PAGE_SIZE;
use xen::ring::Violation;
use xen_sys::io::blkif::{BLKIF_RSP_EOPNOTSUPP, BLKIF_RSP_OKAY};

use super::cache::{Departure, WriteCache};
use super::features::{Durability, Properties};
use super::pending_request::{Chunk, Operation, PendingRequest};
use super::ring_connection::{self, InFlight, NotSent, RingConnection};
use super::slab::Slab;
use crate::block::{Discard, Error, Geometry};
use crate::hal::Platform;

/// The state of a disk.
pub(super) struct State<'p, P: Platform> {
    pub(super) requests: Slab<PendingRequest<P::Page>>,
    /// The most that there can be, at least one.
    queues: Vec<Queue<'p, P>>,
    /// How many of them, from the first on, take requests and have a ring while a backend is connected.
    active: usize,
    pub(super) properties: Option<Properties>,
    /// The backend is connected, and takes requests.
    serving: bool,
    /// The error of all requests from now on, if it is certain that no backend will answer them.
    pub(super) down: Option<Error>,
    /// The error of requests in flight when the connection is closed; `None`: they are sent again.
    fail_reason: Option<Error>,
    /// How the backend broke the protocol on one of the queues.
    violation: Option<Violation>,
    /// The task that waits for a violation.
    violation_waker: Option<Waker>,
    /// The task that waits for the first connection, or for its failure.
    probe_waker: Option<Waker>,
    /// There will be no further connection.
    retired: bool,
    /// Nothing is sent.
    held: bool,
    /// Acknowledged writes that the backend may have in a volatile cache.
    cache: WriteCache,
}

/// A queue: a ring, and the chunks that are to be sent over it.
struct Queue<'p, P: Platform> {
    /// Chunks that were not sent yet, in order.
    waiting: VecDeque<Chunk>,
    connection: Option<RingConnection<'p, P>>,
    /// The worker has something to do.
    work: bool,
    /// The worker, if it waits.
    worker: Option<Waker>,
}

impl<P: Platform> Default for Queue<'_, P> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), connection: None, work: false, worker: None }
    }
}

impl<P: Platform> Queue<'_, P> {
    /// Notes that the worker has something to do; it is to be woken.
    fn call_worker(&mut self) -> Option<Waker> {
        self.work = true;
        self.worker.take()
    }
}

/// What came of processing a queue.
#[derive(Default)]
pub(super) struct Processed {
    /// The backend is to be notified of requests.
    pub(super) notify: bool,
    /// No grant reference was free for a request.
    pub(super) out_of_grants: bool,
    /// Number of responses taken.
    pub(super) responses: u32,
    /// The tasks whose requests are finished; they are to be woken without the lock.
    pub(super) wakers: Vec<Waker>,
}

impl<'p, P: Platform> State<'p, P> {
    /// A disk without a connection that may have so many queues.
    pub(super) fn new(queues: u32) -> Self {
        Self {
            requests: Slab::new(),
            queues: (0..queues.max(1)).map(|_| Queue::default()).collect(),
            active: 1,
            properties: None,
            serving: false,
            down: None,
            fail_reason: None,
            violation: None,
            violation_waker: None,
            probe_waker: None,
            retired: false,
            held: false,
            cache: WriteCache::default(),
        }
    }

    /// What the disk is like; nothing, while that is not known.
    pub(super) fn geometry(&self) -> Geometry {
        let nothing = Geometry {
            bytes: 0,
            sector_size: 512,
            read_only: false,
            removable: false,
            optical: false,
            discards: false,
        };
        self.properties.filter(|_| self.down.is_none()).map_or(nothing, |properties| properties.geometry)
    }

    /// Adds a request of vCPU `vcpu`'s, which is sent when its queue is [processed](Self::process_queue); the
    /// worker that does so is to be woken.
    ///
    /// # Errors
    ///
    /// The request, if there is no memory.
    pub(super) fn add(
        &mut self,
        request: PendingRequest<P::Page>,
        vcpu: u32,
    ) -> Result<(usize, Option<Waker>), PendingRequest<P::Page>> {
        let index = vcpu as usize % self.active.max(1);
        let Some(queue) = self.queues.get_mut(index) else { return Err(request) };
        if queue.waiting.try_reserve(1).is_err() {
            return Err(request);
        }
        let length = request.length;
        let request = self.requests.insert(request)?;
        queue.waiting.push_back(Chunk { request, start: 0, length });
        Ok((request, queue.call_worker()))
    }

    /// Whether there is something to do that [`process_queue`](Self::process_queue) has not seen; or else has
    /// `waker` woken when there is.
    pub(super) fn has_work(&mut self, queue: usize, waker: &Waker) -> bool {
        let Some(queue) = self.queues.get_mut(queue) else { return false };
        if core::mem::take(&mut queue.work) {
            return true;
        }
        queue.worker = Some(waker.clone());
        false
    }

    /// Takes the responses, sends what there is room for, and publishes it to the backend.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend broke the protocol; requests in flight fail when the
    /// connection is closed.
    pub(super) fn process_queue(&mut self, queue: usize, processed: &mut Processed) -> Result<(), Violation> {
        let taken = self.take_responses(queue, processed);
        self.note_violation(taken)?;
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.work = false;
        }
        self.send_waiting(queue, processed);
        if let Some(connection) = self.connection_mut(queue) {
            processed.notify |= connection.ring.publish();
        }
        Ok(())
    }

    /// Asks for an event once there are so many responses, no more than requests in flight; true if there are
    /// as many already.
    ///
    /// # Errors
    ///
    /// As for [`process_queue`](Self::process_queue).
    pub(super) fn request_event(&mut self, queue: usize, after: u32) -> Result<bool, Violation> {
        let Some(connection) = self.connection_mut(queue) else { return Ok(false) };
        let ready = connection.ring.request_event(after);
        self.note_violation(ready).map(|ready| ready >= after)
    }

    /// Notes a violation, if there was one.
    fn note_violation<T>(&mut self, result: Result<T, Violation>) -> Result<T, Violation> {
        if let Err(violation) = result {
            (self.fail_reason, self.violation) = (Some(Error::Broken), Some(violation));
        }
        result
    }

    /// Whether there are responses to take.
    pub(super) fn has_responses(&mut self, queue: usize) -> bool {
        self.connection_mut(queue).is_some_and(|connection| connection.ring.ready() != Ok(0))
    }

    /// Whether there is something to do that [`process_queue`](Self::process_queue) has not seen.
    pub(super) fn is_asked(&self, queue: usize) -> bool {
        self.queues.get(queue).is_some_and(|queue| queue.work)
    }

    /// Requests of this queue in flight.
    pub(super) fn in_flight(&self, queue: usize) -> usize {
        self.connection(queue).map_or(0, |connection| connection.in_flight.len())
    }

    /// Requests of all queues in flight.
    pub(super) fn all_in_flight(&self) -> usize {
        (0..self.queues.len()).map(|queue| self.in_flight(queue)).sum()
    }

    fn take_responses(&mut self, queue: usize, processed: &mut Processed) -> Result<(), Violation> {
        while let Some(connection) = self.queues.get_mut(queue).and_then(|queue| queue.connection.as_mut()) {
            let Some((in_flight, status)) = connection.next_response()? else { break };
            processed.responses += 1;
            let (chunk, operation, number) = (in_flight.chunk, in_flight.operation, in_flight.number);
            if !in_flight.complete(&mut connection.pool, self.requests.get_mut(chunk.request)) {
                // It answered, and yet uses a page: who knows what else it does.
                let violation = connection.ring.poison();
                self.finish(chunk, Some(Error::Broken), processed);
                return Err(violation);
            }
            match status {
                BLKIF_RSP_OKAY => {
                    self.acknowledged(chunk, operation);
                    self.finish(chunk, None, processed);
                }
                BLKIF_RSP_EOPNOTSUPP => self.not_supported(queue, chunk, (operation, number), processed),
                _ => self.finish(chunk, Some(Error::Device), processed),
            }
        }
        Ok(())
    }

    /// Accounts for a write or a flush that was acknowledged.
    fn acknowledged(&mut self, chunk: Chunk, operation: Operation) {
        match operation {
            Operation::Write => self.cache.wrote(),
            Operation::Flush => {
                self.cache.flushed(self.requests.get_mut(chunk.request).map_or(0, |request| request.covers))
            }
            Operation::Read | Operation::Discard(_) => {}
        }
    }

    /// The backend does not know an operation after all (`io/blkif.h` says that this may come at any
    /// time): goes on with less. Of several flushes that were on their way only the first one changes what
    /// the next ones are.
    fn not_supported(
        &mut self,
        queue: usize,
        chunk: Chunk,
        (operation, number): (Operation, u8),
        processed: &mut Processed,
    ) {
        let Some(properties) = &mut self.properties else { return };
        match operation {
            Operation::Flush => {
                if number == ring_connection::number(operation, properties.durability) {
                    properties.durability = properties.durability.next(properties.barrier);
                }
                // If there is nothing left, it fails when it is to be sent.
                self.put_back(queue, chunk);
            }
            Operation::Discard(_) => {
                properties.geometry.discards = false;
                self.finish(chunk, Some(Error::Unsupported), processed);
            }
            Operation::Read | Operation::Write => self.finish(chunk, Some(Error::Device), processed),
        }
    }

    fn send_waiting(&mut self, queue: usize, processed: &mut Processed) {
        while let Some(chunk) = self.queues.get_mut(queue).and_then(|queue| queue.waiting.pop_front()) {
            match self.send(queue, chunk, processed) {
                Sent::Yes => {}
                Sent::NotNow => return self.put_back(queue, chunk),
                Sent::Never(error) => self.finish(chunk, error, processed),
            }
        }
    }

    /// Puts a chunk back in front of its queue.
    fn put_back(&mut self, queue: usize, chunk: Chunk) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.waiting.push_front(chunk);
        }
    }

    /// Sends as much of a chunk as fits into a request; the rest is put in front of what waits.
    fn send(&mut self, queue: usize, chunk: Chunk, processed: &mut Processed) -> Sent {
        let Some(Queue { waiting, connection: Some(connection), .. }) = self.queues.get_mut(queue) else {
            return Sent::NotNow;
        };
        let (Some(properties), true) = (&self.properties, self.serving && !self.held) else {
            return Sent::NotNow;
        };
        let Some(request) = self.requests.get_mut(chunk.request) else { return Sent::Never(None) };
        if request.is_obsolete() {
            return Sent::Never(None);
        }
        if request.operation == Operation::Flush {
            if self.cache.is_lost() {
                return self.fail_flushes(processed);
            }
            match properties.durability {
                Durability::Unneeded => return Sent::Never(None),
                Durability::Refused => return Sent::Never(Some(Error::Unsupported)),
                Durability::Flush | Durability::Barrier => request.covers = self.cache.written(),
            }
        }
        if request.operation == Operation::Discard(Discard::Secure) && !properties.secure_discard {
            return Sent::Never(Some(Error::Unsupported));
        }
        if connection.ring.room() == 0 {
            return Sent::NotNow;
        }
        let mut most = (properties.segments * PAGE_SIZE) as u64;
        let has_data = matches!(request.operation, Operation::Read | Operation::Write);
        loop {
            let is_cut = has_data && chunk.length > most;
            let now = Chunk { length: if is_cut { most } else { chunk.length }, ..chunk };
            match connection.send(now, request, properties) {
                Ok(()) => {
                    if is_cut {
                        request.split();
                        let (start, length) = (chunk.start + most, chunk.length - most);
                        waiting.push_front(Chunk { start, length, ..chunk });
                    }
                    return Sent::Yes;
                }
                Err(NotSent::NoMemory) if connection.in_flight.len() == 0 => {
                    // Less needs less.
                    most = now.length / 2 / PAGE_SIZE as u64 * PAGE_SIZE as u64;
                    if most == 0 || !has_data {
                        return Sent::Never(Some(Error::NoMemory));
                    }
                }
                Err(reason) => {
                    processed.out_of_grants |= reason == NotSent::OutOfGrants;
                    return Sent::NotNow;
                }
            }
        }
    }

    /// Fails the flush that is to be sent, and all that wait: a write that was acknowledged before them may
    /// be lost. Those who ask later have been told.
    fn fail_flushes(&mut self, processed: &mut Processed) -> Sent {
        self.cache.forget();
        let requests = &mut self.requests;
        let mut is_flush = |chunk: &Chunk| {
            requests.get_mut(chunk.request).is_some_and(|request| request.operation == Operation::Flush)
        };
        let mut failed: Vec<Chunk> = Vec::new();
        for queue in &mut self.queues {
            queue.waiting.retain(|chunk| {
                let fails = is_flush(chunk);
                failed.extend(fails.then_some(*chunk));
                !fails
            });
        }
        failed.into_iter().for_each(|chunk| self.finish(chunk, Some(Error::Lost), processed));
        Sent::Never(Some(Error::Lost))
    }

    /// A chunk is done with.
    fn finish(&mut self, chunk: Chunk, error: Option<Error>, processed: &mut Processed) {
        let Some(request) = self.requests.get_mut(chunk.request) else { return };
        processed.wakers.extend(request.finish_chunk(error));
        if request.is_finished() && request.is_abandoned() {
            self.requests.remove(chunk.request);
        }
    }

    /// Uses the rings of a new connection, at least one. What waits in queues without a ring is sent over the
    /// others.
    pub(super) fn attach(&mut self, connections: Vec<RingConnection<'p, P>>) {
        (self.down, self.fail_reason, self.violation) = (None, None, None);
        self.active = connections.len().max(1).min(self.queues.len());
        let (active, idle) = self.queues.split_at_mut_checked(self.active).unwrap_or_default();
        for (queue, other) in idle.iter_mut().zip((0..active.len()).cycle()) {
            if let Some(other) = active.get_mut(other) {
                other.waiting.append(&mut queue.waiting);
            }
        }
        for (queue, connection) in self.queues.iter_mut().zip(connections) {
            queue.connection = Some(connection);
        }
    }

    /// The backend has connected, and takes requests from now on; those who waited for that are to be
    /// woken.
    pub(super) fn begin(&mut self, properties: Properties) -> Vec<Waker> {
        for connection in self.queues.iter_mut().filter_map(|queue| queue.connection.as_mut()) {
            connection.pool.set_persistent(properties.persistent);
        }
        self.cache.connected(properties.durability != Durability::Unneeded);
        self.properties = Some(properties);
        self.serving = true;
        self.probe_waker
            .take()
            .into_iter()
            .chain(self.queues.iter_mut().filter_map(Queue::call_worker))
            .collect()
    }

    /// There will be no other connection; those who serve the queues are to be woken.
    pub(super) fn retire(&mut self) -> Vec<Waker> {
        self.retired = true;
        self.queues.iter_mut().filter_map(Queue::call_worker).collect()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Takes the waker of the task that waits for a violation.
    pub(super) fn take_violation_waker(&mut self) -> Option<Waker> {
        self.violation_waker.take()
    }

    /// How the backend broke the protocol, if it did; or else has `waker` woken when it does.
    pub(super) fn violation(&mut self, waker: &Waker) -> Option<Violation> {
        if self.violation.is_none() {
            self.violation_waker = Some(waker.clone());
        }
        self.violation
    }

    /// Whether the disk works, or is known not to; or else has `waker` woken when that is known.
    pub(super) fn is_probed(&mut self, waker: &Waker) -> bool {
        let probed = self.serving || self.down.is_some();
        if !probed {
            self.probe_waker = Some(waker.clone());
        }
        probed
    }

    /// Keeps requests from the backend from now on, or no longer does; those who serve the queues are to be
    /// woken.
    pub(super) fn hold(&mut self, held: bool) -> Vec<Waker> {
        self.held = held;
        self.queues.iter_mut().filter_map(Queue::call_worker).collect()
    }

    /// Stops sending.
    pub(super) fn end(&mut self) {
        self.serving = false;
    }

    /// A queue's ring, if a backend is connected.
    pub(super) fn connection(&self, queue: usize) -> Option<&RingConnection<'p, P>> {
        self.queues.get(queue)?.connection.as_ref()
    }

    fn connection_mut(&mut self, queue: usize) -> Option<&mut RingConnection<'p, P>> {
        self.queues.get_mut(queue)?.connection.as_mut()
    }

    /// Whether the backend uses a page of what is on its way at this moment.
    pub(super) fn is_in_use(&self) -> bool {
        self.queues.iter().filter_map(|queue| queue.connection.as_ref()).any(RingConnection::is_in_use)
    }

    /// Closes the connection. What was in flight is sent again over the next one, in each queue's
    /// order, or fails if the backend broke the protocol or is still at work on it.
    pub(super) fn detach(&mut self, departure: Departure, processed: &mut Processed) {
        self.cache.left(departure);
        for index in 0..self.queues.len() {
            let Some(mut connection) = self.queues.get_mut(index).and_then(|queue| queue.connection.take())
            else {
                continue;
            };
            let mut in_flight: Vec<InFlight<'p, P>> = connection.in_flight.drain();
            in_flight.sort_by_key(|in_flight| core::cmp::Reverse(in_flight.order));
            for in_flight in in_flight {
                let chunk = in_flight.chunk;
                // Even a page that stays granted: an old write could overwrite a newer one.
                let is_free = !connection.is_at_work_on(&in_flight);
                let whole =
                    in_flight.complete(&mut connection.pool, self.requests.get_mut(chunk.request)) && is_free;
                match (whole, self.fail_reason) {
                    (true, None) => {
                        if let Some(request) = self.requests.get_mut(chunk.request) {
                            // What this backend wrote there is not for the next one.
                            request.content = request.content_after();
                        }
                        self.put_back(index, chunk);
                    }
                    (true, fail_reason) => self.finish(chunk, fail_reason, processed),
                    (false, fail_reason) => self.finish(chunk, fail_reason.or(Some(Error::Gone)), processed),
                }
            }
        }
        processed.wakers.extend(self.queues.iter_mut().filter_map(Queue::call_worker));
    }

    /// Fails all that waits, and what is asked for from now on.
    pub(super) fn fail(&mut self, error: Error, processed: &mut Processed) {
        self.down = Some(error);
        processed.wakers.extend(self.probe_waker.take());
        let waiting: Vec<Chunk> = self.queues.iter_mut().flat_map(|queue| queue.waiting.drain(..)).collect();
        for chunk in waiting {
            self.finish(chunk, Some(error), processed);
        }
    }
}

/// What became of a chunk.
enum Sent {
    Yes,
    NotNow,
    /// It is done with, for this reason.
    Never(Option<Error>),
}
