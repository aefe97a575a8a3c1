// SPDX-License-Identifier: MIT OR Apache-2.0
//! The core of the interface: hypercall numbers, virtual interrupts, page-table operations, and the
//! pages a guest shares with Xen from its first instruction on.
//!
//! Source: `xen/include/public/xen.h`.

use crate::arch_x86::xen::{XEN_LEGACY_MAX_VCPUS, arch_shared_info, xen_pfn_t, xen_ulong_t};
use crate::arch_x86::xen_x86_64::arch_vcpu_info;

/// Hypercall: replace the calling vCPU's virtual IDT (PV). Argument: array of
/// [`trap_info`](crate::arch_x86::xen::trap_info), ended by an entry with address 0.
pub const __HYPERVISOR_set_trap_table: u64 = 0;
/// Hypercall: apply a batch of [`mmu_update`] (PV).
pub const __HYPERVISOR_mmu_update: u64 = 1;
/// Hypercall: load a GDT made of the given machine frames (PV).
pub const __HYPERVISOR_set_gdt: u64 = 2;
/// Hypercall: set the stack segment and pointer for entries into the kernel (PV).
pub const __HYPERVISOR_stack_switch: u64 = 3;
/// Hypercall: set the event, failsafe and syscall entry points at once (PV).
pub const __HYPERVISOR_set_callbacks: u64 = 4;
/// Hypercall: set or clear `CR0.TS` (PV).
pub const __HYPERVISOR_fpu_taskswitch: u64 = 5;
/// Hypercall: the first form of `sched_op`; superseded by [`__HYPERVISOR_sched_op`].
pub const __HYPERVISOR_sched_op_compat: u64 = 6;
/// Hypercall: control of the physical platform (dom0).
pub const __HYPERVISOR_platform_op: u64 = 7;
/// Hypercall: write a debug register (PV).
pub const __HYPERVISOR_set_debugreg: u64 = 8;
/// Hypercall: read a debug register (PV).
pub const __HYPERVISOR_get_debugreg: u64 = 9;
/// Hypercall: write one descriptor of a GDT or LDT, by its machine address (PV).
pub const __HYPERVISOR_update_descriptor: u64 = 10;
/// Hypercall: memory reservation and maps, see [`memory`](crate::memory).
pub const __HYPERVISOR_memory_op: u64 = 12;
/// Hypercall: several hypercalls in one, as an array of [`multicall_entry`].
pub const __HYPERVISOR_multicall: u64 = 13;
/// Hypercall: write the page-table entry that maps one virtual address (PV).
pub const __HYPERVISOR_update_va_mapping: u64 = 14;
/// Hypercall: arm the vCPU's one-shot timer at an absolute system time in nanoseconds; 0 disarms.
pub const __HYPERVISOR_set_timer_op: u64 = 15;
/// Hypercall: the first form of `event_channel_op`; superseded by
/// [`__HYPERVISOR_event_channel_op`].
pub const __HYPERVISOR_event_channel_op_compat: u64 = 16;
/// Hypercall: version, features and build strings, see [`version`](crate::version).
pub const __HYPERVISOR_xen_version: u64 = 17;
/// Hypercall: read from or write to Xen's own console, see [`CONSOLEIO_write`].
pub const __HYPERVISOR_console_io: u64 = 18;
/// Hypercall: the first form of `physdev_op`; superseded by [`__HYPERVISOR_physdev_op`].
pub const __HYPERVISOR_physdev_op_compat: u64 = 19;
/// Hypercall: grant table operations, see [`grant_table`](crate::grant_table).
pub const __HYPERVISOR_grant_table_op: u64 = 20;
/// Hypercall: enable or disable one of the `VMASST_TYPE_*`.
pub const __HYPERVISOR_vm_assist: u64 = 21;
/// Hypercall: as [`__HYPERVISOR_update_va_mapping`], mapping a page of another domain.
pub const __HYPERVISOR_update_va_mapping_otherdomain: u64 = 22;
/// Hypercall: return from an exception or switch to user mode (PV), with an
/// [`iret_context`](crate::arch_x86::xen_x86_64::iret_context) on the stack.
pub const __HYPERVISOR_iret: u64 = 23;
/// Hypercall: vCPU operations, see [`vcpu`](crate::vcpu).
pub const __HYPERVISOR_vcpu_op: u64 = 24;
/// Hypercall: set the base of `%fs` or `%gs` (PV), see
/// [`SEGBASE_FS`](crate::arch_x86::xen_x86_64::SEGBASE_FS).
pub const __HYPERVISOR_set_segment_base: u64 = 25;
/// Hypercall: apply a batch of [`mmuext_op`] (PV).
pub const __HYPERVISOR_mmuext_op: u64 = 26;
/// Hypercall: control of the security module.
pub const __HYPERVISOR_xsm_op: u64 = 27;
/// Hypercall: NMI callback, see [`nmi`](crate::nmi).
pub const __HYPERVISOR_nmi_op: u64 = 28;
/// Hypercall: yield, block, shut down, poll; see [`sched`](crate::sched).
pub const __HYPERVISOR_sched_op: u64 = 29;
/// Hypercall: register one PV entry point, see [`callback`](crate::callback).
pub const __HYPERVISOR_callback_op: u64 = 30;
/// Hypercall: the profiler Xen used to have.
pub const __HYPERVISOR_xenoprof_op: u64 = 31;
/// Hypercall: event channels, see [`event_channel`](crate::event_channel).
pub const __HYPERVISOR_event_channel_op: u64 = 32;
/// Hypercall: physical interrupts and devices, see [`physdev`](crate::physdev).
pub const __HYPERVISOR_physdev_op: u64 = 33;
/// Hypercall: HVM parameters and operations, see [`hvm_op`](crate::hvm::hvm_op).
pub const __HYPERVISOR_hvm_op: u64 = 34;
/// Hypercall: control of the whole system (control tools).
pub const __HYPERVISOR_sysctl: u64 = 35;
/// Hypercall: control of domains (control tools).
pub const __HYPERVISOR_domctl: u64 = 36;
/// Hypercall: load and start another kernel on the bare machine (dom0).
pub const __HYPERVISOR_kexec_op: u64 = 37;
/// Hypercall: transcendent memory, which Xen no longer has.
pub const __HYPERVISOR_tmem_op: u64 = 38;
/// Hypercall: Argo messages between domains.
pub const __HYPERVISOR_argo_op: u64 = 39;
/// Hypercall: virtual performance counters of a PV guest.
pub const __HYPERVISOR_xenpmu_op: u64 = 40;
/// Hypercall: what a device model does to the domain it serves.
pub const __HYPERVISOR_dm_op: u64 = 41;
/// Hypercall: Xen's own parameter filesystem (dom0).
pub const __HYPERVISOR_hypfs_op: u64 = 42;
/// Hypercall: first of those left to the architecture; on x86 machine-check control.
pub const __HYPERVISOR_arch_0: u64 = 48;
/// Hypercall: second of those left to the architecture; on x86 paging assistance for the tools.
pub const __HYPERVISOR_arch_1: u64 = 49;
/// Hypercall: third of those left to the architecture.
pub const __HYPERVISOR_arch_2: u64 = 50;
/// Hypercall: fourth of those left to the architecture.
pub const __HYPERVISOR_arch_3: u64 = 51;
/// Hypercall: fifth of those left to the architecture.
pub const __HYPERVISOR_arch_4: u64 = 52;
/// Hypercall: sixth of those left to the architecture.
pub const __HYPERVISOR_arch_5: u64 = 53;
/// Hypercall: seventh of those left to the architecture.
pub const __HYPERVISOR_arch_6: u64 = 54;
/// Hypercall: eighth of those left to the architecture.
pub const __HYPERVISOR_arch_7: u64 = 55;

