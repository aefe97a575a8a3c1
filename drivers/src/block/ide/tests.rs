// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver against a fake channel.

use core::pin::pin;
use std::cell::RefCell;
use std::sync::Arc;

use xen::fake::{FakePage, FakeXen};

use super::fake::{FakeChannel, FakeDrive, RESOURCES};
use super::{Channel, Failure};
use crate::block::samples::{buffer, pattern, read};
use crate::block::{Buffer, Disk, Error, Failed, Queue, QueuedDisk, Request};
use crate::hal::{now, poll};

/// Does one request after the other on the first drive, and tells what came of the last, and which
/// failures were reported.
fn run(
    fake: &FakeChannel,
    requests: Vec<Request<FakePage>>,
) -> (Result<Buffer<FakePage>, Failed<FakePage>>, Vec<Failure>) {
    let channel = Channel::new(fake, RESOURCES, fake);
    let drives = now(channel.drives());
    let geometry = drives[0].as_ref().unwrap().identity.geometry();
    let queue = Arc::new(Queue::new());
    let disk = QueuedDisk::new("hda".into(), 0, geometry, Arc::clone(&queue));
    let failures = RefCell::new(Vec::new());
    let report = |_: &super::Drive, failure| failures.borrow_mut().push(failure);
    let mut last = Ok(Buffer::empty());
    for request in requests {
        let submission = disk.submit(request);
        {
            let server = pin!(channel.serve(&drives, &queue, None, report));
            assert!(poll(server).is_pending());
        }
        last = now(submission);
    }
    (last, failures.into_inner())
}

#[test]
fn what_is_written_is_read_back_with_short_and_with_long_addresses() {
    for long_addresses in [false, true] {
        let xen = FakeXen::new();
        let fake = FakeChannel::new([Some(FakeDrive::new(1000, long_addresses)), None]);
        // More than one command's worth, from the middle of a page on.
        let length = 300 * 512;
        let (read, failures) = run(
            &fake,
            vec![
                Request::Write { offset: 512 * 5, buffer: buffer(&xen, length, pattern) },
                Request::Flush,
                read(&xen, 512 * 5, length),
            ],
        );
        let mut bytes = vec![0; length];
        read.unwrap().copy_to(&mut bytes);
        assert!(bytes.iter().enumerate().all(|(index, byte)| *byte == pattern(index)));
        assert_eq!(failures, []);
        let drives = fake.drives.borrow();
        let drive = drives[0].as_ref().unwrap();
        assert_eq!((drive.medium[512 * 5 - 1], drive.flushes), (0, 1));
    }
}

#[test]
fn drives_that_are_not_there_are_not_found() {
    for (fake, expected) in [
        (FakeChannel::new([None, None]), [false, false]),
        (FakeChannel::new([Some(FakeDrive::new(8, false)), None]), [true, false]),
        (FakeChannel::new([None, Some(FakeDrive::new(8, true))]), [false, true]),
    ] {
        let drives = now(Channel::new(&fake, RESOURCES, &fake).drives());
        assert_eq!(drives.map(|drive| drive.is_some()), expected);
    }
}

#[test]
fn a_bad_sector_fails_one_request_and_the_next_one_works() {
    let xen = FakeXen::new();
    let fake = FakeChannel::new([Some(FakeDrive::new(100, true)), None]);
    fake.drives.borrow_mut()[0].as_mut().unwrap().bad_sector = Some(9);
    let read = |sector: u64| read(&xen, sector * 512, 512);
    let (failed, failures) = run(&fake, vec![read(9)]);
    assert_eq!(failures, [Failure::Refused(0x10)]);
    assert!(matches!(failed, Err(Failed { error: Error::Device, buffer }) if buffer.length() == 512));
    assert!(run(&fake, vec![read(9), read(10)]).0.is_ok());
    assert_eq!(fake.resets.get(), 0);
}

#[test]
fn a_silent_drive_times_out_and_is_reset() {
    let xen = FakeXen::new();
    let fake = FakeChannel::new([Some(FakeDrive::new(100, true)), None]);
    let channel = Channel::new(&fake, RESOURCES, &fake);
    let drives = now(channel.drives());
    fake.drives.borrow_mut()[0].as_mut().unwrap().silent = true;
    let queue = Arc::new(Queue::new());
    let geometry = drives[0].as_ref().unwrap().identity.geometry();
    let disk = QueuedDisk::new("hda".into(), 0, geometry, Arc::clone(&queue));
    let read = disk.submit(read(&xen, 0, 512));
    let server = pin!(channel.serve(&drives, &queue, None, |_, _| ()));
    assert!(poll(server).is_pending());
    assert!(matches!(now(read), Err(Failed { error: Error::Device, .. })));
    assert_eq!(fake.resets.get(), 1);
}
