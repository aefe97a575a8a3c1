// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network interface: what the network stack and the task that talks to the backend share.

use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};

use spin::{Mutex, MutexGuard};

use super::error::Error;
use super::link::{Events, Link};
use super::offer::Properties;
use crate::platform::Platform;

/// A network interface, connected or not. It outlives the devices that it is connected to.
pub struct Interface<'k, K: Platform> {
    state: Mutex<State<'k, K>>,
}

/// What has gone through an interface, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets handed to the stack.
    pub received: u64,
    /// Packets received with a wrong checksum, and dropped.
    pub damaged: u64,
    /// Packets that the stack sent.
    pub sent: u64,
    /// Packets that the stack sent while there was no backend, and that are lost.
    pub lost: u64,
    /// Parts of packets that the backend says it could not send.
    pub failed: u64,
    /// Times that the interface was connected.
    pub connections: u64,
}

/// What the lock guards.
pub(super) struct State<'k, K: Platform> {
    pub(super) link: Option<Link<'k, K>>,
    pub(super) properties: Option<Properties>,
    pub(super) counters: Counters,
    /// What the stack found wrong with the backend.
    pub(super) error: Option<Error>,
    /// The stack put something into a ring.
    pub(super) unpublished: bool,
    /// The stack waits for room to send.
    pub(super) is_full: bool,
    pub(super) stack: Option<Waker>,
    driver: Option<Waker>,
    arrival: Option<Waker>,
}

impl<'k, K: Platform> Interface<'k, K> {
    /// An interface that is not connected.
    pub fn new() -> Self {
        let state = State {
            link: None,
            properties: None,
            counters: Counters::default(),
            error: None,
            unpublished: false,
            is_full: false,
            stack: None,
            driver: None,
            arrival: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// What has gone through it.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// Waits until it is connected, and returns what is known of it then. One task waits at a time.
    pub fn connected(&self) -> impl Future<Output = Properties> + Send + '_
    where
        K: 'k,
    {
        poll_fn(|context| {
            let mut state = self.state();
            match (&state.link, state.properties) {
                (Some(_), Some(properties)) => Poll::Ready(properties),
                _ => {
                    state.arrival = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<'k, K>> {
        self.state.lock()
    }

    /// Connects it.
    pub(super) fn connect(&self, link: Link<'k, K>, properties: Properties) {
        let mut state = self.state();
        state.counters.connections += 1;
        state.properties = Some(properties);
        state.link = Some(link);
        state.error = None;
        // Pages to receive into have been put into the ring.
        state.unpublished = true;
        let wakers = [state.stack.take(), state.arrival.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Disconnects it, and returns what it was connected with.
    pub(super) fn disconnect(&self) -> Option<Link<'k, K>> {
        let mut state = self.state();
        let link = state.link.take();
        if let Some(link) = &link {
            state.counters.failed += link.failed();
        }
        state.is_full = false;
        let stack = state.stack.take();
        drop(state);
        stack.into_iter().for_each(Waker::wake);
        link
    }

    /// Shows the backend what the stack did, and the stack what the backend did. Returns the events
    /// that the backend wants, or needs, at time `now` in nanoseconds.
    ///
    /// # Errors
    ///
    /// [`Error`] if the backend broke the protocol.
    pub(super) fn exchange(&self, now: u64) -> Result<Events, Error> {
        let mut state = self.state();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        state.unpublished = false;
        let is_full = state.is_full;
        let Some(link) = &mut state.link else { return Ok(Events::default()) };
        let mut events = link.publish();
        events.transmit |= link.is_ignored(now);
        let news = link.has_news(is_full)?;
        let stack = if news { state.stack.take() } else { None };
        drop(state);
        stack.into_iter().for_each(Waker::wake);
        Ok(events)
    }

    /// Waits until the stack has done something.
    pub(super) fn stack_work(&self) -> impl Future<Output = ()> + Send + '_
    where
        K: 'k,
    {
        poll_fn(|context| {
            let mut state = self.state();
            if state.unpublished || state.error.is_some() {
                return Poll::Ready(());
            }
            state.driver = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl<K: Platform> Default for Interface<'_, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Platform> State<'_, K> {
    /// Has the driver's task publish what was put into the rings, once the stack is done.
    pub(super) fn call_driver(&mut self) -> Option<Waker> {
        self.unpublished = true;
        self.driver.take()
    }

    /// Has the driver's task give the backend up.
    pub(super) fn fail(&mut self, error: Error) -> Option<Waker> {
        self.error = Some(error);
        self.driver.take()
    }
}
