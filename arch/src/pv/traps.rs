// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions in ring 3: Xen takes them and calls our handlers.
//!
//! Xen pushes the frame on the stack where the exception happened, as a kernel without user mode has no
//! other. So a stack overflow into the guard page cannot be reported from inside: Xen fails to push, and ends
//! the domain with a report of its own.

use core::arch::naked_asm;

use xen::pv::Callback;
use xen_sys::arch_x86::xen::trap_info;
use xen_sys::arch_x86::xen_x86_64::FLAT_KERNEL_CS;

use crate::hypercall::Hypervisor;
use crate::nmi;
use crate::traps::pv_stubs;
use crate::vcpu::gs_base;

/// `flags` of a handler: events stay masked while it runs (`TI_SET_IF`, bit 2); the low bits say
/// from which ring software may raise it.
const MASK_EVENTS: u8 = 1 << 2;
/// Breakpoints and overflow are raised by instructions, from ring 3 as everything here.
const RAISED_BY_SOFTWARE: [usize; 2] = [3, 4];

/// The handlers of exceptions, for Xen; that of non-maskable interrupts is one of them
/// (`CALLBACKTYPE_nmi` would set the same entry). The last entry stays zero: the end.
pub(super) fn table() -> [trap_info; 33] {
    let nmi_stub = (nmi::pv_stub as *const ()).addr() as u64;
    let mut table = [trap_info::default(); 33];
    for (vector, (entry, stub)) in table.iter_mut().zip(pv_stubs()).enumerate() {
        let address = if vector == nmi::VECTOR as usize { nmi_stub } else { *stub };
        let ring = if RAISED_BY_SOFTWARE.contains(&vector) { 3 } else { 0 };
        *entry = trap_info {
            vector: vector as u8,
            flags: MASK_EVENTS | ring,
            cs: FLAT_KERNEL_CS,
            address,
            ..Default::default()
        };
    }
    table
}

/// Where Xen calls for events, and where for segments that cannot be loaded.
pub(super) fn callbacks() -> [(Callback, u64); 2] {
    [(Callback::Event, event_stub as *const ()), (Callback::Failsafe, failsafe_stub as *const ())]
        .map(|(callback, stub)| (callback, stub.addr() as u64))
}

/// Tells Xen where the handlers are, and gives the first vCPU its number.
pub(super) fn install() {
    // SAFETY: the stubs take the frames that Xen pushes, and never return.
    if unsafe { xen::pv::set_trap_table(&Hypervisor, &table()) }.is_err() {
        // Without handlers the first exception ends the domain with Xen's report: as good as it gets.
        let _ = xen::console::write_to_xen(&Hypervisor, b"prism: Xen refused the trap table\n");
    }
    for (callback, address) in callbacks() {
        // SAFETY: the stubs take the frames of their callbacks. Without them events still arrive
        // in memory, and are found there.
        let _ = unsafe { xen::pv::register_callback(&Hypervisor, callback, address) };
    }
    // SAFETY: nothing uses GS but `vcpu::number`, for which this is. Cannot fail for an address of ours.
    let _ = unsafe { xen::pv::set_gs_base(&Hypervisor, gs_base(0)) };
}

/// Takes the upcall: returns to where it came from. Xen masked events on entry, and a return by
/// `iretq` leaves them so; whoever waited finds the pending bits set.
///
/// Frame: RCX, R11, RIP, CS, RFLAGS, RSP, SS. Xen stores ring 0 in CS for a kernel; the CPU has to
/// return to ring 3 (`xen/include/public/arch-x86/xen-x86_64.h`, at `iret_context`).
#[unsafe(naked)]
unsafe extern "C" fn event_stub() {
    naked_asm!("pop rcx", "pop r11", "or byte ptr [rsp + 8], 3", "iretq")
}

/// Takes the failsafe callback: the selectors that could not be loaded are of no use here.
///
/// Frame: RCX, R11, DS, ES, FS, GS, RIP, CS, RFLAGS, RSP, SS.
#[unsafe(naked)]
unsafe extern "C" fn failsafe_stub() {
    naked_asm!("pop rcx", "pop r11", "add rsp, 32", "or byte ptr [rsp + 8], 3", "iretq")
}
