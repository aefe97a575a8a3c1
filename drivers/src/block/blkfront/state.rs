// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that is known of a disk, behind its lock.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Waker;

use xen::page::PAGE_SIZE;
use xen::ring::Violation;
use xen_sys::io::blkif::{BLKIF_RSP_EOPNOTSUPP, BLKIF_RSP_OKAY};

use super::cache::{Departure, WriteCache};
use super::job::{Job, Operation, Piece};
use super::link::{self, Flight, Link, NotSent};
use super::offer::{Durability, Properties};
use super::slab::Slab;
use crate::block::{Discard, Error, Geometry};
use crate::hal::Platform;

/// All that is known of a disk.
pub(super) struct State<'p, P: Platform> {
    pub(super) jobs: Slab<Job<P::Page>>,
    /// As many as there can be, one at least.
    queues: Vec<Queue<'p, P>>,
    /// The first ones of them, which have links while there is a connection, and take requests.
    active: usize,
    pub(super) properties: Option<Properties>,
    /// The backend is connected, and takes requests.
    serving: bool,
    /// Why there will be no answer, if that is certain.
    pub(super) down: Option<Error>,
    /// What becomes of requests whose connection is closed; `None`: they are sent again.
    blame: Option<Error>,
    /// What the backend did wrong on one of the queues.
    violation: Option<Violation>,
    /// Who waits for that.
    judge: Option<Waker>,
    /// Who waits for the first connection, or for its failure.
    observer: Option<Waker>,
    /// There will be no other connection.
    retired: bool,
    /// What the backend may have in a volatile cache.
    cache: WriteCache,
}

/// A ring, and what is to be sent over it.
struct Queue<'p, P: Platform> {
    /// Pieces that the backend was not asked for yet, in order.
    waiting: VecDeque<Piece>,
    link: Option<Link<'p, P>>,
    /// There is something to do.
    work: bool,
    /// Who is to do it.
    server: Option<Waker>,
}

impl<P: Platform> Default for Queue<'_, P> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), link: None, work: false, server: None }
    }
}

impl<P: Platform> Queue<'_, P> {
    /// Notes that there is something to do, and for whom.
    fn call(&mut self) -> Option<Waker> {
        self.work = true;
        self.server.take()
    }
}

/// What a look at the ring brought.
#[derive(Default)]
pub(super) struct Round {
    /// The backend is to be told of requests.
    pub(super) notify: bool,
    /// No grant reference was free for a request.
    pub(super) starved: bool,
    /// Number of answers.
    pub(super) answers: u32,
    /// Those who waited for what is finished now; to be woken without the lock.
    pub(super) wakers: Vec<Waker>,
}

