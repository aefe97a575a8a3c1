// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that works on one queue.

use alloc::sync::Arc;
use core::future::pending;
use core::time::Duration;

use embassy_futures::select::{Either4, select4};
use embassy_futures::yield_now;
use xen::ring::Violation;

use super::coalescing::EventCoalescing;
use super::disk::Vbd;
use super::state::Processed;
use crate::hal::AdaptivePoll;
use crate::hal::Alarm;
use crate::hal::{Channel, Platform};

/// How often the worker looks for grant references when there are none.
const PAUSE: Duration = Duration::from_millis(1);

/// Takes responses and sends requests, over one connection after the other.
pub(super) struct QueueWorker<'v, 'p, P: Platform> {
    vbd: &'v Vbd<'p, P>,
    queue: usize,
    adaptive: AdaptivePoll,
    coalescing: EventCoalescing,
    /// When to poll for responses that are too few for an event. It keeps running while others come, so that
    /// it seldom has to be set.
    alarm: Alarm<'p>,
}

impl<'v, 'p, P: Platform> QueueWorker<'v, 'p, P> {
    /// The worker of a queue. It polls for responses for up to `poll` before it waits for an event.
    pub(super) fn new(vbd: &'v Vbd<'p, P>, queue: usize, poll: Duration) -> Self {
        Self {
            vbd,
            queue,
            adaptive: AdaptivePoll::new(poll),
            coalescing: EventCoalescing::default(),
            alarm: Alarm::default(),
        }
    }

    /// Serves until the disk is retired. A backend that breaks the protocol is reported, and then
    /// ignored until something changes.
    pub(super) async fn run(&mut self) {
        while !self.vbd.state().is_retired() {
            if self.turn().await.is_err() {
                self.vbd.report_violation();
                self.vbd.work(self.queue).await;
            }
        }
    }

    /// Does what there is to do, and waits until there is more.
    async fn turn(&mut self) -> Result<(), Violation> {
        let (vbd, queue) = (self.vbd, self.queue);
        let processed = vbd.process_queue(queue)?;
        let Some(channel) = self.channel() else {
            vbd.work(queue).await;
            return Ok(());
        };
        if processed.notify {
            channel.notify();
        }
        if processed.responses > 0 {
            channel.found_work();
        }
        if self.poll().await || self.request_event(processed.responses)? {
            return Ok(());
        }
        if self.wait(&channel, &processed).await && !vbd.state().has_responses(queue) {
            channel.found_nothing();
        }
        Ok(())
    }

    /// Asks for an event at the next response, or after several; true if they are there already.
    fn request_event(&mut self, responses: u32) -> Result<bool, Violation> {
        let platform = self.vbd.platform();
        let in_flight = self.vbd.state().in_flight(self.queue);
        self.coalescing.note(responses, in_flight, || platform.now());
        let after = match self.coalescing.batch(in_flight) {
            Some((batch, time)) => {
                self.alarm.set(|| platform.delay(time));
                batch
            }
            None => {
                self.alarm.clear();
                1
            }
        };
        self.vbd.state().request_event(self.queue, after)
    }

    fn channel(&self) -> Option<Arc<P::Channel>> {
        self.vbd.state().connection(self.queue).map(|connection| Arc::clone(&connection.channel))
    }

    /// Waits until something happens; true if it was an event.
    async fn wait(&mut self, channel: &P::Channel, processed: &Processed) -> bool {
        let vbd = self.vbd;
        // While requests are on their way, their responses free references.
        let out_of_grants = processed.out_of_grants && vbd.state().in_flight(self.queue) == 0;
        let pause = async { if out_of_grants { vbd.platform().delay(PAUSE).await } else { pending().await } };
        let woken = select4(vbd.work(self.queue), channel.wait(), self.alarm.ring(), pause).await;
        matches!(woken, Either4::Second(()))
    }

    /// Polls for responses for a while, if that paid off lately; true if there is something to do at once.
    async fn poll(&mut self) -> bool {
        let (vbd, queue) = (self.vbd, self.queue);
        if vbd.state().in_flight(queue) == 0 || !self.adaptive.should_poll() {
            return false;
        }
        let start = vbd.platform().now();
        loop {
            if vbd.state().has_responses(queue) {
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
