// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated NIC, which can break the rules of the datasheet.

use crate::hal::nanoseconds;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard};

use super::nic::*;
use super::registers::*;
use crate::hal::DeviceMemory;
use crate::hal::Interrupt;
use crate::hal::Ports;

/// Where the NIC finds the memory.
pub(super) const ADDRESS: u64 = 0x1234_0000;
/// Its first port.
pub(super) const BASE: u16 = 0xc100;

pub(super) const OURS: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// The NIC. Clones are the same one, as seen by ports, memory and interrupt.
#[derive(Clone)]
pub(super) struct FakeNic {
    inner: Arc<Mutex<Inner>>,
}

pub(super) struct Inner {
    registers: [u8; LENGTH as usize],
    memory: Vec<u8>,
    /// Where the NIC writes the next frame.
    written: usize,
    /// Senders whose frames it has yet to send.
    sending: Vec<usize>,
    clock: u64,
    /// Where the memory is.
    pub(super) address: u64,
    /// It never ends a reset.
    pub(super) stuck: bool,
    /// It is gone: all reads are ones.
    pub(super) gone: bool,
}

impl Inner {
    fn u16(&self, register: u16) -> u16 {
        u16::from_le_bytes(*self.registers[usize::from(register)..].first_chunk().unwrap())
    }

    fn u32(&self, register: u16) -> u32 {
        u32::from_le_bytes(*self.registers[usize::from(register)..].first_chunk().unwrap())
    }

    fn set(&mut self, register: u16, bytes: &[u8]) {
        self.registers[usize::from(register)..][..bytes.len()].copy_from_slice(bytes);
    }

    fn cause(&mut self, cause: u16) {
        let causes = self.u16(CAUSES) | cause;
        self.set(CAUSES, &causes.to_le_bytes());
    }

    /// Bytes that were written and not read.
    fn unread(&self) -> usize {
        let read = usize::from(self.u16(RING_READ).wrapping_add(READ_AHEAD));
        (RING + self.written - read) % RING
    }

    fn reset(&mut self) {
        self.registers = [0; LENGTH as usize];
        self.set(0, &OURS);
        self.set(RING_READ, &0_u16.wrapping_sub(READ_AHEAD).to_le_bytes());
        (0..SENDERS as u16)
            .for_each(|sender| self.set(SENDER_STATUS + sender * 4, &SENDER_OURS.to_le_bytes()));
        (self.written, self.sending) = (0, Vec::new());
    }
}

impl FakeNic {
    pub(super) fn new() -> Self {
        let mut inner = Inner {
            registers: [0; LENGTH as usize],
            memory: vec![0xee; MEMORY],
            written: 0,
            sending: Vec::new(),
            clock: 0,
            address: ADDRESS,
            stuck: false,
            gone: false,
        };
        inner.reset();
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn set_mac(&self, mac: [u8; 6]) {
        self.inner().set(0, &mac);
    }

    /// Whether the NIC raises its line.
    pub(super) fn interrupts(&self) -> bool {
        let inner = self.inner();
        inner.u16(CAUSES) & inner.u16(ENABLE) != 0
    }

    pub(super) fn set_cable(&self, media: u8) {
        let mut inner = self.inner();
        inner.set(MEDIA, &[media]);
        inner.cause(LINK_CHANGED);
    }

    /// A frame comes in, and the NIC says that it has this status and length. False if there is no room.
    pub(super) fn deliver(&self, frame: &[u8], status: u16, length: usize) -> bool {
        let mut inner = self.inner();
        assert_eq!(inner.u32(RECEIVE), RECEIVE_ON);
        assert_eq!(u64::from(inner.u32(RING_START)), ADDRESS);
        let size = (HEADER + length).next_multiple_of(4);
        if size >= RING - inner.unread() {
            inner.cause(OVERRUN);
            return false;
        }
        let header = [status.to_le_bytes(), (length as u16).to_le_bytes()].concat();
        let at = inner.written;
        inner.memory[at..at + HEADER].copy_from_slice(&header);
        for (place, byte) in (at + HEADER..).zip(frame) {
            inner.memory[place % RING] = *byte;
        }
        inner.written = (at + size) % RING;
        inner.cause(RECEIVED & 1);
        true
    }

    /// A frame comes in.
    pub(super) fn receive(&self, frame: &[u8]) -> bool {
        self.deliver(frame, GOOD, frame.len() + CHECKSUM)
    }

    /// The NIC sends a frame, if it was told of one.
    pub(super) fn send(&self) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        if inner.sending.is_empty() {
            return None;
        }
        let sender = inner.sending.remove(0);
        let register = |first: u16| first + sender as u16 * 4;
        let length = inner.u32(register(SENDER_STATUS)) as usize & 0x1fff;
        let place = (u64::from(inner.u32(register(SENDER_ADDRESS))) - ADDRESS) as usize;
        assert!(length >= 60, "a frame that is too short for the wire");
        let status = inner.u32(register(SENDER_STATUS)) | SENDER_OURS;
        inner.set(register(SENDER_STATUS), &status.to_le_bytes());
        inner.cause(SENT & 4);
        Some(inner.memory[place..place + length].to_vec())
    }
}

impl Ports for FakeNic {
    fn read_u8(&self, port: u16) -> u8 {
        let inner = self.inner();
        match port - BASE {
            _ if inner.gone => !0,
            COMMAND => inner.registers[usize::from(COMMAND)] | u8::from(inner.unread() == 0),
            register => inner.registers[usize::from(register)],
        }
    }

    fn read_u16(&self, port: u16) -> u16 {
        let inner = self.inner();
        if inner.gone { !0 } else { inner.u16(port - BASE) }
    }

    fn read_u32(&self, port: u16) -> u32 {
        let inner = self.inner();
        if inner.gone { !0 } else { inner.u32(port - BASE) }
    }

    fn write_u8(&self, port: u16, value: u8) {
        let mut inner = self.inner();
        if port - BASE == COMMAND && value & RESET != 0 {
            let mac = *inner.registers.first_chunk::<6>().unwrap();
            inner.reset();
            inner.set(0, &mac);
            if !inner.stuck {
                return;
            }
        }
        inner.set(port - BASE, &[value]);
    }

    fn write_u16(&self, port: u16, value: u16) {
        let mut inner = self.inner();
        let value = if port - BASE == CAUSES { inner.u16(CAUSES) & !value } else { value };
        inner.set(port - BASE, &value.to_le_bytes());
    }

    fn write_u32(&self, port: u16, value: u32) {
        let mut inner = self.inner();
        inner.set(port - BASE, &value.to_le_bytes());
        if let Some(offset) = (port - BASE).checked_sub(SENDER_STATUS).filter(|offset| *offset < 16) {
            assert_eq!(value & SENDER_OURS, 0);
            inner.sending.push(usize::from(offset) / 4);
        }
    }
}

impl DeviceMemory for FakeNic {
    fn address(&self) -> u64 {
        self.inner().address
    }
    fn length(&self) -> usize {
        MEMORY
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.inner().memory[offset..offset + into.len()]);
    }
    fn write(&self, offset: usize, bytes: &[u8]) {
        self.inner().memory[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

impl Interrupt for FakeNic {
    async fn wait(&self, limit: Duration) {
        self.inner().clock += nanoseconds(limit);
    }
    fn now(&self) -> u64 {
        self.inner().clock
    }
}
