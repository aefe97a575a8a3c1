// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that works on the rings of a queue.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::future::pending;
use core::time::Duration;

use embassy_futures::select::{Either4, select, select4};
use embassy_futures::yield_now;
use xen::DomainId;
use xen::ring::{BackendRing, Violation};

use super::Error;
use super::keys::{FrontendFeatures, Ports};
use super::parse::Membership;
use super::receive::Receiver;
use super::transmit::Transmitter;
use crate::hal::BackendPlatform;
use crate::net::bridge::{PATIENCE, Port};
use crate::net::channels::{Channels, Events};

/// When to look for pages of a frontend that raises no events for them.
const LOOK: Duration = Duration::from_millis(30);

/// A pair of rings of an interface, and its lane at the interface's port of the bridge.
pub(super) struct Queue<'p, P: BackendPlatform> {
    platform: &'p P,
    frontend: DomainId,
    transmit: Transmitter<P::Mapped<'p>>,
    receive: Receiver<P::Mapped<'p>>,
    channels: Channels<P::Channel>,
    port: Arc<Port<'p>>,
    lane: usize,
    /// Whether the frontend raises events when it has pages again.
    notifies: bool,
}

/// The two rings of a frontend: that through which it transmits, and that through which it receives.
pub(super) type Rings<M> = [BackendRing<M>; 2];

impl<'p, P: BackendPlatform> Queue<'p, P> {
    /// A queue between a lane of `port` and domain `frontend`.
    pub(super) fn new(
        platform: &'p P,
        frontend: DomainId,
        [transmit, receive]: Rings<P::Mapped<'p>>,
        channels: Channels<P::Channel>,
        features: FrontendFeatures,
        port: Arc<Port<'p>>,
        lane: usize,
    ) -> Self {
        Self {
            platform,
            frontend,
            transmit: Transmitter::new(transmit),
            receive: Receiver::new(receive, features),
            channels,
            port,
            lane,
            notifies: features.notifies,
        }
    }

    /// Packets that the frontend could not take.
    pub(super) fn lost(&self) -> u64 {
        self.receive.lost()
    }

    /// Serves the frontend until it breaks the protocol. The future can be dropped at any point where it
    /// waits, and made again.
    pub(super) async fn run(&mut self) -> Result<Infallible, Violation> {
        loop {
            self.turn().await?;
        }
    }

    /// Does what there is to do, and waits until there is more.
    async fn turn(&mut self) -> Result<(), Violation> {
        let (platform, frontend, port) = (self.platform, self.frontend, &self.port);
        let now = platform.now();
        let send = |packet| port.send(packet, now);
        let change = |membership| match membership {
            Membership::Join(group) => port.join(group),
            Membership::Leave(group) => {
                port.leave(group);
                true
            }
        };
        let is_held = port.is_held(now);
        let taken = if is_held { 0 } else { self.transmit.take(platform, frontend, send, change)? };
        let sent = self.receive.send(platform, frontend, || port.take_of(self.lane))?;
        let events = Events { transmit: self.transmit.publish(), receive: self.receive.publish() };
        self.channels.notify(events);
        if taken + sent > 0 {
            self.channels.note_event(true);
        }
        let is_more = (!is_held && self.transmit.request_event()?) || self.receive.request_event()?;
        if taken + sent > 0 || is_more {
            // Others have their turn.
            yield_now().await;
            return Ok(());
        }
        self.wait(is_held).await
    }

    /// Waits until something happens. If the network holds the guest back, its requests are none.
    async fn wait(&mut self, is_held: bool) -> Result<(), Violation> {
        let is_starved = self.receive.is_starved();
        let looks = is_starved && !self.notifies;
        let (platform, port, lane) = (self.platform, &self.port, self.lane);
        // What comes meanwhile waits at the port.
        let arrival = async { if is_starved { pending().await } else { port.arrival_of(lane).await } };
        let look = async { if looks { platform.delay(LOOK).await } else { pending().await } };
        let room = async {
            if is_held {
                select(port.room(platform.now()), platform.delay(PATIENCE)).await;
            } else {
                pending().await
            }
        };
        let woken = select4(self.channels.wait(), arrival, look, room).await;
        if let Either4::First(()) = woken
            && (is_held || !self.transmit.is_ready()?)
            && !self.receive.is_ready()?
        {
            self.channels.note_event(false);
        }
        Ok(())
    }
}

/// Connects to the event channels of domain `frontend`.
///
/// # Errors
///
/// [`Error::Channel`].
pub(super) fn connect<P: BackendPlatform>(
    platform: &P,
    frontend: DomainId,
    ports: Ports,
) -> Result<Channels<P::Channel>, Error> {
    let connect = |port| platform.connect(frontend, port).map_err(Error::Channel);
    Ok(match ports {
        Ports::Shared(port) => Channels::Shared(connect(port)?),
        Ports::Split { transmit, receive } => {
            Channels::Split { transmit: connect(transmit)?, receive: connect(receive)? }
        }
    })
}
