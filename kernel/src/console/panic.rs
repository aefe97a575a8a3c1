// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crash report: what happened, where, and who called whom.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use prism_arch::backtrace::Backtrace;
use prism_arch::traps::{Access, DOUBLE_FAULT, Fault, PAGE_FAULT};
use prism_arch::{cpu, image, stack, vcpu};
use prism_boot::symbols::SymbolTable;

use crate::console::{self, CrashConsole};
use crate::power;

/// Crashes so far: a crash while reporting one must not be reported the same way again.
static CRASHES: AtomicU32 = AtomicU32::new(0);
/// The vCPU that crashed first, counted from 1; 0 if none has.
static FIRST: AtomicU32 = AtomicU32::new(0);
/// Callers printed at most; a stack overflow has thousands.
const LONGEST_BACKTRACE: usize = 32;

/// What an image's panic handler calls.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let location = info.location();
    report(
        |out| {
            write!(out, "panic: {}", info.message())?;
            location.map_or(Ok(()), |location| write!(out, "\n  at {location}"))
        },
        Backtrace::here(),
    )
}

/// What the exception stubs call.
#[unsafe(no_mangle)]
fn prism_fault(fault: &Fault) -> ! {
    let registers = &fault.registers;
    report(
        |out| {
            writeln!(out, "cause: {}", Cause(fault))?;
            writeln!(out, "exception: {}", fault.name())?;
            writeln!(out, "{registers}")?;
            write!(out, "at: {}", CodeAddress::of_instruction(registers.rip))
        },
        Backtrace::of_fault(registers),
    )
}

/// Ends before there is anything to report but why: one line, everywhere.
pub(crate) fn abort_boot(reason: &dyn fmt::Display) -> ! {
    let _ = writeln!(CrashConsole, "prism: cannot boot: {reason}");
    power::crash()
}

/// Prints a report everywhere and ends with a crash.
fn report(what: impl FnOnce(&mut CrashConsole) -> fmt::Result, backtrace: Backtrace) -> ! {
    let own = vcpu::number() + 1;
    let first =
        FIRST.compare_exchange(0, own, Ordering::AcqRel, Ordering::Acquire).unwrap_or_else(|first| first);
    if first != 0 && first != own {
        // The first report is the one that counts; its end is the end of this vCPU too.
        console::abandon();
        cpu::stop();
    }
    let mut out = CrashConsole;
    match CRASHES.fetch_add(1, Ordering::AcqRel) {
        0 => {
            let _ = out.write_str("\n--- Prism crashed ---\n");
            if own != 1 {
                let _ = writeln!(out, "vCPU {}:", vcpu::number());
            }
            let _ = what(&mut out);
            let _ = out.write_str("\nbacktrace:\n");
            for (depth, address) in backtrace.take(LONGEST_BACKTRACE).enumerate() {
                let _ = writeln!(out, "  {depth:2}  {}", CodeAddress::of_call(address));
            }
            let _ = out.write_str("--- end of report ---\n");
        }
        // The report itself crashed: say so with the simplest means, once.
        1 => {
            let _ = out.write_str("\n--- crashed again while reporting ---\n");
        }
        _ => {}
    }
    power::crash()
}

/// An address in the image, by name if there is one.
pub(crate) struct CodeAddress {
    address: u64,
    /// What is looked up: a return address belongs to the call before it, which may be the last
    /// instruction of its function.
    named: u64,
}

impl CodeAddress {
    pub(crate) fn of_instruction(address: u64) -> Self {
        Self { address, named: address }
    }

    pub(crate) fn of_call(address: u64) -> Self {
        Self { address, named: address.saturating_sub(1) }
    }
}

impl fmt::Display for CodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}  ", self.address)?;
        let symbols = SymbolTable::parse(image::symbols());
        match symbols.as_ref().and_then(|symbols| symbols.lookup(self.named)) {
            Some((name, offset)) => write!(f, "{name} + {offset:#x}"),
            None => f.write_str("?"),
        }
    }
}

/// What an exception means, as far as the image's layout tells.
struct Cause<'a>(&'a Fault);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.0;
        let Some(address) = fault.address.filter(|_| fault.registers.vector == PAGE_FAULT) else {
            return f.write_str(match fault.registers.vector {
                0 => "division by zero, or a quotient that does not fit",
                DOUBLE_FAULT => "an exception could not be delivered",
                _ => "an invalid instruction or operand",
            });
        };
        let image = image::image();
        if let Some(name) = stack::guarded(address) {
            return write!(f, "stack overflow: {address:#x} is in the guard page of the {name}");
        }
        let access = match fault.access() {
            Access::Read => "read of",
            Access::Write => "write to",
            Access::Execute => "jump to",
        };
        let target = match address {
            _ if image.text.contains(&address) => "the image's code",
            _ if image.rodata.contains(&address) || image.symbols.contains(&address) => {
                "the image's constants"
            }
            _ if image.data.contains(&address) => "the image's variables",
            0..4096 => "a null pointer's page",
            _ if fault.is_protection() => "memory that does not allow it",
            _ => "an address where nothing is",
        };
        write!(f, "{access} {address:#x}: {target}")
    }
}
