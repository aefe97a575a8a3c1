// SPDX-License-Identifier: MIT OR Apache-2.0
//! Backends that come and go, disks that grow, memory that runs out.

use std::cell::Cell;

use futures::future::{join, join_all};
use prism_drivers::block::{Discard, Error};
use prism_drivers::hal::Platform;
use prism_drivers::sim::{Clock, SimPlatform};
use xen::fake::Config;
use xen::xenbus::State;

use crate::backend::{BACKEND, Guest, yield_now};

#[test]
fn requests_that_a_backend_left_unanswered_are_done_by_the_next() {
    for keys in [&[][..], &[("feature-persistent", "1"), ("feature-max-indirect-segments", "64")]] {
        let guest = Guest::new(1 << 20, keys);
        let restarts = async {
            for answers in [3, 0, 5] {
                let (ring, channel) = guest.connect().await;
                guest.answer(&ring, &channel, answers).await;
                guest.be(State::Closing);
                guest.until(State::Closed).await;
                drop(ring);
                guest.let_go();
                guest.be(State::Closed);
            }
            guest.live().await;
        };
        guest.play(restarts, async |disk| {
            let writes = (0..20).map(|index| disk.write(index * 8192, guest.buffer(8192, index as u8 + 1)));
            assert!(join_all(writes).await.iter().all(Result::is_ok));
        });
        let disk = guest.disk.borrow();
        assert!(
            (0..20).all(|index| disk[index * 8192..(index + 1) * 8192]
                .iter()
                .all(|byte| *byte == index as u8 + 1))
        );
    }
}

#[test]
fn a_write_is_sent_again_only_when_the_last_backend_is_done_with_it() {
    let guest = Guest::new(1 << 20, &[]);
    let is_through = Cell::new(false);
    let rebind = async {
        let (ring, _) = guest.connect().await;
        guest.begin_a_write(&ring).await;
        // As Linux's backend when it is unbound and bound, with I/O on its way.
        drop(ring);
        guest.be(State::InitWait);
        let last_io = async {
            guest.until(State::Closed).await;
            for _ in 0..6 {
                yield_now().await;
            }
            is_through.set(true);
            guest.let_go();
        };
        join(last_io, guest.live()).await;
    };
    guest.play(rebind, async |disk| {
        disk.write(0, guest.buffer(4096, 7)).await.unwrap();
        assert!(is_through.get());
    });
    assert!(guest.disk.borrow()[..4096].iter().all(|byte| *byte == 7));
}

#[test]
fn a_write_whose_page_the_last_backend_keeps_is_not_sent_again() {
    for persistent in ["0", "1"] {
        let guest = Guest::new(1 << 20, &[("feature-persistent", persistent)]);
        let rebind = async {
            let (ring, _) = guest.connect().await;
            guest.begin_a_write(&ring).await;
            drop(ring);
            guest.be(State::InitWait);
            guest.live().await;
        };
        guest.play(rebind, async |disk| {
            let written = disk.write(0, guest.buffer(4096, 7)).await;
            assert_eq!(written.unwrap_err().error, Error::Gone, "persistent: {persistent}");
            disk.write(4096, guest.buffer(4096, 8)).await.unwrap();
        });
    }
}

/// Serves a write and leaves, as `leave` does it, with the flush that follows unanswered; then lives.
async fn restart(guest: &Guest, leave: impl AsyncFnOnce()) {
    let (ring, channel) = guest.connect().await;
    guest.answer(&ring, &channel, 1).await;
    while ring.requests() != 3 {
        yield_now().await;
    }
    drop(ring);
    guest.let_go();
    leave().await;
    guest.live().await;
}

#[test]
fn flush_fails_once_when_the_backend_vanished_with_unflushed_writes() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1")]);
    guest.serve_from("/local/domain/3/backend/qdisk/1/51712");
    let vanishes = restart(&guest, async || guest.be(State::InitWait));
    guest.play(vanishes, async |disk| {
        disk.write(0, guest.buffer(4096, 7)).await.unwrap();
        let both = join(disk.flush(), disk.flush()).await;
        assert_eq!(both, (Err(Error::Lost), Err(Error::Lost)), "each of them was asked for before");
        disk.flush().await.unwrap();
    });
}