/// Per-vCPU interrupt: the vCPU's timer expired.
pub const VIRQ_TIMER: u32 = 0;
/// Per-vCPU interrupt: the administrator asks for a dump of the guest's state.
pub const VIRQ_DEBUG: u32 = 1;
/// Global interrupt: input on the emergency console.
pub const VIRQ_CONSOLE: u32 = 2;
/// Global interrupt: some domain shut down, crashed or otherwise needs the tools.
pub const VIRQ_DOM_EXC: u32 = 3;
/// Global interrupt: the trace buffer has records.
pub const VIRQ_TBUF: u32 = 4;
/// Global interrupt: a domain stopped for its debugger.
pub const VIRQ_DEBUGGER: u32 = 6;
/// Per-vCPU interrupt: the former profiler has a sample.
pub const VIRQ_XENOPROF: u32 = 7;
/// Global interrupt: Xen wrote to its console ring.
pub const VIRQ_CON_RING: u32 = 8;
/// Global interrupt: a physical CPU went online or offline.
pub const VIRQ_PCPU_STATE: u32 = 9;
/// Global interrupt: a memory event happened.
pub const VIRQ_MEM_EVENT: u32 = 10;
/// Interrupt: an Argo message arrived, or there is room for one.
pub const VIRQ_ARGO: u32 = 11;
/// Global interrupt: Xen runs out of heap.
pub const VIRQ_ENOMEM: u32 = 12;
/// Per-vCPU interrupt: a performance counter overflowed.
pub const VIRQ_XENPMU: u32 = 13;
/// First interrupt left to the architecture; on x86 a machine check for dom0.
pub const VIRQ_ARCH_0: u32 = 16;
/// Second interrupt left to the architecture.
pub const VIRQ_ARCH_1: u32 = 17;
/// Third interrupt left to the architecture.
pub const VIRQ_ARCH_2: u32 = 18;
/// Fourth interrupt left to the architecture.
pub const VIRQ_ARCH_3: u32 = 19;
/// Fifth interrupt left to the architecture.
pub const VIRQ_ARCH_4: u32 = 20;
/// Sixth interrupt left to the architecture.
pub const VIRQ_ARCH_5: u32 = 21;
/// Seventh interrupt left to the architecture.
pub const VIRQ_ARCH_6: u32 = 22;
/// Eighth interrupt left to the architecture.
pub const VIRQ_ARCH_7: u32 = 23;
/// Number of virtual interrupts: one more than the largest.
pub const NR_VIRQS: u32 = 24;

