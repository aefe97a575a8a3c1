// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that works on one ring.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, pending, poll_fn};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use embassy_futures::select::{Either3, select3};
use embassy_futures::yield_now;
use xen::DomainId;
use xen::grant::copy::{self, Foreign, Piece, from_grants, to_grants};
use xen::grant::{self, Reference};
use xen::ring::{BackendRing, Violation};

use super::Error;
use super::budget::{Budget, Lease};
use super::export::Export;
use super::parse::*;
use super::persistent::MappedPages;
use super::spare::{Leased, Spare};
use super::transfer::Transfer;
use crate::block::{self, Buffer, Discard, Disk, Failed, Request};
use crate::hal::{BackendPlatform, Channel, PAGE_SIZE, Page};

/// Requests of a queue that are not answered, at most.
const MOST_REQUESTS: usize = 128;

/// Bytes of the segments of an indirect request, at most.
const LIST: usize = MOST_SEGMENTS * SEGMENT;
/// Lists of segments that fit into a page.
const LISTS_PER_PAGE: usize = PAGE_SIZE / LIST;
/// Pages for lists of segments: there is always room for so many at once.
const LIST_PAGES: usize = 4;

/// When to look for memory again, if there is none and no request of ours will give some back.
const PAUSE: Duration = Duration::from_millis(5);

/// A ring, and the requests that were taken from it.
pub(super) struct Queue<'p, P: BackendPlatform> {
    platform: &'p P,
    /// Pages for requests to come.
    spare: Spare<'p, P::Page>,
    /// Pages of the frontend's.
    mapped: MappedPages<'p, P>,
    export: Export<P::Page>,
    /// Bytes of it that the frontend was told of.
    told: u64,
    frontend: DomainId,
    ring: BackendRing<P::Mapped<'p>>,
    channel: P::Channel,
    /// Where lists of segments are copied to.
    lists: Vec<P::Page>,
    /// Reads and writes that wait for memory, in their order.
    waiting: VecDeque<(Reply, Transfer)>,
    in_flight: Vec<InFlight<'p, P::Page>>,
    finished: Vec<Finished<'p, P::Page>>,
}

/// Why a queue is not served for the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// The frontend broke the protocol.
    Violation(Violation),
    /// The disk has another size, in bytes.
    Resized(u64),
}

impl From<Violation> for Pause {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// What becomes of a request to the disk.
type Outcome<P> = Result<Buffer<P>, Failed<P>>;

/// A request that the disk has.
struct InFlight<'b, P: Page> {
    reply: Reply,
    /// Where the data of a read is to go; empty for others.
    pieces: Vec<Piece>,
    work: Pin<Box<dyn Future<Output = Outcome<P>> + Send>>,
    lease: Option<Lease<'b>>,
}

/// A request that the disk has done.
struct Finished<'b, P: Page> {
    reply: Reply,
    pieces: Vec<Piece>,
    outcome: Result<Vec<P>, Refusal>,
    lease: Option<Lease<'b>>,
}

/// A read or write with pages for its data.
struct Prepared<'b, P: Page> {
    reply: Reply,
    transfer: Transfer,
    pieces: Vec<Piece>,
    pages: Leased<'b, P>,
}

/// A read or write whose segments lie in a page of the frontend's.
struct Indirect {
    reply: Reply,
    direction: Direction,
    sector: u64,
    count: usize,
    page: Reference,
}

