// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that may lie in a ring.

use core::mem::MaybeUninit;

use xen_sys::io::blkif::*;
use xen_sys::io::netif::*;

/// A request or response: plain integers, copied between private memory and a ring as bytes.
///
/// # Safety
///
/// Every byte of the type belongs to an integer: there is no padding, and any bytes are a value.
pub unsafe trait Entry: Copy + 'static {}

/// The bytes of an entry.
pub(crate) fn bytes_of<E: Entry>(entry: &E) -> &[u8] {
    // SAFETY: an entry has no padding (Entry's promise): all its bytes can be read; and it is
    // borrowed for as long as the slice is.
    unsafe { core::slice::from_raw_parts((&raw const *entry).cast::<u8>(), size_of::<E>()) }
}

/// The entry whose bytes `fill` writes; bytes that it leaves alone are zero.
pub(crate) fn from_bytes<E: Entry>(fill: impl FnOnce(&mut [u8])) -> E {
    let mut entry = MaybeUninit::<E>::zeroed();
    // SAFETY: as many bytes as an entry has, all of them set, borrowed mutably for this call.
    fill(unsafe { core::slice::from_raw_parts_mut(entry.as_mut_ptr().cast::<u8>(), size_of::<E>()) });
    // SAFETY: any bytes are a value (Entry's promise).
    unsafe { entry.assume_init() }
}

// SAFETY: nothing but integers. For requests of several kinds, which are told apart when they are there.
unsafe impl<const N: usize> Entry for [u8; N] {}

macro_rules! entries {
    ($($entry:ty)*) => { $(
        // SAFETY: xen-sys stops the build if a structure has padding, and has integers only.
        unsafe impl Entry for $entry {}
    )* };
}

entries! {
    blkif_request blkif_request_indirect blkif_request_discard blkif_request_segment blkif_response
    netif_tx_request netif_tx_response netif_rx_request netif_rx_response netif_extra_info
    xen_netif_ctrl_request xen_netif_ctrl_response
}
