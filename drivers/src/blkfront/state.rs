// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that is known of a disk, behind its lock.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Waker;

use xen::grant::PAGE_SIZE;
use xen::ring::Violation;
use xen_sys::io::blkif::{BLKIF_RSP_EOPNOTSUPP, BLKIF_RSP_OKAY};

use super::job::{Job, Operation, Piece};
use super::link::{Flight, Link, NotSent};
use super::offer::{Durability, Properties};
use super::slab::Slab;
use crate::block::{Discard, Error, Geometry};
use crate::platform::Platform;

/// All that is known of a disk.
pub(super) struct State<'p, P: Platform> {
    pub(super) jobs: Slab<Job<P::Page>>,
    /// Pieces that the backend was not asked for yet, in order.
    waiting: VecDeque<Piece>,
    pub(super) properties: Option<Properties>,
    link: Option<Link<'p, P>>,
    /// The backend is connected, and takes requests.
    serving: bool,
    /// Why there will be no answer, if that is certain.
    pub(super) down: Option<Error>,
    /// What becomes of requests whose connection is closed; `None`: they are sent again.
    blame: Option<Error>,
    /// There is something to send.
    work: bool,
    server: Option<Waker>,
    /// Who waits for the first connection, or for its failure.
    observer: Option<Waker>,
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
    pub(super) const fn new() -> Self {
        Self {
            jobs: Slab::new(),
            waiting: VecDeque::new(),
            properties: None,
            link: None,
            serving: false,
            down: None,
            blame: None,
            work: false,
            server: None,
            observer: None,
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

    /// Adds a job, which is sent when [`round`](Self::round) is called; who does that is to be woken.
    ///
    /// # Errors
    ///
    /// The job, if there is no memory.
    pub(super) fn add(&mut self, job: Job<P::Page>) -> Result<(usize, Option<Waker>), Job<P::Page>> {
        if self.waiting.try_reserve(1).is_err() {
            return Err(job);
        }
        let length = job.length;
        let job = self.jobs.insert(job)?;
        self.waiting.push_back(Piece { job, start: 0, length });
        self.work = true;
        Ok((job, self.server.take()))
    }

    /// Whether there is something to send that [`round`](Self::round) has not seen; or else has
    /// `waker` woken when there is.
    pub(super) fn has_work(&mut self, waker: &Waker) -> bool {
        if core::mem::take(&mut self.work) {
            return true;
        }
        self.server = Some(waker.clone());
        false
    }

    /// Takes the answers that are there, sends what there is room for, and shows it to the backend.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend broke the protocol; requests on their way fail when the
    /// connection is closed.
    pub(super) fn round(&mut self, round: &mut Round) -> Result<(), Violation> {
        let taken = self.take_answers(round);
        if taken.is_err() {
            self.blame = Some(Error::Broken);
        }
        taken?;
        self.work = false;
        self.send_waiting(round);
        if let Some(link) = &mut self.link {
            round.notify |= link.ring.publish();
        }
        Ok(())
    }

    /// Asks for an event at the next answer; true if there are answers already.
    ///
    /// # Errors
    ///
    /// As for [`round`](Self::round).
    pub(super) fn listen(&mut self) -> Result<bool, Violation> {
        let Some(link) = &mut self.link else { return Ok(false) };
        let ready = link.ring.listen(1);
        if ready.is_err() {
            self.blame = Some(Error::Broken);
        }
        ready.map(|ready| ready > 0)
    }

    /// Whether there are answers to take.
    pub(super) fn is_answered(&mut self) -> bool {
        self.link.as_mut().is_some_and(|link| link.ring.ready() != Ok(0))
    }

    /// Whether there is something to send that [`round`](Self::round) has not seen.
    pub(super) fn is_asked(&self) -> bool {
        self.work
    }

    /// Requests that the backend has not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.flights.len())
    }

    fn take_answers(&mut self, round: &mut Round) -> Result<(), Violation> {
        while let Some(link) = &mut self.link {
            let Some((flight, status)) = link.answer()? else { break };
            round.answers += 1;
            let (piece, operation) = (flight.piece, flight.operation);
            if !flight.land(&mut link.lender, self.jobs.get_mut(piece.job)) {
                // It answered, and yet uses a page: who knows what else it does.
                let violation = link.ring.poison();
                self.finish(piece, Some(Error::Broken), round);
                return Err(violation);
            }
            match status {
                BLKIF_RSP_OKAY => self.finish(piece, None, round),
                BLKIF_RSP_EOPNOTSUPP => self.not_supported(piece, operation, round),
                _ => self.finish(piece, Some(Error::Device), round),
            }
        }
        Ok(())
    }

    /// The backend does not know an operation after all (`io/blkif.h` says that this may come at any
    /// time): goes on with less.
    fn not_supported(&mut self, piece: Piece, operation: Operation, round: &mut Round) {
        let Some(properties) = &mut self.properties else { return };
        match operation {
            Operation::Flush => {
                properties.durability = properties.durability.next(properties.barrier);
                if properties.durability == Durability::None {
                    self.finish(piece, Some(Error::Unsupported), round);
                } else {
                    self.waiting.push_front(piece);
                }
            }
            Operation::Discard(_) => {
                properties.geometry.discards = false;
                self.finish(piece, Some(Error::Unsupported), round);
            }
            Operation::Read | Operation::Write => self.finish(piece, Some(Error::Device), round),
        }
    }

    fn send_waiting(&mut self, round: &mut Round) {
        while let Some(piece) = self.waiting.pop_front() {
            match self.send(piece, round) {
                Sent::Yes => {}
                Sent::NotNow => {
                    self.waiting.push_front(piece);
                    return;
                }
                Sent::Never(error) => self.finish(piece, error, round),
            }
        }
    }

    /// Sends as much of a piece as fits into a request; the rest is put in front of what waits.
    fn send(&mut self, mut piece: Piece, round: &mut Round) -> Sent {
        let (Some(properties), Some(link), true) = (&self.properties, &mut self.link, self.serving) else {
            return Sent::NotNow;
        };
        let Some(job) = self.jobs.get_mut(piece.job) else { return Sent::Never(None) };
        if job.is_pointless() {
            return Sent::Never(None);
        }
        if job.operation == Operation::Flush && properties.durability == Durability::None {
            return Sent::Never(Some(Error::Unsupported));
        }
        if job.operation == Operation::Discard(Discard::Secure) && !properties.secure_discard {
            return Sent::Never(Some(Error::Unsupported));
        }
        if link.ring.room() == 0 {
            return Sent::NotNow;
        }
        let most = (properties.segments * PAGE_SIZE) as u64;
        let rest = match job.operation {
            Operation::Read | Operation::Write if piece.length > most => {
                let rest = Piece { start: piece.start + most, length: piece.length - most, ..piece };
                piece.length = most;
                Some(rest)
            }
            _ => None,
        };
        match link.send(piece, job, properties) {
            Ok(()) => {
                if let Some(rest) = rest {
                    job.split();
                    self.waiting.push_front(rest);
                }
                Sent::Yes
            }
            Err(NotSent::NoMemory) if link.flights.len() == 0 => Sent::Never(Some(Error::NoMemory)),
            Err(reason) => {
                round.starved |= reason == NotSent::Starved;
                Sent::NotNow
            }
        }
    }

    /// A piece is done with.
    fn finish(&mut self, piece: Piece, error: Option<Error>, round: &mut Round) {
        let Some(job) = self.jobs.get_mut(piece.job) else { return };
        round.wakers.extend(job.finish_piece(error));
        if job.is_finished() && job.is_abandoned() {
            self.jobs.remove(piece.job);
        }
    }

    /// Uses a connection that the backend is told of.
    pub(super) fn attach(&mut self, link: Link<'p, P>) {
        (self.link, self.down, self.blame) = (Some(link), None, None);
    }

    /// The backend has connected, and takes requests from now on; whoever waits for that is to be
    /// woken.
    pub(super) fn begin(&mut self, properties: Properties) -> Option<Waker> {
        self.properties = Some(properties);
        self.serving = true;
        self.observer.take()
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

    /// The connection, if there is one.
    pub(super) fn link(&self) -> Option<&Link<'p, P>> {
        self.link.as_ref()
    }

    /// Closes the connection. What was on its way is sent again over the next one, in the same
    /// order, or fails if the backend is to blame or keeps its pages.
    pub(super) fn detach(&mut self, round: &mut Round) {
        let Some(mut link) = self.link.take() else { return };
        let mut flights: Vec<Flight<'p, P>> = link.flights.drain();
        flights.sort_by_key(|flight| core::cmp::Reverse(flight.order));
        for flight in flights {
            let piece = flight.piece;
            let whole = flight.land(&mut link.lender, self.jobs.get_mut(piece.job));
            match (whole, self.blame) {
                (true, None) => self.waiting.push_front(piece),
                (true, blame) => self.finish(piece, blame, round),
                (false, blame) => self.finish(piece, blame.or(Some(Error::Gone)), round),
            }
        }
    }

    /// Fails all that waits, and what is asked for from now on.
    pub(super) fn fail(&mut self, error: Error, round: &mut Round) {
        self.down = Some(error);
        round.wakers.extend(self.observer.take());
        while let Some(piece) = self.waiting.pop_front() {
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
