// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver of NICs (Virtual I/O Device 1.2, 5.1), without offloads.

use alloc::vec::Vec;

use super::Registers;
use super::queue::{Access, Descriptor, Queue, Violation};
use super::transport::{self, Error as Refusal};
use crate::hal::{DeviceMemory, RingMemory};
use crate::net::{self, ETHERNET_HEADER, Error, NetDevice, Properties};

/// Features of a NIC.
pub(super) const MAC: u64 = 1 << 5;
pub(super) const LINK: u64 = 1 << 16;

/// Queues, and descriptors of each, at least and at most. A frame takes one.
pub(super) const RECEIVE: u16 = 0;
pub(super) const TRANSMIT: u16 = 1;
const DESCRIPTORS: [u16; 2] = [1, 64];

/// Bytes in front of each frame, of which all are zero here; a NIC of the time before version 1 has fewer.
pub(super) const HEADER: usize = 12;
const OLD_HEADER: usize = 10;
const MTU: usize = 1500;
pub(super) const LONGEST: usize = HEADER + ETHERNET_HEADER + MTU;

/// Bytes for each frame, and the memory for those of both queues.
const BUFFER: usize = 2048;
const BUFFERS: usize = DESCRIPTORS[1] as usize;
/// Bytes of memory that a NIC needs for frames.
pub const MEMORY: usize = 2 * BUFFERS * BUFFER;

/// Where the NIC's configuration has its status, and the bit for a cable that is plugged in.
const STATUS: usize = 6;
const LINK_UP: u16 = 1 << 0;

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Nic(violation.text())
    }
}

/// A NIC.
pub struct Nic<M, B> {
    transport: Registers,
    receive: Queue<M>,
    transmit: Queue<M>,
    /// First the buffers of the one queue, then those of the other.
    buffers: B,
    /// Buffers to send from.
    free: Vec<u16>,
    /// Bytes in front of each frame.
    header: usize,
    has_link: bool,
    is_up: bool,
    /// What the NIC has not been told of.
    unpublished: Unpublished,
    /// Frames that there was no room for.
    failed: u64,
}

/// The queues that have buffers of which the device has not been notified.
#[derive(Clone, Copy, Default)]
struct Unpublished {
    transmit: bool,
    /// How many there are.
    receive: u16,
}

impl<M: RingMemory, B: DeviceMemory> Nic<M, B> {
    /// Brings up the NIC behind `transport`, with [`MEMORY`](super::queue::MEMORY) bytes for each queue, and
    /// [`MEMORY`] for frames, all zero. `moment` lets some time pass; false says that there has been enough.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: it cannot be used.
    pub fn open(
        mut transport: Registers,
        [receive, transmit]: [Option<M>; 2],
        buffers: Option<B>,
        moment: &mut dyn FnMut() -> bool,
    ) -> Result<(Self, Properties), Refusal> {
        let features = transport.negotiate(MAC | LINK, moment)?;
        if features & MAC == 0 {
            return Err(Refusal::NoAddress);
        }
        let has_link = features & LINK != 0;
        let properties = properties(&transport, if has_link { STATUS + 2 } else { STATUS })?;
        let buffers = buffers.filter(|memory| memory.length() >= MEMORY).ok_or(Refusal::NoMemory)?;
        let receive = transport.queue(RECEIVE, receive, DESCRIPTORS)?;
        let mut transmit = transport.queue(TRANSMIT, transmit, DESCRIPTORS)?;
        let mut free = Vec::new();
        free.try_reserve_exact(transmit.size().into()).map_err(|_| Refusal::NoMemory)?;
        free.extend(0..transmit.size());
        transmit.disable_notifications();
        transport.start();
        let header = if transport.is_legacy() { OLD_HEADER } else { HEADER };
        let (unpublished, is_up) = (Unpublished::default(), true);
        let mut nic = Self {
            transport,
            receive,
            transmit,
            buffers,
            free,
            header,
            has_link,
            is_up,
            unpublished,
            failed: 0,
        };
        (0..nic.receive.size()).for_each(|number| nic.offer(number));
        nic.look_at_cable();
        nic.publish(0);
        Ok((nic, properties))
    }

    /// Gives the NIC a buffer to receive into.
    fn offer(&mut self, number: u16) {
        let address = self.buffers.address().wrapping_add(receive_place(number) as u64);
        let descriptor = Descriptor { address, length: LONGEST as u32, access: Access::Write };
        // Never refused but after a violation: there are as many descriptors as buffers.
        if self.receive.add(&[descriptor], number).is_ok() {
            self.unpublished.receive = self.unpublished.receive.saturating_add(1);
        }
    }

