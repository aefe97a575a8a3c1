// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings of requests and responses in shared pages.
//!
//! A ring is a header of 64 bytes and then entries, each large enough for a request or a response.
//! Requests and responses share the entries. Indices run freely and wrap at 2^32; modulo the number
//! of entries they are a place in the ring.
//!
//! In C every device has its own structure, made by a macro; only the entries differ.
//!
//! Source: `xen/include/public/io/ring.h`.

/// A free-running index into a ring.
pub type RING_IDX = u32;

/// What a ring starts with: in C the part of `struct <device>_sring` before `ring`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct sring {
    /// How many requests the frontend has made.
    pub req_prod: RING_IDX,
    /// The backend wants to be notified when `req_prod` reaches this.
    pub req_event: RING_IDX,
    /// How many responses the backend has made.
    pub rsp_prod: RING_IDX,
    /// The frontend wants to be notified when `rsp_prod` reaches this.
    pub rsp_event: RING_IDX,
    /// Left to the device.
    pub pvt: [u8; 4],
    /// Unused.
    pub __pad: [u8; 44],
}
layout!(sring: 64 { req_prod: 0, req_event: 4, rsp_prod: 8, rsp_event: 12, pvt: 16, __pad: 20 });

/// `x` rounded down to a power of two; 0 stays 0.
pub const fn __RD32(x: u32) -> u32 {
    match x.checked_ilog2() {
        Some(log) => 1 << log,
        None => 0,
    }
}

/// Number of entries of `entry_size` bytes in a ring that takes `sz` bytes with its header: as many
/// as fit, rounded down to a power of two. C takes the device's name instead of the entry's size.
///
/// # Panics
///
/// If `entry_size` is 0 or `sz` less than the header's 64 bytes.
pub const fn __CONST_RING_SIZE(entry_size: u32, sz: u32) -> u32 {
    __RD32((sz - size_of::<sring>() as u32) / entry_size)
}
