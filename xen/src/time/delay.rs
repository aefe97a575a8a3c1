// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting, which is up to the kernel, the first of two futures, and all of several.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

/// Can let time pass: what this library needs of a kernel's clock. Any function from a duration to
/// a future is one.
pub trait Delay: Sync {
    /// A future that is ready when `time` has passed.
    fn delay(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

impl<F, Wait> Delay for F
where
    F: Fn(Duration) -> Wait + Sync,
    Wait: Future<Output = ()> + Send,
{
    fn delay(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self(time)
    }
}

/// The first of two futures to be ready; the other is dropped. Of two that are ready, the first.
pub(crate) enum First<A, B> {
    One(A),
    Other(B),
}

/// Waits for the first of two futures.
pub(crate) async fn first<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> First<A, B> {
    let mut one = pin!(one);
    let mut other = pin!(other);
    poll_fn(|context| {
        if let Poll::Ready(value) = one.as_mut().poll(context) {
            return Poll::Ready(First::One(value));
        }
        other.as_mut().poll(context).map(First::Other)
    })
    .await
}

/// Waits for both of two futures, which are polled in this order, and gives what came of them.
pub(crate) async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let mut one = pin!(one);
    let mut other = pin!(other);
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(value) = one.as_mut().poll(context)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = other.as_mut().poll(context)
        {
            second = Some(value);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for all of several futures, which are polled in this order, and gives what came of them.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in pending.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
