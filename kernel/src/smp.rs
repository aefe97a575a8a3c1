// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting the other vCPUs, and what each does first.

use core::fmt;

use prism_arch::hypercall::Hypervisor;
use prism_arch::machine::{Machine, StartError};
use prism_arch::vcpu::{self, Vcpu};
use prism_boot::PAGE_SIZE;
use prism_boot::services::Timer;
use spin::Once;
use xen::shared::Shared;
use xen::{Errno, sched, time::Clock};
use xen_sys::arch_x86::xen::XEN_LEGACY_MAX_VCPUS;
use xen_sys::xen::{shared_info, vcpu_info};

use crate::event::{self, EventChannel};
use crate::memory::{self, Frames};
use crate::time::{self, Deadline};
use crate::{exec, probe};

/// How long a vCPU may take to arrive, in nanoseconds.
const PATIENCE: u64 = 5_000_000_000;

/// What the other vCPUs run on.
static MACHINE: Once<&'static dyn Machine> = Once::new();
/// What ends their sleeps.
static TIMER: Once<Timer> = Once::new();

/// Why a vCPU is not used.
enum Unused {
    /// There is no memory for it.
    NoMemory,
    /// Xen does not report events to it.
    NoEvents(Errno),
    /// It was not started.
    Start(StartError),
    /// It did not arrive in time.
    Late,
}

impl From<StartError> for Unused {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => StartError::NoMemory.fmt(f),
            Self::NoEvents(errno) => write!(f, "Xen does not report events to it ({errno})"),
            Self::Start(error) => error.fmt(f),
            Self::Late => f.write_str("it was started, but did not arrive"),
        }
    }
}

/// Has vCPU 0 take events and run tasks; its structure is in Xen's shared page.
pub(crate) fn begin(machine: &'static dyn Machine, page: Shared<shared_info>) {
    MACHINE.call_once(|| machine);
    if let Some(info) = legacy_info(page, 0) {
        event::add_vcpu(0, info);
    }
}

/// Starts vCPUs 1 to `count - 1` of a domain whose shared page is `page`, with `timer` to end their
/// sleeps; says of those that don't
/// start why.
pub(crate) fn start_others(machine: &dyn Machine, page: Shared<shared_info>, count: u32, timer: Timer) {
    TIMER.call_once(|| timer);
    if count as usize > vcpu::MOST {
        log::warn!("vcpus: only the first {} of {count} are used", vcpu::MOST);
    }
    for number in 1..count.min(vcpu::MOST as u32) {
        if let Err(reason) = start(machine, page, number) {
            log::warn!("vCPU {number} is not used: {reason}");
            // What one lacks the next ones lack too.
            break;
        }
    }
}

fn start(machine: &dyn Machine, page: Shared<shared_info>, number: u32) -> Result<(), Unused> {
    let memory = memory::take_zeroed(Vcpu::BYTES).ok_or(Unused::NoMemory)?;
    // SAFETY: just taken, mapped at its own address, zeroed.
    let own = unsafe { Vcpu::place(number, memory) }.ok_or(Unused::NoMemory)?;
    for (guard, _) in own.stacks.guards() {
        // A stack without a guard is worse than one with, and better than none.
        let _ = machine.unmap_page(guard.start, &mut Frames);
    }
    let info = match legacy_info(page, number) {
        Some(info) => info,
        None => register_info(machine, number)?,
    };
    event::add_vcpu(number, info);
    if let Some(clock) = info.field(core::mem::offset_of!(vcpu_info, time)) {
        time::add_vcpu(number, Clock::new(clock));
    }
    machine.start(number)?;
    let mut deadline = Deadline::after(PATIENCE);
    while !exec::running().any(|running| running == number) {
        if deadline.passed() {
            return Err(Unused::Late);
        }
        let _ = sched::yield_now(&Hypervisor);
    }
    Ok(())
}

/// The structure of one of the vCPUs that `shared_info` has room for.
fn legacy_info(page: Shared<shared_info>, number: u32) -> Option<Shared<vcpu_info>> {
    let offset = core::mem::offset_of!(shared_info, vcpu_info) + number as usize * size_of::<vcpu_info>();
    (number < XEN_LEGACY_MAX_VCPUS).then(|| page.field(offset))?
}

/// Has Xen keep the structure of a further vCPU in a page of our own.
fn register_info(machine: &dyn Machine, number: u32) -> Result<Shared<vcpu_info>, Unused> {
    let address = memory::take_zeroed(PAGE_SIZE).ok_or(Unused::NoMemory)?;
    let frame = machine.machine_frame(address / PAGE_SIZE).ok_or(Unused::NoMemory)?;
    // SAFETY: the page is ours, used for nothing else, and never given back.
    unsafe { xen::vcpu::register_info(&Hypervisor, number, frame, 0) }.map_err(Unused::NoEvents)?;
    // SAFETY: mapped, aligned, and from now on shared with Xen, as this type says.
    Ok(unsafe { Shared::at(address) })
}

/// Called by every vCPU that [`start`] started.
#[unsafe(no_mangle)]
fn prism_join(number: u32) -> ! {
    // Set before any vCPU was started.
    let Some(machine) = MACHINE.get() else { prism_arch::cpu::stop() };
    machine.join(number);
    probe::single_shot_timer(number);
    match EventChannel::to_self(number) {
        Ok(bell) => exec::begin(Some(bell)),
        Err(errno) => {
            log::warn!("vCPU {number} is not used: it has no event channel ({errno})");
            let _ = xen::vcpu::down(&Hypervisor, number);
        }
    }
    exec::run(*machine, TIMER.get().copied().unwrap_or(Timer::SingleShot))
}
