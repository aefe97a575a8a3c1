// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUID, and its hypervisor leaves.
//!
//! A hypervisor that emulates another one's interface moves its own leaves up, in steps of 0x100
//! (`xen/include/public/arch-x86/cpuid.h`). So all places are searched.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, CpuidResult};

use xen_sys::arch_x86::cpuid::XEN_HVM_CPUID_UPCALL_VECTOR;

use crate::entry::EntryProtocol;

/// First of the leaves that CPUs leave to hypervisors.
const HYPERVISOR_LEAF: u32 = 0x4000_0000;
/// Distance between the places where a hypervisor's leaves may begin.
const STEP: u32 = 0x100;
/// How many such places there are.
const PLACES: u32 = 256;

/// How CPUID is asked.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// The instruction as it is. In a PV domain this shows the real CPU's leaves, unless the CPU
    /// can fault on CPUID.
    Native,
    /// The instruction behind Xen's emulation prefix: what Xen wants a PV domain to see
    /// (`xen/include/public/arch-x86/xen.h`, `XEN_EMULATE_PREFIX`).
    Emulated,
}

impl Reader {
    /// How to execute CPUID in a guest that `protocol` has started.
    pub fn of_protocol(protocol: EntryProtocol) -> Self {
        if protocol == EntryProtocol::Pv { Self::Emulated } else { Self::Native }
    }

    /// What a leaf says, or the first part of it. With hardware virtualization each is an exit.
    fn leaf(self, leaf: u32) -> CpuidResult {
        match self {
            Self::Native => native(leaf),
            Self::Emulated => emulated(leaf),
        }
    }
}

fn native(leaf: u32) -> CpuidResult {
    __cpuid_count(leaf, 0)
}

/// Only in a PV domain: elsewhere the prefix is an invalid instruction.
fn emulated(leaf: u32) -> CpuidResult {
    let (eax, ecx, edx): (u32, u32, u32);
    let ebx: u64;
    // SAFETY: Xen takes the prefixed instruction as CPUID, which changes these registers only.
    // RBX belongs to the compiler, so it is put back.
    unsafe {
        asm!(
            "mov {kept}, rbx",
            "ud2",
            ".ascii \"xen\"",
            "cpuid",
            "xchg {kept}, rbx",
            kept = out(reg) ebx,
            inlateout("eax") leaf => eax,
            inlateout("ecx") 0 => ecx,
            lateout("edx") edx,
        );
    }
    CpuidResult { eax, ebx: ebx as u32, ecx, edx }
}

/// What CPUID says of the hypervisors beneath.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hypervisors {
    /// First leaf of Xen's, if it is there.
    pub xen: Option<u32>,
    /// First leaf of KVM's.
    pub kvm: Option<u32>,
    /// QEMU without acceleration says so.
    pub tcg: bool,
    /// Hyper-V's interface, by whomever.
    pub hyper_v: bool,
    /// The CPU claims to run under a hypervisor (leaf 1, ECX bit 31).
    pub present: bool,
}

impl Hypervisors {
    /// Searches every place where leaves may begin.
    pub fn detect(reader: Reader) -> Self {
        let mut found = Self { present: reader.leaf(1).ecx & 1 << 31 != 0, ..Self::default() };
        let mut any = false;
        for place in 0..PLACES {
            let leaf = HYPERVISOR_LEAF + place * STEP;
            let answer = reader.leaf(leaf);
            match &signature(answer) {
                // The leaf says how many follow; Xen has had at least two from its first day.
                b"XenVMMXenVMM" if answer.eax >= leaf + 2 => found.xen = found.xen.or(Some(leaf)),
                b"KVMKVMKVM\0\0\0" => found.kvm = found.kvm.or(Some(leaf)),
                b"TCGTCGTCGTCG" => found.tcg = true,
                b"Microsoft Hv" => found.hyper_v = true,
                // Interfaces follow each other without gaps: the first unknown signature ends the search, as
                // each look is an exit to the hypervisor.
                _ if any => break,
                _ => continue,
            }
            any = true;
        }
        found
    }
}

/// Xen's CPUID leaves.
#[derive(Clone, Copy, Debug)]
pub struct XenLeaves {
    /// Version, major in the upper half.
    pub version: u32,
    /// Number of the MSR that takes the hypercall page's address.
    pub hypercall_msr: u32,
    /// How many hypercall pages there are; 0: none.
    pub hypercall_pages: u32,
    /// Whether each vCPU can have an interrupt vector for events.
    pub upcall_vectors: bool,
}

