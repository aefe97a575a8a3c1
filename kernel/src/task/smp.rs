// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts the other vCPUs, and is where each begins.
//!
//! Xen starts a vCPU in 64-bit mode. Where there is no Xen, or where it refuses (KVM's emulation, or a BIOS
//! has run the vCPU before), the local APICs start CPUs as on a PC; ACPI lists them.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::{Machine, StartError};
use prism_arch::startup;
use prism_arch::vcpu::{self, Vcpu};
use prism_boot::services::{Timer, Upcall};
use prism_boot::{Acpi, PAGE_SIZE, SharedRing, vcpus};
use spin::{Mutex, Once};
use xen::control::Availability;
use xen::event::Port;
use xen::shared::Shared;
use xen::time::Clock;
use xen::{Errno, control, sched};
use xen_sys::arch_x86::xen::XEN_LEGACY_MAX_VCPUS;
use xen_sys::xen::{shared_info, vcpu_info};

use crate::hypervisor::{event, upcall, xenstore};
use crate::irq::apic;
use crate::memory::{self, Frames};
use crate::task::kick::VcpuKick;
use crate::task::{executor, stop};
use crate::time::{self, Deadline, clocks, timer};

/// How long a vCPU may take to start.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a vCPU that is told to go on again has before it is told so once more.
const UP_INTERVAL: Duration = Duration::from_millis(10);
/// How long a CPU takes to reset (SDM volume 3, 9.4.4).
const RESET_TIME: Duration = Duration::from_millis(10);
/// Real mode ends here.
const REAL_MODE_END: u64 = 1 << 20;

/// What every vCPU needs to start.
#[derive(Clone, Copy)]
pub(crate) struct SmpConfig {
    /// The machine.
    pub(crate) machine: &'static dyn Machine,
    /// Xen's page, if events are used.
    pub(crate) page: Option<Shared<shared_info>>,
    /// How vCPUs are told of events.
    pub(crate) upcall: Upcall,
    /// What ends sleeps.
    pub(crate) timer: Timer,
}

static CONFIG: Once<SmpConfig> = Once::new();

/// Why a vCPU was not started.
pub(crate) enum Unused {
    /// There is no memory that a CPU could start in.
    NoLowMemory,
    /// Neither Xen nor ACPI tells how to start it.
    Unknown,
    /// Xen does not report events to it.
    NoEvents(Errno),
    /// It was not started.
    Start(StartError),
    /// It did not start in time.
    Late,
    /// Where it would get its events Xen has to be told at boot.
    NotAtBoot,
}

impl From<StartError> for Unused {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLowMemory => f.write_str("no memory below 1 MiB is free for it to start in"),
            Self::Unknown => f.write_str("neither Xen nor ACPI and a local APIC tell how to start it"),
            Self::NoEvents(errno) => write!(f, "Xen does not report events to it ({errno})"),
            Self::Start(error) => error.fmt(f),
            Self::Late => f.write_str("it was started, but did not arrive"),
            Self::NotAtBoot => write!(f, "vCPUs from {XEN_LEGACY_MAX_VCPUS} on can be started at boot only"),
        }
    }
}

/// Has vCPU 0 take events. Its `vcpu_info` is in Xen's shared page.
pub(crate) fn take_events(page: Shared<shared_info>) {
    if let Some(info) = legacy_info(page, 0) {
        // Cannot fail: a domain without events on its first vCPU has none.
        let _ = event::add_vcpu(0, info);
    }
}

/// The vCPUs of the domain.
#[derive(Clone, Debug)]
pub(crate) struct Vcpus {
    /// The numbers of those to start at boot, without the boot vCPU.
    pub(crate) others: Vec<u32>,
    /// How many there can be at most, one after the other.
    pub(crate) most: u32,
    /// What the toolstack wants of each; empty if it does not say.
    pub(crate) wanted: Vec<Availability>,
}

