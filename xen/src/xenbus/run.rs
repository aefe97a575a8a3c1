// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver's life with its backend.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::task::Poll;
use core::time::Duration;

use super::device::Device;
use super::handshake::{Action, Event, Handshake, Phase};
use super::limit::StepLimit;
use super::state::State;
use crate::time::{Delay, First, both, first};
use crate::xenstore::{self, Watch};

/// How often a connection is tried until it works.
const TRIES: u32 = 8;
/// The pause before it is tried again; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(100);

/// A driver of a paravirtual device.
///
/// The futures are dropped when the backend leaves or when they take too long; then come
/// [`stop`](Self::stop) and [`release`](Self::release), and after them perhaps
/// [`publish`](Self::publish) again.
pub trait Frontend: Send {
    /// Why a step failed.
    type Error: fmt::Display + Send;

    /// The state that says that rings are published: the one at which this kind of backend connects
    /// to them. Network backends know no [`Initialised`](State::Initialised) and wait for
    /// [`Connected`](State::Connected) (Linux's `drivers/net/xen-netback/xenbus.c`).
    const PUBLISHED: State = State::Initialised;

    /// Reads what the backend can do, makes the rings and tells the backend where they are.
    fn publish(&mut self, device: &Device) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Reads what the device is like, now that the backend has connected to the rings.
    fn connect(&mut self, device: &Device) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Does I/O until the driver wants to stop, or until the device has to be connected anew: an
    /// error.
    fn serve(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Stops I/O. The backend may still touch the rings and all that it was granted.
    fn stop(&mut self);

    /// Ends the grants and frees the rings. The backend says that it has let go of them, or has had its
    /// time; the driver may give it some more, within bounds of its own.
    fn release(&mut self) -> impl Future<Output = ()> + Send;

    /// In place of [`stop`](Self::stop) and [`release`](Self::release) after the domain was restored: there
    /// is no backend that could touch the rings, nor one to be asked.
    fn abandon(&mut self);
}

/// How a driver's life with its backend ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<E> {
    /// The driver wanted to stop.
    Stopped,
    /// The device was taken away, or has another backend now: open it again if it is there.
    Gone,
    /// The domain was restored: the device, if it is there, has a new backend that knows nothing of us. Open
    /// it again.
    Restored,
    /// It did not work, several times. This is what was wrong the last time.
    Failed(Failure<E>),
}

/// Why a connection did not work.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// Something took too long.
    Timeout {
        /// What it was.
        phase: Phase,
        /// Where the backend stood.
        backend: State,
    },
    /// The backend closed.
    Closed,
    /// The driver failed.
    Driver(E),
    /// There is no connection to xenstored.
    Xenstore(xenstore::Error),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { phase, backend } => {
                write!(f, "timed out while {phase:?}, with the backend {backend:?}; check the backend")
            }
            Self::Closed => {
                f.write_str("the backend closed the device during the handshake; check the backend")
            }
            Self::Driver(error) => error.fmt(f),
            Self::Xenstore(error) => error.fmt(f),
        }
    }
}

/// Connects `frontend` to its backend, serves it, and connects it again when the backend comes
/// back. Ends at once when the domain was restored.
///
/// Nothing but serving lasts longer than `limit`, which is to be the same for all devices of the domain, and
/// what the driver takes to release. A device that fails leaves a message in xenstore, at
/// `error/<frontend>/error`, and disturbs nobody else.
pub async fn run<F: Frontend>(
    device: &Device,
    frontend: &mut F,
    delay: &impl Delay,
    limit: &StepLimit,
) -> Ended<F::Error> {
    let mut life = Life {
        device,
        frontend,
        delay,
        limit,
        tries: TRIES,
        failure: None,
        stopped: false,
        serving: false,
        shared: false,
        reached: Vec::new(),
        written: State::Unknown,
    };
    let ended = match life.run().await {
        _ if device.is_of_former_life() => {
            life.forget();
            Ended::Restored
        }
        Ok(ended) => ended,
        Err(error) => {
            life.abandon().await;
            Ended::Failed(Failure::Xenstore(error))
        }
    };
    if let Ended::Failed(failure) = &ended {
        device.report(&format!("{failure}")).await;
    }
    ended
}

