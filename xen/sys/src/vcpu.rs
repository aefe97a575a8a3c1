// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting and stopping vCPUs, their timers, and where Xen reports on them.
//!
//! Commands of [`__HYPERVISOR_vcpu_op`](crate::xen::__HYPERVISOR_vcpu_op); its second argument is
//! the vCPU's number.
//!
//! Source: `xen/include/public/vcpu.h`.

use crate::arch_x86::xen::XEN_GUEST_HANDLE;

/// Command: set the initial state, once. Argument:
/// [`vcpu_guest_context`](crate::arch_x86::xen::vcpu_guest_context) (PV) or
/// [`vcpu_hvm_context_x86_64`](crate::hvm::hvm_vcpu::vcpu_hvm_context_x86_64) or its 32-bit sibling
/// (HVM and PVH).
pub const VCPUOP_initialise: u32 = 0;
/// Command: let the vCPU run. No argument.
pub const VCPUOP_up: u32 = 1;
/// Command: stop the vCPU; at once only if it is the caller. No argument.
pub const VCPUOP_down: u32 = 2;
/// Command: returns 1 if the vCPU is up. No argument.
pub const VCPUOP_is_up: u32 = 3;
/// Command: how the vCPU spent its time. Argument: [`vcpu_runstate_info`].
pub const VCPUOP_get_runstate_info: u32 = 4;

/// Bit of [`vcpu_runstate_info::state_entry_time`]: Xen is writing, see
/// [`VMASST_TYPE_runstate_update_flag`](crate::xen::VMASST_TYPE_runstate_update_flag).
pub const XEN_RUNSTATE_UPDATE: u64 = 1 << 63;

/// How a vCPU spent its time.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_runstate_info {
    /// One of the `RUNSTATE_*`.
    pub state: i32,
    /// Padding.
    pub _padding: u32,
    /// System time in nanoseconds at which the state began.
    pub state_entry_time: u64,
    /// Nanoseconds spent in each of the four states.
    pub time: [u64; 4],
}
layout!(vcpu_runstate_info: 48 { state: 0, _padding: 4, state_entry_time: 8, time: 16 });

/// State of a vCPU: it runs.
pub const RUNSTATE_running: i32 = 0;
/// State of a vCPU: it could run, but others do.
pub const RUNSTATE_runnable: i32 = 1;
/// State of a vCPU: it waits for an event.
pub const RUNSTATE_blocked: i32 = 2;
/// State of a vCPU: it is stopped or paused.
pub const RUNSTATE_offline: i32 = 3;

/// Command: have Xen keep a [`vcpu_runstate_info`] up to date. Argument:
/// [`vcpu_register_runstate_memory_area`] with a virtual address.
pub const VCPUOP_register_runstate_memory_area: u32 = 5;

/// Argument of [`VCPUOP_register_runstate_memory_area`] and
/// [`VCPUOP_register_runstate_phys_area`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_register_runstate_memory_area {
    /// Address of the area: virtual or guest-physical, as the command says.
    pub addr: XEN_GUEST_HANDLE,
}
layout!(vcpu_register_runstate_memory_area: 8 { addr: 0 });

/// Command: set the vCPU's periodic timer, which starts out at 10 ms in a PV guest. Argument:
/// [`vcpu_set_periodic_timer`].
pub const VCPUOP_set_periodic_timer: u32 = 6;
/// Command: stop the periodic timer. No argument.
pub const VCPUOP_stop_periodic_timer: u32 = 7;

/// Argument of [`VCPUOP_set_periodic_timer`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_set_periodic_timer {
    /// Nanoseconds from one [`VIRQ_TIMER`](crate::xen::VIRQ_TIMER) to the next, at least 1 ms.
    pub period_ns: u64,
}
layout!(vcpu_set_periodic_timer: 8 { period_ns: 0 });

/// Command: set the vCPU's one-shot timer. Argument: [`vcpu_set_singleshot_timer`].
pub const VCPUOP_set_singleshot_timer: u32 = 8;
/// Command: stop the one-shot timer. No argument.
pub const VCPUOP_stop_singleshot_timer: u32 = 9;

