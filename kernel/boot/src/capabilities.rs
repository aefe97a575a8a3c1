// SPDX-License-Identifier: MIT OR Apache-2.0
//! The facts that were probed, one by one.

use crate::command_line::{IrqChipLimit, PvLevel};
use crate::{BootProtocol, PhysRange};

/// How privileged operations are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineKind {
    /// By hypercalls: the guest kernel runs without privilege.
    Pv,
    /// By the processor's own instructions; PVH, HVM and bare machines alike.
    Hvm,
}

/// The CPU's vendor, which implies its virtualization extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuVendor {
    /// AMD and Hygon: SVM.
    Amd,
    /// Intel, Centaur and Zhaoxin: VT-x.
    Intel,
    /// Any other.
    Other,
}

/// The hypervisor that answers CPUID leaf 0x4000_0000 and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    /// None: bare hardware, or an emulator that hides.
    None,
    /// `XenVMMXenVMM`: Xen, or QEMU's emulation of it.
    Xen,
    /// `KVMKVMKVM`.
    Kvm,
    /// `TCGTCGTCGTCG`: QEMU without hardware virtualization.
    Tcg,
    /// Any other signature.
    Other([u8; 12]),
}

/// What Xen offers here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenCapabilities {
    /// Version: major and minor.
    pub version: (u16, u16),
    /// The first word of feature bits (`xen/include/public/features.h`).
    pub features: u32,
    /// Whether this is the initial domain.
    pub initial_domain: bool,
    /// Whether a PV guest's Xen is itself a guest of Xen (the shim).
    pub in_container: bool,
    /// Whether events can be delivered by an interrupt vector (HVM).
    pub callback_vector: bool,
    /// Whether events can be delivered by an interrupt vector of each vCPU's local APIC (HVM).
    pub upcall_vector: bool,
    /// Whether events can be delivered by the platform device's interrupt line (HVM).
    pub callback_intx: bool,
    /// Whether `VCPUOP_set_singleshot_timer` works.
    pub single_shot_timer: bool,
    /// Whether `set_timer_op` works.
    pub set_timer: bool,
    /// Whether `vcpu_time_info` is kept up to date.
    pub pvclock: bool,
    /// Whether the wall clock in `shared_info` is filled in.
    pub wall_clock: bool,
    /// Whether there is a PV console ring.
    pub console_ring: bool,
    /// Whether `console_io` is answered.
    pub console_io: bool,
    /// Whether there is a xenstore ring.
    pub xenstore: bool,
}

impl XenCapabilities {
    /// Whether the toolstack may take memory away from the domain, and give it more.
    #[must_use]
    pub const fn can_balloon(&self) -> bool {
        !self.initial_domain && !self.in_container
    }
}

/// Which parts of a PC exist, real or emulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// A PCI host bridge.
    pub pci_host_bridge: bool,
    /// Xen's platform device on PCI (vendor 0x5853).
    pub xen_platform_device: bool,
    /// Its memory, at which Xen's pages may appear.
    pub xen_platform_memory: Option<PhysRange>,
    /// A local APIC.
    pub local_apic: bool,
    /// The local APIC's timer can fire at a given TSC value.
    pub tsc_deadline: bool,
    /// The two old interrupt controllers (8259).
    pub pic: bool,
    /// An I/O APIC, and the local APIC that it needs.
    pub io_apic: bool,
    /// An interval timer (8254).
    pub interval_timer: bool,
    /// A 16550 serial port.
    pub serial_port: bool,
    /// A debug port 0xE9.
    pub debug_port: bool,
    /// A screen in text mode.
    pub screen: bool,
    /// A virtio console.
    pub virtio_console: bool,
    /// QEMU's `isa-debug-exit`.
    pub debug_exit: bool,
    /// ACPI tables that tell how to switch off.
    pub acpi_power_off: bool,
    /// A real-time clock.
    pub real_time_clock: bool,
    /// A high precision event timer.
    pub hpet: bool,
}

/// Devices found on PCI and at the old fixed ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Virtio block devices.
    pub virtio_block: u32,
    /// Virtio SCSI controllers.
    pub virtio_scsi: u32,
    /// Virtio network devices.
    pub virtio_net: u32,
    /// Virtio devices of other kinds.
    pub virtio_other: u32,
    /// IDE controllers.
    pub ide: u32,
    /// AHCI controllers.
    pub ahci: u32,
    /// NVMe controllers.
    pub nvme: u32,
    /// Disk controllers for which there is no driver.
    pub storage: u32,
    /// Intel's e1000 NICs.
    pub e1000: u32,
    /// Realtek's RTL8139 NICs.
    pub rtl8139: u32,
    /// NICs for which there is no driver.
    pub ethernet: u32,
}

