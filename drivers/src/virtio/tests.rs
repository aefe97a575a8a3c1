// SPDX-License-Identifier: MIT OR Apache-2.0
//! The drivers against a simulated device that keeps to the protocol, and one that breaks it.

use core::pin::pin;
use core::task::Poll;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use xen::fake::FakePage;

use super::Registers;
use super::console::{ConsolePort, VirtioConsole, port};
use super::disk::{self, Disk, Trouble};
use super::network::{self, Nic, RECEIVE, TRANSMIT};
use super::queue::{self, Violation};
use super::sim::{Chain, Config, SimDevice, SimMemory};
use super::transport::{Error, status};
use crate::block::samples::{self, buffer, contents, read};
use crate::block::{self, Disk as _, QueuedDisk, Request};
use crate::console::output::Sink;
use crate::hal::poll;
use crate::net::samples::{frame, receive};
use crate::net::{self, NetDevice};

/// The ways to a device.
const WAYS: [fn(&SimDevice) -> Registers; 2] = [SimDevice::in_memory, SimDevice::on_pci];
const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// Sectors of the disk.
const SECTORS: u64 = 1024;

/// A disk's configuration.
fn disk_configuration(sectors: u64, sector_size: u32) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..8].copy_from_slice(&sectors.to_le_bytes());
    bytes[20..24].copy_from_slice(&sector_size.to_le_bytes());
    bytes
}

fn disk_config() -> Config {
    Config::modern(disk::FLUSH | disk::SECTOR_SIZE, &disk_configuration(SECTORS, 512))
}

fn legacy(config: Config) -> Config {
    Config { is_legacy: true, ..config }
}

/// A clock that gives up after a while.
fn moments(mut count: usize) -> impl FnMut() -> bool {
    move || {
        count = count.saturating_sub(1);
        count > 0
    }
}

fn open_disk(
    device: &SimDevice,
    way: fn(&SimDevice) -> Registers,
) -> Result<Disk<SimMemory, SimDevice, FakePage>, Error> {
    let memory = device.memory(queue::MEMORY);
    Disk::open(way(device), Some(memory), device.clone(), &mut moments(1000))
}

/// What one write differs by from another.
fn seeded(seed: usize) -> impl Fn(usize) -> u8 {
    move |index| samples::pattern(index).wrapping_add(seed as u8)
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(seeded(seed)).collect()
}

type Outcome = Result<Vec<u8>, block::Error>;

/// Has a disk do all requests, which it has at once; what came of each, and what was reported.
fn run_disk(
    disk: Disk<SimMemory, SimDevice, FakePage>,
    requests: Vec<Request<FakePage>>,
) -> (Vec<Outcome>, Vec<Trouble>) {
    let queue = Arc::new(block::Queue::new());
    let served = QueuedDisk::new("vda".into(), 0, disk.geometry(), Arc::clone(&queue));
    let mut submissions: Vec<_> = requests.into_iter().map(|request| served.submit(request)).collect();
    let troubles = Mutex::new(Vec::new());
    {
        let mut server = pin!(disk.serve(&queue, |trouble| troubles.lock().unwrap().push(trouble)));
        assert!(poll(server.as_mut()).is_pending());
    }
    let outcome = |submission: &mut block::Submission<'_, FakePage>| match poll(submission.as_mut()) {
        Poll::Ready(Ok(buffer)) => Ok(contents(&buffer)),
        Poll::Ready(Err(failed)) => Err(failed.error),
        Poll::Pending => panic!("a request was left alone"),
    };
    (submissions.iter_mut().map(outcome).collect(), troubles.into_inner().unwrap())
}

/// A disk that works, and what is on it.
fn good_disk(config: Config) -> (SimDevice, Arc<Mutex<Vec<u8>>>) {
    let device = SimDevice::new(config);
    let storage = Arc::new(Mutex::new(vec![0; SECTORS as usize * 512]));
    let mine = Arc::clone(&storage);
    device.on_wait(move |device| {
        device.serve_disk(&mut mine.lock().unwrap());
    });
    (device, storage)
}

