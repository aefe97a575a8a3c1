// SPDX-License-Identifier: MIT OR Apache-2.0
//! What boot found out about the machine, for the report and for applications.

use core::fmt;

use prism_arch::hypercall::{self as arch, Method};
use prism_boot::Acpi;
use prism_boot::capabilities::{Capabilities, Hypervisor, MachineKind};
use prism_boot::grid::Grid;
use prism_boot::services::Services;

use crate::hypervisor::detect::XenInfo;

/// What boot found out.
pub struct Environment {
    /// Every fact that was probed.
    pub capabilities: Capabilities,
    /// The method chosen for each service, and why no better one.
    pub services: Services,
    /// The position on the paravirtualization spectrum.
    pub grid: Grid,
    /// Xen, if it answers, even if it is not used.
    pub xen: Option<XenInfo>,
    /// Number of vCPUs that the toolstack has switched on.
    pub vcpus: u32,
    /// What ACPI's tables contain.
    pub acpi: Acpi,
    /// Usable memory in the memory map, in bytes.
    pub memory: u64,
}

impl Environment {
    /// The hypercall method, if there is a hypervisor.
    pub fn hypercall_method(&self) -> Option<Method> {
        arch::method()
    }

    /// Xen's hypercalls, where Xen is used.
    pub fn hypervisor_calls(&self) -> Option<arch::Hypervisor> {
        self.is_paravirtual().then_some(arch::Hypervisor)
    }

    /// Whether Xen's services are used here.
    pub fn is_paravirtual(&self) -> bool {
        self.capabilities.paravirtual().is_ok()
    }

    /// The hypervisor's name and version.
    pub fn hypervisor(&self) -> impl fmt::Display {
        HypervisorName(self)
    }

    /// The guest type, in the words of Xen's tools.
    pub fn guest(&self) -> &'static str {
        let found = &self.capabilities;
        match (found.machine, found.is_initial_domain()) {
            (MachineKind::Pv, true) => "PV dom0",
            (MachineKind::Pv, false) => "PV",
            (MachineKind::Hvm, true) => "PVH dom0",
            (MachineKind::Hvm, false) if found.xen.is_none() => "PC",
            (MachineKind::Hvm, false) if !found.has_emulated_platform() => "PVH",
            (MachineKind::Hvm, false) if self.is_paravirtual() => "PVHVM",
            (MachineKind::Hvm, false) => "HVM",
        }
    }
}

/// One line, as in XTF: the guest type and the hypervisor.
impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, entered by {}", self.guest(), self.hypervisor(), self.capabilities.protocol)
    }
}

struct HypervisorName<'a>(&'a Environment);

impl fmt::Display for HypervisorName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(xen) = &self.0.xen {
            return match &xen.extra {
                Some(extra) => write!(f, "Xen {}{}", xen.version, extra.as_str()),
                None => write!(f, "Xen {} as emulated by QEMU", xen.version),
            };
        }
        match self.0.capabilities.hypervisor {
            Hypervisor::None => f.write_str("no hypervisor"),
            Hypervisor::Xen => f.write_str("a Xen that does not answer"),
            Hypervisor::Kvm => f.write_str("KVM"),
            Hypervisor::Tcg => f.write_str("QEMU (TCG)"),
            Hypervisor::Other(signature) => {
                let text = core::str::from_utf8(&signature).unwrap_or("an unknown hypervisor");
                f.write_str(text.trim_end_matches('\0'))
            }
        }
    }
}
