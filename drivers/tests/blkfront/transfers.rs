// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes to the disk and comes from it.

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use proptest::prelude::*;
use xen_sys::io::blkif::*;

use crate::backend::Guest;
use prism_drivers::block::{Discard, Error, Request};

/// Every way in which a backend may take requests.
const WAYS: [&[(&str, &str)]; 4] = [
    &[],
    &[("feature-max-indirect-segments", "256"), ("max-ring-page-order", "4")],
    &[("feature-persistent", "1")],
    &[("feature-persistent", "1"), ("feature-max-indirect-segments", "32"), ("max-ring-page-order", "1")],
];

#[test]
fn what_is_written_is_read_back_over_every_kind_of_ring() {
    for keys in WAYS {
        let guest = Guest::new(1 << 20, keys);
        guest.serve(async |disk| {
            for (offset, length) in
                [(0, 512), (4096, 4096), (512, 12 * 4096), (8192, 300 * 512), (0, 1 << 20)]
            {
                let fill = (offset / 512 + length / 512) as u8;
                disk.write(offset as u64, guest.buffer(length, fill)).await.unwrap();
                let buffer = disk.read(offset as u64, guest.buffer(length, 0)).await.unwrap();
                assert!(buffer.pieces().flatten().all(|byte| *byte == fill), "{keys:?} {offset} {length}");
                assert!(guest.disk.borrow()[offset..offset + length].iter().all(|byte| *byte == fill));
            }
        });
    }
}

#[test]
fn requests_are_cut_where_the_backend_needs_it() {
    for (keys, pieces) in [(WAYS[0], 24), (WAYS[1], 1), (WAYS[3], 8)] {
        let guest = Guest::new(1 << 20, keys);
        guest.serve(async |disk| drop(disk.read(0, guest.buffer(1 << 20, 0)).await.unwrap()));
        assert_eq!(guest.answered.get(), pieces, "{keys:?}");
    }
}

#[test]
fn many_requests_share_an_event() {
    let guest = Guest::new(1 << 20, &[("max-ring-page-order", "2")]);
    guest.serve(async |disk| {
        let reads = (0..100).map(|index| disk.read(index * 4096, guest.buffer(4096, 0)));
        for result in join_all(reads).await {
            result.unwrap();
        }
    });
    assert_eq!(guest.answered.get(), 100);
    assert!(guest.events.get() <= 2, "{} events", guest.events.get());
}

#[test]
fn responses_too_few_for_an_event_are_polled_for() {
    let guest = Guest::new(1 << 20, &[]);
    let stuck = async {
        let (ring, channel) = guest.connect().await;
        guest.answer(&ring, &channel, 3).await;
        std::future::pending::<()>().await;
    };
    guest.play(stuck, async |disk| {
        let reads = (0..24).map(|index| disk.read(index * 4096, guest.buffer(4096, 0)));
        let mut reads: FuturesUnordered<_> = reads.collect();
        for _ in 0..3 {
            assert!(reads.next().await.is_some_and(|read| read.is_ok()));
        }
    });
}

#[test]
fn more_requests_than_the_ring_holds_wait_their_turn() {
    let guest = Guest::new(1 << 20, &[]);
    guest.serve(async |disk| {
        let reads = (0..200).map(|index| disk.read(index * 4096, guest.buffer(4096, 0)));
        assert!(join_all(reads).await.iter().all(Result::is_ok));
    });
}

#[test]
fn a_flush_is_what_the_backend_offers() {
    for (keys, operation) in [
        (&[("feature-flush-cache", "1"), ("feature-barrier", "1")][..], BLKIF_OP_FLUSH_DISKCACHE),
        (&[("feature-barrier", "1")][..], BLKIF_OP_WRITE_BARRIER),
    ] {
        let guest = Guest::new(1 << 20, keys);
        guest.serve(async |disk| disk.flush().await.unwrap());
        assert_eq!(guest.operations.borrow().get(&operation), Some(&1));
    }
}

