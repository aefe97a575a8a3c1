// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver: initialization, and frames through the rings.

use core::time::Duration;

use core::sync::atomic::{Ordering, fence};

use super::registers::*;
use crate::hal::DeviceMemory;
use crate::hal::Registers;
use crate::hal::{Interrupt, until};
use crate::net::{self, ETHERNET_HEADER, Error, NetDevice, Properties};

/// Descriptors of the rings; lengths in bytes are multiples of 128. One of each ring stays unused:
/// it tells a full ring from an empty one.
pub(super) const RECEIVERS: usize = 64;
pub(super) const SENDERS: usize = 32;
/// Bytes for the frame of a descriptor.
pub(super) const BUFFER: usize = 2048;

/// Where things are in the NIC's memory: the rings share the first page.
pub(super) const RECEIVE_DESCRIPTORS: usize = 0;
pub(super) const TRANSMIT_DESCRIPTORS: usize = 2048;
pub(super) const RECEIVE_BUFFERS: usize = 4096;
pub(super) const TRANSMIT_BUFFERS: usize = RECEIVE_BUFFERS + RECEIVERS * BUFFER;

/// Bytes of memory that a NIC needs: for descriptors, and a buffer for each of them.
pub const MEMORY: usize = TRANSMIT_BUFFERS + SENDERS * BUFFER;

const NO_ADDRESS: Error = Error::Nic("its Ethernet address is not valid");
const TOO_LONG: Error = Error::Nic("it claims to have received more than a buffer holds");

/// A NIC, up and running.
pub struct Nic<R, M> {
    registers: R,
    memory: M,
    receiver: Receiver,
    transmitter: Transmitter,
    is_up: bool,
    /// Frames that there was no room for.
    failed: u64,
}

/// Where we are in the ring that receives.
#[derive(Default)]
struct Receiver {
    /// The descriptor that is used next.
    next: usize,
    /// The frame that it belongs to has been given up.
    skips: bool,
    /// There are descriptors that the NIC has not been given back.
    untold: bool,
}

/// Where we are in the ring that transmits.
#[derive(Default)]
struct Transmitter {
    /// The descriptor that is used next.
    next: usize,
    /// The first one that the NIC has not sent, as far as we know.
    oldest: usize,
    /// There are descriptors that the NIC has not been told of.
    untold: bool,
}

impl<R: Registers + Send, M: DeviceMemory> Nic<R, M> {
    /// Resets a NIC and has it receive, with [`MEMORY`] bytes of memory.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not answer, has no address, or the memory does not do.
    pub async fn open(
        registers: R,
        memory: M,
        interrupt: &impl Interrupt,
    ) -> Result<(Self, Properties), Error> {
        if memory.length() < MEMORY {
            return Err(Error::NoMemory);
        }
        registers.write_u32(DISABLE, !0);
        registers.write_u32(CONTROL, registers.read_u32(CONTROL) | RESET);
        // A microsecond has to pass before the first look (section 13.4.1).
        interrupt.wait(Duration::from_millis(1)).await;
        let is_reset = || (registers.read_u32(CONTROL) & RESET == 0).then_some(());
        until(interrupt, net::RESET_TIMEOUT, is_reset).await.ok_or(net::SILENT)?;
        registers.write_u32(DISABLE, !0);
        let address = MAC.map(|register| registers.read_u32(register));
        let [_, high] = address;
        if high & MAC_VALID == 0 {
            return Err(NO_ADDRESS);
        }
        let properties = net::properties(address)?;
        let (receiver, transmitter) = (Receiver::default(), Transmitter::default());
        let mut nic = Self { registers, memory, receiver, transmitter, is_up: false, failed: 0 };
        nic.begin();
        Ok((nic, properties))
    }

    fn begin(&mut self) {
        (0..RECEIVERS).for_each(|index| self.offer(index));
        self.place_ring(RECEIVE_RING, RECEIVE_DESCRIPTORS, RECEIVERS);
        self.place_ring(TRANSMIT_RING, TRANSMIT_DESCRIPTORS, SENDERS);
        // What the descriptors say is in memory before the NIC looks.
        fence(Ordering::SeqCst);
        let registers = &self.registers;
        registers.write_u32(RECEIVE_RING + RING_TAIL, RECEIVERS as u32 - 1);
        registers.write_u32(GAPS, USUAL_GAPS);
        registers.write_u32(TRANSMIT, TRANSMIT_ON);
        registers.write_u32(CONTROL, registers.read_u32(CONTROL) | AUTO_SPEED | LINK_ON);
        registers.write_u32(RECEIVE, RECEIVE_ON | ALL_MULTICAST);
        // Causes from before are over.
        registers.read_u32(CAUSES);
        registers.write_u32(ENABLE, RECEIVED | OVERRUN | RUNS_DRY | LINK_CHANGED);
        self.look_at_cable();
    }

    fn place_ring(&self, ring: usize, offset: usize, descriptors: usize) {
        let address = self.memory.address().wrapping_add(offset as u64);
        let [low, high] = RING_ADDRESS;
        self.registers.write_u32(ring + low, address as u32);
        self.registers.write_u32(ring + high, (address >> 32) as u32);
        self.registers.write_u32(ring + RING_LENGTH, (descriptors * DESCRIPTOR) as u32);
        self.registers.write_u32(ring + RING_HEAD, 0);
        self.registers.write_u32(ring + RING_TAIL, 0);
    }

