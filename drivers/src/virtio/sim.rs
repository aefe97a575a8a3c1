// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated virtio device for tests. It plays the other side of the queues, and breaks the protocol where
//! a test says so.
//!
//! It is stricter than a machine. What a driver writes stays in a store buffer, as in a processor, until
//! there is a barrier or a register is written. The device then sees one write after the other, and reads at
//! once what each publishes. It panics if the driver breaks the rules.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fake stops the test that made the mistake"
)]

use crate::hal::nanoseconds;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use spin::{Mutex, MutexGuard};
use xen::fake::{FakePage, FakeXen};
use xen::page::{Frame, PAGE_SIZE};

use super::pci::{self, Layout, Region};
use super::transport::status;
use super::{Registers as Boxed, mmio};
use crate::hal::Interrupt;
use crate::hal::{DeviceMemory, RingMemory};
use crate::hal::{NarrowRegisters, Registers};

/// Where the memory for queues is; below are the frames of a [`FakeXen`].
const MEMORY: u64 = 1 << 40;
/// How far apart its regions are.
const REGION: u64 = 1 << 24;
const QUEUES: usize = 3;
const PAGE: u64 = 4096;
/// The most that a device has of a chain: it would walk a circle for ever.
const MAX_DESCRIPTORS: usize = 1024;

/// What a device is like, and how it misbehaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether it is of the time before version 1.
    pub is_legacy: bool,
    /// Features that it offers.
    pub features: u64,
    /// How many descriptors each queue may have.
    pub allowed: [u32; QUEUES],
    /// Its configuration.
    pub configuration: Vec<u8>,
    /// It never ends a reset.
    pub is_stuck: bool,
    /// It does not agree to any features.
    pub refuses: bool,
    /// Its configuration changes all the time.
    pub is_unsteady: bool,
}

