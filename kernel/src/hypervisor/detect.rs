// SPDX-License-Identifier: MIT OR Apache-2.0
//! Detects the hypervisor, and chooses how hypercalls are made.

use prism_arch::EntryProtocol;
use prism_arch::cpuid::{self, Hypervisors, Reader, XenLeaves};
use prism_arch::hypercall::{self, Hypervisor, Method};
use prism_boot::capabilities::{self, CpuVendor};
use prism_boot::command_line::HypercallMethod;
use xen::grant;
use xen::version::{self, Features, Text, Version};

/// What CPUID and Xen tell of the hypervisor.
pub(crate) struct HypervisorInfo {
    /// CPUID's hypervisor leaves, as this kind of guest is meant to see them.
    pub(crate) leaves: Hypervisors,
    /// Xen, if it answers.
    pub(crate) xen: Option<XenInfo>,
    /// Whether this is a PV domain inside a PV shim.
    pub(crate) in_container: bool,
    /// Whether Xen delivers events by a vector of each vCPU's own.
    pub(crate) upcall_vectors: bool,
}

/// Xen, as it describes itself.
#[derive(Clone, Copy)]
pub struct XenInfo {
    /// Its version.
    pub version: Version,
    /// What follows the version: ".2-pre". Every Xen says it; QEMU's emulation on KVM does not.
    pub extra: Option<Text<16>>,
    /// The features that it offers this domain.
    pub features: Features,
}

/// Enables hypercalls in a PV domain, which can make them from its first instruction on.
pub(crate) fn init(protocol: EntryProtocol) {
    if protocol == EntryProtocol::Pv {
        // SAFETY: a PV domain has Xen beneath, which takes `syscall`.
        unsafe { hypercall::select(Method::Syscall) };
    }
}

/// Detects the hypervisor, and chooses how hypercalls are made.
pub(crate) fn find(protocol: EntryProtocol, wanted: HypercallMethod) -> HypervisorInfo {
    let reader = Reader::of_protocol(protocol);
    let leaves = Hypervisors::detect(reader);
    let mut upcall_vectors = false;
    match (protocol, leaves.xen) {
        (EntryProtocol::Pv, _) if wanted == HypercallMethod::Page => {
            // SAFETY: Xen filled the page in when it built this domain.
            unsafe { hypercall::select(Method::Page) };
        }
        (EntryProtocol::Pv, _) => {}
        (_, Some(base)) => {
            let leaves = XenLeaves::read(reader, base);
            select_hvm(leaves, wanted);
            upcall_vectors = leaves.upcall_vectors;
        }
        (_, None) => {}
    }
    let in_container = protocol == EntryProtocol::Pv && is_in_shim();
    HypervisorInfo { leaves, xen: ask_xen(), in_container, upcall_vectors }
}

/// Chooses the hypercall instruction by the CPU's vendor, or the hypercall page if `wanted` and offered.
///
/// The page's address is written in any case: by that write Xen, and KVM's emulation, learn that the guest is
/// a 64-bit one, and lay out shared structures accordingly.
fn select_hvm(leaves: XenLeaves, wanted: HypercallMethod) {
    let pages = leaves.hypercall_pages != 0;
    if pages {
        // SAFETY: the MSR's number is from Xen's leaves, and this is no PV domain.
        unsafe { hypercall::fill_page(leaves.hypercall_msr) };
    }
    let method = match wanted {
        HypercallMethod::Page if pages => Method::Page,
        _ if cpuid::is_amd() => Method::Vmmcall,
        _ => Method::Vmcall,
    };
    // SAFETY: Xen's leaves say that there is Xen; it takes the instruction of the CPU's maker,
    // and has filled the page in.
    unsafe { hypercall::select(method) };
}

/// Whether the Xen of a PV domain is a shim. Then native CPUID shows the Xen around it; but where a
/// processor can fault on CPUID, as most can, it shows any PV domain its own Xen.
fn is_in_shim() -> bool {
    Hypervisors::detect(Reader::Native).xen.is_some() && !grant::setup::knows_versions(&Hypervisor)
}

fn ask_xen() -> Option<XenInfo> {
    hypercall::method()?;
    Some(XenInfo {
        version: version::version(&Hypervisor).ok()?,
        extra: version::extra_version(&Hypervisor).ok(),
        features: version::features(&Hypervisor).unwrap_or(Features::empty()),
    })
}

/// The hypervisor, for the grid. Xen comes first where several show.
pub(crate) fn name(found: &HypervisorInfo) -> capabilities::Hypervisor {
    match &found.leaves {
        _ if found.xen.is_some() => capabilities::Hypervisor::Xen,
        leaves if leaves.kvm.is_some() => capabilities::Hypervisor::Kvm,
        leaves if leaves.tcg => capabilities::Hypervisor::Tcg,
        leaves if leaves.hyper_v => capabilities::Hypervisor::Other(*b"Microsoft Hv"),
        leaves if leaves.present => capabilities::Hypervisor::Other(*b"unknown\0\0\0\0\0"),
        _ => capabilities::Hypervisor::None,
    }
}

/// The CPU's vendor.
pub(crate) fn vendor() -> CpuVendor {
    if cpuid::is_amd() { CpuVendor::Amd } else { CpuVendor::Intel }
}
