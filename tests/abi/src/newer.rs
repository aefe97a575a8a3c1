// SPDX-License-Identifier: MIT OR Apache-2.0
//! Items that the headers of Xen 4.17 lack. All are in those of 4.20.

/// An item younger than Xen 4.17.
#[derive(Clone, Copy, Debug)]
pub struct Newer {
    /// Its name in `xen-sys`.
    pub name: &'static str,
    /// The release that brought it: 18 means Xen 4.18.
    pub since: u32,
    /// A macro that headers define if they have the item: its own name, if it is one.
    pub sign: &'static str,
}

/// What the C program prints in place of a value for an item that the headers lack.
pub const MISSING: &str = "(missing)";

/// The items, oldest first.
pub const NEWER: &[Newer] = &[
    // Names for numbers that older versions of Xen return as well.
    constant("XEN_CPUID_TSC_EMULATED", 18),
    constant("XEN_CPUID_HOST_TSC_RELIABLE", 18),
    constant("XEN_CPUID_RDTSCP_INSTR_AVAIL", 18),
    constant("XEN_CPUID_TSC_MODE_DEFAULT", 18),
    constant("XEN_CPUID_TSC_MODE_ALWAYS_EMULATE", 18),
    constant("XEN_CPUID_TSC_MODE_NEVER_EMULATE", 18),
    constant("XEN_CPUID_TSC_MODE_PVRDTSCP", 18),
    // Areas registered by guest-physical address.
    constant("VCPUOP_register_runstate_phys_area", 18),
    constant("VCPUOP_register_vcpu_time_phys_area", 18),
    constant("XENFEAT_runstate_phys_area", 18),
    constant("XENFEAT_vcpu_time_phys_area", 18),
    // Relocatable PVH images.
    constant("XEN_ELFNOTE_PHYS32_RELOC", 19),
    // Device models that see every write to an interrupt table.
    constant("XENFEAT_dm_msix_all_writes", 19),
    // Version strings in full.
    constant("XENVER_extraversion2", 20),
    constant("XENVER_capabilities2", 20),
    constant("XENVER_changeset2", 20),
    constant("XENVER_commandline2", 20),
    Newer { name: "xen_varbuf", since: 20, sign: "XENVER_extraversion2" },
    // Reset of a passed-through device.
    constant("PHYSDEVOP_pci_device_reset", 20),
    constant("PCI_DEVICE_RESET_COLD", 20),
    constant("PCI_DEVICE_RESET_WARM", 20),
    constant("PCI_DEVICE_RESET_HOT", 20),
    constant("PCI_DEVICE_RESET_FLR", 20),
    constant("PCI_DEVICE_RESET_MASK", 20),
    Newer { name: "pci_device_reset", since: 20, sign: "PHYSDEVOP_pci_device_reset" },
];

const fn constant(name: &'static str, since: u32) -> Newer {
    Newer { name, since, sign: name }
}