/// Prepares the boot vCPU for tasks, and starts the others if they will be able to wake it. Logs those that
/// do not start.
pub(crate) fn init(config: SmpConfig, acpi: &Acpi, vcpus: &Vcpus) {
    CONFIG.call_once(|| config);
    let others = &vcpus.others;
    let kick = if vcpus.most <= 1 { None } else { vcpu_kick(config) };
    let others = vcpus::startable(others, kick.is_some());
    executor::init(kick);
    let mut starter = Starter::Xen;
    for &number in others {
        if let Err(reason) = start(config, acpi, &mut starter, number) {
            log::warn!("vCPU {number} not started: {reason}");
            // What this one lacks, the next ones lack too.
            break;
        }
    }
    if let Starter::Apic { page } = starter {
        memory::free_frame(page);
    }
}

/// The vCPUs of a domain that Xen has made `most` for, of which `count` are there at boot: of those the ones
/// that the toolstack has switched on are to be started. xenstore tells, as PV domains have no ACPI tables,
/// and PVH domains have none that tell from Xen 4.21 on.
pub(crate) fn ask(store: Option<SharedRing>, count: u32, most: u32) -> Vcpus {
    if count as usize > vcpu::MOST {
        log::warn!("vcpus: {count} offered, using the first {}", vcpu::MOST);
    }
    let [count, most] = [count, most.max(count)].map(|count| count.min(vcpu::MOST as u32));
    let asked = xenstore::client().zip(store).filter(|_| most > 1);
    let wanted = asked.and_then(|(client, ring)| {
        match xenstore::run_at_boot(client, Port(ring.port), control::availability(client, most)) {
            Some(Ok(wanted)) => return Some(wanted),
            Some(Err(error)) => {
                log::warn!("vcpus: xenstore does not say which are online, starting all: {error}")
            }
            None => log::warn!("vcpus: xenstored does not answer, starting all"),
        }
        None
    });
    let is_on = |wanted: &Availability| *wanted != Availability::Offline;
    let online: Option<Vec<bool>> = wanted.as_ref().map(|wanted| wanted.iter().map(is_on).collect());
    let others = vcpus::others(count, online.as_deref()).collect();
    Vcpus { others, most, wanted: wanted.unwrap_or_default() }
}

/// The kick of the calling vCPU.
fn vcpu_kick(config: SmpConfig) -> Option<VcpuKick> {
    let kick = VcpuKick::new(config.page.is_some());
    kick.inspect_err(|errno| {
        log::warn!("vCPU {}: no way for other vCPUs to wake it ({errno})", vcpu::number())
    })
    .ok()
}

/// Who starts vCPUs.
enum Starter {
    /// Xen, until it says that it doesn't.
    Xen,
    /// The local APICs; CPUs begin at the page with this address.
    Apic {
        /// Below 1 MiB.
        page: u64,
    },
}