/// Command in bits 1:0 of [`mmu_update::ptr`]: write a page-table entry.
pub const MMU_NORMAL_PT_UPDATE: u64 = 0;
/// Command in bits 1:0 of [`mmu_update::ptr`]: write the machine-to-physical entry of a frame.
pub const MMU_MACHPHYS_UPDATE: u64 = 1;
/// Command in bits 1:0 of [`mmu_update::ptr`]: write a page-table entry, keeping its accessed and
/// dirty bits.
pub const MMU_PT_UPDATE_PRESERVE_AD: u64 = 2;
/// Command in bits 1:0 of [`mmu_update::ptr`]: write a page-table entry whose frame is never
/// translated.
pub const MMU_PT_UPDATE_NO_TRANSLATE: u64 = 3;

/// [`mmuext_op::cmd`]: pin frame `arg1` as a level-1 page table.
pub const MMUEXT_PIN_L1_TABLE: u32 = 0;
/// [`mmuext_op::cmd`]: pin frame `arg1` as a level-2 page table.
pub const MMUEXT_PIN_L2_TABLE: u32 = 1;
/// [`mmuext_op::cmd`]: pin frame `arg1` as a level-3 page table.
pub const MMUEXT_PIN_L3_TABLE: u32 = 2;
/// [`mmuext_op::cmd`]: pin frame `arg1` as a level-4 page table.
pub const MMUEXT_PIN_L4_TABLE: u32 = 3;
/// [`mmuext_op::cmd`]: undo the pin of frame `arg1`.
pub const MMUEXT_UNPIN_TABLE: u32 = 4;
/// [`mmuext_op::cmd`]: use frame `arg1` as the kernel's page-table root.
pub const MMUEXT_NEW_BASEPTR: u32 = 5;
/// [`mmuext_op::cmd`]: flush this vCPU's TLB.
pub const MMUEXT_TLB_FLUSH_LOCAL: u32 = 6;
/// [`mmuext_op::cmd`]: flush address `arg1` from this vCPU's TLB.
pub const MMUEXT_INVLPG_LOCAL: u32 = 7;
/// [`mmuext_op::cmd`]: flush the TLBs of the vCPUs in the bitmap at `arg2`.
pub const MMUEXT_TLB_FLUSH_MULTI: u32 = 8;
/// [`mmuext_op::cmd`]: flush address `arg1` on the vCPUs in the bitmap at `arg2`.
pub const MMUEXT_INVLPG_MULTI: u32 = 9;
/// [`mmuext_op::cmd`]: flush the TLBs of all vCPUs.
pub const MMUEXT_TLB_FLUSH_ALL: u32 = 10;
/// [`mmuext_op::cmd`]: flush address `arg1` on all vCPUs.
pub const MMUEXT_INVLPG_ALL: u32 = 11;
/// [`mmuext_op::cmd`]: write back and drop this CPU's caches; needs access to some device.
pub const MMUEXT_FLUSH_CACHE: u32 = 12;
/// [`mmuext_op::cmd`]: load the LDT at page-aligned address `arg1`, of `arg2` entries.
pub const MMUEXT_SET_LDT: u32 = 13;
/// [`mmuext_op::cmd`]: use frame `arg1` as the page-table root of user mode.
pub const MMUEXT_NEW_USER_BASEPTR: u32 = 15;
/// [`mmuext_op::cmd`]: fill frame `arg1` with zeros.
pub const MMUEXT_CLEAR_PAGE: u32 = 16;
/// [`mmuext_op::cmd`]: copy frame `arg2` to frame `arg1`.
pub const MMUEXT_COPY_PAGE: u32 = 17;
/// [`mmuext_op::cmd`]: write back and drop the caches of all CPUs; needs access to some device.
pub const MMUEXT_FLUSH_CACHE_GLOBAL: u32 = 18;
/// [`mmuext_op::cmd`]: mark the superpage that starts at frame `arg1`.
pub const MMUEXT_MARK_SUPER: u32 = 19;
/// [`mmuext_op::cmd`]: undo [`MMUEXT_MARK_SUPER`].
pub const MMUEXT_UNMARK_SUPER: u32 = 20;