    /// Readies a descriptor to be received into.
    fn offer(&self, index: usize) {
        let address = self.memory.address().wrapping_add((RECEIVE_BUFFERS + index * BUFFER) as u64);
        let mut descriptor = [0; DESCRIPTOR];
        let (place, _) = descriptor.split_at_mut(8);
        place.copy_from_slice(&address.to_le_bytes());
        self.memory.write(RECEIVE_DESCRIPTORS + index * DESCRIPTOR, &descriptor);
    }

    /// The status of a descriptor at `offset`.
    fn status(&self, offset: usize) -> u8 {
        let mut status = [0];
        self.memory.read(offset + DESCRIPTOR_STATUS, &mut status);
        let [status] = status;
        status
    }

    fn has_received(&self) -> bool {
        self.status(RECEIVE_DESCRIPTORS + self.receiver.next * DESCRIPTOR) & DONE != 0
    }

    /// Whether there is a descriptor that was sent, and is not known to be.
    fn has_sent(&self) -> bool {
        let Transmitter { next, oldest, .. } = self.transmitter;
        oldest != next && self.status(TRANSMIT_DESCRIPTORS + oldest * DESCRIPTOR) & DONE != 0
    }

    fn has_room(&mut self) -> bool {
        while self.has_sent() {
            self.transmitter.oldest = (self.transmitter.oldest + 1) % SENDERS;
        }
        (self.transmitter.next + 1) % SENDERS != self.transmitter.oldest
    }

    /// Looks whether the cable is plugged in; true if that has changed.
    fn look_at_cable(&mut self) -> bool {
        let is_up = self.registers.read_u32(STATUS) & LINK_UP != 0;
        core::mem::replace(&mut self.is_up, is_up) != is_up
    }
}

impl<R: Registers + Send, M: DeviceMemory> NetDevice for Nic<R, M> {
    fn driver(&self) -> &'static str {
        "e1000"
    }

    fn is_up(&self) -> bool {
        self.is_up
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let index = self.receiver.next;
        let mut descriptor = [0; DESCRIPTOR];
        self.memory.read(RECEIVE_DESCRIPTORS + index * DESCRIPTOR, &mut descriptor);
        let [_, _, _, _, _, _, _, _, low, high, _, _, status, errors, ..] = descriptor;
        if status & DONE == 0 {
            return Ok(None);
        }
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length > BUFFER {
            return Err(TOO_LONG);
        }
        // A frame that does not fit into a buffer is longer than any that we can be sent.
        let is_whole = status & END != 0 && !self.receiver.skips;
        self.receiver.skips = status & END == 0;
        let frame = buffer.get_mut(..length).unwrap_or_default();
        self.memory.read(RECEIVE_BUFFERS + index * BUFFER, frame);
        let good = is_whole && errors == 0 && length >= ETHERNET_HEADER && net::verify_checksum(frame);
        self.offer(index);
        self.receiver.next = (index + 1) % RECEIVERS;
        self.receiver.untold = true;
        Ok(Some(if good { length } else { 0 }))
    }

    fn request_event(&mut self) -> Result<bool, Error> {
        // It always tells.
        Ok(self.has_received())
    }

    fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        if self.has_room() {
            return Ok(length <= BUFFER);
        }
        self.registers.write_u32(ENABLE, SENT);
        // It may have sent before it could see that.
        Ok(self.has_room() && length <= BUFFER)
    }

    fn send(&mut self, frame: &mut [u8]) {
        if frame.len() > BUFFER || !self.has_room() {
            self.failed += 1;
            return;
        }
        net::fill_checksum(frame);
        let index = self.transmitter.next;
        let buffer = TRANSMIT_BUFFERS + index * BUFFER;
        self.memory.write(buffer, frame);
        let address = self.memory.address().wrapping_add(buffer as u64);
        let command = u32::from(SEND) << 24 | frame.len() as u32;
        let descriptor = u128::from(address) | u128::from(command) << 64;
        self.memory.write(TRANSMIT_DESCRIPTORS + index * DESCRIPTOR, &descriptor.to_le_bytes());
        self.transmitter.next = (index + 1) % SENDERS;
        self.transmitter.untold = true;
    }

    fn publish(&mut self, _now: u64) {
        fence(Ordering::SeqCst);
        if core::mem::take(&mut self.receiver.untold) {
            // The NIC has all descriptors but the one before the next.
            let last = (self.receiver.next + RECEIVERS - 1) % RECEIVERS;
            self.registers.write_u32(RECEIVE_RING + RING_TAIL, last as u32);
        }
        if core::mem::take(&mut self.transmitter.untold) {
            self.registers.write_u32(TRANSMIT_RING + RING_TAIL, self.transmitter.next as u32);
        }
    }

    fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
        let causes = self.registers.read_u32(CAUSES);
        if causes == !0 {
            return Err(net::SILENT);
        }
        let changed = causes & LINK_CHANGED != 0 && self.look_at_cable();
        let room = is_full && self.has_sent();
        if room {
            self.registers.write_u32(DISABLE, SENT);
        }
        Ok(changed || room || !is_full && self.has_received())
    }

    fn shut_down(&mut self) {
        self.registers.write_u32(DISABLE, !0);
        self.registers.write_u32(RECEIVE, 0);
        self.registers.write_u32(TRANSMIT, 0);
    }

    fn failed(&self) -> u64 {
        self.failed
    }
}
