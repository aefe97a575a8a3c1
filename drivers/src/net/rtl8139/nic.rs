// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver: initialization, and frames in and out.

use core::sync::atomic::{Ordering, fence};

use super::registers::*;
use crate::hal::DeviceMemory;
use crate::hal::Ports;
use crate::hal::{Interrupt, until};
use crate::net::{self, ETHERNET_HEADER, Error, NetDevice, Properties};

/// Bytes of the ring, as [`RECEIVE_ON`] says.
pub(super) const RING: usize = 32 << 10;
pub(super) const SENDERS: usize = 4;
/// Bytes for a frame that is sent.
const BUFFER: usize = 2048;

/// The longest frame that a NIC receives, with its checksum.
const LONGEST: usize = 1792;
/// The shortest that may be sent: the NIC does not fill it up.
const SHORTEST: usize = 60;

/// Where things are in the NIC's memory: the ring is first, with 16 bytes behind it that are the NIC's.
const TRANSMIT_BUFFERS: usize = RING + BUFFER;

/// Bytes of memory that a NIC needs: for the ring that it receives into, and the buffers that it sends
/// from.
pub const MEMORY: usize = TRANSMIT_BUFFERS + SENDERS * BUFFER;

const OUT_OF_REACH: Error = Error::Nic("its memory is beyond 4 GiB");
const NONSENSE: Error = Error::Nic("it claims to have received a frame of impossible length");

/// A NIC, up and running.
pub struct Nic<P, M> {
    ports: P,
    /// The first port.
    base: u16,
    memory: M,
    /// Where the next frame is in the ring.
    read: usize,
    /// Frames put into buffers; those that the NIC was told of; those that it has sent, as far as we know.
    filled: usize,
    told: usize,
    sent: usize,
    /// Bytes of the frame in each buffer.
    lengths: [u32; SENDERS],
    is_up: bool,
    /// Frames that there was no room for.
    failed: u64,
}

impl<P: Ports + Send, M: DeviceMemory> Nic<P, M> {
    /// Resets the NIC whose first port is `base` and has it receive, with [`MEMORY`] bytes of memory.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not answer, has no address, or the memory does not do.
    pub async fn open(
        ports: P,
        base: u16,
        memory: M,
        interrupt: &impl Interrupt,
    ) -> Result<(Self, Properties), Error> {
        if memory.length() < MEMORY {
            return Err(Error::NoMemory);
        }
        let end = memory.address().saturating_add(MEMORY as u64);
        if end > 1 << 32 {
            return Err(OUT_OF_REACH);
        }
        let mut nic = Self {
            ports,
            base,
            memory,
            read: 0,
            filled: 0,
            told: 0,
            sent: 0,
            lengths: [0; SENDERS],
            is_up: false,
            failed: 0,
        };
        nic.write_u8(COMMAND, RESET);
        let is_reset = || (nic.read_u8(COMMAND) & RESET == 0).then_some(());
        until(interrupt, net::RESET_TIMEOUT, is_reset).await.ok_or(net::SILENT)?;
        let properties = net::properties(MAC.map(|register| nic.read_u32(register)))?;
        nic.begin();
        Ok((nic, properties))
    }

    fn begin(&mut self) {
        self.write_u32(RING_START, self.memory.address() as u32);
        // The two directions have to be on before they are set up (section 5.7).
        self.write_u8(COMMAND, ON);
        FILTER.into_iter().for_each(|register| self.write_u32(register, !0));
        self.write_u32(RECEIVE, RECEIVE_ON);
        self.write_u32(TRANSMIT, TRANSMIT_ON);
        self.tell_read();
        // Causes from before are over.
        self.write_u16(CAUSES, !0);
        self.write_u16(ENABLE, RECEIVED | OVERRUN | LINK_CHANGED);
        self.look_at_cable();
    }

    /// Tells the NIC up to where the ring has been read.
    fn tell_read(&self) {
        self.write_u16(RING_READ, (self.read as u16).wrapping_sub(READ_AHEAD));
    }

    /// Copies bytes of the ring out, which go on at its beginning behind its end.
    fn read_ring(&self, place: usize, bytes: &mut [u8]) {
        let place = place % RING;
        let (first, rest) = bytes.split_at_mut(bytes.len().min(RING - place));
        self.memory.read(place, first);
        self.memory.read(0, rest);
    }

    fn has_received(&self) -> bool {
        self.read_u8(COMMAND) & RING_EMPTY == 0
    }

    /// Whether there is a frame that was sent, and is not known to be.
    fn has_sent(&self) -> bool {
        self.sent != self.told && self.read_u32(SENDER_STATUS + of_sender(self.sent)) & SENDER_OURS != 0
    }

    fn has_room(&mut self) -> bool {
        while self.has_sent() {
            self.sent = self.sent.wrapping_add(1);
        }
        self.filled.wrapping_sub(self.sent) < SENDERS
    }

