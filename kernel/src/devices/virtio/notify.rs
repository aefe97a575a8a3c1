// SPDX-License-Identifier: MIT OR Apache-2.0
//! Notifications in both directions, each of which the other side may forgo (Virtual I/O Device 1.2, 2.7.7
//! and 2.7.10).
//!
//! Each side writes a word, and reads another one of the other side's: we show a buffer and read whether the
//! device wants to be told, while it says that it wants to be told and looks for buffers. If either reads
//! before others can see what it wrote, both may stop and wait for each other. CPUs do that, x86 too: a load
//! may pass an earlier store. The queues of the `virtio-drivers` crate order their stores, but have no fence
//! between those and these loads (`VirtQueue::add`, `set_dev_notify`); so the pairs are made here only.

use core::sync::atomic::{Ordering, fence};

use virtio_drivers::queue::VirtQueue;

use super::hal::KernelHal;

/// Whether the device is to be told of the buffers that were added.
pub(super) fn is_wanted<const SIZE: usize>(queue: &VirtQueue<KernelHal, SIZE>) -> bool {
    // Between the index of the available ring and the device's flags.
    fence(Ordering::SeqCst);
    queue.should_notify()
}

/// Asks to be told of buffers that the device has used from now on. It may have used some before it could see
/// that: the caller looks once more.
pub(super) fn ask<const SIZE: usize>(queue: &mut VirtQueue<KernelHal, SIZE>) {
    queue.set_dev_notify(true);
    // Between our flags and the index of the used ring.
    fence(Ordering::SeqCst);
}
