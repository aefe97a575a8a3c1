// SPDX-License-Identifier: MIT OR Apache-2.0
//! The phases of a boot. Each is a type that only the phase before makes: holding one proves that the earlier
//! phases are complete. A step that needs a later phase does not compile; the order of steps within a phase
//! is not checked, and each says what it needs.
//!
//! ```text
//! Entered --read_loader--> Loaded --detect--> Detected --open_console--> Logging
//!                                                                            | map_memory
//!    Booted <--start_vcpus-- Timed <--start_clock-- Joined <--join_xen-- Routed <--route_irqs-- Mapped
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use log::{debug, warn};
use prism_arch::cpuid::Reader;
use prism_arch::{Entry, EntryProtocol, Machine, cpuid, hypercall};
use prism_boot::capabilities::{Capabilities, EntropySources, MachineKind, XenCapabilities};
use prism_boot::command_line::HypercallMethod;
use prism_boot::firmware::mp_table;
use prism_boot::grid::Grid;
use prism_boot::services::{IrqChips, Services, Upcall};
use prism_boot::{Acpi, BootInfo, BootProtocol, Controllers};
use prism_drivers::timer::rtc;

use super::consoles::{open_console, open_screen, open_virtio_console};
use super::environment::Environment;
use super::probe::VcpuCount;
use super::report::warn_of;
use super::{loader, probe};
use crate::console::{self, logger, panic};
use crate::devices::virtio;
use crate::hypervisor::detect::{self, HypervisorInfo};
use crate::hypervisor::grant;
use crate::hypervisor::interface::{self, XenInterface};
use crate::hypervisor::suspend;
use crate::irq::{self, Irq, IrqRouter, apic};
use crate::memory::registers::MappedRegisters;
use crate::memory::{self, IdentityMemory, registers};
use crate::ports::CpuPorts;
use crate::task::blocking;
use crate::task::smp::{self, SmpConfig, Vcpus};
use crate::time::clocks::Clocks;
use crate::{entropy, power, time};

/// Crashes are reported.
pub(super) struct Entered {
    entry: Entry,
    machine: &'static dyn Machine,
}

impl Entered {
    /// Prepares for crashes, before anything can go wrong.
    pub(super) fn at(entry: Entry) -> Self {
        let machine = prism_arch::machine(entry);
        let ports = entry.protocol != EntryProtocol::Pv;
        // Hypercalls first: a PV domain writes to the console by them.
        detect::init(entry.protocol);
        // Console and power before exceptions: a crash report is written to the console, and ends by
        // switching off.
        console::init(ports);
        power::set_shutdown_methods(entry.protocol == EntryProtocol::Pv, ports);
        machine.init_vcpu(0);
        Self { entry, machine }
    }

    /// Reads the loader's information, while the loader's page tables map it and before anything can
    /// overwrite it.
    pub(super) fn read_loader(self) -> Loaded {
        let Self { entry, machine } = self;
        let info = loader::read_boot_info(entry, machine).unwrap_or_else(|error| panic::abort_boot(&error));
        // The command line has the log level.
        logger::init(info.command_line.log_level().ok().flatten());
        Loaded { protocol: entry.protocol, machine, info }
    }
}

/// The loader's information is known.
pub(super) struct Loaded {
    protocol: EntryProtocol,
    machine: &'static dyn Machine,
    info: BootInfo,
}

impl Loaded {
    /// Detects the hypervisor and the machine, and decides whether to use Xen.
    pub(super) fn detect(self) -> Detected {
        let Self { protocol, machine, mut info } = self;
        let wanted = info.command_line.hypercall_method().ok().flatten().unwrap_or(HypercallMethod::Inline);
        // First, as it makes hypercalls possible outside of PV.
        let found = detect::find(protocol, wanted);
        // ACPI needs the boot page tables, which map everything below 4 GiB. Ours will map memory only, and
        // firmware's tables often lie elsewhere.
        let acpi = read_acpi(&mut info, machine);
        let capabilities = probe_machine(&info, protocol, &found, &acpi);
        let uses_xen = capabilities.paravirtual().is_ok();
        if let Some(device) = capabilities.platform.xen_platform_memory.filter(|_| uses_xen) {
            memory::platform_device::init(machine, device, &info.memory);
        }
        // Before hypercalls are disabled: a crash in between must not try one.
        power::set_shutdown_methods(uses_xen, protocol != EntryProtocol::Pv);
        if !uses_xen {
            // Xen is not wanted here (`xen_platform_pci=0`, or the command line): make no hypercall from here
            // on.
            hypercall::disable();
        }
        Detected { protocol, machine, info, found, acpi, capabilities }
    }
}

