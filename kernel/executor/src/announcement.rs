// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling all tasks that wait that something has happened.

use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

/// Something that happens again and again.
#[derive(Debug)]
pub struct Announcement<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// How often it has happened, and how the last time.
    count: u64,
    last: Option<T>,
    /// Who waits, each under a number of its own.
    waiting: Vec<(u64, Waker)>,
    /// The waits that there have ever been.
    waits: u64,
}

impl<T: Copy> Default for Announcement<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Announcement<T> {
    /// It has not happened.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { count: 0, last: None, waiting: Vec::new(), waits: 0 }) }
    }

    /// It has happened: wakes all tasks that wait.
    pub fn announce(&self, what: T) {
        let mut state = self.state.lock();
        state.count += 1;
        state.last = Some(what);
        let waiting = core::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Waits until it happens the next time, from the call on.
    pub fn next(&self) -> Next<'_, T> {
        Next { announcement: self, heard: self.state.lock().count, number: None }
    }
}

/// A wait for an [`Announcement`].
#[derive(Debug)]
#[must_use = "waits only while it is awaited"]
pub struct Next<'a, T> {
    announcement: &'a Announcement<T>,
    heard: u64,
    /// Its number among the waits, once it waits.
    number: Option<u64>,
}

impl<T: Copy> Future for Next<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.announcement.state.lock();
        if let Some(last) = state.last.filter(|_| state.count != self.heard) {
            return Poll::Ready(last);
        }
        let own = self.number;
        match state.waiting.iter_mut().find(|(number, _)| Some(*number) == own) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                let number = state.waits;
                state.waits += 1;
                state.waiting.push((number, context.waker().clone()));
                drop(state);
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Next<'_, T> {
    fn drop(&mut self) {
        let Some(own) = self.number else { return };
        let mut state = self.announcement.state.lock();
        let index = state.waiting.iter().position(|(number, _)| *number == own);
        let waker = index.map(|index| state.waiting.swap_remove(index));
        // The waker is dropped here, not under the lock: it may drop a task.
        drop(state);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::pin::pin;
    use std::sync::Arc;

    use super::*;
    use crate::woken::Count;

    #[test]
    fn all_who_wait_hear_it_once_each_time() {
        let (news, task) = (Announcement::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&task));
        let context = &mut Context::from_waker(&waker);
        for round in 1..4 {
            let mut first = pin!(news.next());
            let mut second = pin!(news.next());
            for _ in 0..2 {
                assert!(first.as_mut().poll(context).is_pending());
                assert!(second.as_mut().poll(context).is_pending());
            }
            news.announce(round);
            assert_eq!(task.get(), 2 * round);
            assert_eq!(first.poll(context), Poll::Ready(round));
            assert_eq!(second.poll(context), Poll::Ready(round));
        }
    }

    #[test]
    fn what_happens_before_the_first_look_is_not_missed_and_what_was_before_is_not_heard() {
        let (news, context) = (Announcement::new(), &mut Context::from_waker(Waker::noop()));
        news.announce(1);
        let mut next = pin!(news.next());
        news.announce(2);
        assert_eq!(next.as_mut().poll(context), Poll::Ready(2));
        assert!(pin!(news.next()).poll(context).is_pending());
    }

    #[test]
    fn a_wait_that_is_dropped_leaves_nothing() {
        let (news, task) = (Announcement::<()>::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&task));
        assert!(pin!(news.next()).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
