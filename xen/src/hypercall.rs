// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam between this crate and the machine: issuing a hypercall.
//!
//! The convention behind it (`docs/guest-guide/x86/hypercall-abi.rst`): number in RAX, arguments
//! in RDI, RSI, RDX, R10, R8, result in RAX; pointers are virtual addresses of the caller's.
//! A kernel implements [`Hypercall`] with the right instruction; tests implement it with a fake. Whatever
//! issues hypercalls takes any of the two.
//!
//! # Examples
//!
//! A hypervisor that counts, around another one:
//!
//! ```
//! use std::cell::Cell;
//! use xen::{Hypercall, fake::FakeXen, sched, version};
//!
//! struct Counting<H>(H, Cell<u32>);
//!
//! impl<H: Hypercall> Hypercall for Counting<H> {
//!     unsafe fn issue(&self, number: u64, arguments: [u64; 5]) -> i64 {
//!         self.1.set(self.1.get() + 1);
//!         // SAFETY: the caller's promise, handed on.
//!         unsafe { self.0.issue(number, arguments) }
//!     }
//! }
//!
//! let counting = Counting(FakeXen::new(), Cell::new(0));
//! version::version(&counting)?;
//! sched::yield_now(&counting)?;
//! assert_eq!(counting.1.get(), 2);
//! # Ok::<(), xen::Errno>(())
//! ```

use crate::error::{Result, check};

/// Can issue hypercalls.
pub trait Hypercall {
    /// Issues hypercall `number` (`__HYPERVISOR_*` of `xen.h`) with up to five arguments, unused
    /// ones zero, and returns what Xen returned.
    ///
    /// # Safety
    ///
    /// A hypercall can do anything to the domain's memory. The caller answers for this one: each
    /// pointer among the arguments is valid for what the hypercall reads or writes through it,
    /// and what it does to page tables, shared pages and other vCPUs breaks no Rust reference.
    unsafe fn issue(&self, number: u64, arguments: [u64; 5]) -> i64;
}

/// An operation on a structure: most hypercalls take a command and a pointer to its arguments.
///
/// # Safety
///
/// As for [`Hypercall::issue`]; `command` must expect a `T`.
pub(crate) unsafe fn command<T>(
    hypercalls: &(impl Hypercall + ?Sized),
    number: u64,
    command: u32,
    argument: &mut T,
) -> Result<u64> {
    let pointer = (&raw mut *argument).expose_provenance() as u64;
    // SAFETY: the pointer is valid for reads and writes of a T; the rest is the caller's promise.
    check(unsafe { hypercalls.issue(number, [u64::from(command), pointer, 0, 0, 0]) })
}