/// What vCPUs have that is theirs, whether they have started or not.
static PREPARED: Mutex<[Prepared; vcpu::MOST]> = Mutex::new([Prepared::Nothing; vcpu::MOST]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prepared {
    Nothing,
    Memory,
    All,
}

/// Gives a vCPU what it needs, if it has not got it at an earlier attempt.
fn prepare(config: SmpConfig, number: u32) -> Result<(), Unused> {
    let mut vcpus = PREPARED.lock();
    let Some(prepared) = vcpus.get_mut(number as usize) else { return Err(Unused::Unknown) };
    if *prepared == Prepared::Nothing {
        add_memory(config.machine, number)?;
        *prepared = Prepared::Memory;
    }
    if let Some(page) = config.page.filter(|_| *prepared == Prepared::Memory) {
        add_events(config.machine, page, number)?;
    }
    *prepared = Prepared::All;
    Ok(())
}

/// Brings a vCPU online while the domain runs. To be called by the boot vCPU, which waits for it.
pub(crate) fn start_later(acpi: &Acpi, number: u32) -> Result<(), Unused> {
    let config = *CONFIG.get().ok_or(Unused::Unknown)?;
    if executor::is_known(number) {
        return start_again(config, number);
    }
    // It would keep the domain from being suspended.
    if number >= XEN_LEGACY_MAX_VCPUS {
        return Err(Unused::NotAtBoot);
    }
    let mut starter = Starter::Xen;
    let started = start(config, acpi, &mut starter, number);
    if let Starter::Apic { page } = starter {
        memory::free_frame(page);
    }
    started
}

/// Brings a vCPU online that was before.
fn start_again(config: SmpConfig, number: u32) -> Result<(), Unused> {
    let mut deadline = Deadline::after(STARTUP_TIMEOUT);
    while !executor::online().any(|online| online == number) {
        // Again and again: if it was just about to go down, the first call came too early.
        match xen::vcpu::up(&Hypervisor, number) {
            Ok(()) => {}
            // The domain was restored meanwhile, and of a vCPU that is down nothing was saved.
            Err(Errno::INVAL) => config.machine.start_vcpu(number)?,
            Err(errno) => return Err(StartError::Refused(errno).into()),
        }
        if deadline.passed() {
            return Err(Unused::Late);
        }
        wait(UP_INTERVAL, || executor::online().any(|online| online == number));
    }
    Ok(())
}

/// Takes the calling vCPU off, if `leave` says so, and returns when it is online: at once, or when it was
/// started again.
pub(crate) fn leave(number: u32, leave: impl FnOnce() -> bool) {
    let Some(config) = CONFIG.get() else { return };
    timer::stop_xen_timers(number);
    event::move_away(number);
    if !stop::unless_requested(leave) {
        return;
    }
    log::info!("vCPU {number}: offline");
    executor::tell_left();
    if let Err(errno) = xen::vcpu::down(&Hypervisor, number) {
        log::warn!("vCPU {number}: Xen does not take it off ({errno})");
    }
    set_up(config, number);
    executor::come_back();
}

fn start(config: SmpConfig, acpi: &Acpi, starter: &mut Starter, number: u32) -> Result<(), Unused> {
    prepare(config, number)?;
    if matches!(starter, Starter::Xen) {
        match config.machine.start_vcpu(number) {
            // Xen does not start a vCPU that firmware has already run.
            Err(StartError::Refused(errno)) if errno.is_unsupported() || errno == Errno::EXIST => {
                *starter = by_apic(config.machine)?;
            }
            result => result?,
        }
    }
    if let Starter::Apic { page } = *starter {
        start_by_apic(acpi, number, page)?;
    }
    wait(STARTUP_TIMEOUT, || executor::running().any(|running| running == number))
        .then_some(())
        .ok_or(Unused::Late)
}

fn add_memory(machine: &dyn Machine, number: u32) -> Result<(), Unused> {
    let memory = memory::alloc_zeroed(Vcpu::BYTES).ok_or(StartError::NoMemory)?;
    // SAFETY: just taken, mapped at its own address, zeroed.
    let own = unsafe { Vcpu::new_at(number, memory) }.ok_or(StartError::NoMemory)?;
    // Before its first run: no TLB entry of it has to be flushed.
    for (guard, _) in own.stacks.guards() {
        machine.unmap_page(guard.start, &mut Frames).map_err(|_| StartError::NoMemory)?;
    }
    Ok(())
}

fn add_events(machine: &dyn Machine, page: Shared<shared_info>, number: u32) -> Result<(), Unused> {
    let info = match legacy_info(page, number) {
        Some(info) => info,
        None => register_info(machine, number)?,
    };
    event::add_vcpu(number, info).map_err(Unused::NoEvents)?;
    if let Some(clock) = info.field(core::mem::offset_of!(vcpu_info, time)) {
        time::add_vcpu(number, Clock::new(clock));
    }
    Ok(())
}

/// Prepares for starting CPUs by the local APICs.
fn by_apic(machine: &dyn Machine) -> Result<Starter, Unused> {
    if apic::get().is_none() && prism_arch::cpuid::has_local_apic() && machine.auto_translated() {
        apic::init(machine);
    }
    apic::get().ok_or(Unused::Unknown)?;
    let page = memory::alloc_frame_below(REAL_MODE_END).ok_or(Unused::NoLowMemory)?;
    // SAFETY: just taken, below 1 MiB, and mapped at its own address; machines with a local APIC are
    // no PV domains.
    unsafe { startup::prepare(page) };
    Ok(Starter::Apic { page })
}

/// Starts the CPU that is entry `number` of firmware's list, not counting the boot CPU.
fn start_by_apic(acpi: &Acpi, number: u32, page: u64) -> Result<(), Unused> {
    let apic = apic::get().ok_or(Unused::Unknown)?;
    let own = apic.own_id();
    let mut others = acpi.controllers.cpus.iter().copied().filter(|id| *id != own);
    let id = others.nth(number as usize - 1).ok_or(Unused::Unknown)?;
    startup::expect(number)?;
    apic.send_init(id).map_err(|_| Unused::Unknown)?;
    wait(RESET_TIME, || false);
    // Page numbers below 1 MiB have 8 bits. Two SIPIs, as the protocol asks: some CPUs miss the first.
    for _ in 0..2 {
        apic.send_startup(id, (page / PAGE_SIZE) as u8).map_err(|_| Unused::Unknown)?;
        if wait(RESET_TIME, || executor::running().any(|running| running == number)) {
            break;
        }
    }
    Ok(())
}

/// Waits until `done`, but no longer than `limit`. Returns whether it is done.
fn wait(limit: Duration, done: impl Fn() -> bool) -> bool {
    let mut deadline = Deadline::after(limit);
    while !done() {
        if deadline.passed() {
            return false;
        }
        // Where there is no Xen this does nothing.
        let _ = sched::yield_now(&Hypervisor);
    }
    true
}

/// The `vcpu_info` of a vCPU that `shared_info` has room for.
fn legacy_info(page: Shared<shared_info>, number: u32) -> Option<Shared<vcpu_info>> {
    let offset = core::mem::offset_of!(shared_info, vcpu_info) + number as usize * size_of::<vcpu_info>();
    (number < XEN_LEGACY_MAX_VCPUS).then(|| page.field(offset))?
}

/// Has Xen keep the `vcpu_info` of a further vCPU in a page of ours.
fn register_info(machine: &dyn Machine, number: u32) -> Result<Shared<vcpu_info>, Unused> {
    let address = memory::alloc_zeroed(PAGE_SIZE).ok_or(StartError::NoMemory)?;
    let frame = machine.pfn_to_mfn(address / PAGE_SIZE).ok_or(StartError::NoMemory)?;
    // SAFETY: the page is ours, used for nothing else, and never given back.
    unsafe { xen::vcpu::register_info(&Hypervisor, number, frame, 0) }.map_err(Unused::NoEvents)?;
    // SAFETY: mapped, aligned, and from now on shared with Xen, as this type says.
    Ok(unsafe { Shared::at(address) })
}

/// Called by every vCPU that [`start`] started.
#[unsafe(no_mangle)]
fn prism_start_secondary(number: u32) -> ! {
    // Set before any vCPU is started.
    let Some(config) = CONFIG.get() else { prism_arch::cpu::stop() };
    config.machine.init_vcpu(number);
    set_up(config, number);
    if !executor::come_back() {
        match vcpu_kick(*config) {
            Some(kick) => executor::init(Some(kick)),
            None => {
                let _ = xen::vcpu::down(&Hypervisor, number);
                prism_arch::cpu::stop()
            }
        }
    }
    executor::run(config.machine, config.timer, config.upcall)
}

/// Sets up what the calling vCPU tells Xen itself. To be done again whenever it was off: the domain may have
/// been restored meanwhile.
fn set_up(config: &SmpConfig, number: u32) {
    clocks::init_vcpu();
    apic::enable_here();
    if config.upcall == Upcall::PerCpuVector && upcall::set_percpu_vector(number).is_err() {
        log::warn!("vCPU {number}: Xen refused an upcall vector; its events arrive late");
    }
    if config.timer.is_xens() {
        timer::stop_xen_timers(number);
    }
}
