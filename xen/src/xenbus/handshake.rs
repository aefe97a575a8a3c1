// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frontend's half of the handshake.
//!
//! ```text
//!    New --(1)--> Waiting --(4)--> Publishing --(5)--> Published --(6)--> Connecting --(7)--> Connected
//!     |             ^  |               |                   |                  |                  |
//!    (2)           (3) |               +-------------------+--------(8)-------+------------------+
//!     |             |  |                                    |
//!     +--> Resetting+  |                                 Closing
//!              |       |                                    |
//!              |      (9)                                 (10)
//!              |       |                                    |
//!              +--(9)--+------------> Closed <--------------+     Closed --(11)--> as from New
//!
//!       when                                              then
//!   (1) start; our state is one to start from             write Initialising
//!   (2) start; our state is left from a former life       write Closed
//!   (3) the backend has let go of what that life shared   write Initialising
//!   (4) the backend offers: InitWait, or what follows it  publish: rings, keys
//!   (5) that is done                                      write Initialised, or what the driver
//!                                                         says in place of it
//!   (6) the backend is Connected                          connect: read its properties
//!   (7) that is done                                      write Connected, serve
//!   (8) the backend leaves, vanishes or starts again;     stop, write Closing, write Closed
//!       we fail, want to stop, or waited too long
//!   (9) the backend is gone; we want to stop, or          write Closed
//!       waited too long
//!  (10) the backend has let go, or does not in time       release: rings, grants
//!  (11) retry                                             as (1); as (2) if the backend still
//!                                                         has what we shared
//! ```
//!
//! A transition that is possible at once is made at once: if the backend is Connected before we
//! have published, (6) follows (5).

use alloc::vec::Vec;

use super::state::State;

/// Where the frontend stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has happened yet.
    New,
    /// A former life of ours is being closed.
    Resetting,
    /// The backend has to say what it can do.
    Waiting,
    /// The driver makes rings and tells the backend.
    Publishing,
    /// The backend has to connect.
    Published,
    /// The driver reads what the device is like.
    Connecting,
    /// The device works.
    Connected,
    /// The backend has to let go of our rings.
    Closing,
    /// Nothing is shared.
    Closed,
}

/// What happens to the frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It starts.
    Start,
    /// The backend is in this state now; [`State::Unknown`] if its directory is gone.
    Backend(State),
    /// [`Action::Publish`] is done.
    Published,
    /// [`Action::Connect`] is done.
    Ready,
    /// The driver has failed, or wants to stop.
    Close,
    /// The wait for the backend, or the driver's work, has lasted too long.
    Timeout,
    /// Start again, after [`Phase::Closed`].
    Retry,
}

/// What the frontend has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write our state.
    Write(State),
    /// Read what the backend can do, make rings, write what it needs to know of them; then
    /// [`Event::Published`].
    Publish,
    /// Read what the device is like; then [`Event::Ready`].
    Connect,
    /// Do I/O.
    Serve,
    /// Stop I/O: fail what is in flight. The backend may still touch the rings.
    Stop,
    /// End the grants and free the rings.
    Release,
}

/// The frontend's half of the handshake, as a state machine.
///
/// ```
/// use xen::xenbus::{Action, Event, Handshake, Phase, State};
///
/// let mut handshake = Handshake::new(State::Initialising, State::InitWait);
/// assert_eq!(handshake.step(Event::Start), [Action::Write(State::Initialising), Action::Publish]);
/// assert_eq!(handshake.step(Event::Published), [Action::Write(State::Initialised)]);
/// assert_eq!(handshake.step(Event::Backend(State::Connected)), [Action::Connect]);
/// assert_eq!(handshake.step(Event::Ready), [Action::Write(State::Connected), Action::Serve]);
/// assert_eq!(handshake.phase(), Phase::Connected);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    phase: Phase,
    /// Our state as it was found in xenstore.
    found: State,
    backend: State,
}

