// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver against a fake controller.

use core::cell::RefCell;
use core::pin::pin;
use std::sync::Arc;

use proptest::prelude::*;
use xen::fake::FakePage;

use super::fake::{FakeController, FakeNamespace, Fault};
use super::registers::{CONTROL, ENABLE};
use super::{Controller, Error, Failure, Namespace, Unfit, Violation};
use crate::block::samples::{buffer, contents, pattern, read};
use crate::block::{self, Buffer, Disk, Failed, Queue, QueuedDisk, Request};
use crate::hal::{now, poll};

type FakeOf = Controller<FakeController, FakeController, FakeController>;

fn open(fake: &FakeController) -> Result<FakeOf, Error> {
    now(Controller::open(fake.clone(), fake.clone(), Some(fake.clone())))
}

/// The namespaces that can be used, and why others cannot.
type Found = (Result<Vec<Namespace>, Failure>, Vec<(u32, Unfit)>);

fn found(fake: &FakeController) -> Found {
    let unfit = RefCell::new(Vec::new());
    let found = now(open(fake).unwrap().namespaces(|id, reason| unfit.borrow_mut().push((id, reason))));
    (found, unfit.into_inner())
}

type Outcome = Result<Buffer<FakePage>, Failed<FakePage>>;

/// What changes the controller before a request.
type Change<'a> = &'a dyn Fn(&FakeController);