/// One operation of [`__HYPERVISOR_mmuext_op`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct mmuext_op {
    /// One of the `MMUEXT_*` commands.
    pub cmd: u32,
    /// Padding.
    pub _padding: u32,
    /// Machine frame number (`mfn` in C) or linear address (`linear_addr`), as the command says.
    pub arg1: u64,
    /// Address of a vCPU bitmap (`vcpumask` in C), source frame (`src_mfn`), or in its low 32 bits
    /// the number of LDT entries (`nr_ents`), as the command says.
    pub arg2: u64,
}
layout!(mmuext_op: 24 { cmd: 0, _padding: 4, arg1: 8, arg2: 16 });

/// Flag of [`__HYPERVISOR_update_va_mapping`]: flush nothing.
pub const UVMF_NONE: u64 = 0;
/// Flag of [`__HYPERVISOR_update_va_mapping`]: flush whole TLBs.
pub const UVMF_TLB_FLUSH: u64 = 1;
/// Flag of [`__HYPERVISOR_update_va_mapping`]: flush the one address.
pub const UVMF_INVLPG: u64 = 2;
/// The bits of the flags that say how much is flushed.
pub const UVMF_FLUSHTYPE_MASK: u64 = 3;
/// Flag of [`__HYPERVISOR_update_va_mapping`]: flush on the vCPUs of a bitmap, whose 8-byte-aligned
/// address is ORed in.
pub const UVMF_MULTI: u64 = 0;
/// Flag of [`__HYPERVISOR_update_va_mapping`]: flush on this vCPU only; [`UVMF_MULTI`] with no
/// bitmap.
pub const UVMF_LOCAL: u64 = 0;
/// Flag of [`__HYPERVISOR_update_va_mapping`]: flush on all vCPUs.
pub const UVMF_ALL: u64 = 1 << 2;