impl Handshake {
    /// A frontend whose own state was found to be `found`, and the backend's `backend`.
    pub fn new(found: State, backend: State) -> Self {
        Self { phase: Phase::New, found, backend }
    }

    /// Where the frontend stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The backend's state, as it was told of last.
    pub fn backend(&self) -> State {
        self.backend
    }

    /// Whether the present phase is one that has to end: [`Event::Timeout`] ends it.
    pub fn is_limited(&self) -> bool {
        !matches!(self.phase, Phase::New | Phase::Connected | Phase::Closed)
    }

    /// Takes an event, and returns what to do now, in this order. Nothing to do means that the
    /// phase has not changed, and work that was begun goes on.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        if let Event::Backend(state) = event {
            self.backend = state;
        }
        let mut actions = Vec::new();
        let mut event = Some(event);
        while let Some((phase, more)) = self.transition(event.take()) {
            self.phase = phase;
            actions.extend_from_slice(more);
        }
        actions
    }

    /// The transition that an event makes, or without one the backend's state alone.
    fn transition(&self, event: Option<Event>) -> Option<(Phase, &'static [Action])> {
        let closing = matches!(event, Some(Event::Close | Event::Timeout));
        match self.phase {
            Phase::New => (event == Some(Event::Start)).then(|| self.start(self.found)), // (1), (2)
            Phase::Resetting if closing => Some(GIVE_UP),                                // (9)
            Phase::Resetting => self.backend.has_let_go().then_some(START),              // (3)
            Phase::Waiting if self.backend == State::Unknown => Some(GIVE_UP),           // (9)
            Phase::Waiting if closing => Some(GIVE_UP),                                  // (9)
            Phase::Waiting => self.backend.is_offer().then_some(PUBLISH),                // (4)
            Phase::Publishing | Phase::Published if closing || !self.backend.is_offer() => Some(CLOSE), // (8)
            Phase::Connecting if closing || !self.backend.is_connected() => Some(CLOSE), // (8)
            Phase::Connected if event == Some(Event::Close) || !self.backend.is_connected() => Some(CLOSE), // (8)
            Phase::Publishing => (event == Some(Event::Published)).then_some(PUBLISHED), // (5)
            Phase::Published => self.backend.is_connected().then_some(CONNECT),          // (6)
            Phase::Connecting => (event == Some(Event::Ready)).then_some(CONNECTED),     // (7)
            Phase::Connected => None,
            Phase::Closing => {
                (self.backend.has_let_go() || event == Some(Event::Timeout)).then_some(RELEASE) // (10)
            }
            Phase::Closed => (event == Some(Event::Retry)).then(|| self.start(State::Closed)), // (11)
        }
    }

    /// How to start from a state of ours: at once if nothing is left of a former life, because the
    /// toolstack has just made the device, or because both sides have closed it.
    fn start(&self, from: State) -> Transition {
        match from {
            State::Unknown | State::Initialising => START,
            State::Closed if self.backend.has_let_go() => START,
            _ => RESET,
        }
    }
}

type Transition = (Phase, &'static [Action]);

const START: Transition = (Phase::Waiting, &[Action::Write(State::Initialising)]);
const RESET: Transition = (Phase::Resetting, &[Action::Write(State::Closed)]);
const GIVE_UP: Transition = (Phase::Closed, &[Action::Write(State::Closed)]);
const PUBLISH: Transition = (Phase::Publishing, &[Action::Publish]);
const PUBLISHED: Transition = (Phase::Published, &[Action::Write(State::Initialised)]);
const CONNECT: Transition = (Phase::Connecting, &[Action::Connect]);
const CONNECTED: Transition = (Phase::Connected, &[Action::Write(State::Connected), Action::Serve]);
const CLOSE: Transition =
    (Phase::Closing, &[Action::Stop, Action::Write(State::Closing), Action::Write(State::Closed)]);
const RELEASE: Transition = (Phase::Closed, &[Action::Release]);
