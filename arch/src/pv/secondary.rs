// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts another vCPU in ring 3: one structure tells Xen its whole initial state.

use xen_sys::arch_x86::xen::{VGCF_in_kernel, vcpu_guest_context};
use xen_sys::arch_x86::xen_x86_64::{FLAT_KERNEL_CS, FLAT_KERNEL_SS};

use super::{paging, traps};
use crate::entry::secondary_start;
use crate::hypercall::Hypervisor;
use crate::machine::StartError;
use crate::vcpu;

/// The interrupt flag, which Xen wants set in ring 3; whether events come is not its business.
const INTERRUPTS: u64 = 1 << 9;
/// CR0 of a kernel with paging and an FPU: PG, WP, NE, ET, MP, PE. Xen adds what it needs.
const CONTROL: u64 = 0x8001_0033;

/// Starts vCPU `number` on its own stack, with our page tables and handlers.
pub(super) fn start(number: u32) -> Result<(), StartError> {
    let own = vcpu::of(number).ok_or(StartError::NoMemory)?;
    let mut context = vcpu_guest_context { flags: VGCF_in_kernel, ..Default::default() };
    let registers = &mut context.user_regs;
    registers.rip = (secondary_start as *const ()).addr() as u64;
    registers.rsp = own.stacks.tasks.top();
    registers.rdi = u64::from(number);
    registers.rflags = INTERRUPTS;
    registers.cs = FLAT_KERNEL_CS;
    registers.ss = FLAT_KERNEL_SS;
    for trap in traps::table() {
        if let Some(entry) = context.trap_ctxt.get_mut(usize::from(trap.vector)).filter(|_| trap.address != 0)
        {
            *entry = trap;
        }
    }
    context.kernel_ss = u64::from(FLAT_KERNEL_SS);
    context.kernel_sp = registers.rsp;
    context.ctrlreg[0] = CONTROL;
    context.ctrlreg[3] = paging::top_frame().ok_or(StartError::NoMemory)? << 12;
    let [(_, event), (_, failsafe)] = traps::callbacks();
    context.event_callback_eip = event;
    context.failsafe_callback_eip = failsafe;
    context.gs_base_kernel = vcpu::gs_base(number);
    // SAFETY: the state is that of a vCPU that runs our code, on a stack that is its own.
    unsafe { xen::vcpu::initialise_pv(&Hypervisor, number, &context) }.map_err(StartError::Refused)?;
    xen::vcpu::up(&Hypervisor, number).map_err(StartError::Refused)
}