/// The machine is known, and whether Xen is used.
pub(super) struct Detected {
    protocol: EntryProtocol,
    machine: &'static dyn Machine,
    info: BootInfo,
    found: HypervisorInfo,
    acpi: Acpi,
    capabilities: Capabilities,
}

impl Detected {
    /// Opens the best console that needs no memory. This comes before memory is set up, so that a failure
    /// there can be read.
    pub(super) fn open_console(mut self) -> Logging {
        if self.asks_xen() {
            loader::ask_for_rings(&mut self.info);
        }
        open_console(&self.info, self.machine, &mut self.capabilities);
        debug!("CPUID's hypervisor leaves: {:x?}", self.found.leaves);
        Logging(self)
    }

    /// Whether Xen has to be asked for what a PV domain's `start_info` tells.
    fn asks_xen(&self) -> bool {
        self.capabilities.paravirtual().is_ok() && self.protocol != EntryProtocol::Pv
    }
}

/// The log can be read.
pub(super) struct Logging(Detected);

impl Logging {
    /// Maps memory, and makes the frame allocator and the heap.
    pub(super) fn map_memory(self) -> Mapped {
        let Self(mut detected) = self;
        // A loader that tells no map leaves that to Xen. The next step shortens it, whoever made it.
        if detected.info.memory.is_empty() && detected.found.xen.is_some() {
            loader::ask_for_memory_map(&mut detected.info);
        }
        if detected.asks_xen() {
            // Before the first frame is allocated: Xen destroys a domain that touches memory which it was not
            // given.
            loader::find_unpopulated(&mut detected.info, &detected.capabilities);
        } else if detected.protocol == EntryProtocol::Pv
            && detected.capabilities.xen.as_ref().is_some_and(XenCapabilities::can_balloon)
        {
            loader::find_growth(&mut detected.info);
        }
        let Detected { protocol, machine, info, found, acpi, capabilities } = detected;
        memory::init(&info, machine).unwrap_or_else(|error| {
            // Log the notes about the loader's map first: they may be the reason.
            warn_of(&info);
            panic::abort_boot(&error)
        });
        let info: &'static BootInfo = Box::leak(Box::new(info));
        if capabilities.paravirtual().is_ok() {
            // At once, and nothing may log before: the console's ring was mapped by the boot page tables,
            // which are gone.
            interface::map_rings(machine, info);
        }
        // These keep the machine, to map pages later: registers of devices, grants, stacks with guards.
        registers::init(machine, &info.memory);
        grant::init_pages(machine);
        blocking::init(machine);
        Mapped { protocol, machine, info, found, acpi, capabilities }
    }
}

/// Page tables, frames and the heap are ready.
pub(super) struct Mapped {
    protocol: EntryProtocol,
    machine: &'static dyn Machine,
    info: &'static BootInfo,
    found: HypervisorInfo,
    acpi: Acpi,
    capabilities: Capabilities,
}

impl Mapped {
    /// Routes interrupts of devices, and opens the consoles whose registers have to be mapped. I/O APICs have
    /// such registers, too.
    pub(super) fn route_irqs(mut self) -> Routed {
        let Self { info, machine, acpi, capabilities, .. } = &mut self;
        // The screen first: what follows may log.
        open_screen(info, capabilities);
        route_irqs(*machine, acpi, capabilities);
        if capabilities.has_emulated_platform() {
            // Maps the registers that the loader and ACPI tell of. A virtio console may be there.
            virtio::mmio::find(info, acpi, &mut capabilities.devices);
        }
        open_virtio_console(info, capabilities);
        Routed(self)
    }
}

/// Interrupts of devices arrive.
pub(super) struct Routed(Mapped);

impl Routed {
    /// Brings Xen's interface up, where Xen is used. This comes after routing, as an upcall may use an
    /// interrupt line.
    pub(super) fn join_xen(self) -> Joined {
        let Self(mut mapped) = self;
        // Before the interface: it has to know how many vCPUs it is for.
        let vcpus = probe::vcpus(mapped.found.xen.is_some(), &mapped.acpi);
        let Mapped { machine, info, ref found, ref mut capabilities, .. } = mapped;
        let uses_xen = capabilities.paravirtual().is_ok();
        let xen = uses_xen
            .then(|| XenInterface::bring_up(machine, info, vcpus.most, capabilities, found.upcall_vectors));
        Joined { mapped, xen, vcpus }
    }
}