impl<'p, P: BackendPlatform> Queue<'p, P>
where
    P::Page: 'static,
{
    /// A queue that serves `export` to domain `frontend`, which keeps its pages granted if it
    /// `is_persistent`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    pub(super) fn new(
        platform: &'p P,
        budget: &'p Budget,
        export: Export<P::Page>,
        frontend: DomainId,
        is_persistent: bool,
        ring: BackendRing<P::Mapped<'p>>,
        channel: P::Channel,
    ) -> Result<Self, Error> {
        let lists = (0..LIST_PAGES).map(|_| platform.page()).collect::<Option<_>>().ok_or(Error::NoMemory)?;
        Ok(Self {
            platform,
            spare: Spare::new(&budget.data),
            mapped: MappedPages::new(platform, budget, frontend, is_persistent),
            told: export.geometry().bytes,
            export,
            frontend,
            ring,
            channel,
            lists,
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            finished: Vec::new(),
        })
    }

    /// Serves the frontend until it breaks the protocol, or the disk has another size, which is looked at as
    /// long as there are requests. The future can be dropped at any point where it waits, and made again.
    pub(super) async fn run(&mut self) -> Pause {
        loop {
            if let Err(pause) = self.turn().await {
                return pause;
            }
        }
    }

    /// The frontend is told that the disk has so many bytes.
    pub(super) fn tell(&mut self, bytes: u64) {
        self.told = bytes;
    }

    /// Waits until the disk has done all that it has, for as long as that takes: what it would write later
    /// could overwrite what the frontend writes elsewhere. Nothing is answered any more.
    pub(super) async fn drain(&mut self) {
        self.waiting.clear();
        while !self.in_flight.is_empty() {
            completion(&mut self.in_flight, &mut self.finished).await;
            self.finished.clear();
        }
        self.spare.clear();
        self.mapped.clear().await;
    }

    /// Does what there is to do, and waits until there is more.
    async fn turn(&mut self) -> Result<(), Pause> {
        self.mapped.begin_turn();
        let taken = self.take()?;
        if taken > 0 {
            self.channel.found_work();
        }
        self.start();
        poll_fn(|context| {
            collect(&mut self.in_flight, &mut self.finished, context);
            Poll::Ready(())
        })
        .await;
        let finished = self.finish();
        if self.ring.publish() {
            self.channel.notify();
        }
        let bytes = self.export.geometry().bytes;
        if taken > 0 && bytes != self.told {
            return Err(Pause::Resized(bytes));
        }
        let more = finished > 0 && !self.waiting.is_empty();
        if more || (self.is_open() && self.ring.request_event(1)? > 0) {
            // Others have their turn.
            yield_now().await;
            return Ok(());
        }
        Ok(self.wait().await?)
    }

    /// Whether there is room for more requests.
    fn is_open(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.len() < MOST_REQUESTS
    }

    /// Waits until something happens.
    async fn wait(&mut self) -> Result<(), Violation> {
        let open = self.is_open();
        if self.in_flight.is_empty() {
            self.spare.clear();
        }
        let starved = !self.waiting.is_empty() && self.in_flight.is_empty();
        let (platform, channel) = (self.platform, &self.channel);
        let event = async { if open { channel.wait().await } else { pending().await } };
        let memory = async { if starved { platform.delay(PAUSE).await } else { pending().await } };
        let done = completion(&mut self.in_flight, &mut self.finished);
        if let Either3::First(()) = select3(event, done, memory).await
            && self.ring.ready()? == 0
        {
            self.channel.found_nothing();
        }
        Ok(())
    }

    /// Takes requests out of the ring, as many as there is room for, and returns how many. Those that make no
    /// sense are answered.
    fn take(&mut self) -> Result<usize, Violation> {
        if !self.waiting.is_empty() {
            return Ok(0);
        }
        let room = MOST_REQUESTS.saturating_sub(self.in_flight.len());
        let (mut taken, mut indirect) = (0, Vec::new());
        while taken < room && indirect.len() < LIST_PAGES * LISTS_PER_PAGE {
            let Some(entry) = self.ring.pop()? else { break };
            taken += 1;
            let Parsed { reply, work } = parse(&entry);
            match work {
                Err(refusal) => self.answer(reply, Err(refusal)),
                Ok(Work::Flush) => self.submit(reply, Request::Flush),
                Ok(Work::Discard { sector, count }) => self.discard(reply, sector, count),
                Ok(Work::Move(Move { direction, sector, segments: Segments::Direct(segments) })) => {
                    self.add(reply, direction, sector, segments);
                }
                Ok(Work::Move(Move { direction, sector, segments: Segments::Indirect { count, page } })) => {
                    indirect.push(Indirect { reply, direction, sector, count, page });
                }
            }
        }
        self.read_lists(indirect);
        Ok(taken)
    }

    /// Copies the lists of segments of indirect requests, once, by one hypercall.
    fn read_lists(&mut self, requests: Vec<Indirect>) {
        if requests.is_empty() {
            return;
        }
        let place = |index: usize| (index / LISTS_PER_PAGE, index % LISTS_PER_PAGE * LIST);
        let pieces = requests.iter().enumerate().map(|(index, request)| {
            let (page, offset) = place(index);
            let foreign = Foreign { domain: self.frontend, reference: request.page, offset: 0 };
            Piece { foreign, page, offset, length: request.count * SEGMENT }
        });
        let pieces: Vec<Piece> = pieces.collect();
        let mut copied: Vec<bool> =
            pieces.iter().map(|piece| self.mapped.read(piece, &mut self.lists)).collect();
        let rest: Vec<Piece> =
            pieces.into_iter().zip(&copied).filter(|(_, copied)| !**copied).map(|(piece, _)| piece).collect();
        if !rest.is_empty() {
            let outcomes = from_grants(&mut self.lists, &rest).and_then(|mut copies| {
                self.platform.copy(&mut copies)?;
                Ok(copies.iter().map(is_done).collect::<Vec<_>>())
            });
            let missing = copied.iter_mut().filter(|copied| !**copied);
            missing.zip(outcomes.unwrap_or_default()).for_each(|(copied, outcome)| *copied = outcome);
        }
        for (index, request) in requests.into_iter().enumerate() {
            let (page, offset) = place(index);
            let list = self.lists.get(page).and_then(|page| page.bytes().get(offset..offset + LIST));
            let list = list.filter(|_| copied.get(index) == Some(&true));
            match list.ok_or(Refusal::Failed).and_then(|list| segments(list, request.count)) {
                Ok(segments) => self.add(request.reply, request.direction, request.sector, segments),
                Err(refusal) => self.answer(request.reply, Err(refusal)),
            }
        }
    }

    /// Has a read or write wait for memory, if it lies on the disk.
    fn add(&mut self, reply: Reply, direction: Direction, sector: u64, segments: Vec<Segment>) {
        match Transfer::new(direction, sector, segments, &self.export.geometry()) {
            Ok(transfer) => self.waiting.push_back((reply, transfer)),
            Err(refusal) => self.answer(reply, Err(refusal)),
        }
    }

    fn discard(&mut self, reply: Reply, sector: u64, count: u64) {
        let (offset, length) = (sector.checked_mul(SECTOR), count.checked_mul(SECTOR));
        let (Some(offset), Some(length)) = (offset, length) else {
            return self.answer(reply, Err(Refusal::Failed));
        };
        let request = Request::Discard { offset, length, how: Discard::Normal };
        match request.checked(&self.export.geometry()) {
            Ok(request) => self.submit(reply, request),
            Err(failed) => self.answer(reply, Err(refusal(failed.error))),
        }
    }

    /// Begins the reads and writes that there is memory for. The data of writes that lies in no page that is
    /// mapped is copied by one hypercall.
    fn start(&mut self) {
        let mut prepared = Vec::new();
        while let Some((reply, transfer)) = self.waiting.pop_front() {
            match self.prepare(&transfer) {
                Some((pages, pieces)) => prepared.push(Prepared { reply, transfer, pieces, pages }),
                None => {
                    self.waiting.push_front((reply, transfer));
                    break;
                }
            }
        }
        let mapped = &mut self.mapped;
        let copies = prepared.iter_mut().map(|one| match one.transfer.direction {
            Direction::Read => Ok(Vec::new()),
            Direction::Write | Direction::FlushedWrite => {
                one.pieces.retain(|piece| !mapped.read(piece, &mut one.pages.pages));
                from_grants(&mut one.pages.pages, &one.pieces)
            }
        });
        let copied = copy_all(self.platform, copies);
        for (one, copied) in prepared.into_iter().zip(copied) {
            if copied {
                self.begin(one);
            } else {
                self.answer(one.reply, Err(Refusal::Failed));
            }
        }
    }

    /// Pages for a read or write, and what is to be copied there or from there.
    fn prepare(&mut self, transfer: &Transfer) -> Option<(Leased<'p, P::Page>, Vec<Piece>)> {
        let pieces = transfer.pieces(self.frontend)?;
        let pages = self.spare.take(transfer.pages(), || self.platform.page())?;
        Some((pages, pieces))
    }

    /// Hands a read or write to the disk.
    fn begin(&mut self, prepared: Prepared<'p, P::Page>) {
        let Prepared { reply, transfer, pieces, pages } = prepared;
        let is_read = transfer.direction == Direction::Read;
        let (buffer, lease) = pages.into_buffer(transfer.length, !is_read);
        let (request, pieces) = match is_read {
            true => (Request::Read { offset: transfer.offset, buffer }, pieces),
            false => (Request::Write { offset: transfer.offset, buffer }, Vec::new()),
        };
        let request = self.export.request(request);
        let disk = Arc::clone(self.export.disk());
        let work: Pin<Box<dyn Future<Output = Outcome<P::Page>> + Send>> = match transfer.direction {
            Direction::FlushedWrite => Box::pin(write_flushed(disk, request)),
            Direction::Read | Direction::Write => Box::pin(async move { disk.submit(request).await }),
        };
        self.in_flight.push(InFlight { reply, pieces, work, lease: Some(lease) });
    }

    /// Hands a request without data to the disk.
    fn submit(&mut self, reply: Reply, request: Request<P::Page>) {
        let (request, disk) = (self.export.request(request), Arc::clone(self.export.disk()));
        let work = Box::pin(async move { disk.submit(request).await });
        self.in_flight.push(InFlight { reply, pieces: Vec::new(), work, lease: None });
    }

    /// Answers what the disk has done, and returns how many that are. What was read, and belongs into no page
    /// that is mapped, is copied by one hypercall.
    fn finish(&mut self) -> usize {
        let mut finished = mem::take(&mut self.finished);
        let mapped = &mut self.mapped;
        let copies = finished.iter_mut().map(|one| match &one.outcome {
            Ok(pages) => {
                one.pieces.retain(|piece| !mapped.write(piece, pages));
                to_grants(pages, &one.pieces)
            }
            Err(_) => Ok(Vec::new()),
        });
        let copied = copy_all(self.platform, copies);
        let count = finished.len();
        for (one, copied) in finished.into_iter().zip(copied) {
            let (pages, outcome) = match one.outcome {
                Ok(pages) => (pages, if copied { Ok(()) } else { Err(Refusal::Failed) }),
                Err(refusal) => (Vec::new(), Err(refusal)),
            };
            self.answer(one.reply, outcome);
            if let Some(lease) = one.lease {
                self.spare.keep(pages, lease);
            }
        }
        count
    }

    fn answer(&mut self, reply: Reply, outcome: Result<(), Refusal>) {
        // Each request is answered once: there is room, unless the frontend has broken the protocol.
        let _ = self.ring.push(reply.response(outcome));
    }
}

