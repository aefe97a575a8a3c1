// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations of HVM and PVH guests.
//!
//! Commands of [`__HYPERVISOR_hvm_op`](crate::xen::__HYPERVISOR_hvm_op). Those for alternative
//! memory views and for device models are left out.
//!
//! Source: `xen/include/public/hvm/hvm_op.h`.

use crate::xen::domid_t;

/// Command: set a [parameter](super::params). Argument: [`xen_hvm_param`].
pub const HVMOP_set_param: u32 = 0;
/// Command: get a [parameter](super::params). Argument: [`xen_hvm_param`].
pub const HVMOP_get_param: u32 = 1;

/// Argument of [`HVMOP_set_param`] and [`HVMOP_get_param`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_hvm_param {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// Unused.
    pub pad: u16,
    /// One of the `HVM_PARAM_*`.
    pub index: u32,
    /// Its value.
    pub value: u64,
}
layout!(xen_hvm_param: 16 { domid: 0, pad: 2, index: 4, value: 8 });

/// Command: flush the TLBs of all vCPUs. No argument.
pub const HVMOP_flush_tlbs: u32 = 5;

/// Type of a page: memory.
pub const HVMMEM_ram_rw: u16 = 0;
/// Type of a page: memory that ignores writes.
pub const HVMMEM_ram_ro: u16 = 1;
/// Type of a page: a device the device model emulates.
pub const HVMMEM_mmio_dm: u16 = 2;
/// Type of a page: no longer in use.
pub const HVMMEM_unused: u16 = 3;
/// Type of a page: claimed by a server of I/O requests.
pub const HVMMEM_ioreq_server: u16 = 4;

/// Command: a page table is about to be freed (a hint). Argument: [`xen_hvm_pagetable_dying`].
pub const HVMOP_pagetable_dying: u32 = 9;

/// Argument of [`HVMOP_pagetable_dying`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_hvm_pagetable_dying {
    /// The domain.
    pub domid: domid_t,
    /// Unused.
    pub pad: [u16; 3],
    /// Guest-physical address of the page-table root.
    pub gpa: u64,
}
layout!(xen_hvm_pagetable_dying: 16 { domid: 0, pad: 2, gpa: 8 });

/// Command: the system time. Argument: [`xen_hvm_get_time`].
pub const HVMOP_get_time: u32 = 10;

/// Argument of [`HVMOP_get_time`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_hvm_get_time {
    /// Result: nanoseconds since Xen booted.
    pub now: u64,
}
layout!(xen_hvm_get_time: 8 { now: 0 });

/// Command: write a trace record. Argument: a record this crate does not describe.
pub const HVMOP_xentrace: u32 = 11;

/// Command: the type of a page. Argument: [`xen_hvm_get_mem_type`].
pub const HVMOP_get_mem_type: u32 = 15;

/// Argument of [`HVMOP_get_mem_type`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_hvm_get_mem_type {
    /// The domain.
    pub domid: domid_t,
    /// Result: one of the `HVMMEM_*`.
    pub mem_type: u16,
    /// Unused.
    pub pad: [u16; 2],
    /// Guest-physical frame of the page.
    pub pfn: u64,
}
layout!(xen_hvm_get_mem_type: 16 { domid: 0, mem_type: 2, pad: 4, pfn: 8 });

/// Command: the interrupt vector by which a vCPU learns of events, through its local APIC and in
/// place of [`HVM_PARAM_CALLBACK_IRQ`](super::params::HVM_PARAM_CALLBACK_IRQ). Argument:
/// [`xen_hvm_evtchn_upcall_vector`].
pub const HVMOP_set_evtchn_upcall_vector: u32 = 23;

/// Argument of [`HVMOP_set_evtchn_upcall_vector`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_hvm_evtchn_upcall_vector {
    /// The vCPU.
    pub vcpu: u32,
    /// The vector, 16 to 255.
    pub vector: u8,
    /// Padding.
    pub _padding: [u8; 3],
}
layout!(xen_hvm_evtchn_upcall_vector: 8 { vcpu: 0, vector: 4, _padding: 5 });

/// Command: raise an event for a monitor in another domain. No argument.
pub const HVMOP_guest_request_vm_event: u32 = 24;