/// Xen's interface is up, where Xen is used.
pub(super) struct Joined {
    mapped: Mapped,
    xen: Option<XenInterface>,
    vcpus: VcpuCount,
}

impl Joined {
    /// Starts the clock, which may be in Xen's shared page, and chooses all services: the clocks were the
    /// last facts missing.
    pub(super) fn start_clock(self) -> Timed {
        let Self { mut mapped, xen, vcpus } = self;
        let Mapped { protocol, machine, info, ref found, ref acpi, ref mut capabilities } = mapped;
        let uses_xen = capabilities.paravirtual().is_ok();
        let is_pc = capabilities.has_emulated_platform();
        let rtc = || is_pc.then(|| rtc::unix_seconds(&CpuPorts, acpi.century_register)).flatten();
        let shared_info = xen.and_then(|xen| xen.shared_info());
        let clocks = Clocks::find(shared_info, found.leaves.kvm, rtc);
        // These complete what services are chosen by. Under Xen the clock is Xen's: an HPET would not be
        // used.
        clocks.note_in(capabilities);
        capabilities.entropy = examine_entropy(info, protocol);
        let hpet = if uses_xen { None } else { map_hpet(acpi) };
        capabilities.platform.hpet = hpet.is_some();
        let services = Services::choose(capabilities);
        clocks.start(&services, hpet.as_ref());
        // After the clock starts: the time makes this boot differ from others.
        entropy::mix(&entropy_personalization(info));
        if capabilities.platform.local_apic && !services.timer.chosen.is_xens() {
            // Its timer ends sleeps. Before other vCPUs start, as each of them enables its own.
            apic::init(machine);
        }
        Timed { mapped, xen, vcpus, services }
    }
}

/// The clock runs, and services are chosen.
pub(super) struct Timed {
    mapped: Mapped,
    xen: Option<XenInterface>,
    vcpus: VcpuCount,
    services: Services,
}

impl Timed {
    /// Starts the other vCPUs, and makes the executor of each. This comes after the clock starts: each start
    /// has a timeout, and each vCPU compares its clock with this one's. Xenstore tells which vCPUs are
    /// switched on: its ring was mapped with memory.
    pub(super) fn start_vcpus(self) -> Booted {
        let Self { mapped, xen, vcpus, services } = self;
        let Mapped { machine, info, found, acpi, capabilities, .. } = mapped;
        let (upcall, timer) = (services.upcall.chosen, services.timer.chosen);
        let page = xen.and_then(|xen| xen.shared_info());
        let line = xen.and_then(|xen| xen.callback_intx());
        let vcpus = smp::ask(info.store, vcpus.at_boot, if xen.is_some() { vcpus.most } else { 1 });
        let others = vcpus.others.len() as u32;
        let vcpus = start_vcpus(SmpConfig { machine, page, upcall, timer }, &acpi, vcpus, line);
        let environment = Environment {
            grid: Grid::new(&capabilities, &services),
            capabilities,
            services,
            xen: found.xen,
            vcpus: others + 1,
            acpi,
            memory: info.populated(),
        };
        let environment: &'static Environment = Box::leak(Box::new(environment));
        suspend::init(xen, info, environment);
        Booted { machine, info, environment, vcpus }
    }
}

/// Everything is known, and every vCPU is ready for tasks.
pub(super) struct Booted {
    pub(super) machine: &'static dyn Machine,
    pub(super) info: &'static BootInfo,
    pub(super) environment: &'static Environment,
    pub(super) vcpus: Vcpus,
}

/// Reads ACPI's tables, or the MP table without them. A PV domain has neither.
fn read_acpi(info: &mut BootInfo, machine: &dyn Machine) -> Acpi {
    if info.protocol == BootProtocol::Pv {
        return Acpi::default();
    }
    let memory = IdentityMemory { limit: machine.mapped_at_boot() };
    let mut acpi = Acpi::read(&memory, info.rsdp, &mut info.notes);
    if acpi.controllers == Controllers::default() {
        acpi.controllers = mp_table::read(&memory, &mut info.notes);
    }
    power::use_acpi(&acpi);
    acpi
}

