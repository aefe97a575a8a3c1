// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated controller with drives, which can break the standard.

use crate::hal::nanoseconds;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use xen::fake::{FakePage, FakeXen};
use xen::page::{Frame, PAGE_SIZE};

use super::port::MEMORY;
use super::registers::*;
use crate::block::ata::tests::description;
use crate::block::ata::{FLUSH, FLUSH_LONG, IDENTIFY, TIMEOUT};
use crate::block::samples::Pages;
use crate::hal::DeviceMemory;
use crate::hal::Interrupt;
use crate::hal::Registers;

/// Where the controller finds the memory of its disks: beyond all pages of the domain's.
const BASE: u64 = 0x12_3400_0000;

const SECTOR: usize = 512;

/// A drive.
pub(super) struct FakeDrive {
    pub(super) medium: Vec<u8>,
    pub(super) long_addresses: bool,
    pub(super) kind: u32,
    /// Commands about this sector are refused.
    pub(super) bad_sector: Option<u64>,
    /// It stops in the middle of everything, until its link is reset.
    pub(super) silent: bool,
    /// What it says of itself is all ones.
    pub(super) nonsense: bool,
    pub(super) flushes: u32,
    /// The numbers of the commands that it got.
    pub(super) commands: Vec<u8>,
}

impl FakeDrive {
    pub(super) fn new(sectors: usize, long_addresses: bool) -> Self {
        Self {
            medium: vec![0; sectors * SECTOR],
            long_addresses,
            kind: DISK,
            bad_sector: None,
            silent: false,
            nonsense: false,
            flushes: 0,
            commands: Vec::new(),
        }
    }
}

pub(super) struct Inner {
    pub(super) drives: HashMap<u8, FakeDrive>,
    registers: HashMap<usize, u32>,
    memories: Vec<Vec<u8>>,
    clock: u64,
    /// It never ends a reset.
    pub(super) stuck: bool,
    /// Its ports never stop.
    pub(super) restless: bool,
    /// It knows addresses of 32 bits only.
    pub(super) short: bool,
    pub(super) link_resets: u32,
}

/// The controller. Clones are the same one, as seen by registers and interrupt. Commands are done when
/// somebody waits.
#[derive(Clone)]
pub(super) struct FakeController {
    inner: Arc<Mutex<Inner>>,
    xen: Arc<FakeXen>,
}

/// The memory of a disk.
pub(super) struct FakeMemory {
    controller: FakeController,
    index: usize,
}

impl FakeController {
    pub(super) fn new(drives: impl IntoIterator<Item = (u8, FakeDrive)>) -> Self {
        let inner = Inner {
            drives: drives.into_iter().collect(),
            registers: HashMap::new(),
            memories: Vec::new(),
            clock: 0,
            stuck: false,
            restless: false,
            short: false,
            link_resets: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)), xen: Arc::new(FakeXen::new()) }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn memory(&self) -> FakeMemory {
        let mut inner = self.inner();
        inner.memories.push(vec![0xee; MEMORY]);
        FakeMemory { controller: self.clone(), index: inner.memories.len() - 1 }
    }
}

impl Pages for FakeController {
    fn page(&self) -> FakePage {
        self.xen.page()
    }
}

impl Inner {
    fn register(&self, register: usize) -> u32 {
        self.registers.get(&register).copied().unwrap_or(0)
    }

    /// Bytes of a disk's memory.
    fn memory(&mut self, address: u64, length: usize) -> &mut [u8] {
        let place = (address - BASE) as usize;
        &mut self.memories[place / MEMORY][place % MEMORY..][..length]
    }

    fn word(&mut self, address: u64) -> u32 {
        u32::from_le_bytes(self.memory(address, 4).try_into().unwrap())
    }

    fn long(&mut self, address: u64) -> u64 {
        u64::from(self.word(address)) | u64::from(self.word(address + 4)) << 32
    }

    fn address_of(&self, port: usize, register: usize) -> u64 {
        u64::from(self.register(port + register)) | u64::from(self.register(port + register + 4)) << 32
    }

    /// Does the command of each port that has one.
    fn work(&mut self, xen: &FakeXen) {
        let numbers: Vec<u8> = self.drives.keys().copied().collect();
        for number in numbers {
            let port = FIRST_PORT + usize::from(number) * PORT;
            if self.register(port + ISSUED) & 1 == 0 || self.drives[&number].silent {
                continue;
            }
            assert_eq!(self.register(port + COMMAND) & WORKS, WORKS, "the port does not work");
            assert_ne!(self.register(port + ENABLE), 0, "nobody would hear of it");
            assert_ne!(self.register(CONTROL) & AHCI, 0);
            let error = self.carry_out(number, port, xen);
            if error == 0 {
                self.registers.insert(port + ISSUED, 0);
            }
            let failed = error != 0;
            let status = if failed { u32::from(error) << 8 | 0x41 } else { 0x50 };
            self.registers.insert(port + STATUS, status);
            let causes = self.register(port + CAUSES) | if failed { 1 << 30 } else { 1 };
            self.registers.insert(port + CAUSES, causes);
        }
    }