impl Config {
    /// One that keeps to version 1, with these features and this configuration.
    pub fn modern(features: u64, configuration: &[u8]) -> Self {
        Self {
            is_legacy: false,
            features: features | super::transport::VERSION_1,
            allowed: [256; QUEUES],
            configuration: configuration.to_vec(),
            is_stuck: false,
            refuses: false,
            is_unsteady: false,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Ring {
    is_ready: bool,
    size: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    /// What was checked of what the driver shows, and what was taken of it.
    checked: u16,
    taken: u16,
    used: u16,
}

struct State {
    config: Config,
    xen: FakeXen,
    accepted: u64,
    status: u8,
    is_started: bool,
    halves: [u32; 2],
    selected: usize,
    rings: [Ring; QUEUES],
    /// What the entries were that the driver showed, when it showed them.
    heads: [VecDeque<u16>; QUEUES],
    causes: u8,
    /// Causes of interrupts that come late, if they do.
    delayed: Option<u8>,
    generation: u32,
    regions: Vec<Vec<u8>>,
    /// Writes of the driver's that the device does not see.
    buffered: VecDeque<(u64, Vec<u8>)>,
    notified: [usize; QUEUES],
    clock: u64,
}

/// What a device does when its driver waits for it.
type Turn = Box<dyn FnMut(&SimDevice) + Send>;

/// The device. Clones are the same one.
#[derive(Clone)]
pub struct SimDevice {
    state: Arc<Mutex<State>>,
    turn: Arc<Mutex<Option<Turn>>>,
}

/// Memory that the driver gave the device at a time.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its first descriptor.
    pub head: u16,
    /// Address, length, and whether the device is to write it.
    pub descriptors: Vec<(u64, u32, bool)>,
}

impl Chain {
    /// How many bytes the device may write.
    pub fn room(&self) -> u32 {
        self.descriptors.iter().filter(|(_, _, write)| *write).map(|(_, length, _)| length).sum()
    }
}

impl SimDevice {
    /// A device.
    pub fn new(config: Config) -> Self {
        let state = State {
            config,
            xen: FakeXen::new(),
            accepted: 0,
            status: 0x7f,
            is_started: false,
            halves: [0; 2],
            selected: 0,
            rings: [Ring::default(); QUEUES],
            heads: Default::default(),
            causes: 0,
            delayed: None,
            generation: 0,
            regions: Vec::new(),
            buffered: VecDeque::new(),
            notified: [0; QUEUES],
            clock: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), turn: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Its registers in memory.
    pub fn in_memory(&self) -> Boxed {
        Box::new(mmio::Device::new(self.window(Window::Memory)))
    }

    /// Its registers on PCI.
    pub fn on_pci(&self) -> Boxed {
        let at = |address, length| Region { address, length };
        let layout = Layout {
            common: at(0, 56),
            notify: at(1, 4096),
            step: 4,
            interrupt: at(2, 1),
            device: Some(at(3, self.state().config.configuration.len() as u64)),
        };
        let windows = [Window::Common, Window::Notify, Window::Interrupt, Window::Device];
        let map = |region: Region| Ok::<_, ()>(self.window(windows[region.address as usize]));
        Box::new(pci::Device::open(layout, map).expect("all is mapped"))
    }

    fn window(&self, window: Window) -> SimRegisters {
        SimRegisters { device: self.clone(), window }
    }

    /// A page of the driver's.
    pub fn page(&self) -> FakePage {
        self.state().xen.page()
    }

    /// So many bytes of memory, zero, for queues or buffers.
    pub fn memory(&self, length: usize) -> SimMemory {
        let mut state = self.state();
        let address = MEMORY + REGION * state.regions.len() as u64;
        state.regions.push(vec![0; length]);
        SimMemory { device: self.clone(), address, length }
    }

    /// What it does whenever its driver waits for it.
    pub fn on_wait(&self, turn: impl FnMut(&Self) + Send + 'static) {
        *self.turn.lock() = Some(Box::new(turn));
    }

    /// Features that the driver uses.
    pub fn accepted(&self) -> u64 {
        self.state().accepted
    }

    /// Its status.
    pub fn status(&self) -> u8 {
        self.state().status
    }

    /// Changes its status behind the driver's back, and raises an interrupt.
    pub fn set_status(&self, status: u8) {
        let mut state = self.state();
        state.status = status;
        state.raise(super::transport::CONFIGURATION);
    }

    /// Changes a byte of its configuration, and raises an interrupt.
    pub fn configure(&self, offset: usize, value: u8) {
        let mut state = self.state();
        state.config.configuration[offset] = value;
        state.generation += 1;
        state.raise(super::transport::CONFIGURATION);
    }

    /// Has interrupts come only when they are [delivered](Self::deliver_interrupts).
    pub fn delay_interrupts(&self) {
        self.state().delayed = Some(0);
    }

    /// Delivers the interrupts that were delayed. Later ones come at once.
    pub fn deliver_interrupts(&self) {
        let mut state = self.state();
        let delayed = state.delayed.take().unwrap_or(0);
        state.raise(delayed);
    }

    /// Whether its interrupt line is up.
    pub fn is_raised(&self) -> bool {
        self.state().causes != 0
    }

    /// How often it was told of something in a queue.
    pub fn notified(&self, queue: u16) -> usize {
        self.state().notified[usize::from(queue)]
    }

    /// Number of descriptors of a queue.
    pub fn size(&self, queue: u16) -> u16 {
        self.state().rings[usize::from(queue)].size
    }

    /// The next chain that the driver has shown.
    pub fn take(&self, queue: u16) -> Option<Chain> {
        let mut state = self.state();
        let ring = state.rings[usize::from(queue)];
        if !ring.is_ready || ring.taken == state.shown(ring) {
            return None;
        }
        state.rings[usize::from(queue)].taken = ring.taken.wrapping_add(1);
        let chain = state.chain(ring, ring.taken);
        let heads = &mut state.heads[usize::from(queue)];
        // A device that gives back what it did not look at has it overwritten.
        let is_there = heads.len() <= usize::from(ring.size);
        let shown = heads.pop_front();
        assert!(!is_there || shown == Some(chain.head), "it was shown before it was written");
        Some(chain)
    }

    /// What the device reads of a chain.
    pub fn read(&self, chain: &Chain) -> Vec<u8> {
        let state = self.state();
        let descriptors = chain.descriptors.iter().filter(|(_, _, write)| !write);
        descriptors.flat_map(|(address, length, _)| state.bytes(*address, *length as usize)).collect()
    }

    /// Writes `bytes` into a chain, as many as there is room for; how many those are.
    pub fn write(&self, chain: &Chain, mut bytes: &[u8]) -> u32 {
        let (mut state, mut written) = (self.state(), 0);
        for (address, length, _) in chain.descriptors.iter().filter(|(_, _, write)| *write) {
            let (now, later) = bytes.split_at(bytes.len().min(*length as usize));
            state.put(*address, now);
            (bytes, written) = (later, written + now.len() as u32);
        }
        written
    }

    /// Writes the last byte of a chain.
    pub fn write_last(&self, chain: &Chain, byte: u8) {
        if let Some((address, length, true)) = chain.descriptors.last() {
            self.state().put(address + u64::from(*length) - 1, &[byte]);
        }
    }

    /// Gives back what begins with descriptor `head`, true or not, and says that `written` bytes were.
    pub fn give(&self, queue: u16, head: u32, written: u32) {
        let ring = self.state().rings[usize::from(queue)];
        if !ring.is_ready {
            return;
        }
        let entry = u64::from(head) | u64::from(written) << 32;
        let slot = u64::from(ring.used % ring.size);
        self.state().put(ring.device + 4 + 8 * slot, &entry.to_le_bytes());
        self.show(queue, 1);
    }

    /// Claims to have used so many more than it has; fewer, if that is negative.
    pub fn show(&self, queue: u16, more: i16) {
        let mut state = self.state();
        let ring = &mut state.rings[usize::from(queue)];
        if !ring.is_ready {
            return;
        }
        ring.used = ring.used.wrapping_add_signed(more);
        let (place, used) = (ring.device + 2, ring.used);
        state.put(place, &used.to_le_bytes());
        state.raise(super::transport::USED);
    }

    /// Says whether it wants to be told of what is in a queue.
    pub fn want_notifications(&self, queue: u16, wanted: bool) {
        let mut state = self.state();
        let ring = state.rings[usize::from(queue)];
        state.put(ring.device, &u16::from(!wanted).to_le_bytes());
    }

    /// Whether the driver wants to be told of what was used, as far as the device sees.
    pub fn is_listened_to(&self, queue: u16) -> bool {
        let state = self.state();
        state.bytes(state.rings[usize::from(queue)].driver, 1)[0] & 1 == 0
    }

    /// Does what a disk is asked for, whose contents `storage` is; how many commands there were.
    pub fn serve_disk(&self, storage: &mut [u8]) -> usize {
        let mut count = 0;
        while let Some(chain) = self.take(0) {
            self.carry_out(storage, &chain);
            count += 1;
        }
        count
    }

    /// Carries out a command of a disk's.
    pub fn carry_out(&self, storage: &mut [u8], chain: &Chain) {
        let told = self.read(chain);
        let (header, data) = told.split_at(16);
        let number = |start: usize| u64::from_le_bytes(header[start..start + 8].try_into().expect("8 bytes"));
        let start = (number(8) * 512) as usize;
        let room = chain.room() as usize - 1;
        let mut answer = Vec::new();
        match number(0) as u32 {
            0 => answer.extend_from_slice(&storage[start..start + room]),
            1 => storage[start..start + data.len()].copy_from_slice(data),
            4 => assert!(data.is_empty() && room == 0, "a flush with data"),
            other => panic!("command {other}"),
        }
        answer.push(0);
        let written = self.write(chain, &answer);
        self.give(0, chain.head.into(), written);
    }
}

#[cfg(test)]
impl crate::block::samples::Pages for SimDevice {
    fn page(&self) -> FakePage {
        Self::page(self)
    }
}

impl State {
    fn region(&self, address: u64, length: usize) -> Option<(usize, usize)> {
        let offset = address.checked_sub(MEMORY)?;
        let (region, place) = ((offset / REGION) as usize, (offset % REGION) as usize);
        let end = place + length;
        assert!(end <= self.regions.get(region).map_or(0, Vec::len), "{address:#x} is no memory");
        Some((region, place))
    }

    /// What the device sees at an address.
    fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        if let Some((region, place)) = self.region(address, length) {
            return self.regions[region][place..place + length].to_vec();
        }
        let mut bytes = vec![0; length];
        let frame = self.xen.frame(Frame(address / PAGE)).expect("a frame of the driver's");
        frame.copy_to((address % PAGE) as usize, &mut bytes).expect("inside of a page");
        bytes
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        if let Some((region, place)) = self.region(address, bytes.len()) {
            self.regions[region][place..place + bytes.len()].copy_from_slice(bytes);
            return;
        }
        let frame = self.xen.frame(Frame(address / PAGE)).expect("a frame of the driver's");
        frame.copy_from((address % PAGE) as usize, bytes).expect("inside of a page");
    }

    fn word(&self, address: u64) -> u16 {
        let bytes = self.bytes(address, 2);
        u16::from_le_bytes([bytes[0], bytes[1]])
    }

    /// What the driver sees: its own writes, be they buffered or not.
    fn forwarded(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = self.bytes(address, length);
        for (start, written) in &self.buffered {
            for (place, byte) in (*start..).zip(written) {
                if let Some(offset) = place.checked_sub(address).filter(|offset| *offset < length as u64) {
                    bytes[offset as usize] = *byte;
                }
            }
        }
        bytes
    }

    /// Has the device see what the driver wrote, one after the other.
    fn drain(&mut self) {
        while let Some((address, bytes)) = self.buffered.pop_front() {
            self.put(address, &bytes);
            for number in 0..QUEUES {
                self.check(number);
            }
        }
    }

    fn shown(&self, ring: Ring) -> u16 {
        self.word(ring.driver + 2)
    }

    /// Looks at what the driver has just shown.
    fn check(&mut self, number: usize) {
        let ring = self.rings[number];
        if !ring.is_ready {
            return;
        }
        let shown = self.shown(ring);
        assert!(shown.wrapping_sub(ring.checked) <= ring.size, "more is shown than there are descriptors");
        let mut checked = ring.checked;
        while checked != shown {
            let chain = self.chain(ring, checked);
            self.heads[number].push_back(chain.head);
            assert!(
                !chain.descriptors.is_empty() && chain.descriptors.iter().all(|(_, length, _)| *length != 0)
            );
            for (address, length, _) in chain.descriptors {
                // Panics if nothing is there.
                self.bytes(address, length as usize);
            }
            checked = checked.wrapping_add(1);
        }
        self.rings[number].checked = checked;
    }

    fn chain(&self, ring: Ring, index: u16) -> Chain {
        let head = self.word(ring.driver + 4 + 2 * u64::from(index % ring.size));
        let (mut descriptors, mut next) = (Vec::new(), head);
        loop {
            assert!(next < ring.size && descriptors.len() < MAX_DESCRIPTORS, "a chain leads nowhere");
            let bytes = self.bytes(ring.descriptors + 16 * u64::from(next), 16);
            let descriptor = u128::from_le_bytes(bytes.try_into().expect("16 bytes"));
            let flags = (descriptor >> 96) as u16;
            let is_written = flags & 2 != 0;
            assert!(
                is_written || descriptors.last().is_none_or(|(_, _, write)| !write),
                "what is read comes first"
            );
            descriptors.push((descriptor as u64, (descriptor >> 64) as u32, is_written));
            if flags & 1 == 0 {
                return Chain { head, descriptors };
            }
            next = (descriptor >> 112) as u16;
        }
    }

    fn raise(&mut self, causes: u8) {
        *self.delayed.as_mut().unwrap_or(&mut self.causes) |= causes;
    }

    fn set_status(&mut self, told: u8) {
        if told == 0 {
            if !self.config.is_stuck {
                self.delayed = self.delayed.map(|_| 0);
                (self.status, self.accepted, self.causes) = (0, 0, 0);
                (self.rings, self.heads) = ([Ring::default(); QUEUES], Default::default());
            }
            return;
        }
        let refused = if self.config.refuses { status::FEATURES_OK } else { 0 };
        let agrees = self.config.is_legacy || told & status::FEATURES_OK != 0;
        assert!(told & status::DRIVER_OK == 0 || agrees, "features are not agreed on");
        self.is_started = told & status::DRIVER_OK != 0;
        self.status = told & !refused;
    }

    fn ring(&mut self) -> &mut Ring {
        let selected = self.selected.min(QUEUES - 1);
        &mut self.rings[selected]
    }

    fn allowed(&self) -> u32 {
        self.config.allowed.get(self.selected).copied().unwrap_or(0)
    }

    fn offered(&self) -> u32 {
        (self.config.features >> (32 * self.halves[0].min(1))) as u32
    }

    fn accept(&mut self, bits: u32) {
        assert_eq!(bits & !self.offered_at(self.halves[1]), 0, "features that are not offered");
        self.accepted |= u64::from(bits) << (32 * self.halves[1]);
    }

    fn offered_at(&self, half: u32) -> u32 {
        (self.config.features >> (32 * half)) as u32
    }

    fn set_size(&mut self, size: u32) {
        assert!(size.is_power_of_two() && size <= self.allowed(), "a queue of {size}");
        self.ring().size = size as u16;
    }

    fn set_half(address: &mut u64, value: u32, is_high: bool) {
        let kept = if is_high { *address & 0xffff_ffff } else { *address & !0xffff_ffff };
        *address = kept | u64::from(value) << if is_high { 32 } else { 0 };
    }

    fn notify(&mut self, queue: u32) {
        assert!(self.is_started, "it is told of something before it is to begin");
        self.notified[queue as usize] += 1;
    }

    fn generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(self.config.is_unsteady.into());
        self.generation
    }

    fn configuration(&self, offset: usize, length: usize) -> u32 {
        let byte = |index| self.config.configuration.get(index).copied().unwrap_or(!0);
        (0..length).rev().fold(0, |value, index| value << 8 | u32::from(byte(offset + index)))
    }
}

/// Which registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Memory,
    Common,
    Notify,
    Interrupt,
    Device,
}

