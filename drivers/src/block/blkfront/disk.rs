// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk that applications use.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{Future, poll_fn, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use spin::{Mutex, MutexGuard};
use xen::ring::Violation;

use super::name;
use super::pending_request::{Operation, PendingRequest};
use super::queue_worker::QueueWorker;
use super::state::{Processed, State};
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

    /// The same with up to `queues` queues.
    pub fn with_queues(platform: &'p P, number: u32, queues: u32) -> Self {
        Self { platform, number, name: name::name(number), state: Mutex::new(State::new(queues)) }
    }

    /// The number that the toolstack gave it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Waits until the disk works, or is known not to. One task waits at a time.
    pub fn probed(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(
            |context| {
                if self.state().is_probed(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.state().all_in_flight()
    }

    /// Keeps requests from the backend, those that are waiting and those to come, or no longer does: before
    /// the domain is suspended, none may be in flight.
    pub fn hold(&self, held: bool) {
        let wakers = self.state().hold(held);
        wakers.into_iter().for_each(core::task::Waker::wake);
    }

    /// Serves queue `queue` of those that the backend may have: to be run on the vCPU of that number,
    /// until the disk is [retired](Self::retire). Queue 0 is [`BlkFront`](super::BlkFront)'s own.
    pub async fn serve(&self, queue: usize, poll: Duration) {
        QueueWorker::new(self, queue, poll).run().await;
    }

    /// Ends the workers of its queues, for good.
    pub fn retire(&self) {
        let wakers = self.state().retire();
        wakers.into_iter().for_each(core::task::Waker::wake);
    }

    /// Fails all requests, also those to come, until the disk is connected anew.
    pub fn fail(&self, error: Error) {
        let mut processed = Processed::default();
        self.state().fail(error, &mut processed);
        processed.wakers.into_iter().for_each(core::task::Waker::wake);
    }

    pub(super) fn platform(&self) -> &'p P {
        self.platform
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<'p, P>> {
        self.state.lock()
    }

    /// Takes responses and sends requests; the tasks whose requests are finished are woken.
    pub(super) fn process_queue(&self, queue: usize) -> Result<Processed, Violation> {
        let mut processed = Processed::default();
        let done = self.state().process_queue(queue, &mut processed);
        processed.wakers.drain(..).for_each(core::task::Waker::wake);
        done.map(|()| processed)
    }

    /// Ready when there is something to do that [`process_queue`](Self::process_queue) has not seen.
    pub(super) fn work(&self, queue: usize) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(
            move |context| {
                if self.state().has_work(queue, context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
    }

    /// Ready when the backend has broken the protocol on one of the queues.
    pub(super) fn violation(&self) -> impl Future<Output = Violation> + Send + '_ {
        poll_fn(|context| self.state().violation(context.waker()).map_or(Poll::Pending, Poll::Ready))
    }

    /// Wakes the frontend, as the backend has broken the protocol.
    pub(super) fn report_violation(&self) {
        let waker = self.state().take_violation_waker();
        waker.into_iter().for_each(core::task::Waker::wake);
    }

    fn start(&self, request: Request<P::Page>) -> Result<SubmittedRequest<'_, 'p, P>, Failed<P::Page>> {
        let request = pending(request);
        let mut state = self.state();
        if let Some(error) = state.down {
            return Err(failed(request, error));
        }
        let added = state.add(request, self.platform.vcpu());
        drop(state);
        match added {
            Ok((request, waker)) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                Ok(SubmittedRequest { vbd: self, request: Some(request) })
            }
            Err(request) => Err(failed(request, Error::NoMemory)),
        }
    }
}

impl<P: Platform> Disk<P::Page> for Vbd<'_, P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &'static str {
        "blkfront"
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
            Ok(submitted) => Box::pin(submitted),
            Err(failed) => Box::pin(ready(Err(failed))),
        }
    }
}

fn pending<P: xen::grant::Page>(request: Request<P>) -> PendingRequest<P> {
    let transfer = |operation, offset, buffer: Buffer<P>| {
        let content = buffer.content();
        let (pages, length) = buffer.into_pages();
        PendingRequest::new(operation, offset, pages, length as u64).holding(content)
    };
    match request {
        Request::Read { offset, buffer } => transfer(Operation::Read, offset, buffer),
        Request::Write { offset, buffer } => transfer(Operation::Write, offset, buffer),
        Request::Flush => PendingRequest::new(Operation::Flush, 0, Vec::new(), 0),
        Request::Discard { offset, length, how } => {
            PendingRequest::new(Operation::Discard(how), offset, Vec::new(), length)
        }
    }
}

/// The result of a request that was never begun.
fn failed<P: xen::grant::Page>(request: PendingRequest<P>, error: Error) -> Failed<P> {
    let buffer = request.into_result().unwrap_or_else(|(_, buffer)| buffer);
    Failed { buffer, error }
}

/// A request that was submitted: the future of its result.
struct SubmittedRequest<'v, 'p, P: Platform> {
    vbd: &'v Vbd<'p, P>,
    /// `None` once the result was taken.
    request: Option<usize>,
}

impl<P: Platform> Future for SubmittedRequest<'_, '_, P> {
    type Output = Result<Buffer<P::Page>, Failed<P::Page>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let nothing = || Failed { buffer: Buffer::empty(), error: Error::Gone };
        let Some(index) = self.request else { return Poll::Ready(Err(nothing())) };
        let mut state = self.vbd.state();
        let Some(request) = state.requests.get_mut(index) else { return Poll::Ready(Err(nothing())) };
        if !request.is_finished() {
            request.wait(context.waker());
            return Poll::Pending;
        }
        let request = state.requests.remove(index);
        drop(state);
        self.request = None;
        let result = request.map_or_else(|| Err((Error::Gone, Buffer::empty())), PendingRequest::into_result);
        Poll::Ready(result.map_err(|(error, buffer)| Failed { buffer, error }))
    }
}

impl<P: Platform> Drop for SubmittedRequest<'_, '_, P> {
    fn drop(&mut self) {
        let Some(index) = self.request else { return };
        let mut state = self.vbd.state();
        let Some(request) = state.requests.get_mut(index) else { return };
        // Waker and pages are dropped without the lock.
        let waker = request.abandon();
        let request = if request.is_finished() { state.requests.remove(index) } else { None };
        drop(state);
        drop((waker, request));
    }
}