    /// Does a port's command, and returns the error register.
    fn carry_out(&mut self, number: u8, port: usize, xen: &FakeXen) -> u8 {
        let list = self.address_of(port, LIST);
        let header = self.word(list);
        assert_eq!(header & 0x1f, 5, "the message has five words");
        let writes = header & 1 << 6 != 0;
        let table = self.long(list + 8);
        assert_eq!(table % 128, 0);
        let message = self.memory(table, 20).to_vec();
        assert_eq!(message[..2], [0x27, 0x80]);
        let regions: Vec<(u64, usize)> = (0..u64::from(header >> 16))
            .map(|index| {
                let region = table + 0x80 + index * 16;
                (self.long(region), self.word(region + 12) as usize + 1)
            })
            .collect();
        let drive = self.drives.get_mut(&number).unwrap();
        drive.commands.push(message[2]);
        match message[2] {
            IDENTIFY => {
                let sectors = (drive.medium.len() / SECTOR) as u64;
                let text =
                    if drive.nonsense { [0xff; 512] } else { description(sectors, drive.long_addresses) };
                let (address, length) = regions[0];
                self.memory(address, length).copy_from_slice(&text);
                return 0;
            }
            FLUSH | FLUSH_LONG => {
                drive.flushes += 1;
                return 0;
            }
            _ => {}
        }
        let is_long = matches!(message[2], 0x25 | 0x35);
        assert_eq!(is_long, drive.long_addresses, "the other form");
        assert_eq!(writes, matches!(message[2], 0x35 | 0xca), "the other direction");
        let byte = |index: usize| u64::from(message[index]);
        let first = match is_long {
            true => byte(4) | byte(5) << 8 | byte(6) << 16 | byte(8) << 24 | byte(9) << 32 | byte(10) << 40,
            false => byte(4) | byte(5) << 8 | byte(6) << 16 | (byte(7) & 0xf) << 24,
        };
        let count = match (is_long, byte(12) | byte(13) << 8) {
            (false, count) if count & 0xff == 0 => 256,
            (false, count) => count & 0xff,
            (true, count) => count,
        };
        assert_eq!(count as usize * SECTOR, regions.iter().map(|(_, length)| length).sum::<usize>());
        if drive.bad_sector.is_some_and(|bad| (first..first + count).contains(&bad)) {
            return 0x40;
        }
        let Some(medium) = drive.medium.get_mut(first as usize * SECTOR..) else { return 0x10 };
        let mut sectors = medium.chunks_exact_mut(SECTOR);
        for (address, length) in regions {
            assert_eq!(address % PAGE_SIZE as u64, 0);
            let page = xen.frame(Frame(address / PAGE_SIZE as u64)).expect("there is no such page");
            for offset in (0..length).step_by(SECTOR) {
                let place = page.field::<[u8; SECTOR]>(offset).unwrap();
                let Some(sector) = sectors.next() else { return 0x10 };
                if writes {
                    sector.copy_from_slice(&place.read());
                } else {
                    place.write(sector.try_into().unwrap());
                }
            }
        }
        0
    }
}

impl Registers for FakeController {
    fn read_u32(&self, register: usize) -> u32 {
        let inner = self.inner();
        match register {
            CAPABILITIES => 0x1f00 | 5 | if inner.short { 0 } else { LONG_ADDRESSES },
            CONTROL if inner.stuck => !0,
            PORTS => 0x3f,
            _ if register < FIRST_PORT => inner.register(register),
            _ => {
                let number = ((register - FIRST_PORT) / PORT) as u8;
                let drive = inner.drives.get(&number);
                match ((register - FIRST_PORT) % PORT, drive) {
                    (LINK, Some(_)) => 0x113,
                    (LINK, None) => 0,
                    (KIND, Some(drive)) => drive.kind,
                    _ => inner.register(register),
                }
            }
        }
    }

    fn write_u32(&self, register: usize, value: u32) {
        let mut inner = self.inner();
        if register < FIRST_PORT {
            let value = if register == CONTROL { value & !RESET } else { value };
            inner.registers.insert(register, value);
            return;
        }
        let port = register - (register - FIRST_PORT) % PORT;
        let number = ((port - FIRST_PORT) / PORT) as u8;
        let value = match register - port {
            CAUSES => inner.register(register) & !value,
            COMMAND => {
                let works = if value & START != 0 || inner.restless { WORKS } else { 0 };
                let takes = if value & TAKE_MESSAGES != 0 { TAKES_MESSAGES } else { 0 };
                if works == 0 {
                    inner.registers.insert(port + ISSUED, 0);
                }
                value & !(WORKS | TAKES_MESSAGES) | works | takes
            }
            LINK_CONTROL => {
                if value == LINK_RESET {
                    inner.link_resets += 1;
                    if let Some(drive) = inner.drives.get_mut(&number) {
                        drive.silent = false;
                    }
                    inner.registers.insert(port + STATUS, 0x50);
                }
                value
            }
            _ => value,
        };
        inner.registers.insert(register, value);
    }
}

impl Interrupt for FakeController {
    async fn wait(&self, limit: Duration) {
        let mut inner = self.inner();
        inner.clock += nanoseconds(limit.min(TIMEOUT / 4));
        inner.work(&self.xen);
    }

    fn now(&self) -> u64 {
        self.inner().clock
    }
}

impl DeviceMemory for FakeMemory {
    fn address(&self) -> u64 {
        BASE + (self.index * MEMORY) as u64
    }

    fn length(&self) -> usize {
        MEMORY
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let inner = self.controller.inner();
        into.copy_from_slice(&inner.memories[self.index][offset..offset + into.len()]);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        let mut inner = self.controller.inner();
        inner.memories[self.index][offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}
