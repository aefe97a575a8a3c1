// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver's life with a frontend.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::mem;
use core::task::Poll;
use core::time::Duration;

use super::super::state::State;
use super::device::{Device, Nodes};
use super::handshake::{Action, Event, Handshake, Phase};
use crate::time::{Delay, First, first};
use crate::xenstore::{self, Watch};

/// The rest after a connection; each is twice as long as the one before, unless that worked for longer than
/// the longest.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// How often is looked at what cannot be watched.
const LOOK: Duration = Duration::from_secs(2);

/// How long our directory stays after its state is Closed: `libxl` fails to detach a device whose directory
/// goes before it has seen that (`devstate_callback` of `tools/libs/light/libxl_event.c`), and then waits for
/// ten seconds for it to go.
const REMOVAL_PAUSE: Duration = Duration::from_secs(2);

/// A driver that serves a paravirtual device.
///
/// The futures may be dropped at any point where they wait; so [`serve`](Self::serve) may be called several
/// times for a connection. Whatever ends it, [`stop`](Self::stop) and [`release`](Self::release) follow each
/// [`connect`](Self::connect) that was begun.
pub trait Backend: Send {
    /// Why a step failed.
    type Error: fmt::Display + Send;

    /// The state in which a frontend of this kind has published its rings. Those of network interfaces go
    /// straight to [`Connected`](State::Connected).
    const PUBLISHED: State = State::Initialised;

    /// Finds out what there is to serve, and returns the nodes that tell what this backend can do. They are
    /// written together with [`InitWait`](State::InitWait).
    fn offer(&mut self, device: &Device) -> impl Future<Output = Result<Nodes, Self::Error>> + Send;

    /// Reads the frontend's keys, of which each may be anything, maps its rings, connects to its event
    /// channels, and returns the nodes that tell what the device is like. They are written together with
    /// [`Connected`](State::Connected).
    fn connect(&mut self, device: &Device) -> impl Future<Output = Result<Nodes, Self::Error>> + Send;

    /// Does I/O until the driver wants to stop, or the frontend breaks the protocol: an error. If the device
    /// becomes another one, such as a disk that grows, returns the nodes that tell so: they are written
    /// together with our state, at which frontends look, and this is called again.
    fn serve(&mut self) -> impl Future<Output = Result<Served, Self::Error>> + Send;

    /// Takes no more requests. What is in flight may still be at work.
    fn stop(&mut self);

    /// Waits until what is in flight has ended, and unmaps what was mapped. Not before this is ready the
    /// frontend is told that the device is closed, and may repeat what was not answered elsewhere.
    fn release(&mut self) -> impl Future<Output = ()> + Send;

    /// Told of a connection that failed. The frontend may try again after a rest.
    fn failed(&mut self, failure: &Failure<Self::Error>);
}

/// Why a driver does no I/O for the moment.
#[derive(Debug, PartialEq, Eq)]
pub enum Served {
    /// It wants to stop.
    Enough,
    /// These nodes have other values now.
    Changed(Nodes),
}

/// How a driver's life with a frontend ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The device was removed.
    Removed,
    /// This domain was restored: it has no frontends any more.
    Restored,
    /// There is no connection to xenstored.
    Xenstore(xenstore::Error),
}

/// Why a connection did not work.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// Something took too long.
    Timeout {
        /// What it was.
        phase: Phase,
        /// Where the frontend stood.
        frontend: State,
    },
    /// The driver failed.
    Driver(E),
    /// A node could not be written.
    Xenstore(xenstore::Error),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { phase, frontend } => {
                write!(f, "timed out while {phase:?}, with the frontend {frontend:?}")
            }
            Self::Driver(error) => error.fmt(f),
            Self::Xenstore(error) => error.fmt(f),
        }
    }
}

/// Serves a device until the toolstack removes it: each time that its frontend connects.
///
/// The driver's work at either step, and a frontend's farewell that the toolstack waits for, last no longer
/// than `limit`. `libxl` waits for ten seconds. A failure leaves a message in xenstore, at
/// `error/<backend>/error`, for as long as the device is there, and disturbs nobody else.
pub async fn run<B: Backend>(device: &Device, driver: &mut B, delay: &impl Delay, limit: Duration) -> Ended {
    let mut life = Life {
        device,
        driver,
        delay,
        limit,
        nodes: Nodes::new(),
        serving: false,
        shared: false,
        rest: FIRST_REST,
    };
    let ended = match first(restored(device), life.live()).await {
        First::Other(ended) if !device.is_of_former_life() => match ended {
            Ok(()) => Ended::Removed,
            Err(error) => Ended::Xenstore(error),
        },
        _ => Ended::Restored,
    };
    life.stop();
    life.release().await;
    if ended == Ended::Removed {
        device.retract(delay).await;
    }
    ended
}

