// SPDX-License-Identifier: MIT OR Apache-2.0
//! Physical interrupts, I/O ports and PCI devices of a guest that has some.
//!
//! Commands of [`__HYPERVISOR_physdev_op`](crate::xen::__HYPERVISOR_physdev_op). The debug port and
//! the commands that others here have replaced are left out.
//!
//! Source: `xen/include/public/physdev.h`.

use crate::arch_x86::xen::{XEN_GUEST_HANDLE, xen_pfn_t};
use crate::xen::domid_t;

/// Command: an interrupt has been served. Argument: [`physdev_eoi`].
pub const PHYSDEVOP_eoi: u32 = 12;

/// Argument of [`PHYSDEVOP_eoi`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_eoi {
    /// The physical interrupt.
    pub irq: u32,
}
layout!(physdev_eoi: 4 { irq: 0 });

/// Command: share a bitmap of the interrupts that need [`PHYSDEVOP_eoi`], which from then on
/// unmasks the port too. Argument: [`physdev_pirq_eoi_gmfn`].
pub const PHYSDEVOP_pirq_eoi_gmfn_v1: u32 = 17;
/// Command: share a bitmap of the interrupts that need [`PHYSDEVOP_eoi`]. Argument:
/// [`physdev_pirq_eoi_gmfn`].
pub const PHYSDEVOP_pirq_eoi_gmfn_v2: u32 = 28;
/// The newer of the two commands.
pub const PHYSDEVOP_pirq_eoi_gmfn: u32 = PHYSDEVOP_pirq_eoi_gmfn_v2;

/// Argument of [`PHYSDEVOP_pirq_eoi_gmfn`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_pirq_eoi_gmfn {
    /// Frame for the bitmap.
    pub gmfn: xen_pfn_t,
}
layout!(physdev_pirq_eoi_gmfn: 8 { gmfn: 0 });

/// Command: ask about an interrupt. Argument: [`physdev_irq_status_query`].
pub const PHYSDEVOP_irq_status_query: u32 = 5;

/// Argument of [`PHYSDEVOP_irq_status_query`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_irq_status_query {
    /// The physical interrupt.
    pub irq: u32,
    /// Result: `XENIRQSTAT_*` bits.
    pub flags: u32,
}
layout!(physdev_irq_status_query: 8 { irq: 0, flags: 4 });

/// Bit number of [`XENIRQSTAT_needs_eoi`].
pub const _XENIRQSTAT_needs_eoi: u32 = 0;
/// Property of an interrupt: it needs [`PHYSDEVOP_eoi`].
pub const XENIRQSTAT_needs_eoi: u32 = 1 << _XENIRQSTAT_needs_eoi;
/// Bit number of [`XENIRQSTAT_shared`].
pub const _XENIRQSTAT_shared: u32 = 1;
/// Property of an interrupt: several domains use it.
pub const XENIRQSTAT_shared: u32 = 1 << _XENIRQSTAT_shared;

/// Command: set the vCPU's I/O privilege level (PV). Argument: [`physdev_set_iopl`].
pub const PHYSDEVOP_set_iopl: u32 = 6;

/// Argument of [`PHYSDEVOP_set_iopl`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_set_iopl {
    /// The level, 0 to 3.
    pub iopl: u32,
}
layout!(physdev_set_iopl: 4 { iopl: 0 });

/// Command: set the vCPU's I/O port permissions (PV). Argument: [`physdev_set_iobitmap`].
pub const PHYSDEVOP_set_iobitmap: u32 = 7;

/// Argument of [`PHYSDEVOP_set_iobitmap`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_set_iobitmap {
    /// Address of the bitmap; Xen may read one byte past its end.
    pub bitmap: XEN_GUEST_HANDLE,
    /// Number of ports in it.
    pub nr_ports: u32,
    /// Padding.
    pub _padding: u32,
}
layout!(physdev_set_iobitmap: 16 { bitmap: 0, nr_ports: 8, _padding: 12 });

/// Command: read an I/O APIC's register (dom0). Argument: [`physdev_apic`].
pub const PHYSDEVOP_apic_read: u32 = 8;
/// Command: write an I/O APIC's register (dom0). Argument: [`physdev_apic`].
pub const PHYSDEVOP_apic_write: u32 = 9;

/// Argument of [`PHYSDEVOP_apic_read`] and [`PHYSDEVOP_apic_write`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_apic {
    /// Physical address of the I/O APIC.
    pub apic_physbase: u64,
    /// The register.
    pub reg: u32,
    /// Its value.
    pub value: u32,
}
layout!(physdev_apic: 16 { apic_physbase: 0, reg: 8, value: 12 });

/// Command: get a vector for an interrupt (dom0). Argument: [`physdev_irq`].
pub const PHYSDEVOP_alloc_irq_vector: u32 = 10;
/// Command: free an interrupt's vector (dom0). Argument: [`physdev_irq`].
pub const PHYSDEVOP_free_irq_vector: u32 = 11;