/// Does requests to the only namespace, one after the other. Tells what came of each, and which failures
/// were reported.
fn run(
    fake: &FakeController,
    requests: Vec<(Change<'_>, Request<FakePage>)>,
) -> (Vec<Outcome>, Vec<Failure>) {
    let mut controller = open(fake).unwrap();
    let namespaces = now(controller.namespaces(|id, reason| panic!("namespace {id}: {reason}"))).unwrap();
    let [namespace] = namespaces[..] else { panic!("{} namespaces", namespaces.len()) };
    let queue = Arc::new(Queue::new());
    let disk = QueuedDisk::new("nvme0n1".into(), namespace.place, namespace.geometry, Arc::clone(&queue));
    let failures = RefCell::new(Vec::new());
    let report = |_: &_, failure| failures.borrow_mut().push(failure);
    let mut outcomes = Vec::new();
    {
        let mut server = pin!(controller.serve(&namespaces, &queue, report));
        for (change, request) in requests {
            change(fake);
            let submission = disk.submit(request);
            assert!(poll(server.as_mut()).is_pending());
            outcomes.push(now(submission));
        }
    }
    (outcomes, failures.into_inner())
}

fn nothing(_: &FakeController) {}

/// A controller with a namespace of a MiB.
fn usual() -> FakeController {
    FakeController::new([(1, FakeNamespace::new(2048, 9))])
}

/// What came of two reads of a page, of which the first meets a fault.
fn lied_to(fake: &FakeController, fault: Fault) -> (Vec<Result<usize, block::Error>>, Vec<Failure>) {
    let lies = |fake: &FakeController| fake.inner().fault = Some(fault);
    let (outcomes, failures) = run(fake, vec![(&lies, read(fake, 0, 4096)), (&nothing, read(fake, 0, 4096))]);
    let told = |outcome: Outcome| outcome.map(|buffer| buffer.length()).map_err(|failed| failed.error);
    (outcomes.into_iter().map(told).collect(), failures)
}

#[test]
fn what_is_written_is_read_back_in_blocks_of_both_sizes() {
    for power in [9, 12] {
        for length in [4096, 8192, 3 * 4096, 600 << 10] {
            let fake = FakeController::new([(1, FakeNamespace::new((1 << 20) >> power, power))]);
            let write = Request::Write { offset: 4096, buffer: buffer(&fake, length, pattern) };
            let (mut outcomes, failures) =
                run(&fake, vec![(&nothing, write), (&nothing, read(&fake, 4096, length))]);
            assert!(failures.is_empty(), "{failures:?}");
            let expected: Vec<u8> = (0..length).map(pattern).collect();
            assert_eq!(fake.inner().namespaces[&1].medium[4096..4096 + length], expected);
            assert_eq!(contents(&outcomes.pop().unwrap().unwrap()), expected);
        }
    }
}

#[test]
fn single_sectors_are_moved() {
    let fake = usual();
    let write = Request::Write { offset: 1536, buffer: buffer(&fake, 512, pattern) };
    assert!(run(&fake, vec![(&nothing, write)]).0[0].is_ok());
    let inner = fake.inner();
    let medium = &inner.namespaces[&1].medium;
    assert_eq!(medium[1536..2048], (0..512).map(pattern).collect::<Vec<_>>());
    assert!(medium[..1536].iter().chain(&medium[2048..]).all(|byte| *byte == 0));
}

#[test]
fn no_more_is_moved_at_once_than_the_controller_allows() {
    for (power, expected) in [(0, vec![1024, 256]), (1, vec![16; 80]), (0xff, vec![1024, 256])] {
        let fake = FakeController::new([(1, FakeNamespace::new(2048, 9))]);
        fake.inner().transfer_power = power;
        // The fake itself cannot count with the largest.
        let is_absurd = power == 0xff;
        let unlimited = |fake: &FakeController| {
            if is_absurd {
                fake.inner().transfer_power = 0;
            }
        };
        assert!(run(&fake, vec![(&unlimited, read(&fake, 0, 640 << 10))]).0[0].is_ok());
        assert_eq!(fake.inner().moved, expected);
    }
}

#[test]
fn queues_go_round() {
    for entries in [2, 3, 16, 0x10000] {
        let fake = usual();
        fake.inner().capabilities[0] = 2 << 24 | (entries - 1);
        let requests: Vec<_> =
            (0..50).map(|index| (&nothing as Change<'_>, read(&fake, index * 4096, 512))).collect();
        let (outcomes, failures) = run(&fake, requests);
        assert!(outcomes.iter().all(Result::is_ok), "{failures:?}");
        assert!(!fake.inner().is_raised, "the line is let go");
    }
}

#[test]
fn a_controller_may_tell_late_which_commands_it_has_read() {
    let late: [fn(u16, u16) -> u16; 3] =
        [|place, entries| (place + entries - 1) % entries, |place, _| place & !3, |_, _| 0];
    for entries in [2, 3, 16] {
        for tells_place in late {
            let fake = usual();
            fake.inner().capabilities[0] = 2 << 24 | (entries - 1);
            fake.inner().tells_place = tells_place;
            let requests: Vec<_> =
                (0..50).map(|index| (&nothing as Change<'_>, read(&fake, index * 4096, 512))).collect();
            let (outcomes, failures) = run(&fake, requests);
            assert!(outcomes.iter().all(Result::is_ok), "{failures:?}");
        }
    }
    for absurd in [|place, _| place + 1, |_, entries| entries, |_, _| u16::MAX] as [fn(u16, u16) -> u16; 3] {
        let fake = usual();
        fake.inner().tells_place = absurd;
        assert_eq!(open(&fake).err(), Some(Error::Command(Failure::Broken(Violation::Head))));
    }
}

#[test]
fn a_flush_reaches_a_controller_with_a_cache_only() {
    for has_cache in [true, false] {
        let fake = usual();
        fake.inner().has_cache = has_cache;
        assert!(run(&fake, vec![(&nothing, Request::Flush)]).0[0].is_ok());
        assert_eq!(fake.inner().namespaces[&1].flushes, u32::from(has_cache));
    }
}

#[test]
fn the_model_is_told() {
    assert_eq!(open(&usual()).unwrap().model(), "FAKE CONTROLLER");
}

#[test]
fn doorbells_are_where_the_controller_says() {
    for power in [0, 1, 9] {
        let fake = usual();
        fake.inner().capabilities[1] |= power;
        assert!(run(&fake, vec![(&nothing, read(&fake, 0, 4096))]).0[0].is_ok());
    }
    let fake = usual();
    fake.inner().capabilities[1] |= 10;
    assert_eq!(open(&fake).err(), Some(Error::Unfit("its doorbells are too far apart")));
}

#[test]
fn a_controller_that_cannot_be_used_is_not() {
    let unfit = |capabilities, entry_sizes| {
        let fake = usual();
        fake.inner().capabilities = capabilities;
        fake.inner().entry_sizes = entry_sizes;
        open(&fake).err()
    };
    let (good, sizes) = ([2 << 24 | 1023, 1 << 5], [0x66, 0x44]);
    assert_eq!(unfit(good, sizes), None);
    assert_eq!(unfit([!0, !0], sizes), Some(Error::Fatal));
    assert_eq!(unfit([good[0], 0], sizes), Some(Error::Unfit("it does not know the set of NVM commands")));
    assert_eq!(
        unfit([good[0], 1 << 5 | 1 << 16], sizes),
        Some(Error::Unfit("its pages are larger than 4 KiB"))
    );
    assert_eq!(unfit([2 << 24, good[1]], sizes), Some(Error::Unfit("its queues are too short")));
    for absurd in [[0, 0], [0x77, 0x44], [0x66, 0x55], [0x36, 0x44], [0x00, 0xff]] {
        let expected = Some(Error::Unfit("its queues have entries of other sizes"));
        assert_eq!(unfit(good, absurd), expected, "{absurd:?}");
    }
}

#[test]
fn waits_for_a_controller_end() {
    let fails = |change: fn(&FakeController)| {
        let fake = usual();
        change(&fake);
        open(&fake).err()
    };
    assert_eq!(fails(|fake| fake.inner().never_ready = true), Some(Error::Silent));
    assert_eq!(fails(|fake| fake.inner().never_stops = true), Some(Error::Silent));
    assert_eq!(fails(|fake| fake.inner().fatal = true), Some(Error::Fatal));
    for number in [0x01, 0x05, 0x06, 0x09] {
        let fake = usual();
        fake.inner().refuses = Some(number);
        assert_eq!(open(&fake).err(), Some(Error::Command(Failure::Refused(6))), "{number:#x}");
    }
    let fake = usual();
    assert_eq!(
        now(Controller::open(fake.clone(), fake, None::<FakeController>)).err(),
        Some(Error::NoMemory)
    );
}

#[test]
fn namespaces_that_cannot_be_used_are_left_out() {
    let fake = FakeController::new((1..=9).map(|id| (id, FakeNamespace::new(8, 9))));
    {
        let mut inner = fake.inner();
        let mut change = |id, how: fn(&mut FakeNamespace)| how(inner.namespaces.get_mut(&id).unwrap());
        change(1, |namespace| namespace.claims = Some(0));
        change(2, |namespace| namespace.power = 0);
        change(3, |namespace| (namespace.power, namespace.claims) = (63, Some(8)));
        change(4, |namespace| namespace.metadata = 8);
        change(5, |namespace| namespace.claims = Some(1 << 55));
        change(7, |namespace| namespace.write_protected = true);
        change(8, |namespace| namespace.claims = Some((1 << 55) - 1));
        inner.namespaces.remove(&9);
        inner.listed = Some((1..=9).collect());
    }
    let (found, unfit) = found(&fake);
    let found = found.unwrap();
    let shape =
        |namespace: &Namespace| (namespace.place, namespace.geometry.bytes, namespace.geometry.read_only);
    let expected = [(6, 4096, false), (7, 4096, true), (8, ((1 << 55) - 1) << 9, false)];
    assert_eq!(found.iter().map(shape).collect::<Vec<_>>(), expected);
    let expected = [
        (1, Unfit::Empty),
        (2, Unfit::BlockSize(0)),
        (3, Unfit::BlockSize(63)),
        (4, Unfit::Metadata(8)),
        (5, Unfit::TooLarge),
        (9, Unfit::Empty),
    ];
    assert_eq!(unfit, expected);
}

fn places(namespaces: &[Namespace]) -> Vec<u8> {
    namespaces.iter().map(|namespace| namespace.place).collect()
}

#[test]
fn an_old_controller_that_knows_no_list_is_asked_for_each_namespace() {
    for (ids, expected, left_out) in [
        (vec![1], vec![1], vec![]),
        (vec![2, 5, 16], vec![2, 5, 16], vec![]),
        (vec![1, 20], vec![1], vec![(17, Unfit::TooMany(4))]),
        (vec![], vec![], vec![]),
        (vec![u32::MAX], vec![], vec![(17, Unfit::TooMany(u32::MAX - 16))]),
    ] {
        let fake = FakeController::new(ids.into_iter().map(|id| (id, FakeNamespace::new(8, 9))));
        fake.inner().is_old = true;
        let (namespaces, unfit) = found(&fake);
        assert_eq!((places(&namespaces.unwrap()), unfit), (expected, left_out));
    }
    let fake = FakeController::new([1, 2].map(|id| (id, FakeNamespace::new(8, 9))));
    fake.inner().is_old = true;
    fake.inner().namespaces.get_mut(&2).unwrap().power = 10;
    let (namespaces, unfit) = found(&fake);
    assert_eq!((places(&namespaces.unwrap()), unfit), (vec![1], vec![(2, Unfit::BlockSize(10))]));
}

#[test]
fn a_list_of_namespaces_has_an_end_and_each_once() {
    let fake = usual();
    fake.inner().listed = Some(vec![1; 1024]);
    let (namespaces, unfit) = found(&fake);
    assert_eq!((namespaces.unwrap().len(), unfit), (1, vec![(1, Unfit::TooMany(1008))]));
    let fake = FakeController::new((1..=40).map(|id| (id * 7, FakeNamespace::new(8, 12))));
    let (namespaces, unfit) = found(&fake);
    assert_eq!(places(&namespaces.unwrap()), (1..=16).collect::<Vec<_>>());
    assert_eq!(unfit, [(17 * 7, Unfit::TooMany(24))]);
    fake.inner().listed = Some(vec![]);
    assert_eq!(found(&fake).0, Ok(vec![]));
}

#[test]
fn a_refusal_is_an_error_and_the_next_request_works() {
    let fake = usual();
    let (outcomes, failures) = lied_to(&fake, Fault::Status(0x281));
    assert_eq!(outcomes, [Err(block::Error::Device), Ok(4096)]);
    assert_eq!(failures, [Failure::Refused(0x281)]);
    assert_eq!(fake.inner().starts, 1);
}

#[test]
fn a_silent_controller_fails_its_request_and_is_reset() {
    for fault in [Fault::Nothing, Fault::OldPhase] {
        let fake = usual();
        let (outcomes, failures) = lied_to(&fake, fault);
        assert_eq!(outcomes, [Err(block::Error::Device), Ok(4096)]);
        assert_eq!(failures, [Failure::Silent]);
        assert_eq!(fake.inner().starts, 2);
    }
}

#[test]
fn a_controller_that_breaks_the_protocol_is_disabled() {
    for (fault, violation) in
        [(Fault::Id, Violation::Id), (Fault::Queue, Violation::Queue), (Fault::Head, Violation::Head)]
    {
        let fake = usual();
        let (outcomes, failures) = lied_to(&fake, fault);
        assert_eq!(outcomes, [Err(block::Error::Broken), Err(block::Error::Broken)]);
        assert_eq!(failures, [Failure::Broken(violation)]);
    }
    let fake = usual();
    let (outcomes, failures) = lied_to(&fake, Fault::Twice);
    assert_eq!(outcomes, [Ok(4096), Err(block::Error::Broken)]);
    assert_eq!(failures, [Failure::Broken(Violation::Unasked)]);
}

#[test]
fn pages_that_a_controller_may_still_use_are_not_returned() {
    let fake = usual();
    let stuck = |fake: &FakeController| {
        let mut inner = fake.inner();
        (inner.fault, inner.never_stops) = (Some(Fault::Nothing), true);
    };
    let requests = vec![(&stuck as Change<'_>, read(&fake, 0, 4096)), (&nothing, read(&fake, 0, 4096))];
    let (outcomes, failures) = run(&fake, requests);
    let kept = |outcome: &Outcome| outcome.as_ref().unwrap_err().buffer.length();
    assert_eq!(outcomes.iter().map(kept).collect::<Vec<_>>(), [0, 4096]);
    assert_eq!(failures, [Failure::Silent, Failure::Lost]);
}

#[test]
fn a_controller_that_does_not_come_back_is_disabled() {
    let fake = usual();
    let dies = |fake: &FakeController| {
        let mut inner = fake.inner();
        (inner.fault, inner.refuses) = (Some(Fault::Nothing), Some(0x05));
    };
    let requests = vec![(&dies as Change<'_>, read(&fake, 0, 4096)), (&nothing, read(&fake, 0, 4096))];
    let (outcomes, failures) = run(&fake, requests);
    let told = |outcome: &Outcome| {
        let failed = outcome.as_ref().unwrap_err();
        (failed.buffer.length(), failed.error)
    };
    let expected = [(4096, block::Error::Device), (4096, block::Error::Broken)];
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(failures, [Failure::Silent, Failure::Lost]);
    assert_eq!(fake.inner().register(CONTROL) & ENABLE, 0, "it must not hold its line up");
}

#[test]
fn disks_have_linuxs_names_and_numbers_of_their_own() {
    assert_eq!([super::name(0, 1), super::name(15, 16)], ["nvme0n1", "nvme15n16"]);
    assert!(super::number(0, 1) < super::number(0, 2) && super::number(0, 16) < super::number(1, 1));
    assert!(super::number(0, 1) > 253 << 8 | 25 << 4);
}

/// Bytes that are written over queues and descriptions: those of 20 KiB, more often over completions.
fn scribbles() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let places = prop_oneof![0_u16..20480, 4096_u16..4352, 12288_u16..12544, 16384_u16..17000];
    prop::collection::vec((places, prop::collection::vec(any::<u8>(), 0..64)), 0..60)
}

proptest! {
    #[test]
    fn a_driver_survives_a_controller_that_writes_anything_anywhere(
        first in scribbles(),
        later in prop::collection::vec(scribbles(), 1..6),
    ) {
        let fake = usual();
        fake.inner().scribbles = first;
        let Ok(mut controller) = open(&fake) else { return Ok(()) };
        let Ok(namespaces) = now(controller.namespaces(|_, _| ())) else { return Ok(()) };
        let Some(namespace) = namespaces.first().copied() else { return Ok(()) };
        let size = u64::from(namespace.geometry.sector_size);
        prop_assert!([512, 4096].contains(&size) && namespace.geometry.bytes.is_multiple_of(size));
        let queue = Arc::new(Queue::new());
        let disk = QueuedDisk::new("nvme0n1".into(), namespace.place, namespace.geometry, Arc::clone(&queue));
        let mut server = pin!(controller.serve(&namespaces, &queue, |_, _| ()));
        for scribbles in later {
            fake.inner().scribbles = scribbles;
            let submission = disk.submit(read(&fake, 0, 12288));
            assert!(poll(server.as_mut()).is_pending());
            // It ends, well or not.
            let _ = now(submission);
        }
    }
}
