// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions in ring 0: the interrupt table, and stacks that work even if the current one does not.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::tables::load_tss;
use x86_64::registers::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

use crate::apic::{self, apic_stub};
use crate::sleep::end_sleep;
use crate::stack::Stacks;
use crate::traps::{EVENT_VECTOR, hvm_stubs};
use crate::vcpu::Vcpu;
use crate::{irq, nmi};

/// Interrupt stack of all exceptions but the double fault. They don't nest: none returns.
const FAULT_IST: u16 = 0;
/// Interrupt stack of the double fault and of machine checks.
const DOUBLE_FAULT_IST: u16 = 1;
/// Interrupt stack of non-maskable interrupts: they return, and may come while an exception is reported.
const NMI_IST: u16 = 2;

static IDT: Once<InterruptDescriptorTable> = Once::new();

/// A vCPU's own descriptor tables: the interrupt stacks are named in them.
pub(crate) struct Descriptors {
    tss: Once<TaskStateSegment>,
    gdt: Once<(GlobalDescriptorTable, [SegmentSelector; 3])>,
}

impl Descriptors {
    pub(crate) const fn new() -> Self {
        Self { tss: Once::new(), gdt: Once::new() }
    }

    fn make(&'static self, stacks: &Stacks) -> &'static (GlobalDescriptorTable, [SegmentSelector; 3]) {
        let tss = self.tss.call_once(|| task_state(stacks));
        self.gdt.call_once(|| {
            let mut gdt = GlobalDescriptorTable::new();
            let code = gdt.append(Descriptor::kernel_code_segment());
            let data = gdt.append(Descriptor::kernel_data_segment());
            let task = gdt.append(Descriptor::tss_segment(tss));
            (gdt, [code, data, task])
        })
    }
}

/// Loads descriptor tables of our own on the vCPU that calls, whose memory is `vcpu`. GS is left
/// as it is.
pub(super) fn install(vcpu: &'static Vcpu) {
    let (gdt, [code, data, task]) = vcpu.descriptors.make(&vcpu.stacks);
    gdt.load();
    // SAFETY: the selector is of the table just loaded: flat 64-bit code.
    unsafe { CS::set_reg(*code) };
    // SAFETY: as above: flat data.
    unsafe { DS::set_reg(*data) };
    // SAFETY: as above.
    unsafe { ES::set_reg(*data) };
    // SAFETY: as above.
    unsafe { SS::set_reg(*data) };
    free_task_state(gdt, *task);
    // SAFETY: as above: the task state, which is static, and this vCPU's alone.
    unsafe { load_tss(*task) };
    IDT.call_once(interrupts).load();
}

/// Takes away the mark by which the CPU knows that a task state is in use (SDM volume 3, 8.2.2): a vCPU that
/// was off while the domain was restored begins anew, and loads it once more.
fn free_task_state(gdt: &GlobalDescriptorTable, task: SegmentSelector) {
    /// Of the type "64-bit TSS, busy".
    const BUSY: u64 = 1 << 41;
    let Some(entry) = gdt.entries().get(usize::from(task.index())) else { return };
    // SAFETY: an entry is an atomic number, and nothing else, as the CPU changes it, too.
    let entry = unsafe { &*ptr::from_ref(entry).cast::<AtomicU64>() };
    entry.fetch_and(!BUSY, Ordering::SeqCst);
}

fn task_state(stacks: &Stacks) -> TaskStateSegment {
    let mut tss = TaskStateSegment::new();
    tss.interrupt_stack_table[usize::from(FAULT_IST)] = VirtAddr::new(stacks.fault.top());
    tss.interrupt_stack_table[usize::from(DOUBLE_FAULT_IST)] = VirtAddr::new(stacks.double_fault.top());
    tss.interrupt_stack_table[usize::from(NMI_IST)] = VirtAddr::new(stacks.nmi.top());
    tss
}

/// An entry for each exception that the CPU can raise.
fn interrupts() -> InterruptDescriptorTable {
    let mut idt = InterruptDescriptorTable::new();
    let stub = |vector: usize| VirtAddr::new(hvm_stubs()[vector]);
    macro_rules! set {
        ($($entry:ident = $vector:literal on $stack:ident;)*) => {$(
            // SAFETY: the stub takes exactly this vector's frame and never returns; the stacks
            // are used for nothing else.
            unsafe { idt.$entry.set_handler_addr(stub($vector)).set_stack_index($stack) };
        )*};
    }
    set! {
        divide_error = 0 on FAULT_IST;
        debug = 1 on FAULT_IST;
        breakpoint = 3 on FAULT_IST;
        overflow = 4 on FAULT_IST;
        bound_range_exceeded = 5 on FAULT_IST;
        invalid_opcode = 6 on FAULT_IST;
        device_not_available = 7 on FAULT_IST;
        double_fault = 8 on DOUBLE_FAULT_IST;
        invalid_tss = 10 on FAULT_IST;
        segment_not_present = 11 on FAULT_IST;
        stack_segment_fault = 12 on FAULT_IST;
        general_protection_fault = 13 on FAULT_IST;
        page_fault = 14 on FAULT_IST;
        x87_floating_point = 16 on FAULT_IST;
        alignment_check = 17 on FAULT_IST;
        machine_check = 18 on DOUBLE_FAULT_IST;
        simd_floating_point = 19 on FAULT_IST;
        virtualization = 20 on FAULT_IST;
        cp_protection_exception = 21 on FAULT_IST;
    }
    let nmi = VirtAddr::new((nmi::hvm_stub as *const ()).addr() as u64);
    // SAFETY: the stub returns to where it came from, with all registers kept.
    let entry = unsafe { idt.non_maskable_interrupt.set_handler_addr(nmi) };
    // SAFETY: the stack is used for nothing else.
    unsafe { entry.set_stack_index(NMI_IST) };
    let irqs = (irq::FIRST_VECTOR..).zip(irq::stubs());
    let own = [
        (EVENT_VECTOR, (end_sleep as *const ()).addr() as u64),
        (apic::TIMER_VECTOR, (apic_stub as *const ()).addr() as u64),
        (apic::WAKE_VECTOR, (apic_stub as *const ()).addr() as u64),
        // Nothing is to be acknowledged.
        (apic::SPURIOUS_VECTOR, (end_sleep as *const ()).addr() as u64),
    ];
    for (vector, stub) in irqs.chain(own) {
        // SAFETY: the stub returns to where it came from, with all registers kept.
        unsafe { idt[vector].set_handler_addr(VirtAddr::new(stub)) };
    }
    idt
}
