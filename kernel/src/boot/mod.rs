// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the front door to the application's main, once, top to bottom.

mod consoles;
pub mod environment;
pub(crate) mod probe;
mod report;
mod xen_services;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;

use consoles::{open_console, open_screen, open_virtio_console};
use log::{debug, warn};
use prism_arch::cpuid::Reader;
use prism_arch::{Door, Entry, Machine, cpuid, entry, hypercall};
use prism_boot::capabilities::{Capabilities, EntropySources, Machine as MachineKind, XenCapabilities};
use prism_boot::command_line::HypercallMethod;
use prism_boot::firmware::mp_table;
use prism_boot::grid::Grid;
use prism_boot::services::{DeviceBus, Lines, Services, Upcall};
use prism_boot::{Acpi, BootError, BootInfo, Controllers, protocol};
use prism_drivers::block::romdisk::RomDisk;
use prism_drivers::timer::rtc;
use report::{report, warn_of};
use xen_services::{ask_for_memory_map, ask_for_rings, ask_for_services, join_xen, leave_unpopulated};

use crate::app::{Application, Context};
use crate::boot::environment::Surroundings;
use crate::console::{self, panic};
use crate::devices::{self, disks};
use crate::hypervisor::detect::{self, Found};
use crate::hypervisor::{grant, lifecycle, xenstore};
use crate::irq::{self, Line, Ways, apic};
use crate::memory::{self, IdentityMemory, registers};
use crate::ports::CpuPorts;
use crate::task::smp::{self, Surface};
use crate::task::{blocking, executor};
use crate::time::clocks::Clocks;
use crate::{entropy, power, println, time};

unsafe extern "Rust" {
    /// The application; its image defines it with [`app!`](crate::app!).
    safe fn prism_application() -> Application;
}

/// Called by every front door.
#[unsafe(no_mangle)]
fn prism_boot(entry: Entry) -> ! {
    let machine = prism_arch::machine(entry);
    let ports = entry.door != Door::Pv;
    detect::begin(entry.door);
    console::begin(ports);
    power::set_ways(entry.door == Door::Pv, ports);
    machine.join(0);

    let info = read_boot_info(entry, machine).unwrap_or_else(|error| panic::give_up(&error));
    let application = prism_application();
    let (info, surroundings) = settle(info, entry, machine);
    report(info, surroundings, &application);
    start_tasks(application, Context { info, surroundings });
    executor::run(machine, surroundings.services.timer.chosen, surroundings.services.upcall.chosen)
}

/// Starts the kernel's own tasks and the application's. Without memory for these nothing works.
fn start_tasks(application: Application, context: Context) {
    start(console::serve());
    console::run();
    if let Some(ring) = context.info.store {
        start(xenstore::pump(ring));
        if let Some(store) = xenstore::client() {
            start(lifecycle::obey(store));
            devices::begin(store, &context.info.command_line);
        }
    }
    if let Some(contents) = context.ramdisk() {
        disks::add(disks::RAMDISK, Arc::new(RomDisk::new("ram0".into(), contents)));
    }
    match context.surroundings.services.disk.chosen {
        DeviceBus::Emulated => devices::emulated::find_disks(),
        DeviceBus::Virtio => devices::virtio::begin_disks(),
        DeviceBus::Xenbus if context.surroundings.capabilities.has_emulated_platform() => {
            devices::emulated::begin();
        }
        _ => {}
    }
    start(run(application, context));
}

fn start(task: impl Future<Output = ()> + 'static) {
    executor::spawn(task).unwrap_or_else(|error| panic::give_up(&error));
}

