// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection that all handles share, and a request on it.

use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};

use spin::Mutex;

use super::calls::Owner;
use super::error::Result;
use super::request::Request;
use super::ring::Ring;
use super::state::{Number, State};

/// A [`State`] behind a lock that is held for moments only.
pub(super) struct Connection {
    state: Mutex<State>,
    /// Times that the domain was restored.
    restores: AtomicU64,
}

impl Connection {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), restores: AtomicU64::new(0) }
    }

    /// Times that the domain was restored.
    pub(super) fn restores(&self) -> u64 {
        self.restores.load(Ordering::Acquire)
    }

    /// Goes on with another page.
    pub(super) fn restore(&self, ring: Ring) {
        // First: who is woken looks.
        self.restores.fetch_add(1, Ordering::Release);
        self.with(|state, wakers| state.restore(ring, wakers));
    }

    /// Does something with the state, then wakes whom that concerns; a waker may do anything, so
    /// the lock is open by then. Nor is any dropped before.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State, &mut Vec<Waker>) -> T) -> T {
        let mut wakers = Vec::new();
        let result = act(&mut self.state.lock(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Queues a request.
    pub(super) fn call(&self, transaction: Option<Number>, request: Request<'_>) -> Result<Call<'_>> {
        let payload = request.payload()?;
        let id = self.with(|state, wakers| {
            state.submit(Owner::Task(None), transaction, request.kind(), &payload, wakers)
        })?;
        Ok(Call { connection: self, id: Some(id), resets: 0 })
    }
}

/// A request that was made: the answer's payload, in time. Dropping it frees its place, and the
/// answer is dropped when it comes.
pub(super) struct Call<'c> {
    connection: &'c Connection,
    /// `None` when the answer was fetched.
    id: Option<u32>,
    /// Times that the connection had started anew when the answer was fetched.
    pub(super) resets: u64,
}

impl Future for Call<'_> {
    type Output = Result<Vec<u8>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else { return Poll::Pending };
        let (answer, resets) = self
            .connection
            .with(|state, wakers| (state.poll_call(id, context.waker(), wakers), state.counters().resets));
        self.resets = resets;
        if answer.is_ready() {
            self.id = None;
        }
        answer
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // The waker is dropped here, not under the lock: it may drop a task.
            drop(self.connection.with(|state, wakers| state.cancel(id, wakers)));
        }
    }
}
