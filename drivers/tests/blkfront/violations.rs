// SPDX-License-Identifier: MIT OR Apache-2.0
//! Backends that break the protocol: the requests fail, and the disk works again when they stop to.

use std::cell::Cell;

use futures::future::Either;
use prism_drivers::block::{Buffer, Disk, Error};
use prism_drivers::hal::Platform;
use xen::fake::FakePage;
use xen::xenbus::State;
use xen_sys::io::blkif::*;

use crate::backend::{BACKEND, Fault, Guest, yield_now};

/// A backend that lies about its third request, and is honest when it is connected again.
async fn faulty_backend(guest: &Guest) {
    for _ in 0..2 {
        one_life(guest).await;
        guest.fault.set(None);
    }
}

/// A backend until the driver closes.
async fn one_life(guest: &Guest) {
    let (ring, channel) = guest.connect().await;
    let answer = Box::pin(guest.answer(&ring, &channel, u32::MAX));
    drop(futures::future::select(answer, Box::pin(guest.until(State::Closed))).await);
    drop(ring);
    guest.let_go();
    guest.be(State::Closed);
}

async fn read(guest: &Guest, disk: &dyn Disk<FakePage>) -> Result<(), Error> {
    disk.read(4096, guest.buffer(8192, 0)).await.map(drop).map_err(|failed| failed.error)
}

fn third_read(fault: Fault) -> (Result<(), Error>, Guest) {
    let guest = Guest::new(1 << 20, &[]);
    guest.fault.set(Some((2, fault)));
    let (result, ended) = guest.play(faulty_backend(&guest), async |disk| {
        read(&guest, disk).await.unwrap();
        read(&guest, disk).await.unwrap();
        let third = read(&guest, disk).await;
        // Whatever it was: the disk works, now or when it is connected again.
        read(&guest, disk).await.unwrap();
        third
    });
    assert!(ended.is_none());
    assert!(guest.platform.grants().report().is_idle(), "{}", guest.platform.grants().report());
    (result, guest)
}

#[test]
fn a_response_with_an_unknown_id_poisons_the_disk() {
    for other in [|_| u64::MAX, |id| id + 1, |id| id ^ 1 << 16, |_| 0x7fff] {
        assert_eq!(third_read(Fault::Id(other)).0, Err(Error::Broken));
    }
}

#[test]
fn a_response_with_a_stale_id_poisons_the_disk() {
    assert_eq!(third_read(Fault::StaleId).0, Err(Error::Broken));
}

#[test]
fn a_response_to_another_operation_poisons_the_disk() {
    for operation in [BLKIF_OP_WRITE, BLKIF_OP_INDIRECT, BLKIF_OP_DISCARD, 255] {
        assert_eq!(third_read(Fault::Operation(operation)).0, Err(Error::Broken));
    }
}

#[test]
fn more_answers_than_requests_poison_the_disk() {
    // The answer itself may be taken before the fault is seen, but then nothing more.
    for jump in [1, 32, 1 << 31, u32::MAX - 1] {
        assert_eq!(third_read(Fault::Jump(jump)).0, Err(Error::Broken), "{jump}");
    }
}

#[test]
fn a_page_that_is_kept_mapped_poisons_the_disk_and_is_not_used_again() {
    assert_eq!(third_read(Fault::KeepPages).0, Err(Error::Broken));
}

#[test]
fn an_error_fails_just_that_request() {
    for status in [BLKIF_RSP_ERROR, BLKIF_RSP_EOPNOTSUPP, 1, i16::MIN] {
        let (result, guest) = third_read(Fault::Status(status));
        assert_eq!(result, Err(Error::Device));
        assert_eq!(guest.answered.get(), 4, "it was not connected again");
    }
}

#[test]
fn an_answer_that_changes_after_it_was_given_changes_nothing() {
    assert_eq!(third_read(Fault::Mutate).0, Ok(()));
}

#[test]
fn a_backend_that_breaks_the_protocol_three_times_is_given_up() {
    let guest = Guest::new(1 << 20, &[]);
    let always = async {
        loop {
            guest.fault.set(Some((guest.answered.get(), Fault::Id(|id| !id))));
            one_life(&guest).await;
        }
    };
    let (results, _) = guest.play(always, async |disk| {
        let mut results = Vec::new();
        for _ in 0..5 {
            results.push(read(&guest, disk).await);
        }
        results
    });
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert_eq!(results.last(), Some(&Err(Error::Gone)));
    let error = guest.xenstored.read("/local/domain/1/error/device/vbd/51712/error");
    assert!(error.is_none() || !error.unwrap().is_empty());
}

