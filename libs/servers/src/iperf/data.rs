// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data connections.

use alloc::vec;
use core::sync::atomic::{AtomicU64, Ordering};

use embedded_io_async::{Read, Write};

/// Bytes that are read or written at once.
const BLOCK: usize = 32 << 10;

/// Takes what comes, for ever, or until the stream ends.
pub(super) async fn take(stream: &mut impl Read, bytes: &AtomicU64) {
    let mut block = vec![0; BLOCK];
    while let Ok(length @ 1..) = stream.read(&mut block).await {
        bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Sends for ever, or until the stream ends.
pub(super) async fn give(stream: &mut impl Write, bytes: &AtomicU64) {
    let block = vec![0x5a; BLOCK];
    while let Ok(length @ 1..) = stream.write(&block).await {
        bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}
