// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of the local APIC, by a page of memory (xAPIC) or by model-specific registers
//! (x2APIC), and the stub that takes its interrupts.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::model_specific::Msr;

use crate::cpuid;
use crate::machine::{FrameSource, Machine, MapError};
use crate::sleep::end_sleep;

/// Vector of a CPU's own timer.
pub const TIMER_VECTOR: u8 = 0xf0;
/// Vector by which one CPU ends another's sleep.
pub const WAKE_VECTOR: u8 = 0xf1;
/// Vector of interrupts that went away before they were taken: no stub acknowledges them.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// `IA32_APIC_BASE`: place and mode of the APIC of this CPU.
const BASE: u32 = 0x1b;
const BASE_ENABLED: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// `IA32_TSC_DEADLINE`.
const DEADLINE: u32 = 0x6e0;
/// First MSR of x2APIC mode: the register at offset 16 * n of the page is MSR 0x800 + n.
const FIRST_MSR: u32 = 0x800;
const ID: u16 = 0x020;
const END_OF_INTERRUPT: u16 = 0x0b0;
const COMMAND: u16 = 0x300;
/// Destination of a command, in bits 24 to 31 (xAPIC).
const DESTINATION: u16 = 0x310;
/// Bit of the command register: the last one has not been delivered yet (xAPIC).
const PENDING: u32 = 1 << 12;
/// Looks at that bit. A command takes a few of them.
const MAX_SPINS: u32 = 100_000;

/// Address of the register that ends an interrupt, for the stub; 0 in x2APIC mode.
static END_ADDRESS: AtomicU64 = AtomicU64::new(0);

/// How the local APIC of the CPU that runs the call is reached: the same way on every CPU.
#[derive(Clone, Copy, Debug)]
pub enum Apic {
    /// By the register page at this address.
    Page(u64),
    /// By model-specific registers.
    Msrs,
}

impl Apic {
    /// Finds out how, and maps the register page if that is it. Not for PV domains, and only if
    /// [`cpuid::has_local_apic`].
    ///
    /// # Errors
    ///
    /// If the page cannot be mapped.
    pub fn find(machine: &dyn Machine, frames: &mut dyn FrameSource) -> Result<Self, MapError> {
        if cpuid::has_x2apic() {
            return Ok(Self::Msrs);
        }
        let page = read_msr(BASE) & BASE_ADDRESS;
        machine.ioremap_page(page, frames)?;
        END_ADDRESS.store(page + u64::from(END_OF_INTERRUPT), Ordering::Release);
        Ok(Self::Page(page))
    }

    /// Puts the APIC of this CPU into the mode that this type stands for.
    pub fn switch_on(self) {
        let base = read_msr(BASE);
        if base & BASE_ENABLED == 0 {
            write_msr(BASE, base | BASE_ENABLED);
        }
        if matches!(self, Self::Msrs) && base & BASE_X2 == 0 {
            // One step at a time: the CPU refuses to go from "off" to x2APIC.
            write_msr(BASE, base | BASE_ENABLED | BASE_X2);
        }
    }

    /// Reads the register at `offset` of the register page.
    pub fn read(self, offset: u16) -> u32 {
        match self {
            // SAFETY: mapped by `find`; reading the registers of an APIC changes no memory.
            Self::Page(page) => unsafe { register(page, offset).read_volatile() },
            Self::Msrs => read_msr(msr(offset)) as u32,
        }
    }

    /// Writes the register at `offset` of the register page.
    pub fn write(self, offset: u16, value: u32) {
        match self {
            // SAFETY: mapped by `find`. The vectors that can be asked for have stubs.
            Self::Page(page) => unsafe { register(page, offset).write_volatile(value) },
            Self::Msrs => write_msr(msr(offset), value.into()),
        }
    }

    /// Number of this CPU.
    pub fn id(self) -> u32 {
        let id = self.read(ID);
        if matches!(self, Self::Msrs) { id } else { id >> 24 }
    }

    /// Sends `command` to CPU `destination`; false if its number is too large for this APIC.
    pub fn command(self, destination: u32, command: u32) -> bool {
        match self {
            Self::Msrs => write_msr(msr(COMMAND), u64::from(destination) << 32 | u64::from(command)),
            Self::Page(_) if destination > 0xff => return false,
            Self::Page(_) => {
                // One that is never delivered does not keep us: the next replaces it.
                let _ = (0..MAX_SPINS).find(|_| self.read(COMMAND) & PENDING == 0);
                self.write(DESTINATION, destination << 24);
                self.write(COMMAND, command);
            }
        }
        true
    }

    /// Sets the time stamp at which the timer fires, if it is in deadline mode.
    pub fn write_deadline(self, timestamp: u64) {
        if matches!(self, Self::Page(_)) {
            // The write to memory that chose the mode must come first (SDM volume 3, 11.5.4.1).
            // SAFETY: every x86-64 CPU has it.
            unsafe { core::arch::x86_64::_mm_mfence() };
        }
        write_msr(DEADLINE, timestamp);
    }
}

fn register(page: u64, offset: u16) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut((page + u64::from(offset & 0xff0)) as usize)
}

fn msr(offset: u16) -> u32 {
    FIRST_MSR + u32::from(offset >> 4)
}

fn read_msr(number: u32) -> u64 {
    // SAFETY: one of the registers above, which a CPU with a local APIC has; reading has no effect.
    unsafe { Msr::new(number).read() }
}

fn write_msr(number: u32, value: u64) {
    // SAFETY: one of the registers above; they raise interrupts and reset other CPUs, but change no
    // memory. The vectors that can be asked for have stubs.
    unsafe { Msr::new(number).write(value) }
}

/// Takes an interrupt of the local APIC: ends it there, and returns with interrupts off. Whoever
/// waited looks for the reason.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn apic_stub() {
    naked_asm!(
        "push rax",
        "mov rax, qword ptr [rip + {end}]",
        "test rax, rax",
        "jz 2f",
        "mov dword ptr [rax], 0",
        "3: pop rax",
        "jmp {end_sleep}",
        "2: push rcx",
        "push rdx",
        "mov ecx, {end_msr}",
        "xor eax, eax",
        "xor edx, edx",
        "wrmsr",
        "pop rdx",
        "pop rcx",
        "jmp 3b",
        end_sleep = sym end_sleep,
        end = sym END_ADDRESS,
        end_msr = const FIRST_MSR + (END_OF_INTERRUPT >> 4) as u32,
    )
}
