// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's half of the handshake.
//!
//! ```text
//!    New --(1)--> Offering --(2)--> Waiting --(3)--> Connecting --(4)--> Connected
//!                    ^  |              |                 |    |             |   |
//!                    |  +------(5)-----+------(6)--------+   (7)     +-(7)--+  (8)
//!                   (9)                v                      |      |      |   |
//!                 Closed <------------------(10)----------- Closing <+------|---+
//!                      ^----------------------------------------------(6)---+
//!
//!    any --(11), (12)--> Removed
//!
//!       when                                              then
//!   (1) start                                             offer: what there is to serve
//!   (2) that is done                                      write InitWait, and what it is like
//!   (3) the frontend has published its rings              connect: read its keys, map the rings
//!   (4) that is done                                      write Connected, and what it is like;
//!                                                         serve
//!   (5) we fail, or waited too long                       write Closing, Closed
//!   (6) the frontend has let go, vanished, or started     stop, release, write Closed
//!       again
//!   (7) we fail, or waited too long                       stop, release, write Closing
//!   (8) the frontend is Closing, or the toolstack wants   write Closing, serve on: the frontend
//!       the device removed                                may have something left to write
//!   (9) the frontend starts again, and we had a rest      as (1)
//!  (10) the frontend has let go, vanished, or started     stop, release, write Closed
//!       again; or does not in time
//!  (11) the toolstack wants the device removed, and       write Closed, remove the directory
//!       nothing is shared (any more)
//!  (12) our directory is gone                             stop, release
//!  (13) while Connected, the device has changed           write Connected, and what it is like; serve
//! ```
//!
//! The frontend is in no step believed to be where it should be. A state that it jumps to, or back to, is one
//! of three: it has published its rings, it is closing, or it has let go. If it has let go, nothing is shared
//! any more before anything else happens.
//!
//! A frontend that closes by itself has all the time it wants, as it may still use the device; if the
//! toolstack, or we, want it to, it has a limit.

use alloc::vec::Vec;

use super::super::state::State;

/// Where the backend stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has happened yet.
    New,
    /// The driver finds out what there is to serve.
    Offering,
    /// The frontend has to publish its rings.
    Waiting,
    /// The driver maps them.
    Connecting,
    /// The device works.
    Connected,
    /// The frontend has to let go. It may be served meanwhile.
    Closing,
    /// Nothing is shared.
    Closed,
    /// The directory is gone.
    Removed,
}

/// What happens to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It starts.
    Start,
    /// The frontend is in this state now; [`State::Unknown`] if its directory is gone, or says what makes no
    /// sense.
    Frontend(State),
    /// The toolstack wants the device removed (`online` is 0).
    Leave,
    /// The backend's directory is gone.
    Gone,
    /// [`Action::Offer`] is done.
    Offered,
    /// [`Action::Connect`] is done.
    Ready,
    /// The driver tells that the device is another one now, such as a disk that has grown.
    Changed,
    /// The driver has failed, or wants to stop.
    Close,
    /// The driver's work, or the wait for the frontend, has lasted too long.
    Timeout,
    /// There was a rest since [`Phase::Closed`] began: a frontend that starts again is served again.
    Rested,
}

/// What the backend has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Find out what there is to serve, and what it can do; then [`Event::Offered`].
    Offer,
    /// Write our state.
    Write(State),
    /// Read the frontend's keys, map its rings; then [`Event::Ready`].
    Connect,
    /// Do I/O, or go on with it.
    Serve,
    /// Stop I/O. What is in flight may still be at work.
    Stop,
    /// Finish what is in flight; unmap the rings.
    Release,
    /// Remove the directory.
    Remove,
}

/// The backend's half of the handshake, as a state machine.
///
/// ```
/// use xen::xenbus::State;
/// use xen::xenbus::backend::{Action, Event, Handshake, Phase};
///
/// let mut handshake = Handshake::new(State::Initialised);
/// assert_eq!(handshake.step(Event::Start), [Action::Offer]);
/// assert_eq!(handshake.step(Event::Offered), [Action::Write(State::InitWait)]);
/// assert_eq!(handshake.step(Event::Frontend(State::Initialised)), [Action::Connect]);
/// assert_eq!(handshake.step(Event::Ready), [Action::Write(State::Connected), Action::Serve]);
///
/// // A frontend that starts again, without a word.
/// assert_eq!(
///     handshake.step(Event::Frontend(State::Initialising)),
///     [Action::Stop, Action::Release, Action::Write(State::Closed)],
/// );
/// assert_eq!(handshake.step(Event::Rested), [Action::Offer]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    phase: Phase,
    frontend: State,
    /// The state in which a frontend of this kind has published its rings.
    published: State,
    /// Whether the toolstack wants the device removed.
    leaving: bool,
    /// Whether the driver has anything of the frontend's.
    shared: bool,
    /// Whether there was a rest since the device was closed.
    rested: bool,
}

impl Handshake {
    /// A backend whose frontends have published their rings in state `published`, or if they are Connected.
    pub fn new(published: State) -> Self {
        Self {
            phase: Phase::New,
            frontend: State::Unknown,
            published,
            leaving: false,
            shared: false,
            rested: false,
        }
    }

    /// Where the backend stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The frontend's state, as it was told of last.
    pub fn frontend(&self) -> State {
        self.frontend
    }