struct Life<'a, B: Backend, D> {
    device: &'a Device,
    driver: &'a mut B,
    delay: &'a D,
    limit: Duration,
    /// What is to be written together with the next state.
    nodes: Nodes,
    /// Whether the driver has yet to be told to stop.
    serving: bool,
    /// Whether the driver has something to release.
    shared: bool,
    /// The next rest.
    rest: Duration,
}

impl<B: Backend, D: Delay> Life<'_, B, D> {
    async fn live(&mut self) -> xenstore::Result<()> {
        let mut changes = Changes::watch(self.device, self.delay).await?;
        let mut handshake = Handshake::new(B::PUBLISHED);
        let mut actions = handshake.step(Event::Start);
        loop {
            let failure = self.perform(&actions).await?;
            if handshake.phase() == Phase::Removed {
                return Ok(());
            }
            actions = match failure {
                Some(failure) => handshake.step(self.note(failure).await),
                None => self.wait(&mut handshake, &mut changes, actions.last().copied()).await?,
            };
        }
    }

    /// What is done at once; the rest is [`work`].
    async fn perform(&mut self, actions: &[Action]) -> xenstore::Result<Option<Failure<B::Error>>> {
        for action in actions {
            match action {
                Action::Write(state) => {
                    if let Some(failure) = self.write(*state).await? {
                        return Ok(Some(failure));
                    }
                }
                Action::Connect => (self.serving, self.shared) = (true, true),
                Action::Stop => self.stop(),
                Action::Release => self.release().await,
                Action::Remove => self.remove().await?,
                Action::Offer | Action::Serve => {}
            }
        }
        Ok(None)
    }

    /// Writes our state, and what the frontend is to find when it sees that. A state that ends a connection
    /// may stay unwritten.
    async fn write(&mut self, state: State) -> xenstore::Result<Option<Failure<B::Error>>> {
        let mut nodes = mem::take(&mut self.nodes);
        let begins = matches!(state, State::InitWait | State::Connected);
        if !begins {
            nodes.clear();
        }
        nodes.push(("state", state.number().to_string()));
        match self.device.write(self.delay, &nodes).await {
            Err(error @ xenstore::Error::Disconnected(_)) => Err(error),
            // That the directory is gone is told by its watch.
            Err(error) if begins && !error.is_not_found() => Ok(Some(Failure::Xenstore(error))),
            _ => Ok(None),
        }
    }

    /// Removes our directory; if that is refused it is the toolstack's to do.
    async fn remove(&self) -> xenstore::Result<()> {
        self.delay.delay(REMOVAL_PAUSE).await;
        match self.device.remove(self.delay).await {
            Err(error @ xenstore::Error::Disconnected(_)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until something happens that there is something to do for, while the driver works.
    async fn wait(
        &mut self,
        handshake: &mut Handshake,
        changes: &mut Changes<'_, D>,
        job: Option<Action>,
    ) -> xenstore::Result<Vec<Action>> {
        let (delay, limit, rest) = (self.delay, self.limit, self.rest);
        let (phase, frontend) = (handshake.phase(), handshake.frontend());
        let (limited, resting) = (handshake.is_limited(), handshake.is_resting());
        let passed = async move {
            match () {
                () if limited => delay.delay(limit).await,
                () if resting => delay.delay(rest).await,
                () => pending().await,
            }
        };
        let mut settled = false;
        let done = {
            let settles = async {
                delay.delay(LONGEST_REST).await;
                settled = true;
            };
            let work = first(work(self.driver, self.device, job, settles), passed);
            match first(work, changes.act(handshake)).await {
                First::Other(actions) => Err(actions),
                First::One(First::One(done)) => Ok(done),
                First::One(First::Other(())) if resting => Ok(Ok((Event::Rested, Nodes::new()))),
                First::One(First::Other(())) => Ok(Err(Failure::Timeout { phase, frontend })),
            }
        };
        if settled {
            self.rest = FIRST_REST;
        }
        let event = match done {
            Err(actions) => return actions,
            Ok(Ok((event, nodes))) => {
                self.nodes = nodes;
                event
            }
            Ok(Err(failure)) => self.note(failure).await,
        };
        if event == Event::Rested {
            self.rest = self.rest.saturating_mul(2).min(LONGEST_REST);
        }
        Ok(handshake.step(event))
    }

    /// Tells what went wrong.
    async fn note(&mut self, failure: Failure<B::Error>) -> Event {
        self.driver.failed(&failure);
        self.device.report(&failure.to_string()).await;
        if matches!(failure, Failure::Timeout { .. }) { Event::Timeout } else { Event::Close }
    }

    fn stop(&mut self) {
        if mem::take(&mut self.serving) {
            self.driver.stop();
        }
    }

    async fn release(&mut self) {
        if mem::take(&mut self.shared) {
            self.driver.release().await;
        }
    }
}

/// Ready when the domain was restored. Nobody has to be woken for that: the watches are.
async fn restored(device: &Device) {
    poll_fn(|_| if device.is_of_former_life() { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// The driver's part of a phase; without one, waits for ever. `settles` runs while it serves.
async fn work<B: Backend>(
    driver: &mut B,
    device: &Device,
    job: Option<Action>,
    settles: impl Future<Output = ()>,
) -> Result<(Event, Nodes), Failure<B::Error>> {
    let done = match job {
        Some(Action::Offer) => driver.offer(device).await.map(|nodes| (Event::Offered, nodes)),
        Some(Action::Connect) => driver.connect(device).await.map(|nodes| (Event::Ready, nodes)),
        Some(Action::Serve) => {
            let settles = async {
                settles.await;
                pending().await
            };
            match first(driver.serve(), settles).await {
                First::One(served) | First::Other(served) => served.map(|served| match served {
                    Served::Enough => (Event::Close, Nodes::new()),
                    Served::Changed(nodes) => (Event::Changed, nodes),
                }),
            }
        }
        _ => pending().await,
    };
    done.map_err(Failure::Driver)
}

/// What the frontend and the toolstack do.
struct Changes<'a, D> {
    device: &'a Device,
    delay: &'a D,
    /// Of the frontend's state, and of ours. Where xenstored refuses a watch, as a domain may have so many,
    /// it is looked now and then.
    watches: [Option<Watch>; 2],
    /// Whether each may have changed since it was read.
    changed: [bool; 2],
}

impl<'a, D: Delay> Changes<'a, D> {
    async fn watch(device: &'a Device, delay: &'a D) -> xenstore::Result<Self> {
        let watches =
            [unless_refused(device.watch_frontend().await)?, unless_refused(device.watch_own().await)?];
        Ok(Self { device, delay, watches, changed: [true; 2] })
    }

    /// Tells the handshake of changes until there is something to do.
    async fn act(&mut self, handshake: &mut Handshake) -> xenstore::Result<Vec<Action>> {
        loop {
            let actions = handshake.step(self.next().await?);
            if !actions.is_empty() || handshake.phase() == Phase::Removed {
                return Ok(actions);
            }
        }
    }

    /// The next change; the first time how things are. Dropping the future loses none.
    async fn next(&mut self) -> xenstore::Result<Event> {
        loop {
            let [frontend, own] = self.changed;
            if own {
                let wish = self.device.wish().await?;
                self.changed = [frontend, false];
                if let Some(event) = wish {
                    return Ok(event);
                }
            } else if frontend {
                let state = self.device.frontend_state().await?;
                self.changed = [false, own];
                return Ok(Event::Frontend(state));
            } else {
                self.happens().await?;
            }
        }
    }

    /// Waits until something may have changed.
    async fn happens(&mut self) -> xenstore::Result<()> {
        let unwatched = self.watches.each_ref().map(Option::is_none);
        let [frontend, own] = &mut self.watches;
        let look =
            async { if unwatched.contains(&true) { self.delay.delay(LOOK).await } else { pending().await } };
        match first(first(event(frontend), event(own)), look).await {
            First::One(First::One(event)) => {
                event?;
                self.changed = [true, false];
            }
            First::One(First::Other(event)) => {
                event?;
                self.changed = [false, true];
            }
            First::Other(()) => self.changed = unwatched,
        }
        Ok(())
    }
}

/// A watch; `None` if xenstored refuses it.
fn unless_refused(watch: xenstore::Result<Watch>) -> xenstore::Result<Option<Watch>> {
    match watch {
        Err(xenstore::Error::Refused(_)) => Ok(None),
        watch => watch.map(Some),
    }
}

/// Waits for an event: for ever without a watch.
async fn event(watch: &mut Option<Watch>) -> xenstore::Result<()> {
    match watch {
        Some(watch) => watch.next().await.map(drop),
        None => pending().await,
    }
}
