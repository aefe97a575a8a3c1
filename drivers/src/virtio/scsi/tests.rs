// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver against a simulated controller with disks, which can break the standards.

use core::pin::pin;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use xen::fake::FakePage;

use super::command::{COMMAND, REQUEST, RESPONSE, SENSE};
use super::{Address, Controller, Disk, Failure, LIMIT, LeftOut, Sense, Unfit};
use crate::block::samples::{buffer, contents, pattern, read};
use crate::block::{self, Buffer, Disk as _, QueuedDisk, Request};
use crate::hal::{Interrupt, now, poll};
use crate::virtio::Registers;
use crate::virtio::queue::{self, Violation};
use crate::virtio::sim::{Chain, Config, SimDevice, SimMemory};
use crate::virtio::transport::{self, Error, status};

/// The queue of requests.
const QUEUE: u16 = 2;
/// The ways to a device.
const WAYS: [fn(&SimDevice) -> Registers; 2] = [SimDevice::in_memory, SimDevice::on_pci];

/// A disk.
struct FakeDisk {
    medium: Vec<u8>,
    block: u32,
    /// What it says is its last block, if that is not the truth.
    claims: Option<u64>,
    kind: u8,
    read_only: bool,
    /// The command that flushes; 0 for none.
    flush: u8,
    flushes: u32,
    /// Blocks of each command that moved data.
    moved: Vec<u32>,
}

impl FakeDisk {
    fn new(bytes: usize, block: u32) -> Self {
        Self {
            medium: vec![0; bytes],
            block,
            claims: None,
            kind: 0,
            read_only: false,
            flush: 0x35,
            flushes: 0,
            moved: Vec::new(),
        }
    }

    /// Does a command: what it returns, or its sense data.
    fn carry_out(&mut self, command: &[u8], data: &[u8]) -> Result<Vec<u8>, [u8; 3]> {
        let number = |range: core::ops::Range<usize>| {
            command[range].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let room = data.len();
        match command[0] {
            0x12 => {
                let text = [self.kind, 0, 6, 2, 31, 0, 0, 0].into_iter().chain(*b"FAKE    DISK   NO. 9   \0");
                Ok(text.chain(*b"1.0 ").collect())
            }
            0x9e => {
                assert_eq!((command[1], number(10..14)), (0x10, 32));
                let last = (self.medium.len() as u64 / u64::from(self.block.max(1))).wrapping_sub(1);
                let told =
                    self.claims.unwrap_or(last).to_be_bytes().into_iter().chain(self.block.to_be_bytes());
                Ok(told.chain([0; 20]).collect())
            }
            0x1a => {
                assert_eq!(command[1..4], [8, 0x3f, 0]);
                Ok(vec![3, 0, if self.read_only { 0x80 } else { 0 }, 0])
            }
            operation @ (0x35 | 0x91) if operation != self.flush => Err([5, 0x20, 0]),
            0x35 | 0x91 => {
                assert_eq!(room, 0);
                self.flushes += 1;
                Ok(vec![])
            }
            operation @ (0x88 | 0x8a) => {
                let (first, count) = (number(2..10) as usize, number(10..14) as usize);
                self.moved.push(count as u32);
                let range = first * self.block as usize..(first + count) * self.block as usize;
                let Some(part) = self.medium.get_mut(range) else { return Err([5, 0x21, 0]) };
                if operation == 0x88 {
                    return Ok(part.to_vec());
                }
                part.copy_from_slice(data);
                Ok(vec![])
            }
            other => panic!("{other:#x} is not a command"),
        }
    }
}

/// What is behind a controller.
#[derive(Default)]
struct Bus {
    disks: BTreeMap<(u8, u16), FakeDisk>,
    /// The list of units that each target gives, if not the truth.
    listed: Option<Vec<u8>>,
    refuses_list: bool,
    /// What the next commands meet: status, response and sense data.
    answers: Vec<(u8, u8, Vec<u8>)>,
    /// The last of these is met again and again.
    for_ever: bool,
    /// Bytes of the next command that are not moved.
    residual: u32,
    commands: u32,
}

impl Bus {
    fn carry_out(&mut self, device: &SimDevice, chain: &Chain) {
        let told = device.read(chain);
        let (request, data) = told.split_at(REQUEST);
        let (command, room) = (&request[19..], chain.room() as usize - RESPONSE);
        let place = (request[1], u16::from_be_bytes([request[2] & 0x3f, request[3]]));
        assert_eq!((request[0], request[2] >> 6, &request[8..19]), (1, 1, &[0; 11][..]));
        self.commands += 1;
        let answer = if self.for_ever { self.answers.last().cloned() } else { self.answers.pop() };
        if let Some((status, response, sense)) = answer {
            return respond(device, chain, status, response, room as u32, &sense, &[]);
        }
        if !self.disks.keys().any(|(target, _)| *target == place.0) {
            return respond(device, chain, 0, 3, room as u32, &[], &[]);
        }
        let result = if command[0] == 0xa0 {
            if self.refuses_list { Err([5, 0x20, 0]) } else { Ok(self.list(place.0)) }
        } else {
            let disk = self.disks.get_mut(&place).expect("a unit that was not listed");
            // Of what is returned only the room counts.
            let data = if data.is_empty() { &vec![0; room] } else { data };
            disk.carry_out(command, data)
        };
        match result {
            Ok(mut bytes) => {
                bytes.truncate(room);
                let residual = (room - bytes.len()) as u32 + std::mem::take(&mut self.residual);
                respond(device, chain, 0, 0, residual, &[], &bytes);
            }
            Err([key, code, more]) => {
                respond(device, chain, 2, 0, room as u32, &[0x72, key, code, more], &[])
            }
        }
    }

