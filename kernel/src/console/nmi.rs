// SPDX-License-Identifier: MIT OR Apache-2.0
//! Non-maskable interrupts: somebody wants to know what the guest does (`xl trigger NAME nmi`, `nmi` of a
//! QEMU's monitor). Each is reported like a warning, and the guest goes on.
//!
//! What was interrupted may hold any lock: the report takes none but the console's, and that only if it is
//! free. If it isn't, the run loop reports later.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, warn};
use prism_arch::backtrace::Backtrace;
use prism_arch::traps::Registers;
use prism_arch::vcpu;
use spin::Mutex;

use crate::console;
use crate::console::panic::CodeAddress;
use crate::task::executor::{self, Activity};

/// Callers that are named at most: as many as fit into a console's ring with the registers.
const LONGEST_BACKTRACE: usize = 12;

/// What the last one interrupted that could not be reported at once.
static DEFERRED: Mutex<Option<Interrupted>> = Mutex::new(None);
static IS_DEFERRED: AtomicBool = AtomicBool::new(false);

/// What the stubs call.
#[unsafe(no_mangle)]
fn prism_nmi(registers: &Registers) {
    if log::max_level() < LevelFilter::Warn {
        return;
    }
    let vcpu = vcpu::number();
    let interrupted = Interrupted { vcpu, registers: *registers, activity: executor::activity(vcpu) };
    let report = Report { interrupted: &interrupted, callers: Some(Backtrace::of_fault(registers)) };
    if console::try_print(format_args!("{}: warning: {report}\n", module_path!())) {
        return;
    }
    if let Some(mut deferred) = DEFERRED.try_lock() {
        *deferred = Some(interrupted);
        IS_DEFERRED.store(true, Ordering::SeqCst);
        executor::keep_awake();
    }
}

/// Whether a report waits for the run loop.
pub(crate) fn is_deferred() -> bool {
    IS_DEFERRED.load(Ordering::SeqCst)
}

/// Reports what could not be reported at once. The stack is another one by now: nobody knows who called.
pub(crate) fn report_deferred() {
    if !IS_DEFERRED.load(Ordering::Relaxed) || !IS_DEFERRED.swap(false, Ordering::Acquire) {
        return;
    }
    // Another interrupt that finds it locked meanwhile is not reported: it is the same again.
    let deferred = DEFERRED.lock().take();
    if let Some(interrupted) = deferred {
        warn!("{}", Report { interrupted: &interrupted, callers: None });
    }
}

/// What a vCPU was doing.
struct Interrupted {
    vcpu: u32,
    registers: Registers,
    activity: Option<Activity>,
}

struct Report<'a> {
    interrupted: &'a Interrupted,
    callers: Option<Backtrace>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interrupted { vcpu, registers, activity } = self.interrupted;
        writeln!(f, "non-maskable interrupt on vCPU {vcpu}; the guest goes on")?;
        if let Some(activity) = activity {
            writeln!(f, "  the vCPU {activity}")?;
        }
        writeln!(f, "{registers}")?;
        write!(f, "  at: {}", CodeAddress::of_instruction(registers.rip))?;
        for address in self.callers.clone().into_iter().flatten().take(LONGEST_BACKTRACE) {
            f.write_str("\n      ")?;
            write!(f, "{}", CodeAddress::of_call(address))?;
        }
        Ok(())
    }
}