/// The quality of a source of random numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Randomness {
    /// It does not exist.
    #[default]
    Absent,
    /// The command line rules it out.
    Refused,
    /// It exists, but is never ready, or repeats itself.
    Broken,
    /// It works.
    Good,
}

/// The sources of random numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntropySources {
    /// The instruction RDSEED.
    pub rdseed: Randomness,
    /// The instruction RDRAND.
    pub rdrand: Randomness,
    /// Jitter of execution times.
    pub jitter: Randomness,
}

impl EntropySources {
    /// Whether any of them works: without one, numbers can be guessed.
    #[must_use]
    pub fn is_any_good(&self) -> bool {
        [self.rdseed, self.rdrand, self.jitter].contains(&Randomness::Good)
    }
}

/// All probed facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How we were told about the machine.
    pub protocol: BootProtocol,
    /// How privileged operations are done.
    pub machine: MachineKind,
    /// The CPU's vendor.
    pub vendor: CpuVendor,
    /// The hypervisor that answers CPUID's leaves; Xen first where there are several.
    pub hypervisor: Hypervisor,
    /// What Xen offers, if Xen is there.
    pub xen: Option<XenCapabilities>,
    /// Whether KVM offers its clock.
    pub kvm_clock: bool,
    /// Whether KVM offers its wall clock.
    pub kvm_wall_clock: bool,
    /// Whether CPUID tells the TSC's frequency.
    pub tsc_frequency: bool,
    /// The only interrupt controllers that the command line allows.
    pub irqchips: Option<IrqChipLimit>,
    /// The highest level of paravirtualization that the command line allows.
    pub pv_level: Option<PvLevel>,
    /// What of a PC there is.
    pub platform: Platform,
    /// Devices found.
    pub devices: Devices,
    /// The quality of the sources of random numbers.
    pub entropy: EntropySources,
}

/// Why Xen is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoParavirtualization {
    /// There is no Xen.
    NoXen,
    /// There is an emulated platform without Xen's platform device: the machine is meant to be used as a
    /// plain PC (`xen_platform_pci=0`).
    NoPlatformDevice,
    /// The command line allows nothing paravirtual.
    Forbidden,
}

impl NoParavirtualization {
    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoXen => "no Xen",
            Self::NoPlatformDevice => "no Xen platform device",
            Self::Forbidden => "forbidden by the command line",
        }
    }
}

impl Capabilities {
    /// A machine with nothing beyond what the boot needed.
    #[must_use]
    pub fn new(protocol: BootProtocol, machine: MachineKind) -> Self {
        Self {
            protocol,
            machine,
            vendor: CpuVendor::Other,
            hypervisor: Hypervisor::None,
            xen: None,
            kvm_clock: false,
            kvm_wall_clock: false,
            tsc_frequency: false,
            irqchips: None,
            pv_level: None,
            platform: Platform::default(),
            devices: Devices::default(),
            entropy: EntropySources::default(),
        }
    }

    /// Whether there is an emulated PC, even one without PCI. Domains without one have no interrupt
    /// controllers but local ones. What an initial domain sees is the machine's own.
    #[must_use]
    pub fn has_emulated_platform(&self) -> bool {
        let Platform { pci_host_bridge, pic, io_apic, .. } = self.platform;
        let has_any = pci_host_bridge || pic || io_apic;
        self.machine == MachineKind::Hvm && has_any && !self.is_initial_domain()
    }

    /// Whether this is Xen's initial domain.
    #[must_use]
    pub fn is_initial_domain(&self) -> bool {
        self.xen.is_some_and(|xen| xen.initial_domain)
    }

    /// Whether the command line forbids everything paravirtual. Counts only where there is an emulated
    /// platform.
    #[must_use]
    pub fn is_pv_limited(&self) -> bool {
        self.has_emulated_platform() && self.pv_level.is_some_and(|level| level <= PvLevel::Hvm)
    }

    /// What Xen offers, if Xen is used.
    ///
    /// # Errors
    ///
    /// Why it is not used.
    pub fn paravirtual(&self) -> Result<&XenCapabilities, NoParavirtualization> {
        let xen = self.xen.as_ref().ok_or(NoParavirtualization::NoXen)?;
        // Xen's own PVH domains have no platform device, and nothing of a PC but what their memory map,
        // ACPI and passed-through devices tell of: never the two old interrupt controllers.
        let is_pvh_domain = self.protocol == BootProtocol::Pvh && !self.platform.pic;
        if self.has_emulated_platform() && !self.platform.xen_platform_device && !is_pvh_domain {
            return Err(NoParavirtualization::NoPlatformDevice);
        }
        if self.is_pv_limited() {
            return Err(NoParavirtualization::Forbidden);
        }
        Ok(xen)
    }
}
