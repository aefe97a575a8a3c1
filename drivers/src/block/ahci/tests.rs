// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver against a fake controller.

use core::cell::RefCell;
use core::pin::pin;
use std::sync::Arc;

use xen::fake::FakePage;

use super::fake::{FakeController, FakeDrive};
use super::{Controller, Error, Failure};
use crate::block::samples::{buffer, pattern, read};
use crate::block::{Buffer, Disk, Failed, Queue, QueuedDisk, Request};
use crate::hal::{now, poll};

fn open(fake: &FakeController) -> Result<Controller<FakeController, FakeController>, Error> {
    now(Controller::open(fake.clone(), fake.clone()))
}

/// Does one request after the other on the only disk, and tells what came of the last, and which
/// failures were reported.
fn run(
    fake: &FakeController,
    requests: Vec<Request<FakePage>>,
) -> (Result<Buffer<FakePage>, Failed<FakePage>>, Vec<Failure>) {
    let controller = open(fake).unwrap();
    let disks = now(controller.disks(|| Some(fake.memory())));
    let [disk] = &disks[..] else { panic!("{} disks", disks.len()) };
    let queue = Arc::new(Queue::new());
    let served = QueuedDisk::new("hda".into(), disk.port, disk.identity.geometry(), Arc::clone(&queue));
    let failures = RefCell::new(Vec::new());
    let mut last = Ok(Buffer::empty());
    for request in requests {
        let submission = served.submit(request);
        {
            let report = |_: &_, failure| failures.borrow_mut().push(failure);
            let server = pin!(controller.serve(&disks, &queue, report));
            assert!(poll(server).is_pending());
        }
        last = now(submission);
    }
    (last, failures.into_inner())
}

#[test]
fn what_is_written_is_read_back_with_short_and_with_long_addresses() {
    for long_addresses in [false, true] {
        let fake = FakeController::new([(2, FakeDrive::new(2000, long_addresses))]);
        for length in [512, 4096, 4608, 256 << 10] {
            let (written, failures) =
                run(&fake, vec![Request::Write { offset: 1024, buffer: buffer(&fake, length, pattern) }]);
            assert!(written.is_ok() && failures.is_empty(), "{failures:?}");
            let expected: Vec<u8> = (0..length).map(pattern).collect();
            assert_eq!(fake.inner().drives[&2].medium[1024..1024 + length], expected);
            let (read, _) = run(&fake, vec![read(&fake, 1024, length)]);
            let bytes: Vec<u8> = read.unwrap().pieces().flatten().copied().collect();
            assert_eq!(bytes, expected);
        }
    }
}

#[test]
fn a_flush_reaches_the_drive() {
    let fake = FakeController::new([(0, FakeDrive::new(8, true))]);
    assert!(run(&fake, vec![Request::Flush]).0.is_ok());
    assert_eq!(fake.inner().drives[&0].flushes, 1);
}

#[test]
fn what_is_no_disk_is_left_alone() {
    let mut cd = FakeDrive::new(8, true);
    cd.kind = 0xeb14_0101;
    let mut nonsense = FakeDrive::new(8, true);
    nonsense.nonsense = true;
    let disk = FakeDrive::new(8, true);
    let fake = FakeController::new([(0, cd), (1, nonsense), (5, disk)]);
    let disks = now(open(&fake).unwrap().disks(|| Some(fake.memory())));
    assert_eq!(disks.iter().map(|disk| disk.port).collect::<Vec<_>>(), [5]);
    assert!(fake.inner().drives[&0].commands.is_empty());
}

#[test]
fn a_refusal_is_an_error_and_the_next_request_works() {
    let fake = FakeController::new([(0, FakeDrive::new(100, true))]);
    fake.inner().drives.get_mut(&0).unwrap().bad_sector = Some(9);
    let read = |offset| read(&fake, offset, 4096);
    let (failed, failures) = run(&fake, vec![read(4096)]);
    assert_eq!(failed.unwrap_err().buffer.length(), 4096);
    assert_eq!(failures, [Failure::Refused(0x40)]);
    let (read, failures) = run(&fake, vec![read(4096), read(8192)]);
    assert!(read.is_ok());
    assert_eq!(failures, [Failure::Refused(0x40)]);
}

#[test]
fn a_silent_drive_fails_its_request_and_is_reset() {
    let fake = FakeController::new([(0, FakeDrive::new(100, true))]);
    let controller = open(&fake).unwrap();
    let disks = now(controller.disks(|| Some(fake.memory())));
    let queue = Arc::new(Queue::new());
    let served = QueuedDisk::new("hda".into(), 0, disks[0].identity.geometry(), Arc::clone(&queue));
    let failures = RefCell::new(Vec::new());
    let report = |_: &_, failure| failures.borrow_mut().push(failure);
    let mut server = pin!(controller.serve(&disks, &queue, report));
    fake.inner().drives.get_mut(&0).unwrap().silent = true;
    for expected in [Err(crate::block::Error::Device), Ok(4096)] {
        let submission = served.submit(read(&fake, 0, 4096));
        assert!(poll(server.as_mut()).is_pending());
        let outcome = now(submission).map(|buffer| buffer.length()).map_err(|failed| failed.error);
        assert_eq!(outcome, expected);
    }
    assert_eq!(fake.inner().link_resets, 1);
    assert_eq!(*failures.borrow(), [Failure::Silent]);
}

#[test]
fn pages_that_a_controller_may_still_use_are_not_returned() {
    let fake = FakeController::new([(0, FakeDrive::new(100, true))]);
    let controller = open(&fake).unwrap();
    let disks = now(controller.disks(|| Some(fake.memory())));
    let queue = Arc::new(Queue::new());
    let served = QueuedDisk::new("hda".into(), 0, disks[0].identity.geometry(), Arc::clone(&queue));
    let mut server = pin!(controller.serve(&disks, &queue, |_, _| ()));
    {
        let mut inner = fake.inner();
        inner.drives.get_mut(&0).unwrap().silent = true;
        inner.restless = true;
    }
    let submission = served.submit(read(&fake, 0, 4096));
    assert!(poll(server.as_mut()).is_pending());
    assert!(now(submission).unwrap_err().buffer.is_empty());
}

#[test]
fn a_controller_that_does_not_answer_or_reach_the_memory_is_not_used() {
    let fake = FakeController::new([(0, FakeDrive::new(8, true))]);
    fake.inner().stuck = true;
    assert_eq!(open(&fake).err(), Some(Error::Silent));
    fake.inner().stuck = false;
    fake.inner().short = true;
    assert!(now(open(&fake).unwrap().disks(|| Some(fake.memory()))).is_empty());
}
