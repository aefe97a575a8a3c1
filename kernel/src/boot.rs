// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the front door to the application's main, once, top to bottom.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use log::{debug, info, warn};
use prism_arch::cpuid::Reader;
use prism_arch::hypercall::{self, Hypervisor};
use prism_arch::machine::{self, Machine};
use prism_arch::{Door, Entry, cpuid, entry};
use prism_boot::capabilities::{Capabilities, EntropySources, Machine as MachineKind, XenCapabilities};
use prism_boot::command_line::{ConsoleSinks, EventAbi, HypercallMethod, Rung, UpcallLimit};
use prism_boot::grid::Grid;
use prism_boot::services::{Console, DeviceBus, Lines, Services, Upcall};
use prism_boot::{Acpi, BootError, BootInfo, Controllers, PAGE_SIZE, SharedRing, door, e820, mp_table};
use prism_drivers::romdisk::RomDisk;
use prism_drivers::rtc;
use prism_drivers::vga::{self, Screen};
use xen::console::Ring;
use xen::event::{Abi, Port};
use xen::hvm::Parameter;
use xen::shared::Shared;
use xen::version::Features;
use xen_sys::xen::shared_info;

use crate::app::{Application, Context};
use crate::clocks::Clocks;
use crate::console::{self, RingEnd};
use crate::hypervisor::{self, Found};
use crate::line::{self, Line, Ways};
use crate::memory::{self, Frames, IdentityMemory};
use crate::ports::CpuPorts;
use crate::registers;
use crate::smp::{self, Surface};
use crate::surroundings::Surroundings;
use crate::{
    apic, blocking, crash, devices, disks, entropy, event, exec, grant, lifecycle, power, println, probe,
    store, time,
};

unsafe extern "Rust" {
    /// The application; its image defines it with [`app!`](crate::app!).
    safe fn prism_application() -> Application;
}

/// Called by every front door.
#[unsafe(no_mangle)]
fn prism_boot(entry: Entry) -> ! {
    let machine = machine::machine(entry);
    let ports = entry.door != Door::Pv;
    hypervisor::begin(entry.door);
    console::begin(ports);
    power::set_ways(entry.door == Door::Pv, ports);
    machine.join(0);

    let info = read_boot_info(entry, machine).unwrap_or_else(|error| crash::give_up(&error));
    let application = prism_application();
    let (info, surroundings) = settle(info, entry, machine);
    report(info, surroundings, &application);
    start_tasks(application, Context { info, surroundings });
    exec::run(machine, surroundings.services.timer.chosen, surroundings.services.upcall.chosen)
}