/// Reads once from a disk that does `turn` meanwhile.
fn read_from(
    config: Config,
    turn: impl FnMut(&SimDevice) + Send + 'static,
) -> (Outcome, Vec<Trouble>, SimDevice) {
    let device = SimDevice::new(config);
    device.on_wait(turn);
    let disk = open_disk(&device, SimDevice::on_pci).unwrap();
    let (mut outcomes, troubles) = run_disk(disk, vec![read(&device, 0, 4096)]);
    (outcomes.pop().unwrap(), troubles, device)
}

#[test]
fn what_is_written_to_a_disk_is_read_back_by_every_way() {
    let cases = [(disk_config(), WAYS[0]), (disk_config(), WAYS[1]), (legacy(disk_config()), WAYS[0])];
    for (config, way) in cases {
        let (device, storage) = good_disk(config);
        let disk = open_disk(&device, way).unwrap();
        // More than one command moves.
        let length = 50 * 4096 + 512;
        let write = Request::Write { offset: 1024, buffer: buffer(&device, length, seeded(3)) };
        assert_eq!(run_disk(disk, vec![write]).0.len(), 1);
        assert_eq!(storage.lock().unwrap()[1024..1024 + length], pattern(length, 3));
        let disk = open_disk(&device, way).unwrap();
        let requests = vec![read(&device, 1024, length), Request::Flush];
        assert_eq!(run_disk(disk, requests).0, [Ok(pattern(length, 3)), Ok(vec![])]);
    }
}

#[test]
fn a_disk_has_many_requests_at_a_time_and_ends_them_in_any_order() {
    let device = SimDevice::new(disk_config());
    let mut storage = pattern(SECTORS as usize * 512, 9);
    let expected: Vec<_> = (0..20).map(|index| Ok(storage[index * 512..][..512].to_vec())).collect();
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    device.on_wait(move |device| {
        let mut chains: Vec<Chain> = core::iter::from_fn(|| device.take(0)).collect();
        let mut most = seen.lock().unwrap();
        *most = chains.len().max(*most);
        chains.reverse();
        chains.iter().for_each(|chain| device.carry_out(&mut storage, chain));
    });
    let disk = open_disk(&device, SimDevice::on_pci).unwrap();
    let requests = (0..20).map(|index| read(&device, index * 512, 512)).collect();
    let (outcomes, troubles) = run_disk(disk, requests);
    assert_eq!((outcomes, troubles), (expected, vec![]));
    assert_eq!(*most.lock().unwrap(), 20);
}

#[test]
fn a_short_queue_of_an_odd_length_does() {
    for allowed in [4, 5, 7, 100, 65535] {
        let (device, storage) = good_disk(Config { allowed: [allowed; 3], ..disk_config() });
        let disk = open_disk(&device, SimDevice::on_pci).unwrap();
        let write = |offset| {
            let buffer = buffer(&device, 5 * 4096, seeded(offset as usize));
            Request::Write { offset, buffer }
        };
        let (outcomes, troubles) = run_disk(disk, vec![write(0), write(20480), write(40960)]);
        assert!(outcomes.iter().all(Result::is_ok) && troubles.is_empty(), "{allowed}: {troubles:?}");
        assert_eq!(storage.lock().unwrap()[40960..61440], pattern(20480, 40960));
    }
}

#[test]
fn a_device_that_cannot_be_used_is_refused_and_says_why() {
    let good = disk_config();
    let cases = [
        (Config { is_stuck: true, ..good.clone() }, Error::Silent),
        (Config { refuses: true, ..good.clone() }, Error::Refused),
        (Config { is_unsteady: true, ..good.clone() }, Error::Unsteady),
        (Config { features: disk::FLUSH, ..good.clone() }, Error::NotVersion1),
        (Config { features: 0, ..good.clone() }, Error::NotVersion1),
        (Config { allowed: [0; 3], ..good.clone() }, Error::NoQueue(0)),
        (Config { allowed: [3; 3], ..good.clone() }, Error::NoQueue(0)),
        (Config { configuration: vec![], ..good.clone() }, Error::NoConfiguration),
        (Config { configuration: vec![0; 23], ..good }, Error::NoConfiguration),
    ];
    for (config, expected) in cases {
        for way in WAYS {
            let found = open_disk(&SimDevice::new(config.clone()), way).map(|_| ());
            assert_eq!(found, Err(expected), "{config:?}");
        }
    }
}