/// Argument of [`VCPUOP_set_singleshot_timer`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_set_singleshot_timer {
    /// System time in nanoseconds of the [`VIRQ_TIMER`](crate::xen::VIRQ_TIMER).
    pub timeout_abs_ns: u64,
    /// 0 or [`VCPU_SSHOTTMR_future`].
    pub flags: u32,
    /// Padding.
    pub _padding: u32,
}
layout!(vcpu_set_singleshot_timer: 16 { timeout_abs_ns: 0, flags: 8, _padding: 12 });

/// Bit number of [`VCPU_SSHOTTMR_future`].
pub const _VCPU_SSHOTTMR_future: u32 = 0;
/// Flag of a one-shot timer: fail with `ETIME` if the time is past. Xen may ignore it.
pub const VCPU_SSHOTTMR_future: u32 = 1 << _VCPU_SSHOTTMR_future;

/// Command: move the vCPU's [`vcpu_info`](crate::xen::vcpu_info) to the guest's own memory, once.
/// Argument: [`vcpu_register_vcpu_info`].
pub const VCPUOP_register_vcpu_info: u32 = 10;

/// Argument of [`VCPUOP_register_vcpu_info`]. The structure must not cross a page boundary.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_register_vcpu_info {
    /// Frame of the structure: machine (PV) or guest-physical.
    pub mfn: u64,
    /// Byte offset in the frame.
    pub offset: u32,
    /// Zero.
    pub rsvd: u32,
}
layout!(vcpu_register_vcpu_info: 16 { mfn: 0, offset: 8, rsvd: 12 });

/// Command: send the vCPU an NMI. No argument.
pub const VCPUOP_send_nmi: u32 = 11;
/// Command: which physical CPU a pinned vCPU is on. Argument: [`vcpu_get_physid`].
pub const VCPUOP_get_physid: u32 = 12;

/// Argument of [`VCPUOP_get_physid`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_get_physid {
    /// Result: APIC id in bits 31:0, ACPI id in bits 63:32.
    pub phys_id: u64,
}
layout!(vcpu_get_physid: 8 { phys_id: 0 });

/// The APIC id in [`vcpu_get_physid::phys_id`].
pub const fn xen_vcpu_physid_to_x86_apicid(physid: u64) -> u32 {
    physid as u32
}

/// The ACPI id in [`vcpu_get_physid::phys_id`].
pub const fn xen_vcpu_physid_to_x86_acpiid(physid: u64) -> u32 {
    (physid >> 32) as u32
}

/// Command: have Xen keep a second [`vcpu_time_info`](crate::xen::vcpu_time_info) up to date.
/// Argument: [`vcpu_register_time_memory_area`] with a virtual address.
pub const VCPUOP_register_vcpu_time_memory_area: u32 = 13;

/// Argument of [`VCPUOP_register_vcpu_time_memory_area`] and
/// [`VCPUOP_register_vcpu_time_phys_area`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct vcpu_register_time_memory_area {
    /// Address of the area: virtual or guest-physical, as the command says.
    pub addr: XEN_GUEST_HANDLE,
}
layout!(vcpu_register_time_memory_area: 8 { addr: 0 });

/// Command: as [`VCPUOP_register_runstate_memory_area`] with a guest-physical address that does not
/// cross a page; all ones ends it. Needs
/// [`XENFEAT_runstate_phys_area`](crate::features::XENFEAT_runstate_phys_area).
pub const VCPUOP_register_runstate_phys_area: u32 = 14;
/// Command: as [`VCPUOP_register_vcpu_time_memory_area`] with a guest-physical address that does
/// not cross a page; all ones ends it. Needs
/// [`XENFEAT_vcpu_time_phys_area`](crate::features::XENFEAT_vcpu_time_phys_area).
pub const VCPUOP_register_vcpu_time_phys_area: u32 = 15;