impl XenLeaves {
    /// The leaves from `base` on, where [`Hypervisors::detect`] found Xen's signature.
    pub fn read(reader: Reader, base: u32) -> Self {
        let msr = reader.leaf(base + 2);
        let last = reader.leaf(base).eax;
        let hvm = if last >= base + 4 { reader.leaf(base + 4).eax } else { 0 };
        Self {
            version: reader.leaf(base + 1).eax,
            hypercall_msr: msr.ebx,
            hypercall_pages: msr.eax,
            upcall_vectors: hvm & XEN_HVM_CPUID_UPCALL_VECTOR != 0,
        }
    }
}

/// Whether KVM, whose leaves begin at `base`, offers its clock at the MSRs made for it
/// (`KVM_FEATURE_CLOCKSOURCE2`, bit 3).
pub(crate) fn kvm_has_clock(base: u32) -> bool {
    native(base + 1).eax & 1 << 3 != 0
}

/// Whether hypercalls take AMD's instruction.
pub fn is_amd() -> bool {
    let CpuidResult { ebx, ecx, edx, .. } = native(0);
    matches!(&text([ebx, edx, ecx]), b"AuthenticAMD" | b"HygonGenuine")
}

/// How many bits a physical address has (leaf 0x80000008, EAX bits 0 to 7): an entry of a page table with a
/// higher one raises a page fault. 36 where the CPU does not tell.
pub fn physical_address_bits() -> u8 {
    extended(0x8000_0008).map(|leaf| leaf.eax as u8).filter(|bits| *bits != 0).unwrap_or(36)
}

/// Whether pages of 1 GiB may be used (leaf 0x80000001, EDX bit 26).
pub fn has_1gib_pages() -> bool {
    has_extended_feature(26)
}

/// Whether pages may be made not executable (leaf 0x80000001, EDX bit 20).
pub fn has_no_execute() -> bool {
    has_extended_feature(20)
}

/// Whether there is RDRAND (leaf 1, ECX bit 30).
pub(crate) fn has_rdrand(reader: Reader) -> bool {
    reader.leaf(1).ecx & 1 << 30 != 0
}

/// Whether there is RDSEED (leaf 7, EBX bit 18).
pub(crate) fn has_rdseed(reader: Reader) -> bool {
    reader.leaf(0).eax >= 7 && reader.leaf(7).ebx & 1 << 18 != 0
}

/// Whether there is a local APIC (leaf 1, EDX bit 9).
pub fn has_local_apic() -> bool {
    native(1).edx & 1 << 9 != 0
}

/// Whether the local APIC's registers are model-specific ones too (leaf 1, ECX bit 21).
pub fn has_x2apic() -> bool {
    native(1).ecx & 1 << 21 != 0
}

/// Whether the local APIC's timer takes a time-stamp (leaf 1, ECX bit 24).
pub fn has_tsc_deadline() -> bool {
    native(1).ecx & 1 << 24 != 0
}

fn has_extended_feature(bit: u32) -> bool {
    extended(0x8000_0001).is_some_and(|leaf| leaf.edx & 1 << bit != 0)
}

/// One of the leaves from 0x80000001 on, if the CPU has it: the one before them says which is the last.
fn extended(leaf: u32) -> Option<CpuidResult> {
    (native(0x8000_0000).eax >= leaf).then(|| native(leaf))
}

/// A hypervisor's name.
fn signature(leaf: CpuidResult) -> [u8; 12] {
    text([leaf.ebx, leaf.ecx, leaf.edx])
}

fn text(registers: [u32; 3]) -> [u8; 12] {
    let mut text = [0; 12];
    for (part, register) in text.chunks_exact_mut(4).zip(registers) {
        part.copy_from_slice(&register.to_le_bytes());
    }
    text
}

/// Frequency of the time-stamp counter in kHz, if the CPU or the hypervisor says it: by leaf 0x15
/// (Intel SDM volume 3, 20.7.3), or by the timing leaf 0x40000010 that KVM shows.
pub fn timestamp_khz() -> Option<u64> {
    let by_crystal = || {
        let leaf = (native(0).eax >= 0x15).then(|| native(0x15))?;
        let hertz = u64::from(leaf.ecx) * u64::from(leaf.ebx);
        hertz.checked_div(u64::from(leaf.eax)).map(|hertz| hertz / 1000)
    };
    let by_hypervisor = || {
        let last = native(HYPERVISOR_LEAF).eax;
        let timing = HYPERVISOR_LEAF + 0x10;
        (timing..timing + 0xf0).contains(&last).then(|| u64::from(native(timing).eax))
    };
    by_crystal().filter(|khz| *khz != 0).or_else(by_hypervisor).filter(|khz| *khz != 0)
}