#[test]
fn only_features_that_are_known_are_used_however_many_are_offered() {
    let config = Config { features: !0, ..disk_config() };
    for (config, expected) in [
        (config.clone(), super::transport::VERSION_1 | disk::FLUSH | disk::SECTOR_SIZE | disk::READ_ONLY),
        (legacy(config), disk::FLUSH | disk::SECTOR_SIZE | disk::READ_ONLY),
    ] {
        let device = SimDevice::new(config);
        assert!(open_disk(&device, SimDevice::in_memory).is_ok());
        assert_eq!(device.accepted(), expected);
    }
}

#[test]
fn impossible_disk_sizes_are_handled() {
    for (sectors, told, bytes, sector_size) in [
        (u64::MAX, 512, u64::MAX / 512 * 512, 512),
        (u64::MAX, 4096, u64::MAX / 4096 * 4096, 4096),
        (9, 4096, 4096, 4096),
        (9, 0, 4608, 512),
        (9, 3, 4608, 512),
        (9, u32::MAX, 4608, 512),
        (0, 512, 0, 512),
    ] {
        let config = Config { configuration: disk_configuration(sectors, told), ..disk_config() };
        let geometry = open_disk(&SimDevice::new(config), SimDevice::on_pci).unwrap().geometry();
        assert_eq!((geometry.bytes, geometry.sector_size), (bytes, sector_size), "{sectors} {told}");
    }
}

#[test]
fn a_disk_that_breaks_the_protocol_is_disabled_and_its_requests_fail() {
    type Fault = fn(&SimDevice, &Chain);
    let faults: [(Fault, Trouble); 10] = [
        (|device, _| device.show(0, 2), Trouble::Queue(Violation::Index)),
        (|device, _| device.show(0, -1), Trouble::Queue(Violation::Index)),
        (|device, _| device.show(0, i16::MIN), Trouble::Queue(Violation::Index)),
        (|device, chain| device.give(0, u32::from(chain.head) + 1, 1), Trouble::Queue(Violation::Id)),
        (|device, chain| device.give(0, u32::from(chain.head) + 0x1_0000, 1), Trouble::Queue(Violation::Id)),
        (|device, _| device.give(0, u32::MAX, 1), Trouble::Queue(Violation::Id)),
        (|device, chain| device.give(0, chain.head.into(), 4098), Trouble::Queue(Violation::Length)),
        (|device, chain| device.give(0, chain.head.into(), u32::MAX), Trouble::Queue(Violation::Length)),
        (|device, chain| device.give(0, chain.head.into(), 0), Trouble::Status(0xff)),
        (
            |device, chain| {
                device.write_last(chain, 3);
                device.give(0, chain.head.into(), 4097);
            },
            Trouble::Status(3),
        ),
    ];
    for (fault, expected) in faults {
        let turn = move |device: &SimDevice| device.take(0).iter().for_each(|chain| fault(device, chain));
        let (outcome, troubles, device) = read_from(disk_config(), turn);
        assert_eq!((outcome, troubles), (Err(block::Error::Broken), vec![expected]));
        assert_eq!(device.status(), 0, "reset");
    }
}

#[test]
fn a_command_that_is_ended_twice_ends_the_disk() {
    let (outcome, troubles, _) = read_from(disk_config(), |device| {
        if let Some(chain) = device.take(0) {
            device.write_last(&chain, 0);
            device.give(0, chain.head.into(), 4097);
            device.give(0, chain.head.into(), 4097);
        }
    });
    assert_eq!((outcome.is_err(), troubles), (true, vec![Trouble::Queue(Violation::Index)]));
}

#[test]
fn a_failed_command_is_an_error_and_the_disk_goes_on() {
    for (result, written, expected) in [
        (disk::FAILED, 4097, block::Error::Device),
        (disk::UNSUPPORTED, 1, block::Error::Unsupported),
        // It claims to have read, and not to have written that.
        (disk::GOOD, 1, block::Error::Device),
        (disk::GOOD, 4096, block::Error::Device),
    ] {
        let (outcome, troubles, device) = read_from(disk_config(), move |device| {
            if let Some(chain) = device.take(0) {
                device.write_last(&chain, result);
                device.give(0, chain.head.into(), written);
            }
        });
        assert_eq!((outcome, troubles), (Err(expected), vec![Trouble::Request(expected)]));
        assert_ne!(device.status() & status::DRIVER_OK, 0);
    }
}