struct Life<'a, F: Frontend, D> {
    device: &'a Device,
    frontend: &'a mut F,
    delay: &'a D,
    limit: &'a StepLimit,
    tries: u32,
    failure: Option<Failure<F::Error>>,
    /// Whether the driver wanted to stop.
    stopped: bool,
    /// Whether the driver has yet to be told to stop.
    serving: bool,
    /// Whether the driver has something to release.
    shared: bool,
    /// The phases that the backend has brought us to.
    reached: Vec<Phase>,
    /// Our state as it stands in xenstore.
    written: State,
}

impl<F: Frontend, D: Delay> Life<'_, F, D> {
    async fn run(&mut self) -> xenstore::Result<Ended<F::Error>> {
        let device = self.device;
        match first(restored(device), self.live()).await {
            First::One(()) => Ok(Ended::Restored),
            First::Other(ended) => ended,
        }
    }

    async fn live(&mut self) -> xenstore::Result<Ended<F::Error>> {
        let device = self.device;
        // xenstored does these in this order: the watch tells what the backend does after its state was read.
        let (watch, states) =
            both(device.watch_backend(), both(device.own_state(), device.backend_state())).await;
        let (found, state) = (states.0?, states.1?);
        self.written = found;
        let mut backend = Backend { device, watch: watch?, changed: false };
        let mut handshake = Handshake::new(found, state);
        let mut actions = handshake.step(Event::Start);
        loop {
            let phase = handshake.phase();
            for action in &actions {
                self.perform(*action).await?;
            }
            if phase == Phase::Closed {
                if let Some(ended) = self.closed(handshake.backend()).await {
                    return Ok(ended);
                }
                handshake.step(Event::Backend(self.device.backend_state().await?));
                actions = handshake.step(Event::Retry);
                continue;
            }
            actions = self.wait(&mut handshake, &mut backend, actions.last().copied()).await?;
        }
    }

    /// What is done at once; the rest is [`work`].
    async fn perform(&mut self, action: Action) -> xenstore::Result<()> {
        match action {
            Action::Write(state @ (State::Closing | State::Closed)) => self.write_if_there(state).await,
            Action::Write(State::Initialised) => self.write(F::PUBLISHED).await,
            Action::Write(state) => self.write(state).await,
            Action::Publish => {
                (self.serving, self.shared) = (true, true);
                Ok(())
            }
            Action::Connect => Ok(()),
            Action::Serve => {
                (self.tries, self.failure) = (TRIES, None);
                Ok(())
            }
            Action::Stop => {
                self.stop();
                Ok(())
            }
            Action::Release => {
                self.release().await;
                Ok(())
            }
        }
    }

    /// Writes our state, unless it stands there.
    async fn write(&mut self, state: State) -> xenstore::Result<()> {
        if self.written != state {
            self.device.write("state", format!("{}", state.number())).await?;
            self.written = state;
        }
        Ok(())
    }

    /// Writes our state unless the toolstack has removed the device: that must not bring its
    /// directory back.
    async fn write_if_there(&mut self, state: State) -> xenstore::Result<()> {
        self.written = state;
        let path = format!("{}/state", self.device.frontend());
        let written = self.device.client().transaction(self.delay, async |transaction| {
            transaction.read(&path).await?;
            transaction.write(&path, format!("{}", state.number())).await
        });
        match written.await {
            Err(error @ xenstore::Error::Disconnected(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until something happens that changes the phase, while the driver works.
    async fn wait(
        &mut self,
        handshake: &mut Handshake,
        backend: &mut Backend<'_>,
        job: Option<Action>,
    ) -> xenstore::Result<Vec<Action>> {
        let (limited, delay, limit) = (handshake.is_limited(), self.delay, self.limit);
        let (phase, backend_state) = (handshake.phase(), handshake.backend());
        let passed = async move {
            match phase {
                _ if !limited => pending().await,
                // Who leaves has no more time because others come.
                Phase::Closing | Phase::Resetting => delay.delay(limit.time()).await,
                _ => limit.passed(delay).await,
            }
        };
        let event = {
            let work = first(work(self.frontend, self.device, job), passed);
            match first(work, backend.change(handshake)).await {
                First::Other(actions) => {
                    self.note_step(handshake.phase());
                    return actions;
                }
                First::One(First::One(done)) => done,
                First::One(First::Other(())) => Err(Failure::Timeout { phase, backend: backend_state }),
            }
        };
        Ok(handshake.step(self.note(event)))
    }

    /// Has others wait longer because this backend got on to `phase`: once for each, so that one that comes
    /// and goes does not keep them waiting.
    fn note_step(&mut self, phase: Phase) {
        let forward = matches!(phase, Phase::Publishing | Phase::Connecting | Phase::Connected);
        if forward && !self.reached.contains(&phase) {
            self.reached.push(phase);
            self.limit.note_step();
        }
    }

    /// Remembers what went wrong. A backend that does not let go in time is the
    /// reason only if there is no other.
    fn note(&mut self, done: Result<Event, Failure<F::Error>>) -> Event {
        match done {
            Ok(event) => {
                self.stopped = event == Event::Close;
                event
            }
            Err(failure @ Failure::Timeout { phase: Phase::Closing | Phase::Resetting, .. }) => {
                self.failure.get_or_insert(failure);
                Event::Timeout
            }
            Err(failure) => {
                let timeout = matches!(failure, Failure::Timeout { .. });
                self.failure = Some(failure);
                if timeout { Event::Timeout } else { Event::Close }
            }
        }
    }

    /// Nothing is shared any more: whether to end, or to try again.
    async fn closed(&mut self, backend: State) -> Option<Ended<F::Error>> {
        if self.stopped {
            return Some(Ended::Stopped);
        }
        let leaving = backend == State::Closed && !self.device.is_online().await;
        if backend == State::Unknown || leaving || !self.device.is_in_place().await {
            return Some(Ended::Gone);
        }
        self.tries = self.tries.saturating_sub(1);
        if self.tries == 0 {
            return Some(Ended::Failed(self.failure.take().unwrap_or(Failure::Closed)));
        }
        self.delay.delay(PAUSE * (1 << (TRIES - 1 - self.tries))).await;
        None
    }

    /// The domain was restored: whatever was shared is not any more.
    fn forget(&mut self) {
        if self.serving || self.shared {
            (self.serving, self.shared) = (false, false);
            self.frontend.abandon();
        }
    }

    /// Without xenstored there is no telling the backend.
    async fn abandon(&mut self) {
        self.stop();
        self.release().await;
    }

    fn stop(&mut self) {
        if core::mem::take(&mut self.serving) {
            self.frontend.stop();
        }
    }

    async fn release(&mut self) {
        if core::mem::take(&mut self.shared) {
            self.frontend.release().await;
        }
    }
}

/// Ready when the domain was restored. Nobody has to be woken for that: the watch of the backend is.
async fn restored(device: &Device) {
    poll_fn(|_| if device.is_of_former_life() { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// The driver's part of a phase; without one, waits for ever.
async fn work<F: Frontend>(
    frontend: &mut F,
    device: &Device,
    job: Option<Action>,
) -> Result<Event, Failure<F::Error>> {
    let (done, event) = match job {
        Some(Action::Publish) => (frontend.publish(device).await, Event::Published),
        Some(Action::Connect) => (frontend.connect(device).await, Event::Ready),
        Some(Action::Serve) => (frontend.serve().await, Event::Close),
        _ => pending().await,
    };
    done.map(|()| event).map_err(Failure::Driver)
}

/// What the backend does.
struct Backend<'a> {
    device: &'a Device,
    watch: Watch,
    /// Whether the state may have changed since it was read.
    changed: bool,
}

impl Backend<'_> {
    /// The state after the next change. Dropping the future loses none.
    async fn next_state(&mut self) -> xenstore::Result<State> {
        if !self.changed {
            self.watch.next().await?;
            self.changed = true;
        }
        let state = self.device.backend_state().await?;
        self.changed = false;
        Ok(state)
    }

    /// Tells the handshake of changes until there is something to do.
    async fn change(&mut self, handshake: &mut Handshake) -> xenstore::Result<Vec<Action>> {
        loop {
            let actions = handshake.step(Event::Backend(self.next_state().await?));
            if !actions.is_empty() {
                return Ok(actions);
            }
        }
    }
}