    /// Whether the present phase is one that has to end: [`Event::Timeout`] ends it.
    pub fn is_limited(&self) -> bool {
        match self.phase {
            Phase::Offering | Phase::Connecting => true,
            Phase::Closing => self.leaving || !self.shared,
            Phase::New | Phase::Waiting | Phase::Connected | Phase::Closed | Phase::Removed => false,
        }
    }

    /// Whether a frontend that starts again is not served yet: until [`Event::Rested`].
    pub fn is_resting(&self) -> bool {
        self.phase == Phase::Closed && !self.rested
    }

    /// Takes an event, and returns what to do now, in this order. Nothing to do means that work that was
    /// begun goes on.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Frontend(state) => self.frontend = state,
            Event::Leave if self.leaving => return actions, // told again
            Event::Leave => self.leaving = true,
            Event::Rested => self.rested = true,
            _ => {}
        }
        let mut event = Some(event);
        while let Some(phase) = self.transition(event.take(), &mut actions) {
            self.phase = phase;
        }
        actions
    }

    /// The transition that an event makes, or without one the states alone.
    fn transition(&mut self, event: Option<Event>, actions: &mut Vec<Action>) -> Option<Phase> {
        let fails = matches!(event, Some(Event::Close)) || event == Some(Event::Timeout) && self.is_limited();
        match self.phase {
            Phase::Removed => None,
            _ if event == Some(Event::Gone) => self.vanish(actions), // (12)
            Phase::New if event != Some(Event::Start) => None,
            Phase::New if self.leaving => remove(actions), // (11)
            Phase::New => Some(offer(actions)),            // (1)
            Phase::Closed if event == Some(Event::Leave) => remove(actions), // (11)
            Phase::Closed if self.leaving => {
                actions.push(Action::Remove); // (11)
                Some(Phase::Removed)
            }
            Phase::Closed => (self.rested && self.frontend == State::Initialising).then(|| offer(actions)), // (9)
            Phase::Offering | Phase::Waiting if self.leaving => remove(actions), // (11)
            Phase::Offering | Phase::Waiting if fails => {
                actions.push(Action::Write(State::Closing));
                self.close(actions) // (5)
            }
            Phase::Offering => (event == Some(Event::Offered)).then(|| wait(actions)), // (2)
            Phase::Waiting => self.has_published().then(|| self.connect(actions)),     // (3)
            Phase::Connecting if self.leaving => self.close(actions),                  // and then (11)
            Phase::Connecting | Phase::Connected if fails => {
                self.release(actions);
                actions.push(Action::Write(State::Closing)); // (7)
                Some(Phase::Closing)
            }
            Phase::Connecting if !self.has_published() => self.close(actions), // (6)
            Phase::Connecting => (event == Some(Event::Ready)).then(|| serve(actions)), // (4)
            Phase::Connected if self.is_using() && (self.leaving || !self.has_published()) => {
                actions.extend([Action::Write(State::Closing), Action::Serve]); // (8)
                Some(Phase::Closing)
            }
            Phase::Connected if self.has_published() => {
                (event == Some(Event::Changed)).then(|| serve(actions)) // (13)
            }
            Phase::Connected => self.close(actions), // (6)
            Phase::Closing if !self.is_using() || fails && self.is_limited() => self.close(actions), // (10)
            Phase::Closing if fails => {
                self.release(actions); // (7), while the frontend was closing
                None
            }
            Phase::Closing => {
                if matches!(event, Some(Event::Leave | Event::Changed)) && self.shared {
                    actions.push(Action::Serve); // from now on with a limit, or as before
                }
                None
            }
        }
    }

    /// Whether the frontend says that its rings are there.
    fn has_published(&self) -> bool {
        self.frontend == self.published || self.frontend.is_connected()
    }

    /// Whether the frontend may still use its rings.
    fn is_using(&self) -> bool {
        self.has_published() || self.frontend == State::Closing
    }

    fn connect(&mut self, actions: &mut Vec<Action>) -> Phase {
        self.shared = true;
        actions.push(Action::Connect);
        Phase::Connecting
    }

    fn release(&mut self, actions: &mut Vec<Action>) {
        if core::mem::take(&mut self.shared) {
            actions.extend([Action::Stop, Action::Release]);
        }
    }

    fn close(&mut self, actions: &mut Vec<Action>) -> Option<Phase> {
        self.release(actions);
        self.rested = false;
        actions.push(Action::Write(State::Closed));
        Some(Phase::Closed)
    }

    fn vanish(&mut self, actions: &mut Vec<Action>) -> Option<Phase> {
        self.release(actions);
        Some(Phase::Removed)
    }
}

fn offer(actions: &mut Vec<Action>) -> Phase {
    actions.push(Action::Offer);
    Phase::Offering
}

fn wait(actions: &mut Vec<Action>) -> Phase {
    actions.push(Action::Write(State::InitWait));
    Phase::Waiting
}

fn serve(actions: &mut Vec<Action>) -> Phase {
    actions.extend([Action::Write(State::Connected), Action::Serve]);
    Phase::Connected
}

fn remove(actions: &mut Vec<Action>) -> Option<Phase> {
    actions.extend([Action::Write(State::Closed), Action::Remove]);
    Some(Phase::Removed)
}