#[test]
fn a_disk_that_never_answers_is_disabled_after_its_timeout() {
    let (outcome, troubles, device) = read_from(disk_config(), |_| {});
    assert_eq!((outcome, troubles), (Err(block::Error::Broken), vec![Trouble::Silent]));
    assert!(u128::from(crate::hal::Interrupt::now(&device)) < 2 * disk::LIMIT.as_nanos());
}

#[test]
fn a_disk_that_resets_itself_or_asks_for_it_is_disabled() {
    for found in [0, 0xf, 0xff, 0x4f] {
        let (outcome, troubles, _) = read_from(disk_config(), move |device| {
            if found != 0xf {
                device.set_status(found);
            } else if let Some(chain) = device.take(0) {
                // A change of its configuration alone is nothing to worry about.
                device.configure(0, 1);
                device.carry_out(&mut vec![7; 1 << 16], &chain);
            }
        });
        match found {
            0xf => assert_eq!((outcome, troubles), (Ok(vec![7; 4096]), vec![])),
            _ => assert_eq!(
                (outcome, troubles),
                (Err(block::Error::Broken), vec![Trouble::Reset]),
                "{found:#x}"
            ),
        }
    }
}

/// Whether a device's line is up after `change`, which the driver of a disk has seen that has nothing to do.
fn stays_up_after(way: fn(&SimDevice) -> Registers, change: fn(&SimDevice)) -> bool {
    let (device, _) = good_disk(disk_config());
    let disk = open_disk(&device, way).unwrap();
    let queue = Arc::new(block::Queue::new());
    let served = QueuedDisk::new("vda".into(), 0, disk.geometry(), Arc::clone(&queue));
    let mut server = pin!(disk.serve(&queue, |trouble| panic!("{trouble}")));
    device.delay_interrupts();
    let mut read = served.submit(read(&device, 0, 4096));
    assert!(poll(server.as_mut()).is_pending());
    assert!(matches!(poll(read.as_mut()), Poll::Ready(Ok(_))), "it is done before its interrupt comes");
    change(&device);
    assert!(device.is_raised());
    assert!(poll(server.as_mut()).is_pending());
    device.is_raised()
}

#[test]
fn a_disk_with_nothing_to_do_does_not_hold_its_line_up() {
    for way in WAYS {
        assert!(!stays_up_after(way, SimDevice::deliver_interrupts), "of what was seen to be done before");
        let change = |device: &SimDevice| {
            device.deliver_interrupts();
            device.configure(0, 1);
        };
        assert!(!stays_up_after(way, change), "of a change of the configuration");
    }
}

#[test]
fn a_disk_that_is_lost_while_it_has_nothing_to_do_is_reported_at_once() {
    let device = SimDevice::new(disk_config());
    let disk = open_disk(&device, SimDevice::on_pci).unwrap();
    let (queue, troubles) = (block::Queue::new(), Mutex::new(Vec::new()));
    let mut server = pin!(disk.serve(&queue, |trouble| troubles.lock().unwrap().push(trouble)));
    assert!(poll(server.as_mut()).is_pending());
    device.set_status(status::DRIVER_OK | status::NEEDS_RESET);
    assert!(poll(server.as_mut()).is_pending());
    assert_eq!(*troubles.lock().unwrap(), [Trouble::Reset]);
}

#[test]
fn a_disabled_disk_fails_requests() {
    let device = SimDevice::new(disk_config());
    device.on_wait(|device| device.show(0, 7));
    let disk = open_disk(&device, SimDevice::on_pci).unwrap();
    let (outcomes, troubles) = run_disk(disk, (0..50).map(|_| read(&device, 0, 512)).collect());
    assert!(outcomes.iter().all(|outcome| *outcome == Err(block::Error::Broken)));
    assert_eq!(troubles.len(), 1);
}

