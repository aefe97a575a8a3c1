// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated controller, which can break the standard.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use xen::fake::{FakePage, FakeXen};
use xen::page::{Frame, PAGE_SIZE};

use super::TIMEOUT;
use super::command::*;
use super::controller::MEMORY;
use super::registers::*;
use crate::block::samples::Pages;
use crate::hal::{DeviceMemory, Interrupt, Registers, RingMemory, nanoseconds};

/// Where the controller finds its memory: beyond all pages of the domain's.
const BASE: u64 = 0x12_3400_0000;

/// A namespace.
pub(super) struct FakeNamespace {
    pub(super) medium: Vec<u8>,
    /// The size of a block, as a power of two.
    pub(super) power: u8,
    pub(super) metadata: u16,
    /// How many blocks it claims to have, if that is not the truth.
    pub(super) claims: Option<u64>,
    pub(super) write_protected: bool,
    pub(super) flushes: u32,
}

impl FakeNamespace {
    pub(super) fn new(blocks: usize, power: u8) -> Self {
        let medium = vec![0; blocks << power];
        Self { medium, power, metadata: 0, claims: None, write_protected: false, flushes: 0 }
    }
}

/// How a controller lies about the completion of a command to a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It names another command.
    Id,
    /// It completes it twice.
    Twice,
    /// It names another queue.
    Queue,
    /// It has read more commands than there are.
    Head,
    /// Its completion is not new.
    OldPhase,
    /// It fails with this status.
    Status(u16),
    /// There is none.
    Nothing,
}

/// A queue of the controller's, as it was told of.
#[derive(Clone, Copy, Default)]
struct Ring {
    address: u64,
    entries: u16,
    place: u16,
    /// How far the driver is.
    told: u16,
    laps: u32,
}

pub(super) struct Inner {
    pub(super) namespaces: HashMap<u32, FakeNamespace>,
    /// What it lists, if not its namespaces in order.
    pub(super) listed: Option<Vec<u32>>,
    /// It knows no list of namespaces, and does not describe what is none.
    pub(super) is_old: bool,
    /// How it tells where the next command is that it reads, if not the truth: from that and the entries.
    pub(super) tells_place: fn(u16, u16) -> u16,
    registers: HashMap<usize, u32>,
    memory: Vec<u8>,
    clock: u64,
    /// Commands and completions of both pairs.
    rings: [Ring; 4],
    /// Its capabilities, in two halves.
    pub(super) capabilities: [u32; 2],
    /// What it says of itself.
    pub(super) entry_sizes: [u8; 2],
    pub(super) transfer_power: u8,
    pub(super) has_cache: bool,
    /// It never is ready, or never stops to be, or fails when it is to begin.
    pub(super) never_ready: bool,
    pub(super) never_stops: bool,
    pub(super) fatal: bool,
    /// What it does about the next command to a namespace.
    pub(super) fault: Option<Fault>,
    /// It refuses commands to itself of this number.
    pub(super) refuses: Option<u8>,
    /// What it writes wherever it likes, a piece at each turn, the last first.
    pub(super) scribbles: Vec<(u16, Vec<u8>)>,
    /// How often it was told to begin.
    pub(super) starts: u32,
    /// Blocks of each command that moved data.
    pub(super) moved: Vec<u32>,
    /// Whether there are completions that the driver has not taken.
    pub(super) is_raised: bool,
}

/// The controller. Clones are the same one, as seen by registers, interrupt and memory. Commands are done
/// when somebody waits.
#[derive(Clone)]
pub(super) struct FakeController {
    inner: Arc<Mutex<Inner>>,
    xen: Arc<FakeXen>,
}

