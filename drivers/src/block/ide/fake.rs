// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated channel with drives, which can break the protocol.

use crate::hal::nanoseconds;
use core::time::Duration;
use std::cell::{Cell, RefCell};

use super::channel::Resources;
use crate::block::ata::TIMEOUT;
use crate::block::ata::tests::description;
use crate::hal::Interrupt;
use crate::hal::Ports;

pub(super) const RESOURCES: Resources =
    Resources { command: 0x1f0, control: 0x3f6, bus_master: None, line: 14 };

const SECTOR: usize = 512;

/// A drive.
pub(super) struct FakeDrive {
    pub(super) medium: Vec<u8>,
    pub(super) long_addresses: bool,
    /// Commands about this sector are refused.
    pub(super) bad_sector: Option<u64>,
    /// It stops in the middle of everything, until it is reset.
    pub(super) silent: bool,
    pub(super) flushes: u32,
}

impl FakeDrive {
    pub(super) fn new(sectors: usize, long_addresses: bool) -> Self {
        let medium = vec![0; sectors * SECTOR];
        Self { medium, long_addresses, bad_sector: None, silent: false, flushes: 0 }
    }
}

/// Which way data goes through the port, and what is left of it.
enum Transfer {
    None,
    Out(Vec<u8>),
    In { start: usize, taken: Vec<u8>, length: usize },
}

/// The channel. A command takes two waits; data is there sector by sector, each after another wait.
pub(super) struct FakeChannel {
    pub(super) drives: RefCell<[Option<FakeDrive>; 2]>,
    /// The registers as written last, and before.
    registers: RefCell<[(u8, u8); 8]>,
    transfer: RefCell<Transfer>,
    error: Cell<u8>,
    busy: Cell<u32>,
    clock: Cell<u64>,
    pub(super) resets: Cell<u32>,
}

impl FakeChannel {
    pub(super) fn new(drives: [Option<FakeDrive>; 2]) -> Self {
        Self {
            drives: RefCell::new(drives),
            registers: RefCell::default(),
            transfer: RefCell::new(Transfer::None),
            error: Cell::new(0),
            busy: Cell::new(0),
            clock: Cell::new(0),
            resets: Cell::new(0),
        }
    }

    fn selected(&self) -> usize {
        usize::from(self.registers.borrow()[6].0 >> 4 & 1)
    }

    fn status(&self) -> u8 {
        let drives = self.drives.borrow();
        if drives.iter().all(Option::is_none) {
            return 0xff;
        }
        let Some(drive) = &drives[self.selected()] else { return 0 };
        if self.busy.get() != 0 || (drive.silent && self.registers.borrow()[7].0 != 0) {
            return 0x80;
        }
        let wants_data = match &*self.transfer.borrow() {
            Transfer::None => false,
            Transfer::Out(data) => !data.is_empty(),
            Transfer::In { taken, length, .. } => taken.len() < *length,
        };
        0x40 | if wants_data { 8 } else { 0 } | u8::from(self.error.get() != 0)
    }

    fn command(&self, command: u8) {
        let mut drives = self.drives.borrow_mut();
        let Some(drive) = &mut drives[self.selected()] else { return };
        let registers = self.registers.borrow();
        let byte = |index: usize| u64::from(registers[index].0);
        let before = |index: usize| u64::from(registers[index].1);
        let low = byte(3) | byte(4) << 8 | byte(5) << 16;
        let long = matches!(command, 0x24 | 0x34);
        let (sector, count) = if long {
            (low | before(3) << 24 | before(4) << 32 | before(5) << 40, byte(2) | before(2) << 8)
        } else {
            (low | (byte(6) & 15) << 24, if byte(2) == 0 { 256 } else { byte(2) })
        };
        let (start, length) = (sector as usize * SECTOR, count as usize * SECTOR);
        let range = sector..sector + count;
        let fits =
            start + length <= drive.medium.len() && drive.bad_sector.is_none_or(|bad| !range.contains(&bad));
        self.busy.set(2);
        self.error.set(0);
        *self.transfer.borrow_mut() = match command {
            0xec => Transfer::Out(
                description((drive.medium.len() / SECTOR) as u64, drive.long_addresses).to_vec(),
            ),
            0x20 | 0x24 if fits && long == drive.long_addresses => {
                Transfer::Out(drive.medium[start..start + length].to_vec())
            }
            0x30 | 0x34 if fits && long == drive.long_addresses => {
                Transfer::In { start, taken: Vec::new(), length }
            }
            0xe7 | 0xea => {
                drive.flushes += 1;
                Transfer::None
            }
            _ => {
                self.error.set(0x10);
                Transfer::None
            }
        };
    }
}

impl Ports for FakeChannel {
    fn read_u8(&self, port: u16) -> u8 {
        match port {
            0x1f1 => self.error.get(),
            0x1f7 | 0x3f6 => self.status(),
            0x1f2..=0x1f6 => self.registers.borrow()[usize::from(port - 0x1f0)].0,
            _ => 0xff,
        }
    }
    fn read_u16(&self, port: u16) -> u16 {
        assert_eq!((port, self.status() & 0x88), (0x1f0, 8), "data was taken that is not there");
        let mut transfer = self.transfer.borrow_mut();
        let Transfer::Out(data) = &mut *transfer else { panic!("data goes the other way") };
        let word = u16::from_le_bytes([data[0], data[1]]);
        data.drain(..2);
        if data.len() % SECTOR == 0 {
            self.busy.set(1);
        }
        word
    }
    fn read_u32(&self, _port: u16) -> u32 {
        !0
    }
    fn write_u8(&self, port: u16, value: u8) {
        match port {
            0x3f6 if value & 4 != 0 => {
                self.resets.set(self.resets.get() + 1);
                *self.transfer.borrow_mut() = Transfer::None;
                self.error.set(0);
                self.registers.borrow_mut()[7] = (0, 0);
            }
            0x1f2..=0x1f7 => {
                let register = &mut self.registers.borrow_mut()[usize::from(port - 0x1f0)];
                *register = (value, register.0);
            }
            _ => {}
        }
        if port == 0x1f7 {
            self.command(value);
        }
    }
    fn write_u16(&self, port: u16, value: u16) {
        assert_eq!((port, self.status() & 0x88), (0x1f0, 8), "data was given that nobody asked for");
        let mut transfer = self.transfer.borrow_mut();
        let Transfer::In { start, taken, length } = &mut *transfer else { panic!("data goes the other way") };
        taken.extend(value.to_le_bytes());
        if taken.len() % SECTOR == 0 {
            self.busy.set(1);
        }
        if taken.len() == *length {
            let mut drives = self.drives.borrow_mut();
            let drive = drives[self.selected()].as_mut().unwrap();
            drive.medium[*start..*start + *length].copy_from_slice(taken);
        }
    }
    fn write_u32(&self, _port: u16, _value: u32) {}
}

/// Each wait ends one piece of work.
impl Interrupt for &FakeChannel {
    fn wait(&self, limit: Duration) -> impl Future<Output = ()> {
        self.busy.set(self.busy.get().saturating_sub(1));
        // Time flies while a drive is silent.
        self.clock.set(self.clock.get() + nanoseconds(limit.max(TIMEOUT / 8)));
        core::future::ready(())
    }
    fn now(&self) -> u64 {
        self.clock.get()
    }
}