/// A NIC's configuration, with its cable plugged in.
fn card_config() -> Config {
    let mut configuration = MAC.to_vec();
    // The status, the number of pairs of queues, and an MTU that makes no sense.
    configuration.extend([1, 0, 0, 0, 0, 0]);
    Config::modern(network::MAC | network::LINK, &configuration)
}

fn open_card(
    device: &SimDevice,
    way: fn(&SimDevice) -> Registers,
) -> Result<(Nic<SimMemory, SimMemory>, net::Properties), Error> {
    let queues = [0; 2].map(|_| Some(device.memory(queue::MEMORY)));
    Nic::open(way(device), queues, Some(device.memory(network::MEMORY)), &mut moments(1000))
}

/// Delivers a frame, behind a header of so many bytes.
fn deliver(device: &SimDevice, header: usize, frame: &[u8]) {
    let chain = device.take(RECEIVE).unwrap();
    let written = device.write(&chain, &[&vec![0; header], frame].concat());
    device.give(RECEIVE, chain.head.into(), written);
}

#[test]
fn frames_pass_both_ways_again_and_again() {
    let cases =
        [(card_config(), WAYS[0], 12), (card_config(), WAYS[1], 12), (legacy(card_config()), WAYS[0], 10)];
    for (config, way, header) in cases {
        let device = SimDevice::new(config);
        let (mut nic, properties) = open_card(&device, way).unwrap();
        assert_eq!((properties.mac, properties.mtu, nic.is_up()), (MAC, 1500, true));
        for round in 0..300 {
            let length = 14 + round * 5 % 1501;
            deliver(&device, header, &frame(round, length));
            assert!(nic.needs_poll(false).unwrap());
            assert_eq!(receive(&mut nic), Ok(Some(frame(round, length))));
            assert_eq!(receive(&mut nic), Ok(None));
            assert!(nic.can_send(length).unwrap());
            nic.send(&mut frame(round, length));
            nic.publish(0);
            let chain = device.take(TRANSMIT).unwrap();
            assert_eq!(device.read(&chain), [vec![0; header], frame(round, length)].concat());
            device.give(TRANSMIT, chain.head.into(), 0);
        }
        assert_eq!(nic.failed(), 0);
        // At first, and whenever half of the 64 buffers are back.
        assert_eq!(device.notified(RECEIVE), 1 + 300 / 32);
    }
}

#[test]
fn a_full_nic_tells_when_there_is_room() {
    let device = SimDevice::new(card_config());
    let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
    let mut sent = 0;
    while nic.can_send(100).unwrap() {
        nic.send(&mut frame(0, 100));
        sent += 1;
    }
    assert_eq!(sent, 64);
    assert!(device.is_listened_to(TRANSMIT), "the nic knows that we wait");
    nic.publish(0);
    let chain = device.take(TRANSMIT).unwrap();
    device.give(TRANSMIT, chain.head.into(), 0);
    assert!(nic.needs_poll(true).unwrap() && nic.can_send(100).unwrap());
}

#[test]
fn a_nic_that_polls_is_not_notified_and_sees_everything() {
    let device = SimDevice::new(card_config());
    let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
    device.want_notifications(TRANSMIT, false);
    nic.send(&mut frame(0, 100));
    nic.publish(0);
    // The barrier before the look at what the NIC wants has it see the frame.
    assert!(device.take(TRANSMIT).is_some());
    assert_eq!(device.notified(TRANSMIT), 0);
    device.want_notifications(TRANSMIT, true);
    nic.send(&mut frame(0, 100));
    nic.publish(0);
    assert_eq!(device.notified(TRANSMIT), 1);
}

#[test]
fn a_cable_is_unplugged_and_plugged_in() {
    let device = SimDevice::new(card_config());
    let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
    for status in [0, 1] {
        device.configure(6, status);
        assert!(nic.needs_poll(false).unwrap());
        assert_eq!(nic.is_up(), status == 1);
        assert!(!nic.needs_poll(false).unwrap());
    }
}