/// Registers of the device.
struct SimRegisters {
    device: SimDevice,
    window: Window,
}

impl SimRegisters {
    fn read(&self, offset: usize, length: usize) -> u32 {
        let mut state = self.device.state();
        match (self.window, offset) {
            (Window::Device, _) => state.configuration(offset, length),
            (Window::Memory, 0x100..) => state.configuration(offset - 0x100, length),
            (Window::Memory, 0x000) => 0x7472_6976,
            (Window::Memory, 0x004) => {
                if state.config.is_legacy {
                    1
                } else {
                    2
                }
            }
            (Window::Memory, 0x010) | (Window::Common, 4) => state.offered(),
            (Window::Memory, 0x034) | (Window::Common, 24) => state.allowed(),
            (Window::Memory, 0x060) => state.causes.into(),
            (Window::Interrupt, 0) => core::mem::take(&mut state.causes).into(),
            (Window::Memory, 0x070) | (Window::Common, 20) => state.status.into(),
            (Window::Memory, 0x0fc) | (Window::Common, 21) => state.generation(),
            (Window::Common, 30) => state.selected as u32,
            (window, _) => panic!("{window:?} {offset:#x} is read"),
        }
    }

    fn write(&self, offset: usize, value: u32) {
        let mut state = self.device.state();
        state.drain();
        match (self.window, offset) {
            (Window::Memory, 0x014) | (Window::Common, 0) => state.halves[0] = value,
            (Window::Memory, 0x024) | (Window::Common, 8) => state.halves[1] = value,
            (Window::Memory, 0x020) | (Window::Common, 12) => state.accept(value),
            (Window::Memory, 0x028 | 0x03c) => assert_eq!((state.config.is_legacy, value), (true, 4096)),
            (Window::Memory, 0x030) | (Window::Common, 22) => state.selected = value as usize,
            (Window::Memory, 0x038) | (Window::Common, 24) => state.set_size(value),
            (Window::Memory, 0x040) => {
                assert!(state.config.is_legacy);
                let (descriptors, ring) = (u64::from(value) * PAGE, state.ring());
                let driver = descriptors + 16 * u64::from(ring.size);
                let device = (driver + 6 + 2 * u64::from(ring.size)).next_multiple_of(PAGE);
                *ring = Ring { is_ready: true, descriptors, driver, device, ..*ring };
            }
            (Window::Memory, 0x044) | (Window::Common, 28) => {
                assert_eq!((state.config.is_legacy, value), (false, 1));
                state.ring().is_ready = true;
            }
            (Window::Memory, 0x050) | (Window::Notify, _) => state.notify(value),
            (Window::Memory, 0x064) => state.causes &= !(value as u8),
            (Window::Memory, 0x070) | (Window::Common, 20) => state.set_status(value as u8),
            (Window::Memory, 0x080 | 0x084) | (Window::Common, 32 | 36) => {
                State::set_half(&mut state.ring().descriptors, value, offset & 4 != 0);
            }
            (Window::Memory, 0x090 | 0x094) | (Window::Common, 40 | 44) => {
                State::set_half(&mut state.ring().driver, value, offset & 4 != 0);
            }
            (Window::Memory, 0x0a0 | 0x0a4) | (Window::Common, 48 | 52) => {
                State::set_half(&mut state.ring().device, value, offset & 4 != 0);
            }
            (window, _) => panic!("{value:#x} is written to {window:?} {offset:#x}"),
        }
    }
}

