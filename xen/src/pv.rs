// SPDX-License-Identifier: MIT OR Apache-2.0
//! What only PV domains ask for: page tables and exceptions (`xen/include/public/xen.h`,
//! `arch-x86/xen.h`, `callback.h`).
//!
//! A PV kernel runs without privilege. Its page tables are the real ones, hold machine frames, and are
//! read-only to it: each change is a request that Xen checks. Exceptions and events enter at addresses that
//! it names. In other domains all of this answers [`Errno::NOSYS`](crate::Errno::NOSYS).
//!
//! # Examples
//!
//! ```
//! use xen::fake::{Config, FakeXen, Kind};
//! use xen::{Errno, pv};
//!
//! let xen = FakeXen::with(Config { kind: Kind::Pv, ..Config::default() });
//! let read_only = 0x1234_5000 | 1; // machine frame 0x12345, present
//! // SAFETY: nothing is mapped at that address of the fake.
//! unsafe { pv::update_va_mapping(&xen, 0x20_0000, read_only)? };
//! assert_eq!(xen.mapping(0x20_0000), Some(read_only));
//!
//! let hvm = FakeXen::new();
//! // SAFETY: as above.
//! assert_eq!(unsafe { pv::update_va_mapping(&hvm, 0x20_0000, read_only) }, Err(Errno::NOSYS));
//! # Ok::<(), Errno>(())
//! ```

use xen_sys::arch_x86::xen::trap_info;
use xen_sys::arch_x86::xen_x86_64::SEGBASE_GS_KERNEL;
use xen_sys::callback::*;
use xen_sys::xen::*;

use crate::error::{Result, check};
use crate::hypercall::{Hypercall, command};

/// Carries out page-table updates in order.
///
/// # Safety
///
/// The updates must leave mapped what is in use, as it is used: they can take memory away from
/// under references.
///
/// # Errors
///
/// What Xen answers to the first update that it refuses; the ones before are done.
pub unsafe fn mmu_update(hypercalls: &(impl Hypercall + ?Sized), updates: &[mmu_update]) -> Result<()> {
    let requests = updates.as_ptr().expose_provenance() as u64;
    // SAFETY: Xen reads `len` requests; a null count pointer is allowed; the effects are the
    // caller's promise.
    check(unsafe {
        hypercalls
            .issue(__HYPERVISOR_mmu_update, [requests, updates.len() as u64, 0, u64::from(DOMID_SELF), 0])
    })
    .map(drop)
}

/// Forgets this vCPU's cached translations.
///
/// # Errors
///
/// What Xen answers.
pub fn flush_local_tlb(hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
    flush(hypercalls, MMUEXT_TLB_FLUSH_LOCAL)
}

/// Has all vCPUs forget their cached translations.
///
/// # Errors
///
/// What Xen answers.
pub fn flush_all_tlbs(hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
    flush(hypercalls, MMUEXT_TLB_FLUSH_ALL)
}

fn flush(hypercalls: &(impl Hypercall + ?Sized), command: u32) -> Result<()> {
    let operation = mmuext_op { cmd: command as _, ..Default::default() };
    let pointer = (&raw const operation).expose_provenance() as u64;
    // SAFETY: Xen reads one operation, which changes no memory.
    check(unsafe { hypercalls.issue(__HYPERVISOR_mmuext_op, [pointer, 1, 0, u64::from(DOMID_SELF), 0]) })
        .map(drop)
}

/// Replaces the lowest-level entry that maps `address`, and has all vCPUs forget its cached
/// translation.
///
/// # Safety
///
/// As for [`mmu_update`](fn@mmu_update).
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn update_va_mapping(
    hypercalls: &(impl Hypercall + ?Sized),
    address: u64,
    entry: u64,
) -> Result<()> {
    let flags = UVMF_INVLPG | UVMF_ALL;
    // SAFETY: no pointers; the effect is the caller's promise.
    check(unsafe { hypercalls.issue(__HYPERVISOR_update_va_mapping, [address, entry, flags, 0, 0]) })
        .map(drop)
}

/// What Xen calls a PV kernel for, besides exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Callback {
    /// Events have arrived. Entered with events masked.
    Event = CALLBACKTYPE_event,
    /// A segment register could not be loaded when the vCPU was resumed.
    Failsafe = CALLBACKTYPE_failsafe,
}

/// Sets the entry point of a callback (`xen/include/public/callback.h`).
///
/// # Safety
///
/// `address` is code that takes the frame that Xen pushes for this callback.
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn register_callback(
    hypercalls: &(impl Hypercall + ?Sized),
    callback: Callback,
    address: u64,
) -> Result<()> {
    let mut argument = callback_register {
        r#type: callback as u16,
        flags: CALLBACKF_mask_events,
        address,
        ..Default::default()
    };
    // SAFETY: CALLBACKOP_register takes a callback_register; the code is the caller's promise.
    unsafe { command(hypercalls, __HYPERVISOR_callback_op, CALLBACKOP_register, &mut argument) }.map(drop)
}

/// Sets the base of GS, as the kernel sees it.
///
/// # Safety
///
/// Code that uses GS is content with the new base.
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn set_gs_base(hypercalls: &(impl Hypercall + ?Sized), base: u64) -> Result<()> {
    let which = u64::from(SEGBASE_GS_KERNEL);
    // SAFETY: no pointers; the effect is the caller's promise.
    check(unsafe { hypercalls.issue(__HYPERVISOR_set_segment_base, [which, base, 0, 0, 0]) }).map(drop)
}

/// Sets the handlers of exceptions. The table ends with an entry whose address is 0.
///
/// # Safety
///
/// Each address is code that takes the frame that Xen pushes for its vector.
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn set_trap_table(hypercalls: &(impl Hypercall + ?Sized), table: &[trap_info]) -> Result<()> {
    let pointer = table.as_ptr().expose_provenance() as u64;
    // SAFETY: Xen reads up to the entry with address 0; the rest is the caller's promise.
    check(unsafe { hypercalls.issue(__HYPERVISOR_set_trap_table, [pointer, 0, 0, 0, 0]) }).map(drop)
}
