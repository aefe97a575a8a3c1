// SPDX-License-Identifier: MIT OR Apache-2.0
//! A queue of commands and the queue of their completions (section 4.1). One command is under way at a time.

use core::fmt;

use super::command::{self, Command};
use crate::hal::{PAGE_SIZE, RingMemory};

/// The most entries that a queue has here.
pub(super) const MAX_ENTRIES: u16 = 16;

/// Bytes of a completion, and where its parts are: the place of the next command, the queue's number, the
/// command's, and the status, whose lowest bit is the phase tag.
const COMPLETION: usize = 16;
const NEXT: usize = 8;
const QUEUE: usize = 10;
const ID: usize = 12;
const STATUS: usize = 14;
const PHASE: u16 = 1 << 0;
/// The bits of a status, after the phase tag, that tell what went wrong: its code and its type.
const MEANING: u16 = 0x7ff;

/// Numbers of commands go up to here: the highest of all has a meaning of its own (5.14.1.1).
const LAST_ID: u16 = 0x7fff;

// Each of both fits into a page.
const _: () = assert!(MAX_ENTRIES as usize * command::BYTES <= PAGE_SIZE);

/// How a controller broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It completes a command when it has none.
    Unasked,
    /// It completes a command that it was not given last.
    Id,
    /// It completes a command of another queue.
    Queue,
    /// It claims to have read commands where there are none.
    Head,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unasked => "completes a command when it has none",
            Self::Id => "completes a command that it was not given",
            Self::Queue => "completes a command of another queue",
            Self::Head => "claims to have read commands where there are none",
        })
    }
}

impl core::error::Error for Violation {}

/// Commands and completions of one number. Each of both has a page of the controller's memory.
pub(super) struct QueuePair {
    pub(super) number: u16,
    pub(super) entries: u16,
    /// Where the next command goes, and where the next completion comes.
    pub(super) tail: u16,
    pub(super) head: u16,
    /// The phase tag of a completion that is new.
    phase: bool,
    /// The number of the last command, which tells it from those before.
    id: u16,
    /// How many commands the controller had not told of having read, when it completed the one before.
    unread: u16,
}

impl QueuePair {
    /// Number 0 is for commands to the controller. There are [`MAX_ENTRIES`] at most.
    pub(super) const fn new(number: u16, entries: u16) -> Self {
        Self { number, entries, tail: 0, head: 0, phase: true, id: 0, unread: 0 }
    }

    /// Where the commands are in memory.
    pub(super) fn commands(&self) -> usize {
        usize::from(self.number) * 2 * PAGE_SIZE
    }

    /// Where the completions are.
    pub(super) fn completions(&self) -> usize {
        self.commands() + PAGE_SIZE
    }

    /// Makes it empty, as it is for a controller that was reset. The numbers of commands go on.
    pub(super) fn empty(&mut self, memory: &impl RingMemory) {
        memory.write(self.completions(), &[0; MAX_ENTRIES as usize * COMPLETION]);
        (self.tail, self.head, self.phase, self.unread) = (0, 0, true, 0);
    }

    fn completion(&self) -> usize {
        self.completions() + usize::from(self.head) * COMPLETION
    }

    fn is_completed(&self, memory: &impl RingMemory) -> bool {
        (memory.load(self.completion() + STATUS) & PHASE != 0) == self.phase
    }

    /// Adds a command. The controller is to be told of the new [tail](Self::tail).
    ///
    /// # Errors
    ///
    /// [`Violation::Unasked`].
    pub(super) fn add(&mut self, memory: &impl RingMemory, command: &Command) -> Result<(), Violation> {
        if self.is_completed(memory) {
            return Err(Violation::Unasked);
        }
        self.id = self.id.wrapping_add(1) & LAST_ID;
        let place = self.commands() + usize::from(self.tail) * command::BYTES;
        memory.write(place, &command.bytes(self.id));
        self.tail = self.wrap(self.tail + 1);
        Ok(())
    }

    /// A place that is counted on over the end.
    fn wrap(&self, place: u16) -> u16 {
        place.checked_rem(self.entries).unwrap_or_default()
    }

    /// The status of the last command once it is completed, 0 if all is well. The controller is to be told
    /// of the new [head](Self::head) then.
    ///
    /// # Errors
    ///
    /// [`Violation`].
    pub(super) fn take(&mut self, memory: &impl RingMemory) -> Result<Option<u16>, Violation> {
        let place = self.completion();
        let status = memory.load(place + STATUS);
        if (status & PHASE != 0) != self.phase {
            return Ok(None);
        }
        if memory.load(place + ID) != self.id {
            return Err(Violation::Id);
        }
        if memory.load(place + QUEUE) != self.number {
            return Err(Violation::Queue);
        }
        // It may tell late what it has read: nobody waits for that, as the place of a completed command is
        // free. It cannot have read what it was not given.
        let next = memory.load(place + NEXT);
        let unread = self.wrap((self.tail + self.entries).wrapping_sub(next));
        if next >= self.entries || unread > self.unread.saturating_add(1) {
            return Err(Violation::Head);
        }
        self.unread = unread;
        self.head = self.wrap(self.head + 1);
        self.phase ^= self.head == 0;
        Ok(Some(status >> 1 & MEANING))
    }
}
