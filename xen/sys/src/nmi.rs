// SPDX-License-Identifier: MIT OR Apache-2.0
//! Non-maskable interrupts of a PV guest.
//!
//! Commands of [`__HYPERVISOR_nmi_op`](crate::xen::__HYPERVISOR_nmi_op).
//!
//! Source: `xen/include/public/nmi.h`.

/// Bit number of [`XEN_NMIREASON_io_error`].
pub const _XEN_NMIREASON_io_error: u32 = 0;
/// Reason of an NMI: an I/O check.
pub const XEN_NMIREASON_io_error: u64 = 1 << _XEN_NMIREASON_io_error;
/// Bit number of [`XEN_NMIREASON_pci_serr`].
pub const _XEN_NMIREASON_pci_serr: u32 = 1;
/// Reason of an NMI: a PCI system error.
pub const XEN_NMIREASON_pci_serr: u64 = 1 << _XEN_NMIREASON_pci_serr;
/// Bit number of [`XEN_NMIREASON_unknown`].
pub const _XEN_NMIREASON_unknown: u32 = 2;
/// Reason of an NMI: the hardware did not say.
pub const XEN_NMIREASON_unknown: u64 = 1 << _XEN_NMIREASON_unknown;

/// Command: set the entry point for NMIs (vCPU 0 of dom0). Argument: [`xennmi_callback`].
pub const XENNMI_register_callback: u32 = 0;

/// Argument of [`XENNMI_register_callback`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xennmi_callback {
    /// Virtual address of the entry point.
    pub handler_address: u64,
    /// Unused.
    pub pad: u64,
}
layout!(xennmi_callback: 16 { handler_address: 0, pad: 8 });

/// Command: remove the entry point for NMIs. No argument.
pub const XENNMI_unregister_callback: u32 = 1;
