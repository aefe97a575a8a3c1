// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen says about itself through the `cpuid` instruction.
//!
//! Xen's leaves start at the first multiple of `0x100` from [`XEN_CPUID_FIRST_LEAF`] on that carries
//! the signature: another hypervisor's interface may come first. The constants below are named for
//! leaves counted from that start.
//!
//! Source: `xen/include/public/arch-x86/cpuid.h`.

/// Where hypervisor leaves begin.
pub const XEN_CPUID_FIRST_LEAF: u32 = 0x4000_0000;

/// The number of leaf `i` if Xen's come first.
pub const fn XEN_CPUID_LEAF(i: u32) -> u32 {
    XEN_CPUID_FIRST_LEAF + i
}

/// `EBX` of leaf 0: the letters `XenV`. `EAX` is the largest leaf.
pub const XEN_CPUID_SIGNATURE_EBX: u32 = 0x566e_6558;
/// `ECX` of leaf 0: the letters `MMXe`.
pub const XEN_CPUID_SIGNATURE_ECX: u32 = 0x6558_4d4d;
/// `EDX` of leaf 0: the letters `nVMM`.
pub const XEN_CPUID_SIGNATURE_EDX: u32 = 0x4d4d_566e;

/// Bit number of [`XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD`].
pub const _XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD: u32 = 0;
/// `ECX` of leaf 2: [`MMU_PT_UPDATE_PRESERVE_AD`](crate::xen::MMU_PT_UPDATE_PRESERVE_AD) works.
/// `EAX` of that leaf is the number of hypercall pages, `EBX` the base of Xen's registers.
pub const XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD: u32 = 1 << _XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;

/// `EAX` of leaf 3, subleaf 0: reading the time stamp counter traps.
pub const XEN_CPUID_TSC_EMULATED: u32 = 1 << 0;
/// `EAX` of leaf 3, subleaf 0: the host's counters are known to agree and never to stop.
pub const XEN_CPUID_HOST_TSC_RELIABLE: u32 = 1 << 1;
/// `EAX` of leaf 3, subleaf 0: `rdtscp` may be used.
pub const XEN_CPUID_RDTSCP_INSTR_AVAIL: u32 = 1 << 2;

/// `EBX` of leaf 3, subleaf 0: emulate the counter only where needed. `ECX` of that subleaf is the
/// counter's frequency in kHz, `EDX` counts migrations.
pub const XEN_CPUID_TSC_MODE_DEFAULT: u32 = 0;
/// `EBX` of leaf 3, subleaf 0: always emulate the counter.
pub const XEN_CPUID_TSC_MODE_ALWAYS_EMULATE: u32 = 1;
/// `EBX` of leaf 3, subleaf 0: never emulate the counter.
pub const XEN_CPUID_TSC_MODE_NEVER_EMULATE: u32 = 2;
/// `EBX` of leaf 3, subleaf 0: never emulate it, and `TSC_AUX` counts migrations; no longer offered.
pub const XEN_CPUID_TSC_MODE_PVRDTSCP: u32 = 3;

/// `EAX` of leaf 4 (HVM and PVH): hardware virtualizes accesses to the local APIC.
pub const XEN_HVM_CPUID_APIC_ACCESS_VIRT: u32 = 1 << 0;
/// `EAX` of leaf 4 (HVM and PVH): hardware virtualizes the x2APIC's registers.
pub const XEN_HVM_CPUID_X2APIC_VIRT: u32 = 1 << 1;
/// `EAX` of leaf 4 (HVM and PVH): pages mapped from other domains can be reached by devices.
pub const XEN_HVM_CPUID_IOMMU_MAPPINGS: u32 = 1 << 2;
/// `EAX` of leaf 4 (HVM and PVH): `EBX` is the vCPU's number in hypercalls.
pub const XEN_HVM_CPUID_VCPU_ID_PRESENT: u32 = 1 << 3;
/// `EAX` of leaf 4 (HVM and PVH): `ECX` is the domain's number.
pub const XEN_HVM_CPUID_DOMID_PRESENT: u32 = 1 << 4;
/// `EAX` of leaf 4 (HVM and PVH): interrupt messages can name APIC ids of 15 bits.
pub const XEN_HVM_CPUID_EXT_DEST_ID: u32 = 1 << 5;
/// `EAX` of leaf 4 (HVM and PVH): a per-vCPU upcall vector also works for physical interrupts.
pub const XEN_HVM_CPUID_UPCALL_VECTOR: u32 = 1 << 6;

/// `EBX` of leaf 5 (PV): the bits that hold the largest width of a machine address, in bits.
pub const XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK: u32 = 0xff;

/// Number of the last leaf known here.
pub const XEN_CPUID_MAX_NUM_LEAVES: u32 = 5;