/// Starts the kernel's own tasks and the application's. The first ones always fit.
fn start_tasks(application: Application, context: Context) {
    if let Some(ring) = context.info.store {
        let _ = exec::spawn(store::pump(ring));
        if let Some(store) = store::client() {
            let _ = exec::spawn(lifecycle::obey(store));
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
    let _ = exec::spawn(run(application, context));
}

/// Reads what the loader left. Texts and lists are copied; pages stay where they are, reserved.
fn read_boot_info(entry: Entry, machine: &dyn Machine) -> Result<BootInfo, BootError> {
    let memory = IdentityMemory { limit: machine.mapped_at_boot() };
    let mut info = match entry.door {
        Door::Pv => door::pv::parse(&memory, entry.information),
        Door::Pvh => door::pvh::parse(&memory, entry.information),
        Door::Multiboot1 => door::multiboot1::parse(&memory, entry.information),
        Door::Multiboot2 => door::multiboot2::parse(&memory, entry.information),
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
    crate::logger::begin(info.command_line.log_level().ok().flatten());
    let wanted = info.command_line.hypercall_method().ok().flatten().unwrap_or(HypercallMethod::Inline);
    let found = hypervisor::find(entry.door, wanted);
    let acpi = read_acpi(&mut info, machine);
    let mut capabilities = probe_machine(&info, entry.door, &found, &acpi);
    let paravirtual = capabilities.paravirtual().is_ok();
    power::set_ways(paravirtual, entry.door != Door::Pv);
    if !paravirtual {
        hypercall::give_up();
    }
    if paravirtual && entry.door != Door::Pv {
        ask_for_rings(&mut info);
    }
    open_console(&info, machine, &mut capabilities);
    debug!("CPUID's hypervisor leaves: {:x?}", found.leaves);
    if info.memory.is_empty() && found.xen.is_some() {
        ask_for_memory_map(&mut info);
    }
    memory::initialise(&info, machine).unwrap_or_else(|error| {
        warn_of(&info);
        crash::give_up(&error)
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
    start_vcpus(Surface { machine, page, upcall, timer }, &acpi, vcpus, line);
    let surroundings = Surroundings {
        grid: Grid::new(&capabilities, &services),
        capabilities,
        services,
        xen: found.xen,
        vcpus,
        acpi,
        memory: info.memory.total_usable(),
    };
    blocking::begin(machine);
    if paravirtual {
        grant::begin(machine, &info.memory);
        if let Some(frame) = info.store.and_then(|ring| machine.guest_frame(ring.mfn)) {
            store::begin(frame);
        }
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
    capabilities.vendor = hypervisor::vendor();
    capabilities.lines = info.command_line.line_limit().ok().flatten();
    capabilities.rung = info.command_line.rung().ok().flatten();
    capabilities.hypervisor = hypervisor::name(found);
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

/// HVM and PVH domains ask where their rings are; a PV domain is told.
fn ask_for_rings(info: &mut BootInfo) {
    let ring = |frame, event| probe::hvm_ring(frame, event).map(|(mfn, port)| SharedRing { mfn, port });
    info.console = ring(Parameter::ConsoleFrame, Parameter::ConsoleEvent);
    info.store = ring(Parameter::StoreFrame, Parameter::StoreEvent);
}

/// Opens every console that takes neither page tables nor memory of ours, and uses the best one, or those
/// that the command line names.
fn open_console(info: &BootInfo, machine: &dyn Machine, capabilities: &mut Capabilities) {
    let paravirtual = capabilities.paravirtual().is_ok();
    if let Some(ring) = info.console.filter(|_| paravirtual)
        && let Some(frame) = machine.guest_frame(ring.mfn)
    {
        // SAFETY: the page that Xen or the toolstack set aside for the console: aligned, mapped by
        // the boot page tables and by ours later, and used through this value only.
        let page = unsafe { Shared::at(frame * PAGE_SIZE) };
        console::add_ring(RingEnd::new(Ring::new(page), Port(ring.port)));
    }
    if paravirtual {
        console::add_xen();
    }
    if capabilities.machine == MachineKind::Hvm && !info.initial_domain {
        capabilities.platform.serial_port = console::add_serial();
    }
    if let Some(xen) = &mut capabilities.xen {
        xen.console_ring = console::has(ConsoleSinks::PV);
        xen.console_io = console::has(ConsoleSinks::XEN);
        xen.xenstore = info.store.is_some();
    }
    choose_console(info, capabilities);
}

/// Opens the screen of a PC, which takes page tables of ours.
fn open_screen(info: &BootInfo, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() {
        return;
    }
    let memory = registers::map(vga::MEMORY, vga::MEMORY_BYTES);
    let memory = memory.inspect_err(|error| debug!("the screen is not used: {error}"));
    if let Some(screen) = memory.ok().and_then(|memory| Screen::new(memory, CpuPorts)) {
        console::add_screen(screen);
        capabilities.platform.screen = true;
        choose_console(info, capabilities);
    }
}

/// Opens a virtio console, whose queues take memory of ours.
fn open_virtio_console(info: &BootInfo, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() || capabilities.is_held_down() {
        return;
    }
    if let Some(port) = devices::virtio::open_console() {
        console::add_virtio(port);
        capabilities.platform.virtio_console = true;
        choose_console(info, capabilities);
    }
}

/// Uses the best console, or those that the command line names. Nobody can tell whether a virtio console is
/// read: it is used beside others, but for Xen's, where it is there for something else.
fn choose_console(info: &BootInfo, capabilities: &Capabilities) {
    let best = match Services::choose(capabilities).console.chosen {
        Console::Ring => ConsoleSinks::PV,
        Console::Xen => ConsoleSinks::XEN,
        Console::Serial => ConsoleSinks::SERIAL | ConsoleSinks::VIRTIO,
        Console::DebugPort | Console::None => ConsoleSinks::DEBUG | ConsoleSinks::VIRTIO,
        Console::Vga => ConsoleSinks::VGA | ConsoleSinks::VIRTIO,
        Console::Virtio => ConsoleSinks::VIRTIO,
    };
    console::choose(info.command_line.console_sinks().ok().flatten().unwrap_or(best));
}

/// Asks Xen what memory there is, where the loader gave no map.
fn ask_for_memory_map(info: &mut BootInfo) {
    let mut table = [0; 128 * e820::ENTRY_LENGTH];
    if let Ok(table) = xen::memory::map(&Hypervisor, &mut table) {
        e820::parse(info, table);
    }
}

/// Maps the pages that Xen shares with the domain and masks all events; returns `shared_info`.
fn join_xen(info: &BootInfo, machine: &dyn Machine, vcpus: u32) -> Option<Shared<shared_info>> {
    for ring in [info.console, info.store].into_iter().flatten() {
        let mapped = machine
            .guest_frame(ring.mfn)
            .map(|frame| machine.map_special_page(frame * PAGE_SIZE, &mut Frames));
        if !matches!(mapped, Some(Ok(()))) {
            crash::give_up(&"a ring that the toolstack set up cannot be mapped");
        }
    }
    let page = machine
        .map_shared_info(memory::hole(&info.memory), &mut Frames)
        .inspect_err(|error| warn!("no events, no paravirtual clock: {error}"))
        .ok()?;
    let wanted = match info.command_line.event_abi().ok().flatten() {
        Some(EventAbi::TwoLevel) => Abi::TwoLevel,
        Some(EventAbi::Fifo) | None => Abi::Fifo,
    };
    event::begin(page, vcpus, wanted);
    smp::take_events(page);
    console::use_events();
    Some(page)
}

/// Finds the interrupt controllers, has lines arrive by those that are chosen, and looks for the devices in
/// memory, which have some.
fn lead_lines(info: &BootInfo, machine: &dyn Machine, acpi: &Acpi, capabilities: &mut Capabilities) {
    if !capabilities.has_emulated_platform() {
        return;
    }
    let told = capabilities.platform.io_apic.then_some(&acpi.controllers);
    let io_apics = told.map(line::find).unwrap_or_default();
    capabilities.platform.io_apic = !io_apics.is_empty();
    let chosen = Services::choose(capabilities).lines.chosen;
    if matches!(chosen, Lines::Both | Lines::IoApic) {
        apic::begin(machine);
    }
    line::begin(Ways::new(chosen, acpi.controllers.clone(), io_apics));
    devices::virtio::mmio::find(info, acpi, &mut capabilities.devices);
}

/// Asks Xen for each service that needs its shared page.
///
/// Returns the interrupt line by which events are reported, if they are.
fn ask_for_services(
    info: &BootInfo,
    machine: &dyn Machine,
    found: &Found,
    capabilities: &mut Capabilities,
    page: Option<Shared<shared_info>>,
) -> Option<u8> {
    let pc = capabilities.has_emulated_platform();
    let limit = info.command_line.upcall_limit().ok().flatten();
    let no_vectors = pc && capabilities.rung.is_some_and(|rung| rung <= Rung::PvDrivers);
    let may = |way| limit.is_none_or(|limit| limit <= way) && !(no_vectors && way < UpcallLimit::Line);
    let local_apic = capabilities.platform.local_apic;
    let no_lines = Services::choose(capabilities).lines.chosen == Lines::None;
    let (Some(_), Some(xen)) = (page, &mut capabilities.xen) else { return None };
    let features = Features::from_bits_truncate(xen.features);
    xen.single_shot_timer = probe::single_shot_timer(0);
    xen.callback_vector = may(UpcallLimit::Vector)
        && features.contains(Features::HVM_CALLBACK_VECTOR)
        && probe::callback_vector().is_ok();
    if !xen.callback_vector && may(UpcallLimit::OwnVector) && found.upcall_vectors && local_apic {
        apic::begin(machine);
        xen.upcall_vector = probe::upcall_vector(0).is_ok();
    }
    let ask_for_line =
        pc && !xen.callback_vector && !xen.upcall_vector && may(UpcallLimit::Line) && !no_lines;
    let line = if ask_for_line { probe::callback_line() } else { None };
    xen.callback_line = line.is_some();
    line
}

/// Starts the other ones of `vcpus`, if events can be reported to them; on an interrupt `line` they
/// cannot.
fn start_vcpus(surface: Surface, acpi: &Acpi, vcpus: u32, line: Option<u8>) {
    if surface.upcall != Upcall::Line {
        return smp::begin(surface, acpi, vcpus);
    }
    if let Some(line) = line {
        // Events are found in memory: nobody waits for the line itself.
        if Line::of_function(line).is_none() {
            warn!("events are found by chance only: line {line} does not arrive");
        }
    }
    if vcpus > 1 {
        warn!("vcpus: 1 of {vcpus} is used, as events are reported to the first one only");
    }
    smp::begin(surface, acpi, 1);
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

/// Says what was found and what is used instead of what is missing, a line each.
fn report(info: &BootInfo, found: &Surroundings, application: &Application) {
    info!("{found}");
    info!("spectrum: {}", found.grid.letters());
    match (found.capabilities.paravirtual(), found.hypercall_method()) {
        (Ok(_), Some(method)) => info!("Xen: used, by {}", method.name()),
        (Ok(_), None) => {}
        (Err(reason), _) => info!("Xen: not used ({})", reason.reason()),
    }
    info!("memory: {} KiB, {} KiB free", found.memory / 1024, memory::usage().free / 1024);
    match exec::running().count() {
        running if running == found.vcpus as usize => info!("vcpus: {running}"),
        running => info!("vcpus: {running} of {}", found.vcpus),
    }
    for line in alloc::format!("{}", found.services).lines() {
        info!("{line}");
    }
    if let Some(abi) = event::abi() {
        info!("events: {abi}");
    }
    warn_of(info);
    let line = &info.command_line;
    let wrong = [
        line.log_level().err(),
        line.hypercall_method().err(),
        line.console_sinks().err(),
        line.entropy_limit().err(),
        line.block_poll().err(),
        line.network_poll().err(),
        line.event_abi().err(),
        line.upcall_limit().err(),
        line.rung().err(),
        line.line_limit().err(),
    ];
    let slots = line.virtio_slots().filter_map(Result::err);
    for error in wrong.into_iter().flatten().chain(slots) {
        warn!("command line: {error}");
    }
    for word in line.unknown(application.words) {
        warn!(
            "command line: ignoring {}, which neither the kernel nor {} knows",
            word.name, application.name
        );
    }
}

/// Says what was odd in what the loader left.
fn warn_of(info: &BootInfo) {
    for note in info.notes.iter() {
        warn!("{note}");
    }
}

/// Runs the application and reports how it ended, in XTF's form: the verdict is the last line.
async fn run(application: Application, context: Context) {
    println!("--- Prism ---");
    println!("Environment: {}", context.surroundings);
    println!("{}", application.name);
    let outcome = (application.main)(context).await;
    if let Some(reason) = &outcome.reason {
        println!("error: {reason}");
    }
    if console::lost() != 0 {
        log::debug!("console: {} bytes were dropped, as nobody read them", console::lost());
    }
    println!("Test result: {}", outcome.verdict);
    lifecycle::end(outcome.verdict.exit_status())
}
