// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pairs of rings of an interface, each with its event channels.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::channels::Channels;
use super::checksum::Transport;
use super::error::Error;
use super::groups::Group;
use super::link::Link;
use super::wire::Wire;
use crate::hal::Platform;

/// A pair of rings, and how their backend is told.
pub(super) struct Queue<'k, K: Platform> {
    pub(super) link: Link<'k, K>,
    pub(super) channels: Arc<Channels<K::Channel>>,
    /// There was no room the last time.
    is_full: bool,
}

impl<'k, K: Platform> Queue<'k, K> {
    pub(super) fn new(link: Link<'k, K>, channels: Channels<K::Channel>) -> Self {
        Self { link, channels: Arc::new(channels), is_full: false }
    }
}

/// All pairs of an interface, one at least. The backend, which may serve each by a thread of its own,
/// chooses among them for what it sends; so do we, and keep each flow's packets in one.
pub(super) struct Queues<'k, K: Platform> {
    queues: Vec<Queue<'k, K>>,
    /// The one to receive from next.
    next: usize,
}

impl<'k, K: Platform> Queues<'k, K> {
    pub(super) fn new(queues: Vec<Queue<'k, K>>) -> Self {
        Self { queues, next: 0 }
    }

    /// The one whose packet is in the buffer in part: all others have to wait until it is whole.
    fn under_way(&self) -> Option<usize> {
        self.queues.iter().position(|queue| queue.link.is_under_way())
    }

    /// Those that may be received from.
    fn open(&mut self) -> impl Iterator<Item = &mut Link<'k, K>> {
        let only = self.under_way();
        let links = self.queues.iter_mut().map(|queue| &mut queue.link).enumerate();
        links.filter(move |(index, _)| only.is_none_or(|only| only == *index)).map(|(_, link)| link)
    }

    /// The one for a frame.
    fn choose(&mut self, frame: &[u8]) -> Option<&mut Queue<'k, K>> {
        let index = match self.queues.len() {
            0 | 1 => 0,
            count => Transport::find(frame).map_or(0, |transport| transport.flow(frame)) as usize % count,
        };
        self.queues.get_mut(index)
    }
}

impl<K: Platform> Wire for Queues<'_, K> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let count = self.queues.len();
        self.next = self.under_way().unwrap_or(self.next);
        for _ in 0..count {
            let Some(Queue { link, .. }) = self.queues.get_mut(self.next) else { break };
            let received = link.receive(buffer)?;
            if link.is_under_way() {
                break;
            }
            // Each has its turn.
            self.next = (self.next + 1) % count;
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    fn listen(&mut self) -> Result<bool, Error> {
        let mut ready = false;
        for link in self.open() {
            ready |= link.listen()?;
        }
        Ok(ready)
    }

    fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        let mut room = true;
        // Each that is full asks for an event.
        for Queue { link, is_full, .. } in &mut self.queues {
            *is_full = !link.can_send(length)?;
            room &= !*is_full;
        }
        Ok(room)
    }

    fn send(&mut self, frame: &mut [u8]) {
        if let Some(queue) = self.choose(frame) {
            queue.link.send(frame);
        }
    }

    fn send_within(&mut self, frame: &mut [u8], mtu: usize) {
        if let Some(queue) = self.choose(frame) {
            queue.link.send_within(frame, mtu);
        }
    }

    fn divides(&self) -> bool {
        true
    }

    fn join(&mut self, group: Group) {
        // Queues have their groups in common.
        if let Some(queue) = self.queues.first_mut() {
            queue.link.join(group);
        }
    }

    fn publish(&mut self, now: u64) {
        for Queue { link, channels, .. } in &mut self.queues {
            let mut events = link.publish();
            events.transmit |= link.is_ignored(now);
            channels.notify(events);
        }
    }

    fn has_news(&mut self, is_full: bool) -> Result<bool, Error> {
        let mut news = false;
        for queue in &mut self.queues {
            news |= (queue.is_full || !is_full) && queue.link.has_news(is_full)?;
        }
        Ok(news)
    }

    fn is_patient(&self) -> bool {
        self.queues.iter().any(|queue| queue.link.is_patient())
    }

    fn look(&mut self) -> Result<(), Error> {
        self.queues.iter_mut().try_for_each(|queue| queue.link.look())
    }

    fn failed(&self) -> u64 {
        self.queues.iter().map(|queue| queue.link.failed()).sum()
    }

    fn merged(&self) -> u64 {
        self.queues.iter().map(|queue| queue.link.merged()).sum()
    }
}