#[test]
fn flush_succeeds_without_a_request_where_the_backend_has_no_volatile_cache() {
    let guest = Guest::new(1 << 20, &[]);
    guest.serve(async |disk| {
        disk.write(0, guest.buffer(4096, 1)).await.unwrap();
        disk.flush().await.unwrap();
    });
    assert_eq!(guest.answered.get(), 1);
}

#[test]
fn a_discard_is_one_request_with_the_range() {
    let guest = Guest::new(1 << 20, &[("feature-discard", "1"), ("discard-secure", "1")]);
    guest.serve(async |disk| {
        assert!(disk.geometry().discards);
        disk.discard(4096..1 << 20, Discard::Secure).await.unwrap();
    });
    assert_eq!(guest.operations.borrow().get(&BLKIF_OP_DISCARD), Some(&1));
}

#[test]
fn a_disk_that_cannot_discard_says_so() {
    let guest = Guest::new(1 << 20, &[("feature-discard", "1")]);
    let refused = guest.serve(async |disk| disk.discard(0..4096, Discard::Secure).await);
    assert_eq!(refused, Err(Error::Unsupported));
    let guest = Guest::new(1 << 20, &[]);
    assert_eq!(
        guest.serve(async |disk| disk.discard(0..4096, Discard::Normal).await),
        Err(Error::Unsupported)
    );
}

#[test]
fn what_lies_outside_of_the_disk_is_refused_without_asking() {
    let guest = Guest::new(1 << 20, &[("sector-size", "4096")]);
    guest.serve(async |disk| {
        let refused =
            async |offset, length| disk.read(offset, guest.buffer(length, 0)).await.unwrap_err().error;
        assert_eq!(refused(1 << 20, 4096).await, Error::OutOfRange { bytes: 1 << 20 });
        assert_eq!(refused(u64::MAX - 4095, 4096).await, Error::OutOfRange { bytes: 1 << 20 });
        assert_eq!(refused(512, 4096).await, Error::Unaligned { sector_size: 4096 });
        assert_eq!(refused(0, 512).await, Error::Unaligned { sector_size: 4096 });
        assert!(disk.read(4096, guest.buffer(0, 0)).await.unwrap().is_empty());
    });
    assert_eq!(guest.answered.get(), 0);
}

#[test]
fn a_refused_request_gives_its_buffer_back() {
    let guest = Guest::new(1 << 20, &[("info", "4")]);
    guest.serve(async |disk| {
        let refused = disk.write(0, guest.buffer(512, 7)).await.unwrap_err();
        assert_eq!((refused.error, refused.buffer.length()), (Error::ReadOnly, 512));
    });
}

#[test]
fn a_request_that_nobody_waits_for_leaves_nothing_behind() {
    let guest = Guest::new(1 << 20, &[]);
    guest.serve(async |disk| {
        for index in 0..50 {
            drop(disk.submit(Request::Read { offset: index * 4096, buffer: guest.buffer(4096, 0) }));
        }
        // This one goes behind those that were sent.
        disk.read(0, guest.buffer(4096, 0)).await.unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is written where and how, at the same time: the disk is what was written last.
    #[test]
    fn the_disk_is_what_was_written(
        way in 0..WAYS.len(),
        writes in proptest::collection::vec((0..256_usize, 1..100_usize, 1..255_u8), 1..40),
    ) {
        let guest = Guest::new(256 * 512, WAYS[way]);
        let mut model = vec![0; 256 * 512];
        guest.serve(async |disk| {
            for writes in writes.chunks(4) {
                // At the same time, so not to the same place: each in its quarter.
                let requests = writes.iter().zip(0..).map(|((sector, length, fill), quarter): (_, usize)| {
                    let first = quarter * 64 + sector % 64;
                    let length = (*length).min(quarter * 64 + 64 - first);
                    model[first * 512..(first + length) * 512].fill(*fill);
                    disk.write(first as u64 * 512, guest.buffer(length * 512, *fill))
                });
                assert!(join_all(requests.collect::<Vec<_>>()).await.iter().all(Result::is_ok));
            }
            let buffer = disk.read(0, guest.buffer(256 * 512, 0)).await.unwrap();
            assert!(buffer.pieces().flatten().eq(model.iter()));
        });
        prop_assert_eq!(&*guest.disk.borrow(), &model);
    }
}
