// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry of Xen PV.

use core::arch::naked_asm;

use super::{FROM_PV, rust_entry};
use crate::stack::Stacks;
use crate::vcpu::FIRST;

/// Entered by Xen's PV domain builder.
///
/// State (`xen/include/public/arch-x86/xen-x86_64.h`, `xen/include/public/xen.h` "startofday"):
/// 64-bit, ring 3, flat segments of Xen's, paging on with the initial mapping, RSI = virtual
/// address of `start_info`, RSP = a one-page stack of the builder's, events masked, SSE ready.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pv_start() -> ! {
    naked_asm!(
        "cld",
        "lea rsp, [{stack} + {top}]",
        "xor ebp, ebp", // the end of every backtrace
        "mov edi, {protocol}",
        "call {rust_entry}", // rust_entry(protocol, start_info)
        "ud2",
        stack = sym FIRST,
        top = const Stacks::TOP,
        protocol = const FROM_PV,
        rust_entry = sym rust_entry,
    )
}