/// A write behind all that were finished before, and durable.
async fn write_flushed<P: Page>(disk: Arc<dyn Disk<P>>, write: Request<P>) -> Outcome<P> {
    disk.submit(Request::Flush).await?;
    let written = disk.submit(write).await?;
    disk.submit(Request::Flush).await?;
    Ok(written)
}

/// Waits until the disk has done a request.
async fn completion<'b, P: Page>(in_flight: &mut Vec<InFlight<'b, P>>, finished: &mut Vec<Finished<'b, P>>) {
    poll_fn(|context| {
        collect(in_flight, finished, context);
        if finished.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// Sorts out the requests that the disk has done.
fn collect<'b, P: Page>(
    in_flight: &mut Vec<InFlight<'b, P>>,
    finished: &mut Vec<Finished<'b, P>>,
    context: &mut Context<'_>,
) {
    let mut index = 0;
    while let Some(one) = in_flight.get_mut(index) {
        let Poll::Ready(outcome) = one.work.as_mut().poll(context) else {
            index += 1;
            continue;
        };
        let InFlight { reply, pieces, lease, .. } = in_flight.swap_remove(index);
        let outcome = outcome.map(|buffer| buffer.into_pages().0).map_err(|failed| refusal(failed.error));
        finished.push(Finished { reply, pieces, outcome, lease });
    }
}

/// Has Xen do lists of copies, all by one hypercall; whether each list was done as a whole.
fn copy_all<'r, P: BackendPlatform>(
    platform: &P,
    lists: impl Iterator<Item = grant::Result<Vec<copy::Request<'r>>>>,
) -> Vec<bool> {
    let (mut all, mut lengths) = (Vec::new(), Vec::new());
    for list in lists {
        lengths.push(list.as_ref().map_or(None, |list| Some(list.len())));
        all.extend(list.unwrap_or_default());
    }
    let tried = all.is_empty() || platform.copy(&mut all).is_ok();
    let mut outcomes = all.iter().map(|one| tried && is_done(one));
    let whole = |length: Option<usize>| {
        length.is_some_and(|length| outcomes.by_ref().take(length).fold(true, |whole, one| whole & one))
    };
    lengths.into_iter().map(whole).collect()
}

fn is_done(copy: &copy::Request<'_>) -> bool {
    copy.outcome() == Some(Ok(()))
}

fn refusal(error: block::Error) -> Refusal {
    match error {
        block::Error::Unsupported => Refusal::Unsupported,
        _ => Refusal::Failed,
    }
}