/// Command of [`__HYPERVISOR_console_io`]: write bytes to Xen's console. Xen holds them back until
/// a newline unless the caller is the hardware domain.
pub const CONSOLEIO_write: u32 = 0;
/// Command of [`__HYPERVISOR_console_io`]: read bytes typed at Xen's console; returns their count.
pub const CONSOLEIO_read: u32 = 1;

/// Command of [`__HYPERVISOR_vm_assist`]: switch an assistance on.
pub const VMASST_CMD_enable: u32 = 0;
/// Command of [`__HYPERVISOR_vm_assist`]: switch an assistance off.
pub const VMASST_CMD_disable: u32 = 1;

/// Assistance: emulate 4 GiB segment limits (32-bit PV).
pub const VMASST_TYPE_4gb_segments: u32 = 0;
/// Assistance: trap 15 when [`VMASST_TYPE_4gb_segments`] had to act (32-bit PV).
pub const VMASST_TYPE_4gb_segments_notify: u32 = 1;
/// Assistance: emulate plain writes to level-1 page tables (PV).
pub const VMASST_TYPE_writable_pagetables: u32 = 2;
/// Assistance: allow page-directory pointers above 4 GiB (32-bit PV).
pub const VMASST_TYPE_pae_extended_cr3: u32 = 3;
/// Assistance: keep the virtual I/O privilege level in the saved flags, as hardware does (PV).
pub const VMASST_TYPE_architectural_iopl: u32 = 4;
/// Assistance: set [`XEN_RUNSTATE_UPDATE`](crate::vcpu::XEN_RUNSTATE_UPDATE) in a registered
/// runstate area while Xen writes it.
pub const VMASST_TYPE_runstate_update_flag: u32 = 5;
/// Assistance: never map the machine-to-physical table in user mode (64-bit PV).
pub const VMASST_TYPE_m2p_strict: u32 = 32;

/// First domain id that no ordinary domain has.
pub const DOMID_FIRST_RESERVED: domid_t = 0x7ff0;
/// The calling domain itself.
pub const DOMID_SELF: domid_t = 0x7ff0;
/// Owner of I/O memory; as the foreign domain of a page-table update it allows only such mappings.
pub const DOMID_IO: domid_t = 0x7ff1;
/// Owner of Xen's own shareable pages; for privileged callers.
pub const DOMID_XEN: domid_t = 0x7ff2;
/// Owner of pages shared copy-on-write.
pub const DOMID_COW: domid_t = 0x7ff3;
/// No domain: owner of pages whose owner is not known.
pub const DOMID_INVALID: domid_t = 0x7ff4;
/// The idle domain.
pub const DOMID_IDLE: domid_t = 0x7fff;
/// The bits a domain id may have.
pub const DOMID_MASK: domid_t = 0x7fff;

/// A domain's number, 0 to `0x7fef`; the `DOMID_*` above that are special.
pub type domid_t = u16;

/// One operation of [`__HYPERVISOR_mmu_update`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct mmu_update {
    /// Machine address of the page-table entry; an `MMU_*` command in bits 1:0.
    pub ptr: u64,
    /// New value of the entry.
    pub val: u64,
}
layout!(mmu_update: 16 { ptr: 0, val: 8 });

/// One call of [`__HYPERVISOR_multicall`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct multicall_entry {
    /// A `__HYPERVISOR_*` number.
    pub op: xen_ulong_t,
    /// Written by Xen: what the call returned.
    pub result: xen_ulong_t,
    /// Arguments of the call; Xen looks at the first five.
    pub args: [xen_ulong_t; 6],
}
layout!(multicall_entry: 64 { op: 0, result: 8, args: 16 });

