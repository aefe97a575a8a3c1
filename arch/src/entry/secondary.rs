// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry of secondary vCPUs.

use core::arch::naked_asm;

unsafe extern "Rust" {
    /// The kernel's first function on a further vCPU; the crate above defines it.
    safe fn prism_start_secondary(vcpu: u32) -> !;
}

/// Entered by a vCPU that another one started.
///
/// State: 64-bit, the kernel's page tables, flat segments, RDI = number of the vCPU, RSP = top of
/// its own stack, events and interrupts off; every other register undefined.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn secondary_start() -> ! {
    naked_asm!(
        "cld",
        "xor ebp, ebp", // the end of every backtrace
        "call {rust_entry}",
        "ud2",
        rust_entry = sym rust_entry,
    )
}

extern "C" fn rust_entry(vcpu: u32) -> ! {
    prism_start_secondary(vcpu)
}