#[test]
fn flush_succeeds_when_a_kernels_driver_is_unbound_and_bound() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1")]);
    let rebound = restart(&guest, async || guest.be(State::InitWait));
    guest.play(rebound, async |disk| {
        disk.write(0, guest.buffer(4096, 7)).await.unwrap();
        assert_eq!(join(disk.flush(), disk.flush()).await, (Ok(()), Ok(())));
    });
}

#[test]
fn flush_succeeds_when_the_backend_closed_the_disk_before_it_restarted() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1")]);
    let closes = restart(&guest, async || {
        guest.be(State::Closing);
        guest.until(State::Closed).await;
        guest.be(State::Closed);
    });
    guest.play(closes, async |disk| {
        disk.write(0, guest.buffer(4096, 7)).await.unwrap();
        assert_eq!(join(disk.flush(), disk.flush()).await, (Ok(()), Ok(())));
    });
}

#[test]
fn flush_succeeds_when_the_last_backend_but_one_had_a_volatile_cache() {
    let guest = Guest::new(1 << 20, &[("feature-flush-cache", "1")]);
    guest.serve_from("/local/domain/3/backend/qdisk/1/51712");
    let backends = async {
        let (ring, channel) = guest.connect().await;
        guest.answer(&ring, &channel, 1).await;
        guest.be(State::Closing);
        guest.until(State::Closed).await;
        drop(ring);
        guest.let_go();
        guest.keys.borrow_mut().push(("feature-flush-cache", "0".to_owned()));
        guest.be(State::Closed);
        let (ring, channel) = guest.connect().await;
        guest.answer(&ring, &channel, 1).await;
        drop(ring);
        guest.let_go();
        guest.be(State::InitWait);
        guest.live().await;
    };
    guest.play(backends, async |disk| {
        disk.write(0, guest.buffer(4096, 7)).await.unwrap();
        disk.read(0, guest.buffer(4096, 0)).await.unwrap();
        // Served by the third one: the second has vanished.
        disk.read(0, guest.buffer(4096, 0)).await.unwrap();
        disk.flush().await.unwrap();
    });
}

#[test]
fn discard_is_sent_again_only_when_the_last_backend_has_let_go_of_the_ring() {
    for lets_go in [true, false] {
        let guest = Guest::new(1 << 20, &[("feature-discard", "1")]);
        let is_through = Cell::new(false);
        let kept = Cell::new(None);
        let rebind = async {
            let (ring, _) = guest.connect().await;
            while ring.requests() == 0 {
                yield_now().await;
            }
            kept.set(Some(ring));
            guest.be(State::InitWait);
            let last_io = async {
                guest.until(State::Closed).await;
                for _ in 0..6 {
                    yield_now().await;
                }
                is_through.set(lets_go);
                if lets_go {
                    kept.set(None);
                }
            };
            join(last_io, guest.live()).await;
        };
        guest.play(rebind, async |disk| {
            let discarded = disk.discard(0..4096, Discard::Normal).await;
            assert_eq!(discarded.is_ok(), lets_go);
            assert_eq!(discarded.err(), (!lets_go).then_some(Error::Gone));
            assert!(!lets_go || is_through.get());
        });
        kept.set(None);
        guest.let_go();
    }
}