#[test]
fn a_nic_without_a_valid_address_is_refused() {
    let with = |mac: [u8; 6]| Config { configuration: [mac.as_slice(), &[1, 0]].concat(), ..card_config() };
    for config in [
        with([0; 6]),
        with([0xff; 6]),
        with([1, 2, 3, 4, 5, 6]),
        Config { features: super::transport::VERSION_1, ..card_config() },
    ] {
        let found = open_card(&SimDevice::new(config), SimDevice::on_pci).map(|_| ());
        assert_eq!(found, Err(Error::NoAddress));
    }
    let short = Config { configuration: MAC.to_vec(), ..card_config() };
    assert_eq!(open_card(&SimDevice::new(short), SimDevice::on_pci).map(|_| ()), Err(Error::NoConfiguration));
    let lacking = Config { allowed: [256, 0, 0], ..card_config() };
    assert_eq!(open_card(&SimDevice::new(lacking), SimDevice::on_pci).map(|_| ()), Err(Error::NoQueue(1)));
}

#[test]
fn a_nic_that_breaks_the_protocol_of_received_frames_is_disabled() {
    type Fault = fn(&SimDevice, &Chain);
    let faults: [(Fault, Violation); 5] = [
        (|device, _| device.show(RECEIVE, 65), Violation::Index),
        (|device, _| device.show(RECEIVE, -1), Violation::Index),
        (|device, _| device.give(RECEIVE, 64, 100), Violation::Id),
        (
            |device, chain| device.give(RECEIVE, chain.head.into(), network::LONGEST as u32 + 1),
            Violation::Length,
        ),
        (
            |device, chain| {
                device.give(RECEIVE, chain.head.into(), 100);
                device.give(RECEIVE, chain.head.into(), 100);
            },
            Violation::Id,
        ),
    ];
    for (fault, expected) in faults {
        let device = SimDevice::new(card_config());
        let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
        fault(&device, &device.take(RECEIVE).unwrap());
        let mut buffer = vec![0; net::MAX_FRAME];
        let found = (0..100).find_map(|_| nic.receive(&mut buffer).err());
        // Of two that are the same, the first is taken, and its buffer is with the NIC again.
        let expected = net::Error::from(expected);
        assert!(found.is_none_or(|error| error == expected));
        if found_is_needed(&expected) {
            assert!(nic.receive(&mut buffer).is_err(), "it stays so: {expected}");
        }
    }
}

/// All faults but the last are seen in any case.
fn found_is_needed(expected: &net::Error) -> bool {
    *expected != net::Error::from(Violation::Id)
}

#[test]
fn a_nic_that_breaks_the_protocol_of_sent_frames_is_disabled() {
    for (head, written) in [(1, 0), (64, 0), (u32::MAX, 0), (0, 1)] {
        let device = SimDevice::new(card_config());
        let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
        while nic.can_send(100).unwrap() {
            nic.send(&mut frame(0, 100));
        }
        nic.publish(0);
        device.give(TRANSMIT, head, written);
        device.give(TRANSMIT, head, written);
        assert!(nic.can_send(100).is_err() || head == 1, "{head} {written}");
    }
}

#[test]
fn what_is_shorter_than_a_frame_is_dropped_and_the_nic_goes_on() {
    let device = SimDevice::new(card_config());
    let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
    for written in [0, 1, 11, 12, 25] {
        let chain = device.take(RECEIVE).unwrap();
        device.give(RECEIVE, chain.head.into(), written);
        assert_eq!(receive(&mut nic), Ok(Some(vec![])));
    }
    nic.publish(0);
    deliver(&device, 12, &frame(1, 60));
    assert_eq!(receive(&mut nic), Ok(Some(frame(1, 60))));
}

#[test]
fn a_nic_that_resets_itself_is_disabled() {
    for status in [0, 0x4f, 0xff] {
        let device = SimDevice::new(card_config());
        let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
        device.set_status(status);
        assert!(nic.needs_poll(false).is_err());
    }
}

#[test]
fn a_nic_that_fails_is_reset_so_that_it_does_not_hold_its_line_up() {
    let device = SimDevice::new(card_config());
    let (nic, properties) = open_card(&device, SimDevice::on_pci).unwrap();
    device.on_wait(|device| device.set_status(0x4f));
    let interface = net::Interface::new();
    let failed = poll(pin!(net::serve(&interface, nic, properties, &device)));
    assert!(matches!(failed, Poll::Ready(net::Error::Nic(_))));
    assert_eq!((device.status(), device.is_raised()), (0, false));
}

