// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk as others see it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{Future, poll_fn, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use spin::{Mutex, MutexGuard};
use xen::ring::Violation;

use super::job::{Job, Operation};
use super::name;
use super::server::Server;
use super::state::{Round, State};
use crate::block::{Buffer, Disk, Error, Failed, Geometry, Request, Submission};
use crate::hal::Platform;

/// A paravirtual disk.
///
/// It outlives its backend: requests that the backend has not answered when it goes are done by the
/// one that comes after it. Only when none comes, they fail.
pub struct Vbd<'p, P: Platform> {
    platform: &'p P,
    number: u32,
    name: String,
    state: Mutex<State<'p, P>>,
}

impl<'p, P: Platform> Vbd<'p, P> {
    /// The disk of this number, the last part of the frontend's directory.
    pub fn new(platform: &'p P, number: u32) -> Self {
        Self::with_queues(platform, number, 1)
    }

    /// The same of up to so many queues.
    pub fn with_queues(platform: &'p P, number: u32, queues: u32) -> Self {
        Self { platform, number, name: name::name(number), state: Mutex::new(State::new(queues)) }
    }

    /// The number that the toolstack gave it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Ready when the disk works, or is known not to. One task waits at a time.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(
            |context| {
                if self.state().is_settled(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
    }

    /// Requests that the backend has not answered.
    pub fn in_flight(&self) -> usize {
        self.state().all_in_flight()
    }

    /// Serves queue `queue` of those that the backend may have: to be run on the vCPU of that number,
    /// until the disk is [retired](Self::retire). Queue 0 is [`Front`](super::Front)'s own.
    pub async fn serve(&self, queue: usize, poll: Duration) {
        Server::new(self, queue, poll).run().await;
    }

    /// Ends those who serve queues, for good.
    pub fn retire(&self) {
        let wakers = self.state().retire();
        wakers.into_iter().for_each(core::task::Waker::wake);
    }

    /// Fails all requests, also those to come, until the disk is connected anew.
    pub fn fail(&self, error: Error) {
        let mut round = Round::default();
        self.state().fail(error, &mut round);
        round.wakers.into_iter().for_each(core::task::Waker::wake);
    }

    pub(super) fn platform(&self) -> &'p P {
        self.platform
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<'p, P>> {
        self.state.lock()
    }

    /// Takes answers and sends requests; whoever waited is woken.
    pub(super) fn round(&self, queue: usize) -> Result<Round, Violation> {
        let mut round = Round::default();
        let done = self.state().round(queue, &mut round);
        round.wakers.drain(..).for_each(core::task::Waker::wake);
        done.map(|()| round)
    }

    /// Ready when there is something to do that [`round`](Self::round) has not seen.
    pub(super) fn work(&self, queue: usize) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(
            move |context| {
                if self.state().has_work(queue, context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
    }

    /// Ready when the backend has broken the protocol on one of the queues.
    pub(super) fn accused(&self) -> impl Future<Output = Violation> + Send + '_ {
        poll_fn(|context| self.state().accused(context.waker()).map_or(Poll::Pending, Poll::Ready))
    }

    /// Has it looked at that the backend has broken the protocol.
    pub(super) fn accuse(&self) {
        let waker = self.state().judge();
        waker.into_iter().for_each(core::task::Waker::wake);
    }

    fn start(&self, request: Request<P::Page>) -> Result<Ticket<'_, 'p, P>, Failed<P::Page>> {
        let job = job(request);
        let mut state = self.state();
        if let Some(error) = state.down {
            return Err(failed(job, error));
        }
        let added = state.add(job, self.platform.vcpu());
        drop(state);
        match added {
            Ok((job, waker)) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                Ok(Ticket { vbd: self, job: Some(job) })
            }
            Err(job) => Err(failed(job, Error::NoMemory)),
        }
    }
}

impl<P: Platform> Disk<P::Page> for Vbd<'_, P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn geometry(&self) -> Geometry {
        self.state().geometry()
    }

    fn submit(&self, request: Request<P::Page>) -> Submission<'_, P::Page> {
        let (geometry, down) = {
            let state = self.state();
            (state.geometry(), state.down)
        };
        let request = match (down, request.checked(&geometry)) {
            (None, Ok(request)) => request,
            (None, Err(failed)) => return Box::pin(ready(Err(failed))),
            (Some(error), Ok(request)) => return Box::pin(ready(Err(request.failed(error)))),
            (Some(error), Err(failed)) => return Box::pin(ready(Err(Failed { error, ..failed }))),
        };
        if let Request::Read { buffer, .. } | Request::Write { buffer, .. } = &request
            && buffer.is_empty()
        {
            return Box::pin(ready(Ok(Buffer::empty())));
        }
        match self.start(request) {
            Ok(ticket) => Box::pin(ticket),
            Err(failed) => Box::pin(ready(Err(failed))),
        }
    }
}

fn job<P: xen::grant::Page>(request: Request<P>) -> Job<P> {
    let transfer = |operation, offset, buffer: Buffer<P>| {
        let content = buffer.content();
        let (pages, length) = buffer.into_pages();
        Job::new(operation, offset, pages, length as u64).holding(content)
    };
    match request {
        Request::Read { offset, buffer } => transfer(Operation::Read, offset, buffer),
        Request::Write { offset, buffer } => transfer(Operation::Write, offset, buffer),
        Request::Flush => Job::new(Operation::Flush, 0, Vec::new(), 0),
        Request::Discard { offset, length, how } => {
            Job::new(Operation::Discard(how), offset, Vec::new(), length)
        }
    }
}

/// A job that was never begun.
fn failed<P: xen::grant::Page>(job: Job<P>, error: Error) -> Failed<P> {
    let buffer = job.into_result().unwrap_or_else(|(_, buffer)| buffer);
    Failed { buffer, error }
}

/// A job that somebody waits for.
struct Ticket<'v, 'p, P: Platform> {
    vbd: &'v Vbd<'p, P>,
    /// `None` when its result was given out.
    job: Option<usize>,
}

impl<P: Platform> Future for Ticket<'_, '_, P> {
    type Output = Result<Buffer<P::Page>, Failed<P::Page>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let nothing = || Failed { buffer: Buffer::empty(), error: Error::Gone };
        let Some(index) = self.job else { return Poll::Ready(Err(nothing())) };
        let mut state = self.vbd.state();
        let Some(job) = state.jobs.get_mut(index) else { return Poll::Ready(Err(nothing())) };
        if !job.is_finished() {
            job.wait(context.waker());
            return Poll::Pending;
        }
        let job = state.jobs.remove(index);
        drop(state);
        self.job = None;
        let result = job.map_or_else(|| Err((Error::Gone, Buffer::empty())), Job::into_result);
        Poll::Ready(result.map_err(|(error, buffer)| Failed { buffer, error }))
    }
}

impl<P: Platform> Drop for Ticket<'_, '_, P> {
    fn drop(&mut self) {
        let Some(index) = self.job else { return };
        let mut state = self.vbd.state();
        let Some(job) = state.jobs.get_mut(index) else { return };
        // Waker and pages are dropped without the lock.
        let waker = job.abandon();
        let job = if job.is_finished() { state.jobs.remove(index) } else { None };
        drop(state);
        drop((waker, job));
    }
}