    fn list(&self, target: u8) -> Vec<u8> {
        if let Some(list) = &self.listed {
            return list.clone();
        }
        let luns = self.disks.keys().filter(|(other, _)| *other == target);
        list_of(luns.map(|(_, lun)| lun.to_be_bytes()).map(|[a, b]| [if a == 0 { 0 } else { 0x40 | a }, b]))
    }
}

/// A list of units that begin so.
fn list_of(entries: impl Iterator<Item = [u8; 2]>) -> Vec<u8> {
    let entries: Vec<u8> = entries.flat_map(|[a, b]| [a, b, 0, 0, 0, 0, 0, 0]).collect();
    let length = (entries.len() as u32).to_be_bytes();
    length.into_iter().chain([0; 4]).chain(entries).collect()
}

fn respond(
    device: &SimDevice,
    chain: &Chain,
    status: u8,
    response: u8,
    residual: u32,
    sense: &[u8],
    data: &[u8],
) {
    let mut bytes = [0; RESPONSE];
    bytes[..4].copy_from_slice(&(sense.len() as u32).to_le_bytes());
    bytes[4..8].copy_from_slice(&residual.to_le_bytes());
    (bytes[10], bytes[11]) = (status, response);
    bytes[12..][..sense.len()].copy_from_slice(sense);
    let written = device.write(chain, &[&bytes[..], data].concat());
    // QEMU counts what it reads as written, but for the request.
    let read = device.read(chain).len() - REQUEST;
    device.give(QUEUE, chain.head.into(), written + read as u32);
}

/// A controller's configuration: segments and units that it takes at once, and the highest target.
fn configuration(segments: u32, sectors: u32, last_target: u16) -> Vec<u8> {
    let mut bytes: Vec<u8> = [1, segments, sectors, 128, 16, SENSE as u32, COMMAND as u32]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    bytes.extend([0, last_target].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend(16383_u32.to_le_bytes());
    bytes
}

fn config() -> Config {
    Config::modern(0b111, &configuration(126, 0xffff, 255))
}

type Shared = Arc<Mutex<Bus>>;

fn sim(config: Config, disks: impl IntoIterator<Item = ((u8, u16), FakeDisk)>) -> (SimDevice, Shared) {
    let device = SimDevice::new(config);
    let bus = Arc::new(Mutex::new(Bus { disks: disks.into_iter().collect(), ..Bus::default() }));
    let mine = Arc::clone(&bus);
    device.on_wait(move |device| {
        while let Some(chain) = device.take(QUEUE) {
            mine.lock().unwrap().carry_out(device, &chain);
        }
    });
    (device, bus)
}

/// One with a disk of a MiB.
fn usual() -> (SimDevice, Shared) {
    sim(config(), [((0, 0), FakeDisk::new(1 << 20, 512))])
}

fn open(
    device: &SimDevice,
    way: fn(&SimDevice) -> Registers,
) -> Result<Controller<SimMemory, SimDevice>, Error> {
    let mut left = 1000;
    let mut moment = || {
        left -= 1;
        left > 0
    };
    let memory = device.memory(queue::MEMORY);
    Controller::open(way(device), Some(memory), device.clone(), &mut moment)
}

/// The disks that can be used, and what is left out.
type Found = (Result<Vec<Disk>, Failure>, Vec<LeftOut>);

fn found(device: &SimDevice) -> Found {
    let left_out = RefCell::new(Vec::new());
    let mut controller = open(device, SimDevice::on_pci).unwrap();
    let disks = now(controller.disks(|what| left_out.borrow_mut().push(what)));
    (disks, left_out.into_inner())
}

type Outcome = Result<Buffer<FakePage>, (usize, block::Error)>;

/// What changes the device before a request.
type Change<'a> = &'a dyn Fn();

/// Does requests to the only disk, one after the other. Tells what came of each, and which failures were
/// reported.
fn run_by(
    device: &SimDevice,
    way: fn(&SimDevice) -> Registers,
    requests: Vec<(Change<'_>, Request<FakePage>)>,
) -> (Vec<Outcome>, Vec<Failure>) {
    let mut controller = open(device, way).unwrap();
    let disks = now(controller.disks(|left_out| panic!("{left_out}"))).unwrap();
    let [disk] = &disks[..] else { panic!("{} disks", disks.len()) };
    let queue = Arc::new(block::Queue::new());
    let served = QueuedDisk::new("sda".into(), 0, disk.geometry, Arc::clone(&queue));
    let failures = RefCell::new(Vec::new());
    let mut outcomes = Vec::new();
    {
        let mut server =
            pin!(controller.serve(&disks, &queue, |_, failure| failures.borrow_mut().push(failure)));
        for (change, request) in requests {
            change();
            let submission = served.submit(request);
            assert!(poll(server.as_mut()).is_pending());
            outcomes.push(now(submission).map_err(|failed| (failed.buffer.length(), failed.error)));
        }
    }
    (outcomes, failures.into_inner())
}

fn run(device: &SimDevice, requests: Vec<(Change<'_>, Request<FakePage>)>) -> (Vec<Outcome>, Vec<Failure>) {
    run_by(device, SimDevice::on_pci, requests)
}

fn nothing() {}

/// How many bytes came back from requests, with an error or without.
type Lengths = Vec<Result<usize, (usize, block::Error)>>;

/// What came of two reads of a page, of which the first meets `change`.
fn changed_by(device: &SimDevice, change: Change<'_>) -> (Lengths, Vec<Failure>) {
    let requests = vec![(change, read(device, 0, 4096)), (&nothing, read(device, 0, 4096))];
    let (outcomes, failures) = run(device, requests);
    (outcomes.into_iter().map(|outcome| outcome.map(|buffer| buffer.length())).collect(), failures)
}

#[test]
fn what_is_written_is_read_back_by_every_way_in_blocks_of_both_sizes() {
    let legacy = Config { is_legacy: true, features: 0b111, ..config() };
    let ways = [(config(), WAYS[0]), (config(), WAYS[1]), (legacy, WAYS[0])];
    for ((config, way), block) in ways.into_iter().zip([512, 4096, 512]) {
        // More than one command moves.
        let length = 100 * 4096;
        let (device, bus) = sim(config, [((0, 0), FakeDisk::new(1 << 20, block))]);
        let write = Request::Write { offset: 8192, buffer: buffer(&device, length, pattern) };
        let (outcomes, failures) =
            run_by(&device, way, vec![(&nothing, write), (&nothing, read(&device, 8192, length))]);
        assert!(failures.is_empty(), "{failures:?}");
        let expected: Vec<u8> = (0..length).map(pattern).collect();
        assert_eq!(bus.lock().unwrap().disks[&(0, 0)].medium[8192..8192 + length], expected);
        assert_eq!(contents(outcomes[1].as_ref().unwrap()), expected);
    }
}

#[test]
fn no_more_is_moved_at_once_than_the_controller_allows() {
    for (segments, sectors, allowed, expected) in [
        (126, 0xffff, 256, vec![512, 288]),
        (126, 24, 256, vec![24; 33]),
        (2, 0xffff, 256, vec![16; 50]),
        (126, 0xffff, 4, vec![16; 50]),
        (0, 0, 256, vec![8; 100]),
        (u32::MAX, u32::MAX, u32::MAX, vec![512, 288]),
    ] {
        let config =
            Config { allowed: [allowed; 3], ..Config::modern(0, &configuration(segments, sectors, 0)) };
        let (device, bus) = sim(config, [((0, 0), FakeDisk::new(1 << 20, 512))]);
        let (outcomes, failures) = run(&device, vec![(&nothing, read(&device, 0, 400 << 10))]);
        assert!(outcomes[0].is_ok(), "{failures:?}");
        let mut moved = bus.lock().unwrap().disks[&(0, 0)].moved.clone();
        let last = moved.pop();
        assert!(last.is_some_and(|last| last <= expected[0]));
        assert_eq!(moved[..], expected[..moved.len()]);
        assert_eq!(moved.iter().sum::<u32>() + last.unwrap(), 800);
    }
}

#[test]
fn disks_are_found_at_their_addresses() {
    let mut cd = FakeDisk::new(8192, 2048);
    cd.kind = 5;
    let mut absent = FakeDisk::new(8192, 512);
    absent.kind = 0x7f;
    let places = [(0, 0), (0, 1), (5, 300), (63, 0), (64, 0)];
    let disks = places.map(|place| (place, FakeDisk::new(8192, 512)));
    let (device, _) = sim(config(), disks.into_iter().chain([((1, 0), cd), ((2, 0), absent)]));
    let (disks, unfit) = found(&device);
    let disks = disks.unwrap();
    let addresses: Vec<_> = disks.iter().map(|disk| (disk.address.target, disk.address.lun)).collect();
    assert_eq!((addresses, unfit), (vec![(0, 0), (0, 1), (5, 300), (63, 0)], vec![]));
    assert_eq!(disks[0].model, "FAKE DISK NO. 9");
}

#[test]
fn targets_beyond_the_last_are_not_asked() {
    let disks = [(0, 0), (1, 0), (2, 0)].map(|place| (place, FakeDisk::new(8192, 512)));
    let (device, bus) = sim(Config::modern(0, &configuration(126, 0xffff, 1)), disks);
    assert_eq!(found(&device).0.unwrap().len(), 2);
    assert_eq!(bus.lock().unwrap().commands, 2 * 4);
}

#[test]
fn lists_of_units_have_an_end_and_each_once() {
    let disk = || ((0, 0), FakeDisk::new(8192, 512));
    let listing = |list: Vec<u8>| {
        let (device, bus) = sim(Config::modern(0, &configuration(126, 0xffff, 0)), [disk()]);
        bus.lock().unwrap().listed = Some(list);
        found(&device).0.unwrap().len()
    };
    assert_eq!(listing(list_of([[0, 0]; 32].into_iter())), 1);
    assert_eq!(listing(list_of([[0x80, 0], [0xc0, 0], [1, 0]].into_iter())), 0);
    assert_eq!([listing(vec![]), listing(vec![0; 3]), listing(vec![0xff; 8])], [0; 3]);
    // It claims to be longer than it is, and to be shorter.
    let mut list = list_of([[0, 0]].into_iter());
    list[..4].copy_from_slice(&[0xff; 4]);
    assert_eq!(listing(list.clone()), 1);
    list[..4].copy_from_slice(&[0, 0, 0, 7]);
    assert_eq!(listing(list), 0);
    let (device, bus) = sim(Config::modern(0, &configuration(126, 0xffff, 0)), [disk()]);
    bus.lock().unwrap().refuses_list = true;
    assert_eq!(found(&device).0.unwrap().len(), 1);
}

#[test]
fn units_and_targets_beyond_those_that_are_asked_are_told_of() {
    let (device, bus) =
        sim(Config::modern(0, &configuration(126, 0xffff, 0)), [((0, 0), FakeDisk::new(8192, 512))]);
    bus.lock().unwrap().listed = Some(list_of([[0, 0]; 40].into_iter()));
    let (disks, left_out) = found(&device);
    assert_eq!((disks.unwrap().len(), left_out), (1, vec![LeftOut::Units(0, 8)]));
    for (last, count) in [(0, 0), (63, 0), (64, 1), (255, 192), (u16::MAX, 0xffc0)] {
        let (device, _) = sim(Config::modern(0, &configuration(126, 0xffff, last)), []);
        let controller = open(&device, SimDevice::on_pci).unwrap();
        assert_eq!(controller.targets_left_out().count(), count);
    }
}

#[test]
fn there_are_letters_for_so_many_disks() {
    let disks = (0..30).map(|lun| ((0, lun), FakeDisk::new(8192, 512)));
    let (device, _) = sim(config(), disks);
    let (disks, unfit) = found(&device);
    assert_eq!(disks.unwrap().len(), 26);
    assert_eq!(unfit, [LeftOut::Disks(Address { target: 0, lun: 26 }, 4)]);
    assert_eq!([super::name(0), super::name(25)], ["sda", "sdz"]);
    assert_eq!([super::number(0), super::number(25)], [0x800, 0x990]);
}

#[test]
fn disks_that_cannot_be_used_are_left_out() {
    let with = |change: fn(&mut FakeDisk)| {
        let mut disk = FakeDisk::new(8192, 512);
        change(&mut disk);
        let (device, _) = sim(config(), [((0, 0), disk)]);
        let (disks, unfit) = found(&device);
        let reason = unfit.first().map(|left_out| match left_out {
            LeftOut::Disk(_, reason) => *reason,
            other => panic!("{other}"),
        });
        (disks.unwrap().first().map(|disk| disk.geometry), reason)
    };
    for block in [0, 1, 520, 8192, u32::MAX] {
        let (geometry, unfit) = match block {
            0 => with(|disk| disk.block = 0),
            1 => with(|disk| disk.block = 1),
            520 => with(|disk| disk.block = 520),
            8192 => with(|disk| disk.block = 8192),
            _ => with(|disk| disk.block = u32::MAX),
        };
        assert_eq!((geometry, unfit), (None, Some(Unfit::BlockSize(block))));
    }
    assert_eq!(with(|disk| disk.claims = Some(u64::MAX)), (None, Some(Unfit::Size)));
    assert_eq!(with(|disk| disk.claims = Some(1 << 55)), (None, Some(Unfit::Size)));
    let (largest, _) = with(|disk| disk.claims = Some((1 << 55) - 2));
    assert_eq!(largest.map(|geometry| geometry.bytes), Some(((1 << 55) - 1) << 9));
    let (geometry, _) = with(|disk| disk.read_only = true);
    assert!(geometry.is_some_and(|geometry| geometry.read_only));
}

#[test]
fn a_capacity_that_is_not_told_is_none() {
    let (device, bus) = usual();
    // What is asked for third: the list, the kind, the capacity.
    let mine = Arc::clone(&bus);
    device.on_wait(move |device| {
        while let Some(chain) = device.take(QUEUE) {
            let mut bus = mine.lock().unwrap();
            bus.residual = if bus.commands == 2 { 25 } else { 0 };
            bus.carry_out(device, &chain);
        }
    });
    let (disks, unfit) = found(&device);
    let expected = LeftOut::Disk(Address { target: 0, lun: 0 }, Unfit::Failed(Failure::Short));
    assert_eq!((disks, unfit), (Ok(vec![]), vec![expected]));
}

#[test]
fn a_flush_reaches_the_disk_and_one_without_a_cache_needs_none() {
    for flush in [0x35, 0x91, 0] {
        let (device, bus) = usual();
        bus.lock().unwrap().disks.get_mut(&(0, 0)).unwrap().flush = flush;
        let (outcomes, failures) = run(&device, vec![(&nothing, Request::Flush)]);
        assert!(outcomes[0].is_ok() && failures.is_empty(), "{failures:?}");
        assert_eq!(bus.lock().unwrap().disks[&(0, 0)].flushes, u32::from(flush != 0));
    }
}

#[test]
fn what_fails_for_the_moment_is_tried_again_and_not_for_ever() {
    let attention = (2, 0, vec![0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0]);
    let starting = (2, 0, vec![0x72, 2, 4, 1]);
    // Whether the disk gets time to change that.
    for (answer, later) in [
        (attention, false),
        (starting, true),
        ((0x08, 0, vec![]), true),
        ((0x28, 0, vec![]), true),
        ((0, 4, vec![]), false),
        ((0, 5, vec![]), true),
    ] {
        let (device, bus) = usual();
        let times = if later { 200 } else { 3 };
        let once = || bus.lock().unwrap().answers = vec![answer.clone(); times];
        let (outcomes, failures) = changed_by(&device, &once);
        assert_eq!((outcomes, failures), (vec![Ok(4096); 2], vec![]), "{answer:?}");
        let (device, bus) = usual();
        let for_ever = || {
            let mut bus = bus.lock().unwrap();
            (bus.answers, bus.for_ever, bus.commands) = (vec![answer.clone()], true, 0);
        };
        let (outcomes, failures) = changed_by(&device, &for_ever);
        assert_eq!(outcomes, [Err((4096, block::Error::Device)); 2]);
        assert_eq!(failures.len(), 2);
        if later {
            let limit = 2 * LIMIT.as_nanos() as u64;
            assert!((limit..limit + 1_000_000_000).contains(&device.now()), "{}", device.now());
        } else {
            assert_eq!(bus.lock().unwrap().commands, 22);
        }
    }
}

#[test]
fn a_unit_attention_does_not_hide_a_disk() {
    let (device, bus) = usual();
    bus.lock().unwrap().answers = vec![(2, 0, vec![0x72, 6, 0x29, 0]); 4];
    assert_eq!(found(&device).0.unwrap().len(), 1);
}

#[test]
fn a_refusal_is_an_error_and_the_next_request_works() {
    let sense = Sense { key: 3, code: [0x11, 0] };
    for (answer, failure) in [
        ((2, 0, vec![0x72, 3, 0x11, 0]), Failure::Sense(sense)),
        ((2, 0, vec![]), Failure::Status(2)),
        ((0x18, 0, vec![]), Failure::Status(0x18)),
        ((0, 9, vec![]), Failure::Response(9)),
    ] {
        let (device, bus) = usual();
        let change = || bus.lock().unwrap().answers = vec![answer.clone()];
        let (outcomes, failures) = changed_by(&device, &change);
        assert_eq!((outcomes, failures), (vec![Err((4096, block::Error::Device)), Ok(4096)], vec![failure]));
    }
    let (device, bus) = usual();
    let (outcomes, failures) = changed_by(&device, &|| bus.lock().unwrap().residual = 1);
    assert_eq!(outcomes, [Err((4096, block::Error::Device)), Ok(4096)]);
    assert_eq!(failures, [Failure::Short]);
}

#[test]
fn a_controller_that_breaks_the_protocol_is_disabled() {
    type Turn = fn(&SimDevice, Chain);
    let cases: [(Turn, Failure); 7] = [
        (|device, _| device.give(QUEUE, 77, 0), Failure::Queue(Violation::Id)),
        (|device, _| device.show(QUEUE, 9), Failure::Queue(Violation::Index)),
        (
            |device, chain| device.give(QUEUE, chain.head.into(), chain.room() + REQUEST as u32 + 1),
            Failure::Queue(Violation::Length),
        ),
        (
            |device, chain| {
                device.write(&chain, &[0; RESPONSE]);
                device.give(QUEUE, chain.head.into(), 11);
            },
            Failure::Nonsense,
        ),
        (|device, chain| device.give(QUEUE, chain.head.into(), chain.room()), Failure::Nonsense),
        (|_, _| {}, Failure::Silent),
        (|device, _| device.set_status(status::DRIVER_OK | status::NEEDS_RESET), Failure::Reset),
    ];
    for (turn, failure) in cases {
        let (device, _) = usual();
        let lies = || {
            device.on_wait(move |device| {
                if let Some(chain) = device.take(QUEUE) {
                    turn(device, chain);
                }
            });
        };
        let (outcomes, failures) = changed_by(&device, &lies);
        // The pages of the first may still be used.
        let broken = block::Error::Broken;
        assert_eq!(outcomes, [Err((0, broken)), Err((4096, broken))], "{failure:?}");
        assert_eq!(failures, [failure]);
        assert_eq!(device.status(), 0, "reset");
        let waited = device.now() >= LIMIT.as_nanos() as u64;
        assert_eq!(waited, failure == Failure::Silent, "only a silent one is waited for");
    }
}

#[test]
fn a_controller_with_nothing_to_do_does_not_hold_its_line_up_and_may_be_lost() {
    for way in WAYS {
        let (device, _) = usual();
        let mut controller = open(&device, way).unwrap();
        device.delay_interrupts();
        let disks = now(controller.disks(|left_out| panic!("{left_out}"))).unwrap();
        let queue = Arc::new(block::Queue::new());
        let served = QueuedDisk::new("sda".into(), 0, disks[0].geometry, Arc::clone(&queue));
        let failures = RefCell::new(Vec::new());
        let mut server =
            pin!(controller.serve(&disks, &queue, |_, failure| failures.borrow_mut().push(failure)));
        let mut serve = || assert!(poll(server.as_mut()).is_pending());
        let before = device.now();
        let first = served.submit(read(&device, 0, 4096));
        serve();
        assert!(now(first).is_ok(), "it is done before its interrupt comes");
        assert!(device.now() - before <= 10_000_000, "and does not wait for that");
        device.deliver_interrupts();
        assert!(device.is_raised());
        serve();
        assert!(!device.is_raised());
        device.set_status(status::DRIVER_OK | status::NEEDS_RESET);
        serve();
        assert!(!device.is_raised());
        let second = served.submit(read(&device, 0, 4096));
        serve();
        assert!(now(second).is_err());
        assert_eq!(*failures.borrow(), [Failure::Reset]);
    }
}

#[test]
fn a_controller_without_disks_is_reset() {
    let (device, _) = sim(config(), []);
    assert_eq!(found(&device), (Ok(vec![]), vec![]));
    assert_eq!((device.status(), device.is_raised()), (0, false));
}

#[test]
fn a_controller_that_is_silent_while_disks_are_searched_for_is_not_used() {
    let device = SimDevice::new(config());
    assert_eq!(found(&device), (Err(Failure::Silent), vec![]));
    assert_eq!(device.status(), 0, "reset");
}

#[test]
fn a_controller_that_cannot_be_used_is_refused_and_says_why() {
    let sized = |command: u32, sense: u32| {
        let mut bytes = configuration(126, 0xffff, 0);
        bytes[20..24].copy_from_slice(&sense.to_le_bytes());
        bytes[24..28].copy_from_slice(&command.to_le_bytes());
        Config::modern(0, &bytes)
    };
    let good = config();
    for (config, error) in [
        (sized(0, 96), Error::RequestSizes),
        (sized(32, u32::MAX), Error::RequestSizes),
        (Config { allowed: [256, 256, 0], ..good.clone() }, Error::NoQueue(2)),
        (Config { allowed: [256, 256, 3], ..good.clone() }, Error::NoQueue(2)),
        (Config { is_stuck: true, ..good.clone() }, Error::Silent),
        (Config { refuses: true, ..good.clone() }, Error::Refused),
        (Config { is_unsteady: true, ..good.clone() }, Error::Unsteady),
        (Config::modern(0, &[0; 35]), Error::NoConfiguration),
        (Config { features: 0, ..good }, Error::NotVersion1),
    ] {
        assert_eq!(open(&SimDevice::new(config), SimDevice::on_pci).err(), Some(error));
    }
}

#[test]
fn only_the_first_version_is_asked_for() {
    let (device, _) = sim(Config { features: !0, ..config() }, []);
    open(&device, SimDevice::on_pci).unwrap();
    assert_eq!(device.accepted(), transport::VERSION_1);
}