/// How to turn this vCPU's time stamp counter into system time.
///
/// Time now is `system_time + (((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul >> 32)`.
/// Values belong together only if `version` is even and the same before and after reading them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_time_info {
    /// Odd while Xen writes, and different after each write.
    pub version: u32,
    /// Unused.
    pub pad0: u32,
    /// Time stamp counter at the moment of `system_time`.
    pub tsc_timestamp: u64,
    /// Nanoseconds since Xen booted.
    pub system_time: u64,
    /// Nanoseconds per (shifted) tick, as a fraction of 2^32.
    pub tsc_to_system_mul: u32,
    /// How far to shift ticks left; negative means right.
    pub tsc_shift: i8,
    /// `XEN_PVCLOCK_*` bits.
    pub flags: u8,
    /// Unused.
    pub pad1: [u8; 2],
}
layout!(vcpu_time_info: 32 {
    version: 0, pad0: 4, tsc_timestamp: 8, system_time: 16, tsc_to_system_mul: 24, tsc_shift: 28,
    flags: 29, pad1: 30,
});

/// Bit of [`vcpu_time_info::flags`]: time never runs backwards from one vCPU to another.
pub const XEN_PVCLOCK_TSC_STABLE_BIT: u8 = 1 << 0;
/// Bit of [`vcpu_time_info::flags`]: the guest was stopped for a while.
pub const XEN_PVCLOCK_GUEST_STOPPED: u8 = 1 << 1;

/// What Xen tells one vCPU about its events and time.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_info {
    /// Non-zero when an event waits; the guest clears it *before* it looks for events.
    pub evtchn_upcall_pending: u8,
    /// Non-zero keeps Xen from interrupting this vCPU with events (PV); blocking clears it.
    pub evtchn_upcall_mask: u8,
    /// Padding.
    pub _padding: [u8; 6],
    /// One bit per word of [`shared_info::evtchn_pending`] that may have a bit set.
    pub evtchn_pending_sel: xen_ulong_t,
    /// The architecture's part.
    pub arch: arch_vcpu_info,
    /// The vCPU's clock.
    pub time: vcpu_time_info,
}
layout!(vcpu_info: 64 {
    evtchn_upcall_pending: 0, evtchn_upcall_mask: 1, _padding: 2, evtchn_pending_sel: 8, arch: 16,
    time: 32,
});

/// The page every guest shares with Xen. Xen may use more of the page than this.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct shared_info {
    /// Events and clocks of the first 32 vCPUs.
    pub vcpu_info: [vcpu_info; XEN_LEGACY_MAX_VCPUS as usize],
    /// One bit per port: an event arrived (2-level ABI).
    pub evtchn_pending: [xen_ulong_t; 64],
    /// One bit per port: do not interrupt for it (2-level ABI).
    pub evtchn_mask: [xen_ulong_t; 64],
    /// Odd while Xen writes the wall clock, and different after each write.
    pub wc_version: u32,
    /// Wall clock at system time 0: low 32 bits of the seconds since 1970, UTC.
    pub wc_sec: u32,
    /// Wall clock at system time 0: nanoseconds within the second.
    pub wc_nsec: u32,
    /// Wall clock at system time 0: high 32 bits of the seconds.
    pub wc_sec_hi: u32,
    /// The architecture's part.
    pub arch: arch_shared_info,
}
layout!(shared_info: 3136 {
    vcpu_info: 0, evtchn_pending: 2048, evtchn_mask: 2560, wc_version: 3072, wc_sec: 3076,
    wc_nsec: 3080, wc_sec_hi: 3084, arch: 3088,
});

/// Where an unprivileged PV guest finds its console: `console.domU` of [`start_info`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct start_info_console_domU {
    /// Machine frame of the console page.
    pub mfn: xen_pfn_t,
    /// Event channel of the console.
    pub evtchn: u32,
    /// Padding.
    pub _padding: u32,
}
layout!(start_info_console_domU: 16 { mfn: 0, evtchn: 8, _padding: 12 });

/// Where dom0 finds the description of the screen: `console.dom0` of [`start_info`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct start_info_console_dom0 {
    /// Bytes from the start of [`start_info`] to the description.
    pub info_off: u32,
    /// Size of the description in bytes.
    pub info_size: u32,
}
layout!(start_info_console_dom0: 8 { info_off: 0, info_size: 4 });