impl Registers for SimRegisters {
    fn read_u32(&self, offset: usize) -> u32 {
        self.read(offset, 4)
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }
}

impl NarrowRegisters for SimRegisters {
    fn length(&self) -> usize {
        let configuration = self.device.state().config.configuration.len();
        if self.window == Window::Memory { 0x100 + configuration } else { configuration }
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.read(offset, 1) as u8
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.read(offset, 2) as u16
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.write(offset, value.into());
    }
    fn write_u16(&self, offset: usize, value: u16) {
        self.write(offset, value.into());
    }
}

/// Memory of the driver's, which the device uses too.
pub struct SimMemory {
    device: SimDevice,
    address: u64,
    length: usize,
}

impl DeviceMemory for SimMemory {
    fn address(&self) -> u64 {
        self.address
    }
    fn length(&self) -> usize {
        self.length
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.device.state().forwarded(self.address + offset as u64, into.len()));
    }
    fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length, "a write beyond the end");
        self.device.state().buffered.push_back((self.address + offset as u64, bytes.to_vec()));
    }
}

impl RingMemory for SimMemory {
    fn load(&self, offset: usize) -> u16 {
        let mut word = [0; 2];
        self.read(offset, &mut word);
        u16::from_le_bytes(word)
    }
    fn store(&self, offset: usize, value: u16) {
        self.write(offset, &value.to_le_bytes());
    }
    fn barrier(&self) {
        self.device.state().drain();
    }
}

/// Time passes by waiting, and the device has its turn meanwhile. A wait without a limit takes no time: only
/// the interrupt ends it.
impl Interrupt for SimDevice {
    async fn wait(&self, limit: Duration) {
        if limit != Duration::MAX {
            self.state().clock += nanoseconds(limit);
        }
        let turn = self.turn.lock().take();
        if let Some(mut turn) = turn {
            turn(self);
            self.turn.lock().get_or_insert(turn);
        }
        if limit == Duration::MAX {
            poll_fn(|_| if self.is_raised() { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }
    fn now(&self) -> u64 {
        self.state().clock
    }
}

// A page of the driver's is as long as one of Xen's.
const _: () = assert!(PAGE as usize == PAGE_SIZE);
