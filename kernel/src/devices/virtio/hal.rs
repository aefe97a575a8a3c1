// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory, as the `virtio-drivers` crate asks for it. Virtual addresses are physical ones here: nothing
//! is translated, and nothing copied.

use core::ptr::NonNull;

use prism_boot::PAGE_SIZE;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::memory;

/// This kernel's memory.
pub(super) struct KernelHal;

// SAFETY: queues are frames of their own, zeroed, until they are given back.
unsafe impl Hal for KernelHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // The crate takes address 0 for "none", and an address that it does not use for any.
        let Some(address) = memory::take_zeroed(pages as u64 * PAGE_SIZE) else {
            return (0, NonNull::dangling());
        };
        let place = core::ptr::with_exposed_provenance_mut(address as usize);
        (address, NonNull::new(place).unwrap_or(NonNull::dangling()))
    }

    unsafe fn dma_dealloc(address: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        for page in 0..pages as u64 {
            memory::give_frame_back(address + page * PAGE_SIZE);
        }
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("only the crate's own registers on PCI are mapped so, and they are not used")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
