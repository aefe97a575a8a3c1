// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts another vCPU in ring 0: Xen starts it in 64-bit mode, on our page tables.

use x86_64::registers::control::{Cr0, Cr3, Cr4};
use x86_64::registers::model_specific::Efer;
use xen_sys::hvm::hvm_vcpu::{VCPU_HVM_MODE_64B, vcpu_hvm_context_x86_64, vcpu_hvm_x86_64};

use crate::entry::secondary_start;
use crate::hypercall::Hypervisor;
use crate::machine::StartError;
use crate::vcpu;

/// RFLAGS with interrupts off: the bit that is always set.
const NO_INTERRUPTS: u64 = 1 << 1;

/// Starts vCPU `number` on its own stack, with the control registers of the one that calls.
pub(super) fn start(number: u32) -> Result<(), StartError> {
    let own = vcpu::of(number).ok_or(StartError::NoMemory)?;
    let registers = vcpu_hvm_x86_64 {
        rip: (secondary_start as *const ()).addr() as u64,
        rsp: own.stacks.tasks.top(),
        rdi: u64::from(number),
        rflags: NO_INTERRUPTS,
        cr0: Cr0::read_raw(),
        cr3: Cr3::read_raw().0.start_address().as_u64(),
        cr4: Cr4::read_raw(),
        efer: Efer::read_raw(),
        ..Default::default()
    };
    let context =
        vcpu_hvm_context_x86_64 { mode: VCPU_HVM_MODE_64B, cpu_regs: registers, ..Default::default() };
    // SAFETY: the state is that of a vCPU that runs our code, on a stack that is its own.
    unsafe { xen::vcpu::initialise_hvm(&Hypervisor, number, &context) }.map_err(StartError::Refused)?;
    xen::vcpu::up(&Hypervisor, number).map_err(StartError::Refused)
}