#[test]
fn a_disk_that_is_taken_away_fails_what_was_asked_of_it() {
    let guest = Guest::new(1 << 20, &[]);
    let detach = async {
        let (ring, channel) = guest.connect().await;
        guest.answer(&ring, &channel, 2).await;
        guest.xenstored.write(&format!("{BACKEND}/online"), "0");
        guest.be(State::Closing);
        guest.until(State::Closed).await;
        drop(ring);
        guest.be(State::Closed);
    };
    let (results, _) = guest.play(detach, async |disk| {
        let reads = (0..10).map(|index| disk.read(index * 4096, guest.buffer(4096, 0)));
        let results = join_all(reads).await;
        assert_eq!(disk.read(0, guest.buffer(4096, 0)).await.unwrap_err().error, Error::Gone);
        results
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    assert!(
        results.iter().filter_map(|result| result.as_ref().err()).all(|failed| failed.error == Error::Gone)
    );
    assert!(guest.platform.grants().report().is_idle());
    assert_eq!(guest.platform.channels(), 0);
}

#[test]
fn a_backend_that_dies_with_our_pages_costs_just_those() {
    let guest = Guest::with(SimPlatform::new(Clock::ExpiresAtOnce), 1 << 20, &[]);
    let dies = async {
        let (ring, _) = guest.connect().await;
        for _ in 0..200 {
            yield_now().await;
        }
        guest.xenstored.remove(BACKEND);
        guest.until(State::Closed).await;
        for _ in 0..1000 {
            yield_now().await;
        }
        assert_eq!(guest.platform.grants().report().quarantined, 1, "the ring");
        drop(ring);
    };
    let (result, _) = guest.play(dies, async |disk| disk.read(0, guest.buffer(4096, 0)).await.map(drop));
    assert_eq!(result.unwrap_err().error, Error::Gone);
    assert!(guest.platform.grants().report().is_idle());
}

#[test]
fn a_disk_that_grows_can_be_read_beyond_its_old_end() {
    let guest = Guest::new(1 << 20, &[]);
    guest.serve(async |disk| {
        assert!(disk.read(1 << 20, guest.buffer(4096, 0)).await.is_err());
        guest.disk.borrow_mut().resize(2 << 20, 7);
        guest.xenstored.write(&format!("{BACKEND}/sectors"), "4096");
        while disk.geometry().bytes != 2 << 20 {
            yield_now().await;
        }
        let buffer = disk.read(1 << 20, guest.buffer(4096, 0)).await.unwrap();
        assert!(buffer.pieces().flatten().all(|byte| *byte == 7));
    });
}

#[test]
fn requests_wait_when_the_grant_table_is_full() {
    let config = Config { max_grant_frames: 1, max_grant_version: 1, ..Config::default() };
    let guest =
        Guest::with(SimPlatform::with(Clock::Stopped, config), 8 << 20, &[("max-ring-page-order", "2")]);
    guest.serve(async |disk| {
        // 120 requests of 8 pages each, but the table has 504 entries.
        let reads = (0..120).map(|index| disk.read(index * 32768, guest.buffer(32768, 0)));
        assert!(join_all(reads).await.iter().all(Result::is_ok));
    });
    assert_eq!(guest.answered.get(), 120);
}

#[test]
fn pages_that_stay_granted_leave_half_of_a_small_table_to_others() {
    let config = Config { max_grant_frames: 1, max_grant_version: 1, ..Config::default() };
    let keys = [("feature-persistent", "1"), ("feature-max-indirect-segments", "256")];
    let guest = Guest::with(SimPlatform::with(Clock::Stopped, config), 8 << 20, &keys);
    guest.serve(async |disk| {
        let writes = (0..8).map(|index| disk.write(index << 20, guest.buffer(1 << 20, 5)));
        assert!(join_all(writes).await.iter().all(Result::is_ok));
        assert!(guest.platform.grants().report().available() >= 504 / 2 - 1);
    });
    assert!(guest.disk.borrow().iter().all(|byte| *byte == 5));
}

#[test]
fn without_memory_for_the_copy_a_request_fails() {
    let guest = Guest::new(1 << 20, &[("feature-persistent", "1")]);
    guest.serve(async |disk| {
        let buffer = guest.buffer(4096, 0);
        guest.platform.limit_pages(0);
        assert_eq!(disk.read(0, buffer).await.unwrap_err().error, Error::NoMemory);
        guest.platform.limit_pages(100);
        disk.read(0, guest.buffer(4096, 0)).await.unwrap();
    });
}

#[test]
fn with_little_memory_for_copies_a_request_is_done_in_small_pieces() {
    let keys = [("feature-persistent", "1"), ("feature-max-indirect-segments", "256")];
    let guest = Guest::new(1 << 20, &keys);
    guest.serve(async |disk| {
        let buffer = guest.buffer(1 << 20, 9);
        guest.platform.limit_pages(7);
        let buffer = disk.write(0, buffer).await.unwrap();
        assert!(disk.read(0, buffer).await.unwrap().pieces().flatten().all(|byte| *byte == 9));
    });
    assert!(guest.disk.borrow().iter().all(|byte| *byte == 9));
}
