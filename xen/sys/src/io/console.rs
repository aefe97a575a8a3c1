// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console page of a guest: two rings of bytes.
//!
//! Indices run freely and wrap at 2^32; the low bits are the place in the ring.
//!
//! Source: `xen/include/public/io/console.h`.

/// A free-running index into one of the console's rings.
pub type XENCONS_RING_IDX = u32;

/// The place in a ring of `ring_size` bytes (a power of two) that `idx` means. C takes the ring
/// itself instead of its size.
pub const fn MASK_XENCONS_IDX(idx: XENCONS_RING_IDX, ring_size: usize) -> usize {
    idx as usize & (ring_size - 1)
}

/// The console page. The guest writes `in_cons`, `out` and `out_prod`; the backend the rest.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xencons_interface {
    /// Bytes for the guest to read.
    pub r#in: [u8; 1024],
    /// Bytes the guest has written.
    pub out: [u8; 2048],
    /// How far the guest has read `in`.
    pub in_cons: XENCONS_RING_IDX,
    /// How far the backend has filled `in`.
    pub in_prod: XENCONS_RING_IDX,
    /// How far the backend has read `out`.
    pub out_cons: XENCONS_RING_IDX,
    /// How far the guest has filled `out`.
    pub out_prod: XENCONS_RING_IDX,
}
layout!(xencons_interface: 3088 {
    r#in: 0, out: 1024, in_cons: 3072, in_prod: 3076, out_cons: 3080, out_prod: 3084,
});
