// SPDX-License-Identifier: MIT OR Apache-2.0
//! Per-vCPU data: its number, stacks, descriptor tables.

use core::arch::asm;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::hvm::Descriptors;
use crate::stack::Stacks;

/// Maximum number of vCPUs that are used; a domain may have more. Xen gives an HVM domain up to 128
/// (`HVM_MAX_VCPUS` of `xen/include/public/hvm/hvm_info_table.h`).
pub const MOST: usize = 128;

/// A vCPU's own memory.
#[repr(C, align(4096))]
pub struct Vcpu {
    /// Its stacks. First, so that the entry stubs know where they are.
    pub stacks: Stacks,
    pub(crate) descriptors: Descriptors,
}

/// The memory of the boot vCPU.
pub(crate) static FIRST: Vcpu = Vcpu { stacks: Stacks::new(), descriptors: Descriptors::new() };

/// The memory of the others, by number, once allocated.
static OTHERS: [AtomicPtr<Vcpu>; MOST] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MOST];

/// Each vCPU's GS points to its own number here.
static NUMBERS: [u64; MOST] = {
    let mut numbers = [0; MOST];
    let mut next = 0;
    while next < MOST {
        numbers[next] = next as u64;
        next += 1;
    }
    numbers
};

impl Vcpu {
    /// Bytes of memory that a vCPU needs: a multiple of the page size.
    pub const BYTES: u64 = size_of::<Self>() as u64;

    /// Makes vCPU `number`'s memory out of what lies at `address`; `None` if there can be no such
    /// vCPU, or it has memory already.
    ///
    /// # Safety
    ///
    /// `address` is that of [`BYTES`](Self::BYTES) bytes of mapped, zeroed memory, page aligned,
    /// that nobody else uses from now on.
    pub unsafe fn new_at(number: u32, address: u64) -> Option<&'static Self> {
        let pointer = core::ptr::with_exposed_provenance_mut::<Self>(address as usize);
        // SAFETY: the memory that the caller gives is large enough.
        let descriptors = unsafe { &raw mut (*pointer).descriptors };
        // SAFETY: inside that memory; the stacks are good as zeroes.
        unsafe { descriptors.write(Descriptors::new()) };
        OTHERS
            .get(number as usize)?
            .compare_exchange(core::ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire)
            .ok()?;
        // SAFETY: complete, and never freed.
        Some(unsafe { &*pointer })
    }
}

/// The memory of vCPU `number`, if it has any.
pub(crate) fn of(number: u32) -> Option<&'static Vcpu> {
    if number == 0 {
        return Some(&FIRST);
    }
    // SAFETY: null, or put there by `new_at`, complete and for good.
    unsafe { OTHERS.get(number as usize)?.load(Ordering::Acquire).as_ref() }
}

/// Every vCPU that has memory.
pub(crate) fn all() -> impl Iterator<Item = &'static Vcpu> {
    (0..MOST as u32).filter_map(of)
}

/// What GS of vCPU `number` has to point to.
pub(crate) fn gs_base(number: u32) -> u64 {
    NUMBERS.get(number as usize).map_or(0, |pointer| (&raw const *pointer).addr() as u64)
}

/// The number of the vCPU that asks, from 0.
pub fn number() -> u32 {
    let number: u32;
    // SAFETY: GS points into `NUMBERS` on every vCPU before any of its Rust code runs but the
    // first lines of boot.
    unsafe {
        asm!("mov {:e}, gs:[0]", out(reg) number, options(nostack, preserves_flags, readonly, pure));
    }
    number
}