fn open_console(
    device: &SimDevice,
    way: fn(&SimDevice) -> Registers,
) -> Result<VirtioConsole<ConsolePort<SimMemory>>, Error> {
    let queues = [0; 2].map(|_| Some(device.memory(queue::MEMORY)));
    ConsolePort::open(way(device), queues, &mut moments(1000)).map(VirtioConsole::new)
}

/// What the device was sent since it was asked last.
fn sent(device: &SimDevice) -> String {
    let mut text = Vec::new();
    while let Some(chain) = device.take(port::TRANSMIT) {
        text.extend(device.read(&chain));
        device.give(port::TRANSMIT, chain.head.into(), 0);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn text_passes_a_console_both_ways() {
    let config = Config::modern(!0, &[]);
    for (config, way) in [(config.clone(), WAYS[0]), (config.clone(), WAYS[1]), (legacy(config), WAYS[0])] {
        let device = SimDevice::new(config);
        let mut console = open_console(&device, way).unwrap();
        for round in 0..100 {
            let line = format!("line {round}\r\n");
            assert_eq!(console.take(line.as_bytes()), Some(line.len()));
            console.notify();
            assert_eq!(sent(&device), line);
            assert!(console.is_read());
            let chain = device.take(port::RECEIVE).unwrap();
            let written = device.write(&chain, line.as_bytes());
            device.give(port::RECEIVE, chain.head.into(), written);
            let mut typed = [0; 100];
            let count = console.read(&mut typed);
            assert_eq!(typed[..count], *line.as_bytes());
        }
        assert_eq!(console.news(), None);
    }
}

#[test]
fn a_console_that_breaks_the_protocol_is_disabled() {
    type Fault = fn(&SimDevice);
    let faults: [Fault; 4] = [
        |device| device.give(port::RECEIVE, 5, 1),
        |device| device.give(port::RECEIVE, 0, 513),
        |device| device.show(port::RECEIVE, 2),
        |device| device.show(port::RECEIVE, -1),
    ];
    for fault in faults {
        let device = SimDevice::new(Config::modern(0, &[]));
        let mut console = open_console(&device, SimDevice::in_memory).unwrap();
        fault(&device);
        assert_eq!(console.read(&mut [0; 9]), 0);
        assert!(console.news().is_some());
        assert_eq!(console.take(b"text"), None);
    }
}

/// What a device does that has lost its mind.
fn confuse(device: &SimDevice, queue: u16, steps: &[(u8, u32, u32)]) {
    for &(kind, id, length) in steps {
        match kind % 6 {
            0 => drop(device.take(queue)),
            1 => device.give(queue, id, length),
            2 => device.give(queue, id % 128, length % 5000),
            3 => device.show(queue, id as i16),
            4 => device.want_notifications(queue, id % 2 == 0),
            _ => device.set_status(id as u8),
        }
    }
}

proptest! {
    #[test]
    fn a_disk_survives_any_device(
        steps in proptest::collection::vec(any::<(u8, u32, u32)>(), 0..60), legacy_too: bool,
    ) {
        let config = if legacy_too { legacy(disk_config()) } else { disk_config() };
        let device = SimDevice::new(config);
        let mut steps = steps.into_iter();
        device.on_wait(move |device| steps.next().iter().for_each(|step| confuse(device, 0, &[*step])));
        let disk = open_disk(&device, SimDevice::in_memory).unwrap();
        let requests = (0..9).map(|index| read(&device, index * 512, 9 * 512)).collect();
        // Each request ends, one way or the other.
        prop_assert_eq!(run_disk(disk, requests).0.len(), 9);
    }

    #[test]
    fn a_nic_driver_survives_any_device(steps in proptest::collection::vec(any::<(u8, u32, u32)>(), 0..60)) {
        let device = SimDevice::new(card_config());
        let (mut nic, _) = open_card(&device, SimDevice::on_pci).unwrap();
        for step in steps {
            confuse(&device, u16::from(step.0) / 6 % 2, &[step]);
            let _ = receive(&mut nic);
            if nic.can_send(60).is_ok_and(|can| can) {
                nic.send(&mut frame(0, 60));
            }
            nic.publish(0);
            let _ = nic.needs_poll(true);
        }
    }
}