/// Reads what the loader left. Texts and lists are copied; pages stay where they are, reserved.
fn read_boot_info(entry: Entry, machine: &dyn Machine) -> Result<BootInfo, BootError> {
    let memory = IdentityMemory { limit: machine.mapped_at_boot() };
    let mut info = match entry.door {
        Door::Pv => protocol::pv::parse(&memory, entry.information),
        Door::Pvh => protocol::pvh::parse(&memory, entry.information),
        Door::Multiboot1 => protocol::multiboot1::parse(&memory, entry.information),
        Door::Multiboot2 => protocol::multiboot2::parse(&memory, entry.information),
    }?;
    let embedded = entry::embedded_command_line();
    let text = embedded.split(|byte| *byte == 0).next().unwrap_or_default();
    info.command_line.append(core::str::from_utf8(text).unwrap_or_default());
    Ok(info)
}

/// Finds out where we are, and brings the kernel's services up there.
fn settle(
    mut info: BootInfo,
    entry: Entry,
    machine: &'static dyn Machine,
) -> (&'static BootInfo, &'static Surroundings) {
    crate::console::logger::begin(info.command_line.log_level().ok().flatten());
    let wanted = info.command_line.hypercall_method().ok().flatten().unwrap_or(HypercallMethod::Inline);
    let found = detect::find(entry.door, wanted);
    let acpi = read_acpi(&mut info, machine);
    let mut capabilities = probe_machine(&info, entry.door, &found, &acpi);
    let paravirtual = capabilities.paravirtual().is_ok();
    power::set_ways(paravirtual, entry.door != Door::Pv);
    if !paravirtual {
        hypercall::give_up();
    }
    let asks = paravirtual && entry.door != Door::Pv;
    if asks {
        ask_for_rings(&mut info);
    }
    open_console(&info, machine, &mut capabilities);
    debug!("CPUID's hypervisor leaves: {:x?}", found.leaves);
    if info.memory.is_empty() && found.xen.is_some() {
        ask_for_memory_map(&mut info);
    }
    if asks {
        leave_unpopulated(&mut info, &capabilities);
    }
    memory::initialise(&info, machine).unwrap_or_else(|error| {
        warn_of(&info);
        panic::give_up(&error)
    });
    let info: &'static BootInfo = Box::leak(Box::new(info));
    registers::begin(machine, &info.memory);
    grant::begin_pages(machine);
    open_screen(info, &mut capabilities);
    lead_lines(info, machine, &acpi, &mut capabilities);
    open_virtio_console(info, &mut capabilities);
    let vcpus = probe::vcpus(found.xen.is_some(), &acpi);
    let page = if paravirtual { join_xen(info, machine, vcpus) } else { None };
    let line = ask_for_services(info, machine, &found, &mut capabilities, page);
    let is_pc = capabilities.has_emulated_platform();
    let rtc = || is_pc.then(|| rtc::unix_seconds(&CpuPorts, acpi.century_register)).flatten();
    let clocks = Clocks::find(page, found.leaves.kvm, rtc);
    clocks.tell(&mut capabilities);
    capabilities.entropy = examine_entropy(info, entry.door);
    let hpet = acpi.hpet.filter(|_| !paravirtual);
    let hpet = hpet.and_then(|address| {
        let registers = registers::map(address, HPET_LENGTH);
        registers.inspect_err(|error| warn!("the HPET at {address:#x} is not used: {error}")).ok()
    });
    capabilities.platform.hpet = hpet.is_some();
    let services = Services::choose(&capabilities);
    clocks.start(&services, hpet.as_ref());
    entropy::mix(&personal(info));
    if capabilities.platform.local_apic && !services.timer.chosen.is_xens() {
        apic::begin(machine);
    }
    let (upcall, timer) = (services.upcall.chosen, services.timer.chosen);
    if let Some(frame) = info.store.filter(|_| paravirtual).and_then(|ring| machine.guest_frame(ring.mfn)) {
        xenstore::begin(frame);
    }
    let others = smp::others(info.store, vcpus);
    start_vcpus(Surface { machine, page, upcall, timer }, &acpi, &others, line);
    let surroundings = Surroundings {
        grid: Grid::new(&capabilities, &services),
        capabilities,
        services,
        xen: found.xen,
        vcpus: others.len() as u32 + 1,
        acpi,
        memory: info.memory.total_usable(),
    };
    blocking::begin(machine);
    if paravirtual {
        grant::begin(machine, &info.memory);
    }
    (info, Box::leak(Box::new(surroundings)))
}

