// SPDX-License-Identifier: MIT OR Apache-2.0
//! A vCPU's queues in the FIFO ABI: one per priority, linked through the words of their ports.

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering};

use xen_sys::event_channel::{EVTCHN_FIFO_MAX_QUEUES, evtchn_fifo_control_block};

use super::Port;
use super::fifo::Words;
use super::word;
use crate::shared::Shared;

/// The queues of one vCPU. Only that vCPU takes events from them.
pub(super) struct Queues {
    control: Shared<evtchn_fifo_control_block>,
    /// The next port of each queue; 0 where only the control block knows it.
    heads: Vec<AtomicU32>,
}

/// Whether all queues were found empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    /// They were.
    Empty,
    /// There may be more than was to be looked at.
    More,
}

impl Queues {
    pub(super) fn new(control: Shared<evtchn_fifo_control_block>) -> Self {
        Self { control, heads: (0..EVTCHN_FIFO_MAX_QUEUES).map(|_| AtomicU32::new(0)).collect() }
    }

    /// Begins again with a fresh control block in place of the one before.
    pub(super) fn reset(&self) {
        self.heads.iter().for_each(|head| head.store(0, Ordering::Relaxed));
    }

    /// Takes what is queued, the highest priority first, looking at no more than `budget` ports.
    ///
    /// A queue's `ready` bit is set by Xen when its head changed, and put back here when the budget
    /// ran out: who finds [`Drained::More`] comes again.
    pub(super) fn drain(&self, words: &Words, budget: &mut u32, arrived: &mut impl FnMut(Port)) -> Drained {
        let Some(ready_word) = self.control.field::<u32>(offset_of!(evtchn_fifo_control_block, ready)) else {
            return Drained::Empty;
        };
        let ready_word = ready_word.atomic();
        let mut ready = 0;
        loop {
            // A locked access only when there is something: this is asked after every event.
            if ready_word.load(Ordering::SeqCst) != 0 {
                ready |= ready_word.swap(0, Ordering::SeqCst);
            }
            let queue = ready.trailing_zeros();
            if queue >= EVTCHN_FIFO_MAX_QUEUES {
                return Drained::Empty;
            }
            let Some(rest) = budget.checked_sub(1) else {
                ready_word.fetch_or(ready, Ordering::SeqCst);
                return Drained::More;
            };
            *budget = rest;
            if self.step(queue, words, arrived).is_none() {
                ready &= !(1 << queue);
            }
        }
    }

    /// Takes the first port out of a queue; `None` if it was the last one.
    ///
    /// A link that leads nowhere, or to a port that is in no queue, ends the queue: each step
    /// takes one port out, so a circle ends as well.
    fn step(&self, queue: u32, words: &Words, arrived: &mut impl FnMut(Port)) -> Option<()> {
        let head = self.heads.get(queue as usize)?;
        let port = match head.load(Ordering::Relaxed) {
            0 => self.first(queue)?,
            port => port,
        };
        head.store(0, Ordering::Relaxed);
        let unlinked = word::unlink(words.get(Port(port))?.atomic());
        head.store(unlinked.next, Ordering::Relaxed);
        if unlinked.arrived {
            arrived(Port(port));
        }
        (unlinked.next != 0).then_some(())
    }

    /// The port that Xen put first into an empty queue.
    fn first(&self, queue: u32) -> Option<u32> {
        let offset = offset_of!(evtchn_fifo_control_block, head) + queue as usize * size_of::<u32>();
        self.control.field::<u32>(offset).map(|head| head.atomic().load(Ordering::SeqCst))
    }
}