/// Argument of [`PHYSDEVOP_alloc_irq_vector`] and [`PHYSDEVOP_free_irq_vector`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_irq {
    /// The physical interrupt.
    pub irq: u32,
    /// Its vector.
    pub vector: u32,
}
layout!(physdev_irq: 8 { irq: 0, vector: 4 });

/// Kind of interrupt: a message of a PCI device.
pub const MAP_PIRQ_TYPE_MSI: i32 = 0x0;
/// Kind of interrupt: a line.
pub const MAP_PIRQ_TYPE_GSI: i32 = 0x1;
/// Kind of interrupt: not known.
pub const MAP_PIRQ_TYPE_UNKNOWN: i32 = 0x2;
/// Kind of interrupt: a message of a PCI device, with its segment.
pub const MAP_PIRQ_TYPE_MSI_SEG: i32 = 0x3;
/// Kind of interrupt: several messages of a PCI device.
pub const MAP_PIRQ_TYPE_MULTI_MSI: i32 = 0x4;

/// Command: make an interrupt known to the guest. Argument: [`physdev_map_pirq`].
pub const PHYSDEVOP_map_pirq: u32 = 13;

/// Argument of [`PHYSDEVOP_map_pirq`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_map_pirq {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// Padding.
    pub _padding: u16,
    /// One of the `MAP_PIRQ_TYPE_*`.
    pub r#type: i32,
    /// The line, or -1.
    pub index: i32,
    /// The number wanted, or -1. Result: the number.
    pub pirq: i32,
    /// PCI bus, with the segment in the high 16 bits for the types that say so.
    pub bus: i32,
    /// PCI device and function.
    pub devfn: i32,
    /// Which of the device's messages, or how many.
    pub entry_nr: i32,
    /// Padding.
    pub _padding2: u32,
    /// Physical address of the device's interrupt table, or 0.
    pub table_base: u64,
}
layout!(physdev_map_pirq: 40 {
    domid: 0, _padding: 2, r#type: 4, index: 8, pirq: 12, bus: 16, devfn: 20, entry_nr: 24, _padding2: 28,
    table_base: 32,
});

/// Command: undo [`PHYSDEVOP_map_pirq`]. Argument: [`physdev_unmap_pirq`].
pub const PHYSDEVOP_unmap_pirq: u32 = 14;

/// Argument of [`PHYSDEVOP_unmap_pirq`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_unmap_pirq {
    /// The domain; [`DOMID_SELF`](crate::xen::DOMID_SELF) unless privileged.
    pub domid: domid_t,
    /// Padding.
    pub _padding: u16,
    /// The physical interrupt.
    pub pirq: i32,
}
layout!(physdev_unmap_pirq: 8 { domid: 0, _padding: 2, pirq: 4 });

/// Command: report a new PCI device (dom0). Argument: [`physdev_manage_pci`].
pub const PHYSDEVOP_manage_pci_add: u32 = 15;
/// Command: report that a PCI device is gone (dom0). Argument: [`physdev_manage_pci`].
pub const PHYSDEVOP_manage_pci_remove: u32 = 16;

/// Argument of [`PHYSDEVOP_manage_pci_add`] and [`PHYSDEVOP_manage_pci_remove`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_manage_pci {
    /// PCI bus.
    pub bus: u8,
    /// PCI device and function.
    pub devfn: u8,
}
layout!(physdev_manage_pci: 2 { bus: 0, devfn: 1 });

/// Command: write a device's interrupt messages again. Argument: [`physdev_restore_msi`].
pub const PHYSDEVOP_restore_msi: u32 = 19;

/// Argument of [`PHYSDEVOP_restore_msi`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_restore_msi {
    /// PCI bus.
    pub bus: u8,
    /// PCI device and function.
    pub devfn: u8,
}
layout!(physdev_restore_msi: 2 { bus: 0, devfn: 1 });

/// Command: set up an interrupt line (dom0). Argument: [`physdev_setup_gsi`].
pub const PHYSDEVOP_setup_gsi: u32 = 21;

/// Argument of [`PHYSDEVOP_setup_gsi`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_setup_gsi {
    /// The line.
    pub gsi: i32,
    /// 0 for edge, 1 for level.
    pub triggering: u8,
    /// 0 for active high, 1 for active low.
    pub polarity: u8,
    /// Padding.
    pub _padding: u16,
}
layout!(physdev_setup_gsi: 8 { gsi: 0, triggering: 4, polarity: 5, _padding: 6 });

/// Command: a number for an interrupt to come. Argument: [`physdev_get_free_pirq`].
pub const PHYSDEVOP_get_free_pirq: u32 = 23;