    /// Looks whether the cable is plugged in; true if that has changed.
    fn look_at_cable(&mut self) -> bool {
        let is_up = self.read_u8(MEDIA) & LINK_DOWN == 0;
        core::mem::replace(&mut self.is_up, is_up) != is_up
    }

    fn read_u8(&self, register: u16) -> u8 {
        self.ports.read_u8(self.base.wrapping_add(register))
    }

    fn read_u16(&self, register: u16) -> u16 {
        self.ports.read_u16(self.base.wrapping_add(register))
    }

    fn read_u32(&self, register: u16) -> u32 {
        self.ports.read_u32(self.base.wrapping_add(register))
    }

    fn write_u8(&self, register: u16, value: u8) {
        self.ports.write_u8(self.base.wrapping_add(register), value);
    }

    fn write_u16(&self, register: u16, value: u16) {
        self.ports.write_u16(self.base.wrapping_add(register), value);
    }

    fn write_u32(&self, register: u16, value: u32) {
        self.ports.write_u32(self.base.wrapping_add(register), value);
    }
}

/// Where a sender's register is from the first one's, for the frame of this number.
const fn of_sender(frame: usize) -> u16 {
    (frame % SENDERS) as u16 * 4
}

impl<P: Ports + Send, M: DeviceMemory> NetDevice for Nic<P, M> {
    fn driver(&self) -> &'static str {
        "rtl8139"
    }

    fn is_up(&self) -> bool {
        self.is_up
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        if !self.has_received() {
            return Ok(None);
        }
        // What the header says was written before the NIC said so.
        fence(Ordering::SeqCst);
        let mut header = [0; HEADER];
        self.memory.read(self.read, &mut header);
        let [s0, s1, l0, l1] = header;
        let (status, length) = (u16::from_le_bytes([s0, s1]), usize::from(u16::from_le_bytes([l0, l1])));
        let Some(frame_length) = length.checked_sub(CHECKSUM).filter(|_| length < RING - HEADER) else {
            // Where the next one begins is known no more.
            return Err(NONSENSE);
        };
        // A longer one is for a network with a larger MTU than ours.
        let frame = buffer.get_mut(..frame_length).filter(|_| length <= LONGEST).unwrap_or_default();
        self.read_ring(self.read + HEADER, frame);
        let good = status & GOOD != 0 && frame.len() >= ETHERNET_HEADER && net::verify_checksum(frame);
        self.read = (self.read + HEADER + length).next_multiple_of(4) % RING;
        // Until then the ring does not count as empty.
        self.tell_read();
        Ok(Some(if good { frame_length } else { 0 }))
    }

    fn request_event(&mut self) -> Result<bool, Error> {
        // It always tells.
        Ok(self.has_received())
    }

    fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        if self.has_room() {
            return Ok(length <= BUFFER);
        }
        self.write_u16(ENABLE, RECEIVED | OVERRUN | LINK_CHANGED | SENT);
        // It may have sent before it could see that.
        Ok(self.has_room() && length <= BUFFER)
    }

    fn send(&mut self, frame: &mut [u8]) {
        if frame.len() > BUFFER || !self.has_room() {
            self.failed += 1;
            return;
        }
        net::fill_checksum(frame);
        let buffer = TRANSMIT_BUFFERS + self.filled % SENDERS * BUFFER;
        self.memory.write(buffer, frame);
        let rest = SHORTEST.saturating_sub(frame.len());
        self.memory.write(buffer + frame.len(), [0; SHORTEST].get(..rest).unwrap_or_default());
        if let Some(length) = self.lengths.get_mut(self.filled % SENDERS) {
            *length = (frame.len() + rest) as u32;
        }
        self.filled = self.filled.wrapping_add(1);
    }

    fn publish(&mut self, _now: u64) {
        fence(Ordering::SeqCst);
        while self.told != self.filled {
            let sender = self.told % SENDERS;
            let buffer = self.memory.address().wrapping_add((TRANSMIT_BUFFERS + sender * BUFFER) as u64);
            let length = self.lengths.get(sender).copied().unwrap_or(0);
            self.write_u32(SENDER_ADDRESS + of_sender(self.told), buffer as u32);
            // With the mark gone that it is ours, it is the NIC's.
            self.write_u32(SENDER_STATUS + of_sender(self.told), SENDER_EARLY | length);
            self.told = self.told.wrapping_add(1);
        }
    }

    fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
        let causes = self.read_u16(CAUSES);
        if causes == !0 {
            return Err(net::SILENT);
        }
        if causes != 0 {
            self.write_u16(CAUSES, causes);
        }
        let changed = causes & LINK_CHANGED != 0 && self.look_at_cable();
        let room = is_full && self.has_sent();
        if room {
            self.write_u16(ENABLE, RECEIVED | OVERRUN | LINK_CHANGED);
        }
        Ok(changed || room || !is_full && self.has_received())
    }

    fn shut_down(&mut self) {
        self.write_u16(ENABLE, 0);
        self.write_u8(COMMAND, 0);
    }

    fn failed(&self) -> u64 {
        self.failed
    }
}
