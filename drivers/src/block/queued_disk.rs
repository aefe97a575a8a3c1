// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks behind a controller that does one thing at a time: a task does their requests one after the other.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::{Future, poll_fn, ready};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::hal::Page;
use spin::Mutex;

use super::{Buffer, Disk, Error, Failed, Geometry, Request, Submission};

/// The outcome of a request.
type Outcome<P> = core::result::Result<Buffer<P>, Failed<P>>;

/// The requests to all disks of a controller, in order.
pub struct Queue<P: Page> {
    inner: Mutex<Inner<P>>,
}

struct Inner<P: Page> {
    waiting: VecDeque<(u8, Request<P>, Done<P>)>,
    worker: Option<Waker>,
}

impl<P: Page> Queue<P> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { inner: Mutex::new(Inner { waiting: VecDeque::new(), worker: None }) }
    }

    /// The next request, and the number of the disk that it is for. One task does all.
    pub fn next(&self) -> impl Future<Output = (u8, Request<P>, Done<P>)> + '_ {
        poll_fn(|context| {
            let mut inner = self.inner.lock();
            match inner.waiting.pop_front() {
                Some(next) => Poll::Ready(next),
                None => {
                    inner.worker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    /// Adds a request; it comes back if there is no memory for it.
    fn add(&self, disk: u8, request: Request<P>) -> core::result::Result<SubmittedRequest<P>, Failed<P>> {
        let slot = Arc::new(Slot { state: Mutex::new(State { outcome: None, waker: None }) });
        let worker = {
            let mut inner = self.inner.lock();
            if inner.waiting.try_reserve(1).is_err() {
                return Err(request.failed(Error::NoMemory));
            }
            inner.waiting.push_back((disk, request, Done { slot: Arc::clone(&slot) }));
            inner.worker.take()
        };
        if let Some(worker) = worker {
            worker.wake();
        }
        Ok(SubmittedRequest { slot })
    }
}

impl<P: Page> Default for Queue<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// The slot for the outcome of a request.
struct Slot<P: Page> {
    state: Mutex<State<P>>,
}

struct State<P: Page> {
    outcome: Option<Outcome<P>>,
    waker: Option<Waker>,
}

/// The obligation to complete a request. If it is dropped, the request fails with [`Error::Gone`].
pub struct Done<P: Page> {
    slot: Arc<Slot<P>>,
}

impl<P: Page> Done<P> {
    /// Completes the request with `outcome`.
    pub fn tell(self, outcome: Outcome<P>) {
        self.put(outcome);
    }

    fn put(&self, outcome: Outcome<P>) {
        let waker = {
            let mut state = self.slot.state.lock();
            state.outcome.get_or_insert(outcome);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<P: Page> Drop for Done<P> {
    fn drop(&mut self) {
        self.put(Err(Failed { buffer: Buffer::empty(), error: Error::Gone }));
    }
}

/// A request that was submitted: the future of its outcome.
struct SubmittedRequest<P: Page> {
    slot: Arc<Slot<P>>,
}

impl<P: Page> Future for SubmittedRequest<P> {
    type Output = Outcome<P>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.state.lock();
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A disk whose requests go to a [`Queue`].
pub struct QueuedDisk<P: Page> {
    name: String,
    driver: &'static str,
    number: u8,
    geometry: Geometry,
    queue: Arc<Queue<P>>,
}

impl<P: Page> QueuedDisk<P> {
    /// Disk `number` of those that are served from `queue`.
    pub fn new(name: String, number: u8, geometry: Geometry, queue: Arc<Queue<P>>) -> Self {
        Self { name, driver: "unknown", number, geometry, queue }
    }

    /// The same, of the driver with this name.
    #[must_use]
    pub fn driven_by(self, driver: &'static str) -> Self {
        Self { driver, ..self }
    }
}

impl<P: Page> Disk<P> for QueuedDisk<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &'static str {
        self.driver
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: Request<P>) -> Submission<'_, P> {
        let request = match request.checked(&self.geometry) {
            Ok(request) => request,
            Err(failed) => return Box::pin(ready(Err(failed))),
        };
        if let Request::Read { buffer, .. } | Request::Write { buffer, .. } = &request
            && buffer.is_empty()
        {
            return Box::pin(ready(Ok(Buffer::empty())));
        }
        match self.queue.add(self.number, request) {
            Ok(submitted) => Box::pin(submitted),
            Err(failed) => Box::pin(ready(Err(failed))),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Waker;

    use xen::fake::{FakePage, FakeXen};

    use super::*;

    const GEOMETRY: Geometry = Geometry {
        bytes: 4096,
        sector_size: 512,
        read_only: false,
        removable: false,
        optical: false,
        discards: false,
    };

    fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn served() -> (Arc<Queue<FakePage>>, QueuedDisk<FakePage>) {
        let queue = Arc::new(Queue::new());
        (Arc::clone(&queue), QueuedDisk::new("hda".into(), 1, GEOMETRY, queue))
    }

    #[test]
    fn a_request_is_done_by_the_worker_and_its_buffer_comes_back() {
        let xen = FakeXen::new();
        let (queue, disk) = served();
        let buffer = Buffer::new(512, || Some(xen.page())).unwrap();
        let mut read = disk.submit(Request::Read { offset: 0, buffer });
        assert!(poll(&mut read).is_pending());
        let Poll::Ready((number, request, done)) = poll(&mut pin!(queue.next())) else {
            panic!("no request arrived")
        };
        let Request::Read { buffer, .. } = request else { panic!("another request arrived") };
        done.tell(Ok(buffer));
        assert_eq!(number, 1);
        assert!(matches!(poll(&mut read), Poll::Ready(Ok(buffer)) if buffer.length() == 512));
    }

    #[test]
    fn a_worker_that_goes_away_leaves_no_task_waiting() {
        let (queue, disk) = served();
        let mut flush = disk.submit(Request::Flush);
        drop(poll(&mut pin!(queue.next())));
        assert!(matches!(poll(&mut flush), Poll::Ready(Err(Failed { error: Error::Gone, .. }))));
    }

    #[test]
    fn a_request_beyond_the_end_does_not_reach_the_worker() {
        let xen = FakeXen::new();
        let (queue, disk) = served();
        let buffer = Buffer::new(512, || Some(xen.page())).unwrap();
        let mut write = disk.submit(Request::Write { offset: 4096, buffer });
        assert!(matches!(poll(&mut write), Poll::Ready(Err(_))));
        assert!(poll(&mut pin!(queue.next())).is_pending());
    }
}
