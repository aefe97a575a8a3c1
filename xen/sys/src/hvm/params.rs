// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parameters of an HVM or PVH guest: some it reads to find its console and xenstore, one it sets to
//! be told of events, most belong to the tools.
//!
//! Read and written with [`HVMOP_get_param`](super::hvm_op::HVMOP_get_param) and
//! [`HVMOP_set_param`](super::hvm_op::HVMOP_set_param).
//!
//! Source: `xen/include/public/hvm/params.h`.

/// Parameter: how vCPU 0, or with a vector every vCPU, learns of events. 0 means not at all; else
/// bits 63:56 hold one of the `HVM_PARAM_CALLBACK_TYPE_*`.
pub const HVM_PARAM_CALLBACK_IRQ: u32 = 0;
/// The bits of [`HVM_PARAM_CALLBACK_IRQ`] that hold the type.
pub const HVM_PARAM_CALLBACK_IRQ_TYPE_MASK: u64 = 0xff00_0000_0000_0000;
/// Type of callback: the interrupt line in bits 55:0, not 0.
pub const HVM_PARAM_CALLBACK_TYPE_GSI: u64 = 0;
/// Type of callback: a PCI interrupt line: domain in bits 47:32, bus in 31:16, device and function
/// in 15:8, pin in 1:0.
pub const HVM_PARAM_CALLBACK_TYPE_PCI_INTX: u64 = 1;
/// Type of callback: the vector in bits 7:0, on every vCPU; the local APIC has no part in it. Needs
/// [`XENFEAT_hvm_callback_vector`](crate::features::XENFEAT_hvm_callback_vector).
pub const HVM_PARAM_CALLBACK_TYPE_VECTOR: u64 = 2;

/// Parameter: guest-physical frame of the xenstore page.
pub const HVM_PARAM_STORE_PFN: u32 = 1;
/// Parameter: event channel of xenstore.
pub const HVM_PARAM_STORE_EVTCHN: u32 = 2;
/// Parameter: frame of the page for requests to the device model.
pub const HVM_PARAM_IOREQ_PFN: u32 = 5;
/// Parameter: frame of the page for buffered requests to the device model.
pub const HVM_PARAM_BUFIOREQ_PFN: u32 = 6;

/// Parameter: which parts of Microsoft's hypervisor interface the guest sees: `HVMPV_*` bits.
pub const HVM_PARAM_VIRIDIAN: u32 = 9;
/// Bit number of [`HVMPV_base_freq`].
pub const _HVMPV_base_freq: u32 = 0;
/// Microsoft's interface: the base set and the frequency registers.
pub const HVMPV_base_freq: u64 = 1 << _HVMPV_base_freq;
/// Bit number of [`HVMPV_no_freq`].
pub const _HVMPV_no_freq: u32 = 1;
/// Microsoft's interface: without the frequency registers.
pub const HVMPV_no_freq: u64 = 1 << _HVMPV_no_freq;
/// Bit number of [`HVMPV_time_ref_count`].
pub const _HVMPV_time_ref_count: u32 = 2;
/// Microsoft's interface: the reference counter.
pub const HVMPV_time_ref_count: u64 = 1 << _HVMPV_time_ref_count;
/// Bit number of [`HVMPV_reference_tsc`].
pub const _HVMPV_reference_tsc: u32 = 3;
/// Microsoft's interface: the reference page for the time stamp counter.
pub const HVMPV_reference_tsc: u64 = 1 << _HVMPV_reference_tsc;
/// Bit number of [`HVMPV_hcall_remote_tlb_flush`].
pub const _HVMPV_hcall_remote_tlb_flush: u32 = 4;
/// Microsoft's interface: TLB flushes by hypercall.
pub const HVMPV_hcall_remote_tlb_flush: u64 = 1 << _HVMPV_hcall_remote_tlb_flush;
/// Bit number of [`HVMPV_apic_assist`].
pub const _HVMPV_apic_assist: u32 = 5;
/// Microsoft's interface: the page that saves end-of-interrupt exits.
pub const HVMPV_apic_assist: u64 = 1 << _HVMPV_apic_assist;
/// Bit number of [`HVMPV_crash_ctl`].
pub const _HVMPV_crash_ctl: u32 = 6;
/// Microsoft's interface: the crash registers.
pub const HVMPV_crash_ctl: u64 = 1 << _HVMPV_crash_ctl;
/// Bit number of [`HVMPV_synic`].
pub const _HVMPV_synic: u32 = 7;
/// Microsoft's interface: the synthetic interrupt controller.
pub const HVMPV_synic: u64 = 1 << _HVMPV_synic;
/// Bit number of [`HVMPV_stimer`].
pub const _HVMPV_stimer: u32 = 8;
/// Microsoft's interface: the synthetic timers.
pub const HVMPV_stimer: u64 = 1 << _HVMPV_stimer;
/// Bit number of [`HVMPV_hcall_ipi`].
pub const _HVMPV_hcall_ipi: u32 = 9;
/// Microsoft's interface: interrupts between vCPUs by hypercall.
pub const HVMPV_hcall_ipi: u64 = 1 << _HVMPV_hcall_ipi;
/// Bit number of [`HVMPV_ex_processor_masks`].
pub const _HVMPV_ex_processor_masks: u32 = 10;
/// Microsoft's interface: hypercalls with sparse sets of vCPUs.
pub const HVMPV_ex_processor_masks: u64 = 1 << _HVMPV_ex_processor_masks;
/// Bit number of [`HVMPV_no_vp_limit`].
pub const _HVMPV_no_vp_limit: u32 = 11;
/// Microsoft's interface: more than 64 vCPUs.
pub const HVMPV_no_vp_limit: u64 = 1 << _HVMPV_no_vp_limit;
/// Bit number of [`HVMPV_cpu_hotplug`].
pub const _HVMPV_cpu_hotplug: u32 = 12;
/// Microsoft's interface: vCPUs that come later.
pub const HVMPV_cpu_hotplug: u64 = 1 << _HVMPV_cpu_hotplug;
/// All parts of Microsoft's interface that Xen knows.
pub const HVMPV_feature_mask: u64 = HVMPV_base_freq
    | HVMPV_no_freq
    | HVMPV_time_ref_count
    | HVMPV_reference_tsc
    | HVMPV_hcall_remote_tlb_flush
    | HVMPV_apic_assist
    | HVMPV_crash_ctl
    | HVMPV_synic
    | HVMPV_stimer
    | HVMPV_hcall_ipi
    | HVMPV_ex_processor_masks
    | HVMPV_no_vp_limit
    | HVMPV_cpu_hotplug;