/// The capabilities that can be probed without memory and a console.
fn probe_machine(
    info: &BootInfo,
    protocol: EntryProtocol,
    found: &HypervisorInfo,
    acpi: &Acpi,
) -> Capabilities {
    let kind = if protocol == EntryProtocol::Pv { MachineKind::Pv } else { MachineKind::Hvm };
    let mut capabilities = Capabilities::new(info.protocol, kind);
    capabilities.vendor = detect::vendor();
    capabilities.irqchips = info.command_line.irqchip_limit().ok().flatten();
    capabilities.pv_level = info.command_line.pv_level().ok().flatten();
    capabilities.hypervisor = detect::name(found);
    capabilities.tsc_frequency = cpuid::timestamp_khz().is_some();
    capabilities.xen = found.xen.map(|xen| XenCapabilities {
        version: (xen.version.major, xen.version.minor),
        features: xen.features.bits(),
        initial_domain: info.initial_domain,
        in_container: found.in_container,
        ..XenCapabilities::default()
    });
    if kind == MachineKind::Hvm {
        (capabilities.platform, capabilities.devices) = probe::platform();
        capabilities.platform.acpi_power_off |= acpi.power_off.is_some();
        let is_told = !acpi.controllers.io_apics.is_empty();
        capabilities.platform.io_apic = is_told && capabilities.platform.local_apic;
    }
    capabilities
}

/// Finds the interrupt controllers, and routes interrupts through the chosen ones.
fn route_irqs(machine: &dyn Machine, acpi: &Acpi, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() {
        return;
    }
    let told = capabilities.platform.io_apic.then_some(&acpi.controllers);
    let io_apics = told.map(irq::find).unwrap_or_default();
    capabilities.platform.io_apic = !io_apics.is_empty();
    let chosen = Services::choose(capabilities).irqchips.chosen;
    if matches!(chosen, IrqChips::Both | IrqChips::IoApic) {
        // I/O APICs deliver to local APICs.
        apic::init(machine);
    }
    irq::init(IrqRouter::new(chosen, acpi.controllers.clone(), io_apics));
}

/// Maps the HPET's registers, if firmware lists one.
fn map_hpet(acpi: &Acpi) -> Option<MappedRegisters> {
    let address = acpi.hpet?;
    let registers = registers::map(address, HPET_LENGTH);
    registers.inspect_err(|error| warn!("HPET at {address:#x} not used: {error}")).ok()
}

/// Starts the other vCPUs. Where events come by an interrupt `line`, they reach only the boot vCPU, and no
/// other one starts, at boot and later. Returns those that there can be.
fn start_vcpus(config: SmpConfig, acpi: &Acpi, vcpus: Vcpus, line: Option<u8>) -> Vcpus {
    if config.upcall != Upcall::Intx {
        smp::init(config, acpi, &vcpus);
        return vcpus;
    }
    if let Some(line) = line {
        // The line only ends sleeps; events are found in memory. So no task waits for it.
        if Irq::of_function(line).is_none() {
            warn!("IRQ {line} not routed: Xen's events are found late, whenever the vCPU wakes up");
        }
    }
    if !vcpus.others.is_empty() {
        warn!("vcpus: using 1 of {}, as this upcall reaches only the first one", vcpus.others.len() + 1);
    }
    let one = Vcpus { others: Vec::new(), most: 1, wanted: Vec::new() };
    smp::init(config, acpi, &one);
    one
}

/// Length of the HPET's registers that we use.
const HPET_LENGTH: u64 = 0x100;

/// Examines the sources of random numbers that the command line allows.
fn examine_entropy(info: &BootInfo, protocol: EntryProtocol) -> EntropySources {
    entropy::init(Reader::of_protocol(protocol), info.command_line.entropy_limit().ok().flatten())
}

/// Input that differs between machines and boots. It is not secret; it makes random numbers differ where the
/// sources are bad.
fn entropy_personalization(info: &BootInfo) -> Vec<u8> {
    let mut told = info.command_line.as_str().as_bytes().to_vec();
    told.extend(time::wall_clock().unwrap_or_default().as_nanos().to_le_bytes());
    told.extend(time::xen_deadline(0).unwrap_or_default().to_le_bytes());
    told
}
