// SPDX-License-Identifier: MIT OR Apache-2.0
//! There is no memory: for each page in turn, and for each large allocation.

use prism_drivers::block::Error;

use crate::backend::Guest;
use crate::failing;

/// What backends offer: what a driver allocates differs.
const WAYS: [&[(&str, &str)]; 3] = [
    &[],
    &[("feature-max-indirect-segments", "256"), ("max-ring-page-order", "4")],
    &[("feature-persistent", "1"), ("feature-max-indirect-segments", "32"), ("max-ring-page-order", "1")],
];

/// Bytes of a request.
const LENGTH: usize = 64 * 1024;

/// A disk is connected to and used, and something that it asks for is not there: that costs an attempt to
/// connect, or one request. All the rest works.
fn use_disk(guest: &Guest, fail: impl Fn()) {
    let buffers = [1, 2, 3, 0].map(|fill| guest.buffer(LENGTH, fill));
    fail();
    guest.serve(async |disk| {
        let [first, second, third, empty] = buffers;
        assert_ne!(disk.geometry().bytes, 0);
        let mut failed = 0;
        for buffer in [first, second] {
            if let Err(refused) = disk.write(0, buffer).await {
                assert_eq!(refused.error, Error::NoMemory);
                failed += 1;
            }
        }
        assert!(failed < 2);
        disk.flush().await.unwrap();
        disk.write(0, third).await.unwrap();
        let read = disk.read(0, empty).await.unwrap();
        assert!(read.pieces().flatten().all(|byte| *byte == 3));
    });
}

#[test]
fn any_page_that_there_is_no_memory_for_costs_an_attempt_or_a_request() {
    for keys in WAYS {
        let mut others = 0;
        loop {
            let guest = Guest::new(1 << 20, keys);
            use_disk(&guest, || guest.platform.refuse_page_after(others));
            if !guest.platform.has_refused() {
                break;
            }
            others += 1;
        }
        assert!(others > 0, "{keys:?}");
    }
}

#[test]
fn any_large_allocation_that_fails_costs_an_attempt_or_a_request() {
    for keys in WAYS {
        let mut others = 0;
        loop {
            let guest = Guest::new(1 << 20, keys);
            use_disk(&guest, || failing::fail_after(others));
            if !failing::has_failed() {
                break;
            }
            others += 1;
        }
    }
}
