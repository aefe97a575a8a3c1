// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queues of a console's first port (Virtual I/O Device 1.2, 5.3.2).

use super::{BUFFER, Broken, Queues};
use crate::hal::RingMemory;
use crate::virtio::Registers;
use crate::virtio::queue::{Access, Descriptor, Queue, SPARE};
use crate::virtio::transport::Error;

/// Queues of the first port, and descriptors of each, at least and at most; one is used.
pub(crate) const RECEIVE: u16 = 0;
pub(crate) const TRANSMIT: u16 = 1;
const DESCRIPTORS: [u16; 2] = [1, 2];

/// A console's first port. The buffer of a queue is in that queue's memory.
pub struct ConsolePort<M> {
    transport: Registers,
    receive: Queue<M>,
    transmit: Queue<M>,
    typed: [u8; BUFFER],
    /// The device has text to send.
    is_sending: bool,
}

impl<M: RingMemory> ConsolePort<M> {
    /// Brings up the console behind `transport`, with [`MEMORY`](crate::virtio::queue::MEMORY) bytes for each
    /// queue, all zero. `moment` lets some time pass; false says that there has been enough of it.
    ///
    /// # Errors
    ///
    /// [`Error`]: it cannot be used.
    pub fn open(
        mut transport: Registers,
        [receive, transmit]: [Option<M>; 2],
        moment: &mut dyn FnMut() -> bool,
    ) -> Result<Self, Error> {
        transport.negotiate(0, moment)?;
        let mut receive = transport.queue(RECEIVE, receive, DESCRIPTORS)?;
        let mut transmit = transport.queue(TRANSMIT, transmit, DESCRIPTORS)?;
        receive.disable_notifications();
        transmit.disable_notifications();
        transport.start();
        Ok(Self { transport, receive, transmit, typed: [0; BUFFER], is_sending: false })
    }
}

/// The buffer of a queue in `memory`, or the first so many bytes of it.
fn buffer(memory: &impl RingMemory, length: usize, access: Access) -> Descriptor {
    Descriptor { address: memory.address().wrapping_add(SPARE as u64), length: length as u32, access }
}

impl<M: RingMemory> Queues for ConsolePort<M> {
    fn send(&mut self, text: &[u8]) {
        let text = text.get(..BUFFER).unwrap_or(text);
        self.transmit.memory().write(SPARE, text);
        let descriptor = buffer(self.transmit.memory(), text.len(), Access::Read);
        // Never refused but after a violation: the device has nothing else.
        self.is_sending = self.transmit.add(&[descriptor], 0).is_ok();
        if self.transmit.wants_notification() {
            self.transport.notify(TRANSMIT);
        }
    }

    fn has_sent(&mut self) -> Result<bool, Broken> {
        if self.is_sending && self.transmit.take().map_err(|_| Broken)?.is_some() {
            self.is_sending = false;
        }
        Ok(!self.is_sending)
    }

    fn offer(&mut self) {
        let descriptor = buffer(self.receive.memory(), BUFFER, Access::Write);
        // As above.
        let _ = self.receive.add(&[descriptor], 0);
        if self.receive.wants_notification() {
            self.transport.notify(RECEIVE);
        }
    }

    fn take_back(&mut self) -> Result<Option<usize>, Broken> {
        let Some(used) = self.receive.take().map_err(|_| Broken)? else { return Ok(None) };
        self.receive.memory().read(SPARE, &mut self.typed);
        Ok(Some(used.written as usize))
    }

    fn typed(&self) -> &[u8] {
        &self.typed
    }
}