/// Argument of [`PHYSDEVOP_get_free_pirq`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_get_free_pirq {
    /// [`MAP_PIRQ_TYPE_GSI`] or [`MAP_PIRQ_TYPE_MSI`].
    pub r#type: i32,
    /// Result: the number.
    pub pirq: u32,
}
layout!(physdev_get_free_pirq: 8 { r#type: 0, pirq: 4 });

/// Flag of [`physdev_pci_mmcfg_reserved`]: the firmware reserves the region.
pub const XEN_PCI_MMCFG_RESERVED: u32 = 0x1;
/// Command: report a PCI configuration region (dom0). Argument: [`physdev_pci_mmcfg_reserved`].
pub const PHYSDEVOP_pci_mmcfg_reserved: u32 = 24;

/// Argument of [`PHYSDEVOP_pci_mmcfg_reserved`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_pci_mmcfg_reserved {
    /// Physical address of the region.
    pub address: u64,
    /// PCI segment.
    pub segment: u16,
    /// First bus.
    pub start_bus: u8,
    /// Last bus.
    pub end_bus: u8,
    /// 0 or [`XEN_PCI_MMCFG_RESERVED`].
    pub flags: u32,
}
layout!(physdev_pci_mmcfg_reserved: 16 { address: 0, segment: 8, start_bus: 10, end_bus: 11, flags: 12 });

/// Flag of [`physdev_pci_device_add`]: a function beyond the first of its device.
pub const XEN_PCI_DEV_EXTFN: u32 = 0x1;
/// Flag of [`physdev_pci_device_add`]: a virtual function, of the physical one given.
pub const XEN_PCI_DEV_VIRTFN: u32 = 0x2;
/// Flag of [`physdev_pci_device_add`]: a NUMA proximity domain follows.
pub const XEN_PCI_DEV_PXM: u32 = 0x4;
/// Command: report a new PCI device (dom0). Argument: [`physdev_pci_device_add`].
pub const PHYSDEVOP_pci_device_add: u32 = 25;

/// The physical function in a [`physdev_pci_device_add`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_pci_device_add_physfn {
    /// PCI bus.
    pub bus: u8,
    /// PCI device and function.
    pub devfn: u8,
}
layout!(physdev_pci_device_add_physfn: 2 { bus: 0, devfn: 1 });

/// Argument of [`PHYSDEVOP_pci_device_add`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_pci_device_add {
    /// PCI segment.
    pub seg: u16,
    /// PCI bus.
    pub bus: u8,
    /// PCI device and function.
    pub devfn: u8,
    /// `XEN_PCI_DEV_*` flags.
    pub flags: u32,
    /// The physical function, with [`XEN_PCI_DEV_VIRTFN`].
    pub physfn: physdev_pci_device_add_physfn,
    /// Padding.
    pub _padding: u16,
    /// With [`XEN_PCI_DEV_PXM`] the proximity domain follows here.
    pub optarr: [u32; 0],
}
layout!(physdev_pci_device_add: 12 {
    seg: 0, bus: 2, devfn: 3, flags: 4, physfn: 8, _padding: 10, optarr: 12,
});

/// Command: report that a PCI device is gone (dom0). Argument: [`physdev_pci_device`].
pub const PHYSDEVOP_pci_device_remove: u32 = 26;
/// Command: write a device's interrupt messages again. Argument: [`physdev_pci_device`].
pub const PHYSDEVOP_restore_msi_ext: u32 = 27;
/// Command: a device's interrupt table is about to be used (dom0). Argument:
/// [`physdev_pci_device`].
pub const PHYSDEVOP_prepare_msix: u32 = 30;
/// Command: a device's interrupt table is no longer used (dom0). Argument: [`physdev_pci_device`].
pub const PHYSDEVOP_release_msix: u32 = 31;
/// Command: a device has been reset (dom0). Argument: [`pci_device_reset`].
pub const PHYSDEVOP_pci_device_reset: u32 = 32;

/// A PCI device.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct physdev_pci_device {
    /// PCI segment.
    pub seg: u16,
    /// PCI bus.
    pub bus: u8,
    /// PCI device and function.
    pub devfn: u8,
}
layout!(physdev_pci_device: 4 { seg: 0, bus: 2, devfn: 3 });

/// Kind of reset: cold.
pub const PCI_DEVICE_RESET_COLD: u32 = 0x0;
/// Kind of reset: warm.
pub const PCI_DEVICE_RESET_WARM: u32 = 0x1;
/// Kind of reset: hot.
pub const PCI_DEVICE_RESET_HOT: u32 = 0x2;
/// Kind of reset: of one function.
pub const PCI_DEVICE_RESET_FLR: u32 = 0x3;
/// The bits that hold the kind of reset.
pub const PCI_DEVICE_RESET_MASK: u32 = 0x3;

/// Argument of [`PHYSDEVOP_pci_device_reset`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct pci_device_reset {
    /// The device.
    pub dev: physdev_pci_device,
    /// One of the `PCI_DEVICE_RESET_*`.
    pub flags: u32,
}
layout!(pci_device_reset: 8 { dev: 0, flags: 4 });
