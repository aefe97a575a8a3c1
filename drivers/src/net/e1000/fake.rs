// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated NIC, which can break the rules of the manual.

use crate::hal::nanoseconds;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::nic::*;
use super::registers::*;
use crate::hal::DeviceMemory;
use crate::hal::Interrupt;
use crate::hal::Registers;

/// Where the NIC finds the memory.
const BASE: u64 = 0x1_2340_0000;

/// Where a descriptor has its command, and its errors.
const COMMAND: usize = 11;
const ERRORS: usize = 13;

pub(super) const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// The NIC. Clones are the same one, as seen by registers, memory and interrupt.
#[derive(Clone)]
pub(super) struct FakeNic {
    inner: Arc<Mutex<Inner>>,
}

pub(super) struct Inner {
    registers: HashMap<usize, u32>,
    memory: Vec<u8>,
    clock: u64,
    /// It never ends a reset.
    pub(super) stuck: bool,
    /// It is gone: all reads are ones.
    pub(super) gone: bool,
    pub(super) mac: [u8; 6],
}

impl FakeNic {
    pub(super) fn new() -> Self {
        let inner = Inner {
            registers: HashMap::new(),
            memory: vec![0xee; MEMORY],
            clock: 0,
            stuck: false,
            gone: false,
            mac: ADDRESS,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn register(&self, register: usize) -> u32 {
        self.inner().registers.get(&register).copied().unwrap_or(0)
    }

    fn set(&self, register: usize, value: u32) {
        self.inner().registers.insert(register, value);
    }

    fn cause(&self, cause: u32) {
        self.set(CAUSES, self.register(CAUSES) | cause);
    }

    /// Whether the NIC raises its line.
    pub(super) fn interrupts(&self) -> bool {
        self.register(CAUSES) & self.register(ENABLE) != 0
    }

    pub(super) fn set_cable(&self, status: u32) {
        self.set(STATUS, status);
        self.cause(LINK_CHANGED);
    }

    /// Where the descriptor at `ring`'s head is, unless the NIC has none.
    fn head(&self, ring: usize) -> Option<usize> {
        let (head, tail) = (self.register(ring + RING_HEAD), self.register(ring + RING_TAIL));
        let address = u64::from(self.register(ring)) | u64::from(self.register(ring + 4)) << 32;
        let start = (address - BASE) as usize;
        (head != tail).then_some(start + head as usize * DESCRIPTOR)
    }

    fn go_on(&self, ring: usize) {
        let count = self.register(ring + RING_LENGTH) / DESCRIPTOR as u32;
        self.set(ring + RING_HEAD, (self.register(ring + RING_HEAD) + 1) % count);
    }

    fn bytes(&self, place: usize, length: usize) -> Vec<u8> {
        self.inner().memory[place..place + length].to_vec()
    }

    fn put(&self, place: usize, bytes: &[u8]) {
        self.inner().memory[place..place + bytes.len()].copy_from_slice(bytes);
    }

    fn buffer(&self, descriptor: usize) -> usize {
        let address = u64::from_le_bytes(self.bytes(descriptor, 8).try_into().unwrap());
        (address - BASE) as usize
    }

    /// A part of a frame comes in, and the NIC says of it that it has `length` bytes, with this status
    /// and these errors. False if there is no descriptor.
    pub(super) fn deliver(&self, frame: &[u8], length: u16, status: u8, errors: u8) -> bool {
        assert_eq!(self.register(RECEIVE) & RECEIVE_ON, RECEIVE_ON);
        let Some(descriptor) = self.head(RECEIVE_RING) else { return false };
        self.put(self.buffer(descriptor), frame);
        self.put(descriptor + 8, &length.to_le_bytes());
        self.put(descriptor + ERRORS, &[errors]);
        self.put(descriptor + DESCRIPTOR_STATUS, &[status]);
        self.go_on(RECEIVE_RING);
        self.cause(RECEIVED);
        true
    }

    /// A frame comes in.
    pub(super) fn receive(&self, frame: &[u8]) -> bool {
        self.deliver(frame, frame.len() as u16, DONE | END, 0)
    }

    /// The next frame is sent, if the driver told of one.
    pub(super) fn send(&self) -> Option<Vec<u8>> {
        assert_eq!(self.register(TRANSMIT) & TRANSMIT_ON, TRANSMIT_ON);
        let descriptor = self.head(TRANSMIT_RING)?;
        let length = u16::from_le_bytes(self.bytes(descriptor + 8, 2).try_into().unwrap());
        assert_eq!(self.bytes(descriptor + COMMAND, 1), [SEND]);
        let frame = self.bytes(self.buffer(descriptor), length.into());
        self.put(descriptor + DESCRIPTOR_STATUS, &[DONE]);
        self.go_on(TRANSMIT_RING);
        self.cause(SENT);
        Some(frame)
    }
}

impl Registers for FakeNic {
    fn read_u32(&self, offset: usize) -> u32 {
        if self.inner().gone {
            return !0;
        }
        let value = self.register(offset);
        if offset == CAUSES {
            self.set(CAUSES, 0);
        }
        value
    }

    fn write_u32(&self, offset: usize, value: u32) {
        if self.inner().gone {
            return;
        }
        match offset {
            CONTROL if value & RESET != 0 && !self.inner().stuck => {
                let [a, b, c, d, e, f] = self.inner().mac;
                self.inner().registers.clear();
                self.set(MAC[0], u32::from_le_bytes([a, b, c, d]));
                self.set(MAC[1], u32::from_le_bytes([e, f, 0, 0]) | MAC_VALID);
                self.set(STATUS, LINK_UP);
            }
            ENABLE => self.set(ENABLE, self.register(ENABLE) | value),
            DISABLE => self.set(ENABLE, self.register(ENABLE) & !value),
            _ => self.set(offset, value),
        }
    }
}

impl DeviceMemory for FakeNic {
    fn address(&self) -> u64 {
        BASE
    }
    fn length(&self) -> usize {
        MEMORY
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes(offset, into.len()));
    }
    fn write(&self, offset: usize, bytes: &[u8]) {
        self.put(offset, bytes);
    }
}

/// Time passes by waiting.
impl Interrupt for FakeNic {
    fn wait(&self, limit: Duration) -> impl Future<Output = ()> {
        self.inner().clock += nanoseconds(limit);
        core::future::ready(())
    }
    fn now(&self) -> u64 {
        self.inner().clock
    }
}