impl<'p, P: Platform> State<'p, P> {
    /// A disk without a connection that may have so many queues.
    pub(super) fn new(queues: u32) -> Self {
        Self {
            jobs: Slab::new(),
            queues: (0..queues.max(1)).map(|_| Queue::default()).collect(),
            active: 1,
            properties: None,
            serving: false,
            down: None,
            blame: None,
            violation: None,
            judge: None,
            observer: None,
            retired: false,
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

    /// Adds a job of vCPU `vcpu`'s, which is sent when [`round`](Self::round) is called for its queue;
    /// who does that is to be woken.
    ///
    /// # Errors
    ///
    /// The job, if there is no memory.
    pub(super) fn add(
        &mut self,
        job: Job<P::Page>,
        vcpu: u32,
    ) -> Result<(usize, Option<Waker>), Job<P::Page>> {
        let index = vcpu as usize % self.active.max(1);
        let Some(queue) = self.queues.get_mut(index) else { return Err(job) };
        if queue.waiting.try_reserve(1).is_err() {
            return Err(job);
        }
        let length = job.length;
        let job = self.jobs.insert(job)?;
        queue.waiting.push_back(Piece { job, start: 0, length });
        Ok((job, queue.call()))
    }

    /// Whether there is something to do that [`round`](Self::round) has not seen; or else has
    /// `waker` woken when there is.
    pub(super) fn has_work(&mut self, queue: usize, waker: &Waker) -> bool {
        let Some(queue) = self.queues.get_mut(queue) else { return false };
        if core::mem::take(&mut queue.work) {
            return true;
        }
        queue.server = Some(waker.clone());
        false
    }

    /// Takes the answers that are there, sends what there is room for, and shows it to the backend.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend broke the protocol; requests on their way fail when the
    /// connection is closed.
    pub(super) fn round(&mut self, queue: usize, round: &mut Round) -> Result<(), Violation> {
        let taken = self.take_answers(queue, round);
        self.judged(taken)?;
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.work = false;
        }
        self.send_waiting(queue, round);
        if let Some(link) = self.link_mut(queue) {
            round.notify |= link.ring.publish();
        }
        Ok(())
    }

    /// Asks for an event once there are so many answers, no more than requests on their way; true if
    /// there are as many already.
    ///
    /// # Errors
    ///
    /// As for [`round`](Self::round).
    pub(super) fn listen(&mut self, queue: usize, after: u32) -> Result<bool, Violation> {
        let Some(link) = self.link_mut(queue) else { return Ok(false) };
        let ready = link.ring.listen(after);
        self.judged(ready).map(|ready| ready >= after)
    }

    /// Notes what the backend did wrong, if it did.
    fn judged<T>(&mut self, result: Result<T, Violation>) -> Result<T, Violation> {
        if let Err(violation) = result {
            (self.blame, self.violation) = (Some(Error::Broken), Some(violation));
        }
        result
    }

    /// Whether there are answers to take.
    pub(super) fn is_answered(&mut self, queue: usize) -> bool {
        self.link_mut(queue).is_some_and(|link| link.ring.ready() != Ok(0))
    }

    /// Whether there is something to do that [`round`](Self::round) has not seen.
    pub(super) fn is_asked(&self, queue: usize) -> bool {
        self.queues.get(queue).is_some_and(|queue| queue.work)
    }

    /// Requests of this queue that the backend has not answered.
    pub(super) fn in_flight(&self, queue: usize) -> usize {
        self.link(queue).map_or(0, |link| link.flights.len())
    }

    /// Requests that the backend has not answered.
    pub(super) fn all_in_flight(&self) -> usize {
        (0..self.queues.len()).map(|queue| self.in_flight(queue)).sum()
    }

    fn take_answers(&mut self, queue: usize, round: &mut Round) -> Result<(), Violation> {
        while let Some(link) = self.queues.get_mut(queue).and_then(|queue| queue.link.as_mut()) {
            let Some((flight, status)) = link.answer()? else { break };
            round.answers += 1;
            let (piece, operation, number) = (flight.piece, flight.operation, flight.number);
            if !flight.land(&mut link.lender, self.jobs.get_mut(piece.job)) {
                // It answered, and yet uses a page: who knows what else it does.
                let violation = link.ring.poison();
                self.finish(piece, Some(Error::Broken), round);
                return Err(violation);
            }
            match status {
                BLKIF_RSP_OKAY => {
                    self.acknowledged(piece, operation);
                    self.finish(piece, None, round);
                }
                BLKIF_RSP_EOPNOTSUPP => self.not_supported(queue, piece, (operation, number), round),
                _ => self.finish(piece, Some(Error::Device), round),
            }
        }
        Ok(())
    }

    /// Notes what a successful answer says of earlier writes.
    fn acknowledged(&mut self, piece: Piece, operation: Operation) {
        match operation {
            Operation::Write => self.cache.wrote(),
            Operation::Flush => self.cache.flushed(self.jobs.get_mut(piece.job).map_or(0, |job| job.covers)),
            Operation::Read | Operation::Discard(_) => {}
        }
    }

    /// The backend does not know an operation after all (`io/blkif.h` says that this may come at any
    /// time): goes on with less. Of several flushes that were on their way only the first one changes what
    /// the next ones are.
    fn not_supported(
        &mut self,
        queue: usize,
        piece: Piece,
        (operation, number): (Operation, u8),
        round: &mut Round,
    ) {
        let Some(properties) = &mut self.properties else { return };
        match operation {
            Operation::Flush => {
                if number == link::number(operation, properties.durability) {
                    properties.durability = properties.durability.next(properties.barrier);
                }
                // If there is nothing left, it fails when it is to be sent.
                self.put_back(queue, piece);
            }
            Operation::Discard(_) => {
                properties.geometry.discards = false;
                self.finish(piece, Some(Error::Unsupported), round);
            }
            Operation::Read | Operation::Write => self.finish(piece, Some(Error::Device), round),
        }
    }

    fn send_waiting(&mut self, queue: usize, round: &mut Round) {
        while let Some(piece) = self.queues.get_mut(queue).and_then(|queue| queue.waiting.pop_front()) {
            match self.send(queue, piece, round) {
                Sent::Yes => {}
                Sent::NotNow => return self.put_back(queue, piece),
                Sent::Never(error) => self.finish(piece, error, round),
            }
        }
    }

    /// Has a piece sent before all others of its queue.
    fn put_back(&mut self, queue: usize, piece: Piece) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.waiting.push_front(piece);
        }
    }

    /// Sends as much of a piece as fits into a request; the rest is put in front of what waits.
    fn send(&mut self, queue: usize, piece: Piece, round: &mut Round) -> Sent {
        let Some(Queue { waiting, link: Some(link), .. }) = self.queues.get_mut(queue) else {
            return Sent::NotNow;
        };
        let (Some(properties), true) = (&self.properties, self.serving) else { return Sent::NotNow };
        let Some(job) = self.jobs.get_mut(piece.job) else { return Sent::Never(None) };
        if job.is_pointless() {
            return Sent::Never(None);
        }
        if job.operation == Operation::Flush {
            if self.cache.is_lost() {
                return self.fail_flushes(round);
            }
            match properties.durability {
                Durability::Unneeded => return Sent::Never(None),
                Durability::Refused => return Sent::Never(Some(Error::Unsupported)),
                Durability::Flush | Durability::Barrier => job.covers = self.cache.written(),
            }
        }
        if job.operation == Operation::Discard(Discard::Secure) && !properties.secure_discard {
            return Sent::Never(Some(Error::Unsupported));
        }
        if link.ring.room() == 0 {
            return Sent::NotNow;
        }
        let mut most = (properties.segments * PAGE_SIZE) as u64;
        let has_data = matches!(job.operation, Operation::Read | Operation::Write);
        loop {
            let is_cut = has_data && piece.length > most;
            let now = Piece { length: if is_cut { most } else { piece.length }, ..piece };
            match link.send(now, job, properties) {
                Ok(()) => {
                    if is_cut {
                        job.split();
                        let (start, length) = (piece.start + most, piece.length - most);
                        waiting.push_front(Piece { start, length, ..piece });
                    }
                    return Sent::Yes;
                }
                Err(NotSent::NoMemory) if link.flights.len() == 0 => {
                    // Less needs less.
                    most = now.length / 2 / PAGE_SIZE as u64 * PAGE_SIZE as u64;
                    if most == 0 || !has_data {
                        return Sent::Never(Some(Error::NoMemory));
                    }
                }
                Err(reason) => {
                    round.starved |= reason == NotSent::Starved;
                    return Sent::NotNow;
                }
            }
        }
    }

    /// Fails the flush that is to be sent, and all that wait: a write that was acknowledged before them may
    /// be lost. Those who ask later have been told.
    fn fail_flushes(&mut self, round: &mut Round) -> Sent {
        self.cache.forget();
        let jobs = &mut self.jobs;
        let mut is_flush =
            |piece: &Piece| jobs.get_mut(piece.job).is_some_and(|job| job.operation == Operation::Flush);
        let mut failed: Vec<Piece> = Vec::new();
        for queue in &mut self.queues {
            queue.waiting.retain(|piece| {
                let fails = is_flush(piece);
                failed.extend(fails.then_some(*piece));
                !fails
            });
        }
        failed.into_iter().for_each(|piece| self.finish(piece, Some(Error::Lost), round));
        Sent::Never(Some(Error::Lost))
    }

    /// A piece is done with.
    fn finish(&mut self, piece: Piece, error: Option<Error>, round: &mut Round) {
        let Some(job) = self.jobs.get_mut(piece.job) else { return };
        round.wakers.extend(job.finish_piece(error));
        if job.is_finished() && job.is_abandoned() {
            self.jobs.remove(piece.job);
        }
    }

    /// Uses a connection that the backend is told of, of one link at least. What waits in queues that
    /// have none is sent over the others.
    pub(super) fn attach(&mut self, links: Vec<Link<'p, P>>) {
        (self.down, self.blame, self.violation) = (None, None, None);
        self.active = links.len().clamp(1, self.queues.len());
        let (active, idle) = self.queues.split_at_mut(self.active);
        for (queue, other) in idle.iter_mut().zip((0..active.len()).cycle()) {
            if let Some(other) = active.get_mut(other) {
                other.waiting.append(&mut queue.waiting);
            }
        }
        for (queue, link) in self.queues.iter_mut().zip(links) {
            queue.link = Some(link);
        }
    }

    /// The backend has connected, and takes requests from now on; those who waited for that are to be
    /// woken.
    pub(super) fn begin(&mut self, properties: Properties) -> Vec<Waker> {
        for link in self.queues.iter_mut().filter_map(|queue| queue.link.as_mut()) {
            link.lender.be_persistent(properties.persistent);
        }
        self.cache.connected(properties.durability != Durability::Unneeded);
        self.properties = Some(properties);
        self.serving = true;
        self.observer.take().into_iter().chain(self.queues.iter_mut().filter_map(Queue::call)).collect()
    }

    /// There will be no other connection; those who serve the queues are to be woken.
    pub(super) fn retire(&mut self) -> Vec<Waker> {
        self.retired = true;
        self.queues.iter_mut().filter_map(Queue::call).collect()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Who waits for the backend to do something wrong.
    pub(super) fn judge(&mut self) -> Option<Waker> {
        self.judge.take()
    }

    /// What the backend did wrong, if it did; or else has `waker` woken when it does.
    pub(super) fn accused(&mut self, waker: &Waker) -> Option<Violation> {
        if self.violation.is_none() {
            self.judge = Some(waker.clone());
        }
        self.violation
    }

    /// Whether it is known what becomes of the disk; or else has `waker` woken when it is.
    pub(super) fn is_settled(&mut self, waker: &Waker) -> bool {
        let settled = self.serving || self.down.is_some();
        if !settled {
            self.observer = Some(waker.clone());
        }
        settled
    }

    /// Sends nothing more.
    pub(super) fn end(&mut self) {
        self.serving = false;
    }

    /// A queue's link, if there is a connection.
    pub(super) fn link(&self, queue: usize) -> Option<&Link<'p, P>> {
        self.queues.get(queue)?.link.as_ref()
    }

    fn link_mut(&mut self, queue: usize) -> Option<&mut Link<'p, P>> {
        self.queues.get_mut(queue)?.link.as_mut()
    }

    /// Whether the backend uses a page of what is on its way at this moment.
    pub(super) fn is_in_use(&self) -> bool {
        self.queues.iter().filter_map(|queue| queue.link.as_ref()).any(Link::is_in_use)
    }

    /// Closes the connection. What was on its way is sent again over the next one, in each queue's
    /// order, or fails if the backend is to blame or is still at work on it.
    pub(super) fn detach(&mut self, departure: Departure, round: &mut Round) {
        self.cache.left(departure);
        for index in 0..self.queues.len() {
            let Some(mut link) = self.queues.get_mut(index).and_then(|queue| queue.link.take()) else {
                continue;
            };
            let mut flights: Vec<Flight<'p, P>> = link.flights.drain();
            flights.sort_by_key(|flight| core::cmp::Reverse(flight.order));
            for flight in flights {
                let piece = flight.piece;
                // Even a page that stays granted: an old write could land on a newer one.
                let is_free = !link.is_at_work_on(&flight);
                let whole = flight.land(&mut link.lender, self.jobs.get_mut(piece.job)) && is_free;
                match (whole, self.blame) {
                    (true, None) => {
                        if let Some(job) = self.jobs.get_mut(piece.job) {
                            // What this backend wrote there is not for the next one.
                            job.content = job.content_after();
                        }
                        self.put_back(index, piece);
                    }
                    (true, blame) => self.finish(piece, blame, round),
                    (false, blame) => self.finish(piece, blame.or(Some(Error::Gone)), round),
                }
            }
        }
        round.wakers.extend(self.queues.iter_mut().filter_map(Queue::call));
    }

    /// Fails all that waits, and what is asked for from now on.
    pub(super) fn fail(&mut self, error: Error, round: &mut Round) {
        self.down = Some(error);
        round.wakers.extend(self.observer.take());
        let waiting: Vec<Piece> = self.queues.iter_mut().flat_map(|queue| queue.waiting.drain(..)).collect();
        for piece in waiting {
            self.finish(piece, Some(error), round);
        }
    }
}

/// What became of a piece.
enum Sent {
    Yes,
    NotNow,
    /// It is done with, for this reason.
    Never(Option<Error>),
}