    /// Takes the buffers back that have been sent.
    fn take_back(&mut self) -> Result<(), Error> {
        while let Some(used) = self.transmit.take()? {
            self.free.push(used.tag);
        }
        Ok(())
    }

    /// Looks whether the cable is plugged in; true if that has changed.
    fn look_at_cable(&mut self) -> bool {
        let is_up = !self.has_link || self.transport.configuration_u16(STATUS) & LINK_UP != 0;
        core::mem::replace(&mut self.is_up, is_up) != is_up
    }
}

/// What the NIC's configuration tells of it, which has so many bytes at least.
fn properties(transport: &Registers, length: usize) -> Result<Properties, Refusal> {
    let mac = transport.configuration(length, |transport| {
        [0, 1, 2, 3, 4, 5].map(|offset| transport.configuration_u8(offset))
    })?;
    let [a, b, c, d, e, f] = mac;
    let registers = [[a, b, c, d], [e, f, 0, 0]].map(u32::from_le_bytes);
    let properties = net::properties(registers).map_err(|_| Refusal::NoAddress)?;
    Ok(Properties { mtu: MTU, ..properties })
}

fn receive_place(number: u16) -> usize {
    usize::from(number) * BUFFER
}

fn transmit_place(number: u16) -> usize {
    BUFFERS * BUFFER + usize::from(number) * BUFFER
}

impl<M: RingMemory, B: DeviceMemory> NetDevice for Nic<M, B> {
    fn driver(&self) -> &'static str {
        "virtio"
    }

    fn is_up(&self) -> bool {
        self.is_up
    }

    fn receive(&mut self, into: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(used) = self.receive.take()? else { return Ok(None) };
        let length = (used.written as usize).saturating_sub(self.header);
        let frame = into.get_mut(..length).unwrap_or_default();
        self.buffers.read(receive_place(used.tag) + self.header, frame);
        let is_good = length >= ETHERNET_HEADER && net::verify_checksum(frame);
        self.offer(used.tag);
        Ok(Some(if is_good { length } else { 0 }))
    }

    fn request_event(&mut self) -> Result<bool, Error> {
        // It always tells.
        Ok(self.receive.has_used())
    }

    fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        if self.free.is_empty() {
            self.take_back()?;
        }
        if self.free.is_empty() {
            self.transmit.enable_notifications();
            // It may have been done before it could see that.
            self.take_back()?;
        }
        Ok(!self.free.is_empty() && self.header + length <= LONGEST)
    }

    fn send(&mut self, frame: &mut [u8]) {
        let length = self.header + frame.len();
        let Some(number) = self.free.pop_if(|_| length <= LONGEST) else {
            self.failed += 1;
            return;
        };
        net::fill_checksum(frame);
        // The header was zero from the beginning on.
        self.buffers.write(transmit_place(number) + self.header, frame);
        let address = self.buffers.address().wrapping_add(transmit_place(number) as u64);
        let descriptor = Descriptor { address, length: length as u32, access: Access::Read };
        // Never refused but after a violation: there are as many descriptors as buffers.
        self.unpublished.transmit |= self.transmit.add(&[descriptor], number).is_ok();
    }

    fn publish(&mut self, _now: u64) {
        // A device that waits for buffers has used all of them: it is told when half of them are back, not of
        // each, as every notification is an exit.
        if self.unpublished.receive >= self.receive.size() / 2 {
            self.unpublished.receive = 0;
            if self.receive.wants_notification() {
                self.transport.notify(RECEIVE);
            }
        }
        if core::mem::take(&mut self.unpublished.transmit) && self.transmit.wants_notification() {
            self.transport.notify(TRANSMIT);
        }
    }

    fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
        let is_changed = self.transport.take_causes() & transport::CONFIGURATION != 0;
        if is_changed && !self.transport.is_alive() {
            return Err(Error::Nic("it has been reset, or needs to be"));
        }
        let is_changed = is_changed && self.look_at_cable();
        let has_room = is_full && self.transmit.has_used();
        if has_room {
            self.transmit.disable_notifications();
        }
        Ok(is_changed || has_room || !is_full && self.receive.has_used())
    }

    fn shut_down(&mut self) {
        self.transport.set_status(0);
    }

    fn failed(&self) -> u64 {
        self.failed
    }
}