/// Size in bytes of the command line in [`start_info`], its ending zero included.
pub const MAX_GUEST_CMDLINE: usize = 1024;

/// What a PV guest is given at entry, its address in `%rsi`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct start_info {
    /// `xen-<version>-<platform>`, ended by a zero.
    pub magic: [u8; 32],
    /// Pages the domain has.
    pub nr_pages: u64,
    /// Machine address of [`shared_info`].
    pub shared_info: u64,
    /// `SIF_*` bits.
    pub flags: u32,
    /// Padding.
    pub _padding: u32,
    /// Machine frame of the xenstore page.
    pub store_mfn: xen_pfn_t,
    /// Event channel of xenstore.
    pub store_evtchn: u32,
    /// Padding.
    pub _padding2: u32,
    /// The console. With [`SIF_INITDOMAIN`] the first 8 bytes are a [`start_info_console_dom0`]
    /// instead: `info_off` is the low half of `mfn` and `info_size` the high half.
    pub console: start_info_console_domU,
    /// Virtual address of the page-table root. From here on valid at boot only, not after a resume.
    pub pt_base: u64,
    /// Number of page-table frames Xen built.
    pub nr_pt_frames: u64,
    /// Virtual address of the list of machine frames, indexed by pseudo-physical frame.
    pub mfn_list: u64,
    /// Virtual address of the module, or with [`SIF_MOD_START_PFN`] its pseudo-physical frame.
    pub mod_start: u64,
    /// Size of the module in bytes.
    pub mod_len: u64,
    /// Command line, ended by a zero.
    pub cmd_line: [u8; MAX_GUEST_CMDLINE],
    /// First pseudo-physical frame of the list of frames, if the image asked where it goes.
    pub first_p2m_pfn: u64,
    /// Number of frames of the list of frames.
    pub nr_p2m_frames: u64,
}
layout!(start_info: 1168 {
    magic: 0, nr_pages: 32, shared_info: 40, flags: 48, _padding: 52, store_mfn: 56,
    store_evtchn: 64, _padding2: 68, console: 72, pt_base: 88, nr_pt_frames: 96, mfn_list: 104,
    mod_start: 112, mod_len: 120, cmd_line: 128, first_p2m_pfn: 1152, nr_p2m_frames: 1160,
});

/// Bit of [`start_info::flags`] and of PVH's flags: the domain is privileged.
pub const SIF_PRIVILEGED: u32 = 1 << 0;
/// Bit of [`start_info::flags`] and of PVH's flags: this is dom0.
pub const SIF_INITDOMAIN: u32 = 1 << 1;
/// Bit of [`start_info::flags`]: the module is a Multiboot module list.
pub const SIF_MULTIBOOT_MOD: u32 = 1 << 2;
/// Bit of [`start_info::flags`]: [`start_info::mod_start`] is a frame number.
pub const SIF_MOD_START_PFN: u32 = 1 << 3;
/// Bit of [`start_info::flags`]: the tools can work with a virtually mapped list of frames.
pub const SIF_VIRT_P2M_4TOOLS: u32 = 1 << 4;
/// Bits of [`start_info::flags`] kept for power management options of dom0.
pub const SIF_PM_MASK: u32 = 0xff << 8;

/// One entry of the list at the start of a module with [`SIF_MULTIBOOT_MOD`]. Addresses count from
/// the module's start; an entry with `mod_start` 0 ends the list.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_multiboot_mod_list {
    /// First byte of the module.
    pub mod_start: u32,
    /// Last byte of the module, which still belongs to it.
    pub mod_end: u32,
    /// Command line of the module, ended by a zero.
    pub cmdline: u32,
    /// Zero.
    pub pad: u32,
}
layout!(xen_multiboot_mod_list: 16 { mod_start: 0, mod_end: 4, cmdline: 8, pad: 12 });

/// A domain's UUID, as the tools set it.
pub type xen_domain_handle_t = [u8; 16];

/// A UUID, most significant byte first.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_uuid_t {
    /// The 16 bytes in the order they are printed.
    pub a: [u8; 16],
}
layout!(xen_uuid_t: 16 { a: 0 });