#[test]
fn a_flush_that_is_not_supported_after_all_becomes_a_barrier() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1"), ("feature-barrier", "1")]);
    guest.fault.set(Some((0, Fault::Status(BLKIF_RSP_EOPNOTSUPP))));
    guest.serve(async |disk| {
        disk.flush().await.unwrap();
        disk.flush().await.unwrap();
    });
    assert_eq!(guest.operations.borrow()[&BLKIF_OP_FLUSH_DISKCACHE], 1);
    assert_eq!(guest.operations.borrow()[&BLKIF_OP_WRITE_BARRIER], 2);
}

#[test]
fn flushes_that_are_refused_together_become_barriers() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1"), ("feature-barrier", "1")]);
    guest.refused.set(Some(BLKIF_OP_FLUSH_DISKCACHE));
    guest.serve(async |disk| {
        let flushes = futures::future::join_all((0..3).map(|_| disk.flush())).await;
        assert_eq!(flushes, [Ok(()); 3]);
    });
    assert_eq!(guest.operations.borrow()[&BLKIF_OP_FLUSH_DISKCACHE], 3);
    assert_eq!(guest.operations.borrow()[&BLKIF_OP_WRITE_BARRIER], 3);
}

#[test]
fn a_flush_that_nothing_can_take_the_place_of_fails_from_then_on() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1")]);
    guest.fault.set(Some((0, Fault::Status(BLKIF_RSP_EOPNOTSUPP))));
    guest.serve(async |disk| {
        assert_eq!(disk.flush().await, Err(Error::Unsupported));
        assert_eq!(disk.flush().await, Err(Error::Unsupported));
    });
}

#[test]
fn a_storm_of_events_keeps_nobody_from_working() {
    let guest = Guest::new(1 << 20, &[]);
    let storm = async {
        let (ring, channel) = guest.connect().await;
        let answer = std::pin::pin!(guest.answer(&ring, &channel, u32::MAX));
        let events = std::pin::pin!(async {
            loop {
                channel.notify();
                yield_now().await;
            }
        });
        futures::future::select(answer, events).await;
    };
    guest.play(storm, async |disk| {
        for _ in 0..100 {
            read(&guest, disk).await.unwrap();
        }
    });
}

#[test]
fn dropping_a_request_to_a_silent_backend_disturbs_no_other() {
    let guest = Guest::new(1 << 20, &[]);
    guest.fault.set(Some((0, Fault::NoResponse)));
    guest.play(guest.live(), async |disk| {
        let mut silent = Box::pin(read(&guest, disk));
        for _ in 0..100 {
            let turns = std::pin::pin!(yield_now());
            assert!(matches!(futures::future::select(&mut silent, turns).await, Either::Right(_)));
        }
    });
    assert!(guest.xenstored.read(&format!("{BACKEND}/state")).is_some());
}

#[test]
fn backend_never_sees_what_was_in_a_buffer_before() {
    let guest = Guest::new(1 << 20, &[]);
    guest.serve(async |disk| {
        // All of it written to; then read into; then shorter than its page.
        let buffer = disk.read(0, guest.buffer(8192, 7)).await.unwrap();
        let mut buffer = disk.read(0, buffer).await.unwrap();
        buffer.copy_from(&[9; 8192]);
        let (pages, _) = buffer.into_pages();
        let buffer = disk.write(0, Buffer::from_pages(pages, 512)).await.unwrap();
        disk.read(0, buffer).await.unwrap();
    });
    assert_eq!(guest.answered.get(), 4);
    assert!(!guest.saw_old_content.get());
}

#[test]
fn backend_that_keeps_pages_of_each_connection_is_refused_at_a_limit() {
    let guest = Guest::new(1 << 20, &[("max-ring-page-order", "2")]);
    let most = 512 / 4 + 1;
    let is_over = Cell::new(false);
    let keeps = async {
        for _ in 0..most {
            let (ring, _) = guest.connect().await;
            guest.kept_rings.borrow_mut().push(ring);
            guest.be(State::Closing);
            guest.until(State::Closed).await;
            guest.be(State::Closed);
            guest.until(State::Initialising).await;
        }
        guest.be(State::InitWait);
        guest.until(State::Closed).await;
        is_over.set(true);
    };
    guest.play(keeps, async |_| {
        while !is_over.get() {
            yield_now().await;
        }
    });
    assert_eq!(guest.platform.grants().report().quarantined, 4 * most);
    guest.kept_rings.borrow_mut().clear();
    guest.let_go();
}
