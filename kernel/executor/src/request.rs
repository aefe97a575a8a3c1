// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request to the whole domain, which comes once, and the tasks that wait for it.

use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

/// A request that may be made once.
#[derive(Debug)]
pub struct Request<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    asked: Option<T>,
    waiting: Vec<Waiting>,
    /// The tasks that have ever waited.
    count: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    waker: Waker,
}

impl<T> Default for Request<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Request<T> {
    /// No request yet.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { asked: None, waiting: Vec::new(), count: 0 }) }
    }

    /// Waits for the request. Dropping the future ends the wait.
    pub fn wait(&self) -> Wait<'_, T> {
        Wait { request: self, number: None }
    }

    /// Requests `what`, and wakes all tasks that wait. Returns whether there were any.
    pub fn ask(&self, what: T) -> bool {
        let mut state = self.state.lock();
        state.asked = Some(what);
        let waiting = core::mem::take(&mut state.waiting);
        drop(state);
        let anybody = !waiting.is_empty();
        waiting.into_iter().for_each(|waiting| waiting.waker.wake());
        anybody
    }
}

impl<T: Copy> Request<T> {
    /// The request, if there was one.
    pub fn asked(&self) -> Option<T> {
        self.state.lock().asked
    }
}

/// A wait for a [`Request`].
#[derive(Debug)]
#[must_use = "waits only while it is awaited"]
pub struct Wait<'a, T> {
    request: &'a Request<T>,
    /// Its number among the waits, once it waits.
    number: Option<u64>,
}

impl<T> Future for Wait<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let request = self.request;
        let mut state = request.state.lock();
        if state.asked.is_some() {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let own = self.number;
        match state.waiting.iter_mut().find(|waiting| Some(waiting.number) == own) {
            Some(waiting) => waiting.waker.clone_from(waker),
            None => {
                let number = state.count;
                state.count += 1;
                state.waiting.push(Waiting { number, waker: waker.clone() });
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.request.state.lock().waiting.retain(|waiting| waiting.number != number);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::pin::pin;
    use std::sync::Arc;

    use super::*;
    use crate::woken::Count;

    fn poll(wait: Pin<&mut Wait<'_, u8>>, waker: &Arc<Count>) -> Poll<()> {
        wait.poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
    }

    #[test]
    fn a_waiting_task_is_woken_once_and_finds_the_request() {
        let (request, count) = (Request::new(), Arc::new(Count::default()));
        let mut wait = pin!(request.wait());
        assert!(poll(wait.as_mut(), &count).is_pending() && poll(wait.as_mut(), &count).is_pending());
        assert_eq!(request.asked(), None);
        assert!(request.ask(7));
        assert_eq!((count.get(), request.asked()), (1, Some(7)));
        assert!(poll(wait, &count).is_ready());
        assert!(poll(pin!(request.wait()), &count).is_ready(), "who comes late need not wait");
    }

    #[test]
    fn a_dropped_wait_does_not_count() {
        let (request, count) = (Request::new(), Arc::new(Count::default()));
        {
            let mut wait = pin!(request.wait());
            assert!(poll(wait.as_mut(), &count).is_pending());
        }
        assert!(!request.ask(7));
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_dropped_wait_leaves_other_waits_of_the_same_task() {
        let (request, count) = (Request::new(), Arc::new(Count::default()));
        let mut first = pin!(request.wait());
        assert!(poll(first.as_mut(), &count).is_pending());
        {
            let mut second = pin!(request.wait());
            assert!(poll(second.as_mut(), &count).is_pending());
        }
        assert!(request.ask(7));
        assert_eq!(count.get(), 1);
    }
}
