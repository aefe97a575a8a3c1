// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environments: each is one way to start the image, and one rung of the spectrum.

use crate::grid::{Grid, Level};
use Level::{Absent as A, Hardware as H, Paravirtualized as P, Software as S};

/// One way to start the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Env {
    /// Xen boots the image itself as a PV dom0.
    Dom0Pv,
    /// Xen boots the image itself as a PVH dom0.
    Dom0Pvh,
    /// `xl`, `type="pv"`.
    Pv,
    /// `xl`, `type="pvh"`.
    Pvh,
    /// `xl`, `type="pvh"` with `pvshim=1`: a PV guest inside a PVH container.
    PvShim,
    /// `xl`, `type="hvm"` with the Xen platform device.
    Pvhvm,
    /// The same, but the guest takes events by an interrupt line: paravirtual drivers on an emulated
    /// machine.
    HvmPvDrivers,
    /// `xl`, `type="hvm"` without the Xen platform device: nothing paravirtual is used.
    Hvm,
    /// QEMU's own emulation of Xen on KVM.
    QemuXen,
    /// QEMU and KVM with virtio devices.
    Kvm,
    /// QEMU's emulated PC (TCG): nothing but emulation.
    Fv,
}

/// The machine in which an environment is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A QEMU process of its own, on this machine.
    Direct,
    /// The dom0 of the lab's Xen.
    XenLab,
    /// The lab's plain Linux with KVM.
    KvmLab,
}

impl Env {
    /// All environments, in the order in which they are reported.
    pub const ALL: [Self; 11] = [
        Self::Dom0Pv,
        Self::Dom0Pvh,
        Self::Pv,
        Self::Pvh,
        Self::PvShim,
        Self::Pvhvm,
        Self::HvmPvDrivers,
        Self::Hvm,
        Self::QemuXen,
        Self::Kvm,
        Self::Fv,
    ];

    /// Those where a guest can be given disks and a network. Xen gives its dom0 the machine's own devices,
    /// which are left alone: nothing drives hardware here.
    pub const WITH_DEVICES: [Self; 9] = [
        Self::Pv,
        Self::Pvh,
        Self::PvShim,
        Self::Pvhvm,
        Self::HvmPvDrivers,
        Self::Hvm,
        Self::QemuXen,
        Self::Kvm,
        Self::Fv,
    ];

    /// The environments that have a Xen beneath or an emulation of it, and so a hypercall page.
    pub const XEN: [Self; 9] = [
        Self::Dom0Pv,
        Self::Dom0Pvh,
        Self::Pv,
        Self::Pvh,
        Self::PvShim,
        Self::Pvhvm,
        Self::HvmPvDrivers,
        Self::Hvm,
        Self::QemuXen,
    ];

    /// The name used on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dom0Pv => "dom0-pv",
            Self::Dom0Pvh => "dom0-pvh",
            Self::Pv => "pv",
            Self::Pvh => "pvh",
            Self::PvShim => "pv-shim",
            Self::Pvhvm => "pvhvm",
            Self::HvmPvDrivers => "hvm-pv-drivers",
            Self::Hvm => "hvm",
            Self::QemuXen => "qemu-xen",
            Self::Kvm => "kvm",
            Self::Fv => "fv",
        }
    }

    /// How the image is started there, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Dom0Pv => "Xen boots the image itself as a PV dom0",
            Self::Dom0Pvh => "Xen boots the image itself as a PVH dom0",
            Self::Pv => "xl type=\"pv\": hypercalls for everything privileged",
            Self::Pvh => "xl type=\"pvh\": hardware page tables, no emulated platform",
            Self::PvShim => "xl type=\"pvh\" pvshim=1: a PV guest in a PVH container",
            Self::Pvhvm => "xl type=\"hvm\": a full machine with Xen's platform device",
            Self::HvmPvDrivers => "xl type=\"hvm\" upcall=intx: paravirtual devices, emulated interrupts",
            Self::Hvm => "xl type=\"hvm\" xen_platform_pci=0: emulated devices only",
            Self::QemuXen => "QEMU's emulation of Xen on KVM, PVH entry",
            Self::Kvm => "QEMU/KVM with virtio devices, PVH entry",
            Self::Fv => "QEMU's emulated PC (TCG): nothing paravirtual",
        }
    }

    /// The kernel's command line for `words`, and for what makes the environment what it is.
    pub fn command_line(self, words: &str) -> String {
        match self {
            Self::HvmPvDrivers => format!("upcall=intx {words}"),
            _ => words.to_owned(),
        }
    }

    /// The environment called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|env| env.name() == name)
    }

    /// Where the environment is started.
    pub const fn place(self) -> Place {
        match self {
            Self::Dom0Pv | Self::Dom0Pvh | Self::Fv => Place::Direct,
            Self::Pv | Self::Pvh | Self::PvShim | Self::Pvhvm | Self::HvmPvDrivers | Self::Hvm => {
                Place::XenLab
            }
            Self::QemuXen | Self::Kvm => Place::KvmLab,
        }
    }

    /// Whether a guest can be given disks and a network there.
    pub fn has_devices(self) -> bool {
        Self::WITH_DEVICES.contains(&self)
    }

    /// Whether a machine of this kind has a BIOS that boots from disks.
    pub const fn has_bios(self) -> bool {
        matches!(self, Self::Pvhvm | Self::HvmPvDrivers | Self::Hvm | Self::Kvm | Self::Fv)
    }

    /// The grid that the `spectrum` app must find there: disk and network; interrupts and timers;
    /// platform and boot; privileged instructions and page tables.
    pub const fn grid(self) -> Grid {
        Grid(match self {
            Self::Dom0Pv => [A, P, P, P],
            Self::Dom0Pvh => [A, P, P, H],
            Self::Pv | Self::PvShim => [P, P, P, P],
            Self::Pvh => [P, P, P, H],
            Self::Pvhvm | Self::QemuXen => [P, P, S, H],
            Self::HvmPvDrivers => [P, S, S, H],
            Self::Hvm => [S, S, S, H],
            Self::Kvm => [P, S, S, H],
            Self::Fv => [S, S, S, S],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_environment() {
        for env in Env::ALL {
            assert_eq!(Env::by_name(env.name()), Some(env));
        }
        assert_eq!(Env::by_name("vmware"), None);
    }

    #[test]
    fn only_a_dom0_has_no_devices() {
        let rest: Vec<_> = Env::ALL.into_iter().filter(|env| !env.has_devices()).collect();
        assert_eq!(rest, [Env::Dom0Pv, Env::Dom0Pvh]);
    }

    #[test]
    fn only_kvm_and_fv_have_no_xen() {
        let rest: Vec<_> = Env::ALL.into_iter().filter(|env| !Env::XEN.contains(env)).collect();
        assert_eq!(rest, [Env::Kvm, Env::Fv]);
    }
}
