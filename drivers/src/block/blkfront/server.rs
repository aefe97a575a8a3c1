// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that serves a queue.

use alloc::sync::Arc;
use core::future::pending;
use core::time::Duration;

use embassy_futures::select::{Either4, select4};
use embassy_futures::yield_now;
use xen::ring::Violation;

use super::disk::Vbd;
use super::pace::Pace;
use super::state::Round;
use crate::hal::AdaptivePoll;
use crate::hal::Alarm;
use crate::hal::{Channel, Platform};

/// How often grant references are looked for when there are none.
const PAUSE: Duration = Duration::from_millis(1);

/// Takes answers and sends requests, over one connection after the other.
pub(super) struct Server<'v, 'p, P: Platform> {
    vbd: &'v Vbd<'p, P>,
    queue: usize,
    adaptive: AdaptivePoll,
    pace: Pace,
    /// When to look for answers that are too few for an event. It is left to run while others come,
    /// so that it seldom has to be set.
    alarm: Alarm<'p>,
}

impl<'v, 'p, P: Platform> Server<'v, 'p, P> {
    /// The server of a queue. It looks for answers for up to `poll` before it waits for an event.
    pub(super) fn new(vbd: &'v Vbd<'p, P>, queue: usize, poll: Duration) -> Self {
        Self { vbd, queue, adaptive: AdaptivePoll::new(poll), pace: Pace::default(), alarm: Alarm::default() }
    }

    /// Serves until the disk is retired. A backend that breaks the protocol is accused, and then
    /// ignored until something changes.
    pub(super) async fn run(&mut self) {
        while !self.vbd.state().is_retired() {
            if self.turn().await.is_err() {
                self.vbd.accuse();
                self.vbd.work(self.queue).await;
            }
        }
    }

    /// Does what there is to do, and waits until there is more.
    async fn turn(&mut self) -> Result<(), Violation> {
        let (vbd, queue) = (self.vbd, self.queue);
        let round = vbd.round(queue)?;
        let Some(channel) = self.channel() else {
            vbd.work(queue).await;
            return Ok(());
        };
        if round.notify {
            channel.notify();
        }
        if round.answers > 0 {
            channel.found_work();
        }
        if self.poll().await || self.listen(round.answers)? {
            return Ok(());
        }
        if self.wait(&channel, &round).await && !vbd.state().is_answered(queue) {
            channel.found_nothing();
        }
        Ok(())
    }

    /// Asks for an event, or for a few answers together; true if there is one already.
    fn listen(&mut self, answers: u32) -> Result<bool, Violation> {
        let platform = self.vbd.platform();
        let in_flight = self.vbd.state().in_flight(self.queue);
        self.pace.note(answers, in_flight, || platform.now());
        let after = match self.pace.batch(in_flight) {
            Some((batch, time)) => {
                self.alarm.set(|| platform.delay(time));
                batch
            }
            None => {
                self.alarm.clear();
                1
            }
        };
        self.vbd.state().listen(self.queue, after)
    }

    fn channel(&self) -> Option<Arc<P::Channel>> {
        self.vbd.state().link(self.queue).map(|link| Arc::clone(&link.channel))
    }

    /// Waits until something happens; true if it was an event.
    async fn wait(&mut self, channel: &P::Channel, round: &Round) -> bool {
        let vbd = self.vbd;
        // While requests are on their way, their answers free references.
        let starved = round.starved && vbd.state().in_flight(self.queue) == 0;
        let pause = async { if starved { vbd.platform().delay(PAUSE).await } else { pending().await } };
        let woken = select4(vbd.work(self.queue), channel.wait(), self.alarm.ring(), pause).await;
        matches!(woken, Either4::Second(()))
    }

    /// Looks for answers for a while, if that is likely to be worth it; true if there is something to
    /// do at once.
    async fn poll(&mut self) -> bool {
        let (vbd, queue) = (self.vbd, self.queue);
        if vbd.state().in_flight(queue) == 0 || !self.adaptive.should_poll() {
            return false;
        }
        let start = vbd.platform().now();
        loop {
            if vbd.state().is_answered(queue) {
                self.adaptive.end(true);
                vbd.platform().found_by_looking();
                return true;
            }
            if !self.adaptive.is_within_limit(vbd.platform().now().saturating_sub(start)) {
                self.adaptive.end(false);
                return false;
            }
            // Others may have something to do, or to send.
            yield_now().await;
            if vbd.state().is_asked(queue) {
                return true;
            }
        }
    }
}
