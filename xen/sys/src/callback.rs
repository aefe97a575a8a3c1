// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry points of a PV guest.
//!
//! Commands of [`__HYPERVISOR_callback_op`](crate::xen::__HYPERVISOR_callback_op).
//!
//! Source: `xen/include/public/callback.h`.

use crate::arch_x86::xen_x86_64::xen_callback_t;

/// Entry point for events.
pub const CALLBACKTYPE_event: u16 = 0;
/// Entry point for when Xen cannot load the guest's segments or return to it.
pub const CALLBACKTYPE_failsafe: u16 = 1;
/// Entry point for `syscall` from 64-bit user mode.
pub const CALLBACKTYPE_syscall: u16 = 2;
/// Entry point for `sysenter` on 32-bit Xen, which no longer exists.
pub const CALLBACKTYPE_sysenter_deprecated: u16 = 3;
/// Entry point for NMIs.
pub const CALLBACKTYPE_nmi: u16 = 4;
/// Entry point for `sysenter`.
pub const CALLBACKTYPE_sysenter: u16 = 5;
/// Entry point for `syscall` from 32-bit user mode.
pub const CALLBACKTYPE_syscall32: u16 = 7;

/// Bit number of [`CALLBACKF_mask_events`].
pub const _CALLBACKF_mask_events: u16 = 0;
/// Flag of an entry point: mask events on the way in. Events and NMIs always do.
pub const CALLBACKF_mask_events: u16 = 1 << _CALLBACKF_mask_events;

/// Command: set an entry point. Argument: [`callback_register`].
pub const CALLBACKOP_register: u32 = 0;

/// Argument of [`CALLBACKOP_register`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct callback_register {
    /// One of the `CALLBACKTYPE_*`.
    pub r#type: u16,
    /// 0 or [`CALLBACKF_mask_events`].
    pub flags: u16,
    /// Padding.
    pub _padding: u32,
    /// Virtual address of the entry point.
    pub address: xen_callback_t,
}
layout!(callback_register: 16 { r#type: 0, flags: 2, _padding: 4, address: 8 });

/// Command: remove an entry point. Argument: [`callback_unregister`]. Events and the failsafe
/// cannot be without one.
pub const CALLBACKOP_unregister: u32 = 1;

/// Argument of [`CALLBACKOP_unregister`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct callback_unregister {
    /// One of the `CALLBACKTYPE_*`.
    pub r#type: u16,
    /// Unused.
    pub _unused: u16,
}
layout!(callback_unregister: 4 { r#type: 0, _unused: 2 });