impl FakeController {
    pub(super) fn new(namespaces: impl IntoIterator<Item = (u32, FakeNamespace)>) -> Self {
        let inner = Inner {
            namespaces: namespaces.into_iter().collect(),
            listed: None,
            is_old: false,
            tells_place: |place, _| place,
            registers: HashMap::new(),
            memory: vec![0xee; MEMORY],
            clock: 0,
            rings: [Ring::default(); 4],
            // Queues of up to 1024 entries, ready within a second.
            capabilities: [2 << 24 | 1023, NVM_COMMANDS],
            entry_sizes: [0x66, 0x44],
            transfer_power: 0,
            has_cache: true,
            never_ready: false,
            never_stops: false,
            fatal: false,
            fault: None,
            refuses: None,
            scribbles: Vec::new(),
            starts: 0,
            moved: Vec::new(),
            is_raised: false,
        };
        Self { inner: Arc::new(Mutex::new(inner)), xen: Arc::new(FakeXen::new()) }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Pages for FakeController {
    fn page(&self) -> FakePage {
        self.xen.page()
    }
}

impl Inner {
    pub(super) fn register(&self, register: usize) -> u32 {
        self.registers.get(&register).copied().unwrap_or(0)
    }

    fn works(&self) -> bool {
        self.register(CONTROL) & ENABLE != 0 && !self.never_ready && !self.fatal
    }

    /// Bytes of its memory.
    fn at(&mut self, address: u64, length: usize) -> &mut [u8] {
        let place = usize::try_from(address - BASE).unwrap();
        &mut self.memory[place..][..length]
    }

    fn long(&mut self, address: u64) -> u64 {
        u64::from_le_bytes(self.at(address, 8).try_into().unwrap())
    }

    fn begin(&mut self) {
        self.starts += 1;
        assert_eq!(self.register(CONTROL), ENABLE | 6 << 16 | 4 << 20);
        let lengths = self.register(ADMIN_LENGTHS);
        let address = |inner: &Self, register: usize| {
            u64::from(inner.register(register)) | u64::from(inner.register(register + 4)) << 32
        };
        let ring = |address: u64, last: u32| Ring { address, entries: last as u16 + 1, ..Ring::default() };
        let commands = ring(address(self, ADMIN_COMMANDS), lengths & 0xfff);
        let completions = ring(address(self, ADMIN_COMPLETIONS), lengths >> 16);
        self.rings = [commands, completions, Ring::default(), Ring::default()];
        for ring in [commands, completions] {
            assert_eq!(ring.address % PAGE_SIZE as u64, 0);
            assert!(u32::from(ring.entries) <= (self.capabilities[0] & 0xffff) + 1 && ring.entries >= 2);
        }
    }

    /// Does all commands that it was told of.
    fn work(&mut self, xen: &FakeXen) {
        for pair in [0, 1] {
            while self.works() && self.rings[2 * pair].place != self.rings[2 * pair].told {
                let ring = &mut self.rings[2 * pair];
                let address = ring.address + u64::from(ring.place) * BYTES as u64;
                ring.place = (ring.place + 1) % ring.entries;
                let bytes: [u8; BYTES] = self.at(address, BYTES).try_into().unwrap();
                let id = u16::from_le_bytes([bytes[2], bytes[3]]);
                let status =
                    if pair == 0 { self.for_itself(&bytes) } else { self.for_namespace(&bytes, xen) };
                let fault = if pair == 0 { None } else { self.fault.take() };
                self.complete(pair, id, status, fault);
            }
        }
    }

    fn complete(&mut self, pair: usize, id: u16, status: u16, fault: Option<Fault>) {
        if fault == Some(Fault::Nothing) {
            return;
        }
        let [commands, completions] = [self.rings[2 * pair], self.rings[2 * pair + 1]];
        let phase = u16::from(completions.laps.is_multiple_of(2)) ^ u16::from(fault == Some(Fault::OldPhase));
        let status = if let Some(Fault::Status(status)) = fault { status } else { status };
        let place = (self.tells_place)(commands.place, commands.entries);
        let place = place + u16::from(fault == Some(Fault::Head));
        let queue = pair as u16 + u16::from(fault == Some(Fault::Queue));
        let id = id.wrapping_add(u16::from(fault == Some(Fault::Id)));
        let words = [0, 0, 0, 0, place, queue, id, status << 1 | phase];
        let address = completions.address + u64::from(completions.place) * 16;
        let bytes: Vec<u8> = words.into_iter().flat_map(u16::to_le_bytes).collect();
        self.at(address, 16).copy_from_slice(&bytes);
        let completions = &mut self.rings[2 * pair + 1];
        completions.place = (completions.place + 1) % completions.entries;
        completions.laps += u32::from(completions.place == 0);
        assert_ne!(completions.place, completions.told, "completions were not taken");
        self.is_raised = true;
        if fault == Some(Fault::Twice) {
            self.complete(pair, id, status, None);
        }
    }

    /// Does a command for itself, and returns the status.
    fn for_itself(&mut self, bytes: &[u8; BYTES]) -> u16 {
        let word = |index: usize| u32::from_le_bytes(bytes[4 * index..][..4].try_into().unwrap());
        let (first, shape, flags) = (u64::from(word(6)) | u64::from(word(7)) << 32, word(10), word(11));
        if self.refuses == Some(bytes[0]) {
            return 0x006;
        }
        match bytes[0] {
            IDENTIFY if self.is_old && word(10) == LIST => return 0x002,
            IDENTIFY
                if self.is_old && word(10) == OF_NAMESPACE && !self.namespaces.contains_key(&word(1)) =>
            {
                return INVALID_NAMESPACE;
            }
            IDENTIFY => {
                let description = self.description(word(10), word(1));
                self.at(first, PAGE_SIZE).copy_from_slice(&description);
            }
            SET_FEATURES => assert_eq!((word(10), word(11)), (7, 0)),
            number @ (CREATE_COMPLETIONS | CREATE_COMMANDS) => {
                assert_eq!(shape & 0xffff, 1, "the first queue of its kind");
                let is_commands = number == CREATE_COMMANDS;
                assert_eq!(flags, if is_commands { 1 << 16 | 1 } else { 3 });
                assert_eq!(is_commands, self.rings[3].entries != 0, "first for completions");
                let entries = (shape >> 16) as u16 + 1;
                let ring = Ring { address: first, entries, ..Ring::default() };
                self.rings[if is_commands { 2 } else { 3 }] = ring;
            }
            other => panic!("{other:#x} is not a command"),
        }
        0
    }

    fn description(&self, what: u32, id: u32) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        match what {
            0 => {
                let Some(namespace) = self.namespaces.get(&id) else { return page };
                let blocks = namespace.claims.unwrap_or((namespace.medium.len() >> namespace.power) as u64);
                page[..8].copy_from_slice(&blocks.to_le_bytes());
                // The second of two formats.
                page[26] = 1;
                page[99] = u8::from(namespace.write_protected);
                page[128..132].copy_from_slice(&[0, 0, 9, 0]);
                page[132..134].copy_from_slice(&namespace.metadata.to_le_bytes());
                page[134] = namespace.power;
            }
            1 => {
                page[24..64].copy_from_slice(b"FAKE CONTROLLER\x00                        ");
                page[77] = self.transfer_power;
                page[512..514].copy_from_slice(&self.entry_sizes);
                let last = self.namespaces.keys().max().copied().unwrap_or(0);
                page[516..520].copy_from_slice(&last.to_le_bytes());
                page[525] = u8::from(self.has_cache);
            }
            2 => {
                let mut ids: Vec<u32> = self.namespaces.keys().copied().collect();
                ids.sort_unstable();
                let ids = self.listed.clone().unwrap_or(ids);
                for (place, id) in page.chunks_exact_mut(4).zip(ids) {
                    place.copy_from_slice(&id.to_le_bytes());
                }
            }
            other => panic!("{other} cannot be identified"),
        }
        page
    }

    /// Does a command for a namespace, and returns the status.
    fn for_namespace(&mut self, bytes: &[u8; BYTES], xen: &FakeXen) -> u16 {
        let word = |index: usize| u32::from_le_bytes(bytes[4 * index..][..4].try_into().unwrap());
        let long = |index: usize| u64::from(word(index)) | u64::from(word(index + 1)) << 32;
        let (first, count) = (long(10) as usize, (word(12) & 0xffff) as usize + 1);
        let Some(namespace) = self.namespaces.get_mut(&word(1)) else { return 0x00b };
        if bytes[0] == FLUSH {
            namespace.flushes += 1;
            return 0;
        }
        let (power, writes) = (namespace.power, bytes[0] == WRITE);
        let range = first << power..(first + count) << power;
        if range.end > namespace.medium.len() {
            return 0x080;
        }
        let pages = range.len().div_ceil(PAGE_SIZE);
        assert!(self.transfer_power == 0 || pages <= 1 << self.transfer_power, "that is too much at once");
        self.moved.push(count as u32);
        let mut addresses = vec![long(6)];
        match pages {
            1 => {}
            2 => addresses.push(long(8)),
            _ => addresses.extend((0..pages as u64 - 1).map(|index| self.long(long(8) + 8 * index))),
        }
        let medium = &mut self.namespaces.get_mut(&word(1)).unwrap().medium[range];
        for (address, part) in addresses.into_iter().zip(medium.chunks_mut(PAGE_SIZE)) {
            assert_eq!(address % PAGE_SIZE as u64, 0);
            let page = xen.frame(Frame(address / PAGE_SIZE as u64)).expect("there is no such page");
            for (offset, sector) in part.chunks_exact_mut(512).enumerate() {
                let place = page.field::<[u8; 512]>(offset * 512).unwrap();
                if writes {
                    sector.copy_from_slice(&place.read());
                } else {
                    place.write((&*sector).try_into().unwrap());
                }
            }
        }
        0
    }

    fn scribble(&mut self) {
        let Some((place, bytes)) = self.scribbles.pop() else { return };
        let places = self.memory.iter_mut().skip(place.into());
        places.zip(bytes).for_each(|(place, byte)| *place = byte);
    }

    fn ring_doorbell(&mut self, register: usize, value: u32) {
        let step = 4 << (self.capabilities[1] & 0xf);
        let ring = &mut self.rings[(register - DOORBELLS) / step];
        assert_eq!((register - DOORBELLS) % step, 0);
        assert!(value < ring.entries.into(), "that is no place of a queue");
        ring.told = value as u16;
        let behind = |pair: usize| self.rings[2 * pair + 1].place != self.rings[2 * pair + 1].told;
        self.is_raised = behind(0) || behind(1);
    }
}

impl Registers for FakeController {
    fn read_u32(&self, register: usize) -> u32 {
        let inner = self.inner();
        match register {
            CAPABILITIES => inner.capabilities[0],
            CAPABILITIES_HIGH => inner.capabilities[1],
            STATUS if inner.fatal => FATAL,
            STATUS if inner.never_stops => READY,
            STATUS => u32::from(inner.works()),
            _ => inner.register(register),
        }
    }

    fn write_u32(&self, register: usize, value: u32) {
        let mut inner = self.inner();
        if register >= DOORBELLS {
            return inner.ring_doorbell(register, value);
        }
        let before = inner.register(CONTROL);
        inner.registers.insert(register, value);
        if register == CONTROL && (before ^ value) & ENABLE != 0 {
            if value & ENABLE != 0 { inner.begin() } else { inner.is_raised = false }
        }
    }
}

impl Interrupt for FakeController {
    async fn wait(&self, limit: Duration) {
        let mut inner = self.inner();
        inner.clock += nanoseconds(limit.min(TIMEOUT / 4));
        inner.work(&self.xen);
        inner.scribble();
    }

    fn now(&self) -> u64 {
        self.inner().clock
    }
}

impl DeviceMemory for FakeController {
    fn address(&self) -> u64 {
        BASE
    }

    fn length(&self) -> usize {
        MEMORY
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.inner().memory[offset..][..into.len()]);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        self.inner().memory[offset..][..bytes.len()].copy_from_slice(bytes);
    }
}

impl RingMemory for FakeController {
    fn load(&self, offset: usize) -> u16 {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    fn store(&self, offset: usize, value: u16) {
        self.write(offset, &value.to_le_bytes());
    }
}