/// Reads ACPI's tables, or the one that was there before them, while all memory below 4 GiB is mapped. A PV
/// domain has none of its own.
fn read_acpi(info: &mut BootInfo, machine: &dyn Machine) -> Acpi {
    if info.door == prism_boot::Door::Pv {
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

/// What can be known before there are page tables and a console.
fn probe_machine(info: &BootInfo, door: Door, found: &Found, acpi: &Acpi) -> Capabilities {
    let kind = if door == Door::Pv { MachineKind::Pv } else { MachineKind::Hvm };
    let mut capabilities = Capabilities::new(info.door, kind);
    capabilities.vendor = detect::vendor();
    capabilities.lines = info.command_line.line_limit().ok().flatten();
    capabilities.rung = info.command_line.rung().ok().flatten();
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

/// Finds the interrupt controllers, has lines arrive by those that are chosen, and looks for the devices in
/// memory, which have some.
fn lead_lines(info: &BootInfo, machine: &dyn Machine, acpi: &Acpi, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() {
        return;
    }
    let told = capabilities.platform.io_apic.then_some(&acpi.controllers);
    let io_apics = told.map(irq::find).unwrap_or_default();
    capabilities.platform.io_apic = !io_apics.is_empty();
    let chosen = Services::choose(capabilities).lines.chosen;
    if matches!(chosen, Lines::Both | Lines::IoApic) {
        apic::begin(machine);
    }
    irq::begin(Ways::new(chosen, acpi.controllers.clone(), io_apics));
    devices::virtio::mmio::find(info, acpi, &mut capabilities.devices);
}

/// Starts the `others` among the vCPUs, if events can be reported to them; on an interrupt `line` they
/// cannot.
fn start_vcpus(surface: Surface, acpi: &Acpi, others: &[u32], line: Option<u8>) {
    if surface.upcall != Upcall::Line {
        return smp::begin(surface, acpi, others);
    }
    if let Some(line) = line {
        // Events are found in memory: nobody waits for the line itself.
        if Line::of_function(line).is_none() {
            warn!("events are found by chance only: line {line} does not arrive");
        }
    }
    if !others.is_empty() {
        warn!("vcpus: 1 of {} is used, as events are reported to the first one only", others.len() + 1);
    }
    smp::begin(surface, acpi, &[]);
}

/// Length of a HPET's registers, as far as they are of use.
const HPET_LENGTH: u64 = 0x100;

/// Examines the sources of random numbers, but for those that the command line rules out.
fn examine_entropy(info: &BootInfo, door: Door) -> EntropySources {
    entropy::begin(Reader::behind(door), info.command_line.entropy_limit().ok().flatten())
}

/// What tells this machine from others and this boot from earlier ones. None of it is secret; it
/// makes those random numbers differ that have nothing better.
fn personal(info: &BootInfo) -> Vec<u8> {
    let mut told = info.command_line.as_str().as_bytes().to_vec();
    told.extend(time::wall_clock().unwrap_or_default().as_nanos().to_le_bytes());
    told.extend(time::xen_deadline(0).unwrap_or_default().to_le_bytes());
    told
}

/// Runs the application and reports how it ended, in XTF's form: the verdict is the last line.
async fn run(application: Application, context: Context) {
    println!("--- Prism ---");
    println!("Environment: {}", context.surroundings);
    println!("{}", application.name);
    let outcome = (application.main)(context).await;
    console::end();
    if let Some(reason) = &outcome.reason {
        println!("error: {reason}");
    }
    if console::lost() != 0 {
        log::debug!("console: {} bytes were dropped, as nobody read them", console::lost());
    }
    println!("Test result: {}", outcome.verdict);
    lifecycle::end(outcome.verdict.exit_status())
}