/// Parameter: what becomes of emulated timers' missed interrupts: one of the `HVMPTM_*`.
pub const HVM_PARAM_TIMER_MODE: u32 = 10;
/// Missed interrupts: all delivered, and the guest's time waits for each.
pub const HVMPTM_delay_for_missed_ticks: u64 = 0;
/// Missed interrupts: all delivered, in real time.
pub const HVMPTM_no_delay_for_missed_ticks: u64 = 1;
/// Missed interrupts: lost.
pub const HVMPTM_no_missed_ticks_pending: u64 = 2;
/// Missed interrupts: delivered as one, in real time.
pub const HVMPTM_one_missed_tick_pending: u64 = 3;

/// Parameter: whether there is an HPET, 0 or 1.
pub const HVM_PARAM_HPET_ENABLED: u32 = 11;
/// Parameter: frame of the page directory that Intel's CPUs use while paging is off.
pub const HVM_PARAM_IDENT_PT: u32 = 12;
/// Parameter: ACPI sleep state, 0 or 3.
pub const HVM_PARAM_ACPI_S_STATE: u32 = 14;
/// Parameter: address of the task state that Intel's CPUs use in real mode.
pub const HVM_PARAM_VM86_TSS: u32 = 15;
/// Parameter: whether emulated periodic timers are aligned to each other, 0 or 1.
pub const HVM_PARAM_VPT_ALIGN: u32 = 16;
/// Parameter: guest-physical frame of the console page.
pub const HVM_PARAM_CONSOLE_PFN: u32 = 17;
/// Parameter: event channel of the console.
pub const HVM_PARAM_CONSOLE_EVTCHN: u32 = 18;
/// Parameter: where ACPI's registers are: 0 for ports from `0x1f40`, 1 for ports from `0xb000`.
pub const HVM_PARAM_ACPI_IOPORTS_LOCATION: u32 = 19;
/// Parameter: frame of the ring for paging events.
pub const HVM_PARAM_PAGING_RING_PFN: u32 = 27;
/// Parameter: frame of the ring for monitor events.
pub const HVM_PARAM_MONITOR_RING_PFN: u32 = 28;
/// Parameter: frame of the ring for sharing events.
pub const HVM_PARAM_SHARING_RING_PFN: u32 = 29;
/// Parameter: what a triple fault does: one of the `SHUTDOWN_*` of [`sched`](crate::sched).
pub const HVM_PARAM_TRIPLE_FAULT_REASON: u32 = 31;
/// Parameter: first frame of the pages for servers of I/O requests.
pub const HVM_PARAM_IOREQ_SERVER_PFN: u32 = 32;
/// Parameter: number of the pages for servers of I/O requests.
pub const HVM_PARAM_NR_IOREQ_SERVER_PAGES: u32 = 33;
/// Parameter: guest-physical address of the VM generation id.
pub const HVM_PARAM_VM_GENERATION_ID_ADDR: u32 = 34;
/// Parameter: who may use alternative memory views: one of the `XEN_ALTP2M_*`.
pub const HVM_PARAM_ALTP2M: u32 = 35;
/// Alternative memory views: nobody.
pub const XEN_ALTP2M_disabled: u64 = 0;
/// Alternative memory views: the guest and the tools.
pub const XEN_ALTP2M_mixed: u64 = 1;
/// Alternative memory views: the tools.
pub const XEN_ALTP2M_external: u64 = 2;
/// Alternative memory views: the tools, and the guest may switch.
pub const XEN_ALTP2M_limited: u64 = 3;
/// Parameter: width of the saved FPU pointers in bytes: 8, 4 or 0 to let Xen choose.
pub const HVM_PARAM_X87_FIP_WIDTH: u32 = 36;
/// Parameter: as [`HVM_PARAM_VM86_TSS`], with the size in the high 32 bits.
pub const HVM_PARAM_VM86_TSS_SIZED: u32 = 37;
/// Parameter: machine-check capabilities of the guest.
pub const HVM_PARAM_MCA_CAP: u32 = 38;
/// Machine checks: can be delivered to one vCPU.
pub const XEN_HVM_MCA_CAP_LMCE: u64 = 1 << 0;
/// All machine-check capabilities.
pub const XEN_HVM_MCA_CAP_MASK: u64 = XEN_HVM_MCA_CAP_LMCE;

/// Number of parameters: one more than the largest.
pub const HVM_NR_PARAMS: u32 = 39;
