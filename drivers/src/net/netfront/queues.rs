// SPDX-License-Identifier: MIT OR Apache-2.0
//! All queues of an interface, each with its event channels.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::queue_pair::QueuePair;
use crate::hal::Platform;
use crate::net::channels::Channels;
use crate::net::checksum::Transport;
use crate::net::device::NetDevice;
use crate::net::error::Error;
use crate::net::gso::GsoInfo;
use crate::net::multicast::Group;

/// A pair of rings, and how their backend is told.
pub(super) struct Queue<'p, P: Platform> {
    pub(super) pair: QueuePair<'p, P>,
    pub(super) channels: Arc<Channels<P::Channel>>,
    /// There was no room the last time.
    is_full: bool,
}

impl<'p, P: Platform> Queue<'p, P> {
    pub(super) fn new(pair: QueuePair<'p, P>, channels: Channels<P::Channel>) -> Self {
        Self { pair, channels: Arc::new(channels), is_full: false }
    }
}

/// All pairs of an interface, one at least. The backend, which may serve each by a thread of its own,
/// chooses among them for what it sends; so do we, and keep each flow's packets in one.
pub(super) struct Queues<'p, P: Platform> {
    queues: Vec<Queue<'p, P>>,
    /// The one to receive from next.
    next: usize,
    /// Of the frame that was received last.
    gso: Option<GsoInfo>,
}

impl<'p, P: Platform> Queues<'p, P> {
    pub(super) fn new(queues: Vec<Queue<'p, P>>) -> Self {
        Self { queues, next: 0, gso: None }
    }

    /// The one whose packet is in the buffer in part: all others have to wait until it is whole.
    fn under_way(&self) -> Option<usize> {
        self.queues.iter().position(|queue| queue.pair.is_under_way())
    }

    /// Those that may be received from.
    fn open(&mut self) -> impl Iterator<Item = &mut QueuePair<'p, P>> {
        let only = self.under_way();
        let pairs = self.queues.iter_mut().map(|queue| &mut queue.pair).enumerate();
        pairs.filter(move |(index, _)| only.is_none_or(|only| only == *index)).map(|(_, pair)| pair)
    }

    /// The next frame of any, as `receive` has it.
    fn next<T>(
        &mut self,
        mut receive: impl FnMut(&mut QueuePair<'p, P>) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let count = self.queues.len();
        self.next = self.under_way().unwrap_or(self.next);
        for _ in 0..count {
            let Some(Queue { pair, .. }) = self.queues.get_mut(self.next) else { break };
            let received = receive(pair)?;
            if pair.is_under_way() {
                break;
            }
            // Each has its turn.
            self.next = (self.next + 1) % count;
            if received.is_some() {
                self.gso = pair.gso();
                return Ok(received);
            }
        }
        Ok(None)
    }

    /// The one for a frame.
    fn choose(&mut self, frame: &[u8]) -> Option<&mut Queue<'p, P>> {
        let index = match self.queues.len() {
            0 | 1 => 0,
            count => Transport::find(frame).map_or(0, |transport| transport.choose(frame, count)),
        };
        self.queues.get_mut(index)
    }
}

impl<P: Platform> NetDevice for Queues<'_, P> {
    fn driver(&self) -> &'static str {
        "netfront"
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        self.next(|pair| pair.receive(buffer))
    }

    fn receive_owned(&mut self, _buffer: &mut [u8]) -> Result<Option<Vec<u8>>, Error> {
        self.next(QueuePair::receive_owned)
    }

    fn gso(&self) -> Option<GsoInfo> {
        self.gso
    }

    fn request_event(&mut self) -> Result<bool, Error> {
        let mut ready = false;
        for pair in self.open() {
            ready |= pair.request_event()?;
        }
        Ok(ready)
    }

    fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        let mut room = true;
        // Each that is full asks for an event.
        for Queue { pair, is_full, .. } in &mut self.queues {
            *is_full = !pair.can_send(length)?;
            room &= !*is_full;
        }
        Ok(room)
    }

    fn send(&mut self, frame: &mut [u8]) {
        if let Some(queue) = self.choose(frame) {
            queue.pair.send(frame);
        }
    }

    fn send_within(&mut self, frame: &mut [u8], mtu: usize) {
        if let Some(queue) = self.choose(frame) {
            queue.pair.send_within(frame, mtu);
        }
    }

    fn divides(&self) -> bool {
        true
    }

    fn join(&mut self, group: Group) {
        // Queues have their groups in common.
        if let Some(queue) = self.queues.first_mut() {
            queue.pair.join(group);
        }
    }

    fn publish(&mut self, now: u64) {
        for Queue { pair, channels, .. } in &mut self.queues {
            let mut events = pair.publish();
            events.transmit |= pair.needs_renotify(now);
            channels.notify(events);
        }
    }

    fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
        let mut news = false;
        for queue in &mut self.queues {
            news |= (queue.is_full || !is_full) && queue.pair.needs_poll(is_full)?;
        }
        Ok(news)
    }

    fn coalesces(&self) -> bool {
        self.queues.iter().any(|queue| queue.pair.coalesces())
    }

    fn poll_deferred(&mut self) -> Result<(), Error> {
        self.queues.iter_mut().try_for_each(|queue| queue.pair.poll_deferred())
    }

    fn failed(&self) -> u64 {
        self.queues.iter().map(|queue| queue.pair.failed()).sum()
    }

    fn merged(&self) -> u64 {
        self.queues.iter().map(|queue| queue.pair.merged()).sum()
    }
}
