// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPU exceptions. The stubs of both machines build the same frame.
//!
//! No exception returns: each is a bug, and the kernel reports it with all registers. Non-maskable interrupts
//! have stubs of their own (module `nmi`).

use core::arch::global_asm;
use core::fmt;

/// The registers at the time of an exception, as the stubs push them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the registers' own names")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// Exception number, 0 to 31.
    pub vector: u64,
    /// What the CPU pushed with it; 0 where there is none.
    pub error_code: u64,
    pub rip: u64,
    /// In a PV domain bits 32 and up hold the saved event mask.
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// An exception that happened.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The registers.
    pub registers: Registers,
    /// The address that a page fault was about.
    pub address: Option<u64>,
}

/// What a page fault's error code says (Intel SDM volume 3, 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Data was read.
    Read,
    /// Data was written.
    Write,
    /// An instruction was fetched.
    Execute,
}

/// Vector that event channels are delivered by on HVM, where Xen offers that.
pub const EVENT_VECTOR: u8 = 0xf3;

/// Vector of a page fault.
pub const PAGE_FAULT: u64 = 14;
/// Vector of a double fault.
pub const DOUBLE_FAULT: u64 = 8;

impl Fault {
    /// The exception's name in the manuals.
    pub fn name(&self) -> &'static str {
        match self.registers.vector {
            0 => "divide error (#DE)",
            1 => "debug exception (#DB)",
            2 => "non-maskable interrupt (NMI)",
            3 => "breakpoint (#BP)",
            4 => "overflow (#OF)",
            5 => "bound range exceeded (#BR)",
            6 => "invalid opcode (#UD)",
            7 => "device not available (#NM)",
            8 => "double fault (#DF)",
            10 => "invalid TSS (#TS)",
            11 => "segment not present (#NP)",
            12 => "stack fault (#SS)",
            13 => "general protection (#GP)",
            14 => "page fault (#PF)",
            16 => "x87 floating-point error (#MF)",
            17 => "alignment check (#AC)",
            18 => "machine check (#MC)",
            19 => "SIMD floating-point error (#XM)",
            21 => "control protection (#CP)",
            _ => "reserved exception",
        }
    }

    /// What a page fault was trying to do.
    pub fn access(&self) -> Access {
        match self.registers.error_code {
            code if code & 1 << 4 != 0 => Access::Execute,
            code if code & 1 << 1 != 0 => Access::Write,
            _ => Access::Read,
        }
    }

    /// Whether a page fault hit a page that is mapped, but not for this.
    pub fn is_protection(&self) -> bool {
        self.registers.error_code & 1 != 0
    }
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  rip {:016x}  rsp {:016x}  rbp {:016x}", self.rip, self.rsp, self.rbp)?;
        writeln!(f, "  rax {:016x}  rbx {:016x}  rcx {:016x}", self.rax, self.rbx, self.rcx)?;
        writeln!(f, "  rdx {:016x}  rsi {:016x}  rdi {:016x}", self.rdx, self.rsi, self.rdi)?;
        writeln!(f, "  r8  {:016x}  r9  {:016x}  r10 {:016x}", self.r8, self.r9, self.r10)?;
        writeln!(f, "  r11 {:016x}  r12 {:016x}  r13 {:016x}", self.r11, self.r12, self.r13)?;
        writeln!(f, "  r14 {:016x}  r15 {:016x}  flags {:#x}", self.r14, self.r15, self.rflags)?;
        write!(f, "  cs {:#x}  ss {:#x}  error code {:#x}", self.cs as u32, self.ss, self.error_code)
    }
}

unsafe extern "Rust" {
    /// Reports an exception and ends the domain; the kernel defines it.
    safe fn prism_fault(fault: &Fault) -> !;
}

/// Where every stub ends up.
extern "C" fn trap(registers: &Registers) -> ! {
    let page_fault = registers.vector == PAGE_FAULT;
    // A PV kernel may read CR2 as well: Xen emulates it from `vcpu_info.arch.cr2`.
    let address =
        (page_fault || registers.vector == DOUBLE_FAULT).then(x86_64::registers::control::Cr2::read_raw);
    prism_fault(&Fault { registers: *registers, address })
}

// Vectors 8, 10 to 14, 17, 21, 29 and 30 come with an error code; the stubs push 0 for the
// others, then the vector, then the registers.
//
// HVM: the CPU pushed SS, RSP, RFLAGS, CS, RIP [, error code].
// PV: Xen pushed the same, with R11 and RCX on top (xen/arch/x86/x86_64/entry.S,
//     create_bounce_frame).
global_asm!(
    ".macro trap_stub machine, vector",
    "\\machine\\()_trap_\\vector:",
    ".ifc \\machine, pv",
    "    pop rcx",
    "    pop r11",
    ".endif",
    // bit mask of the vectors with an error code
    ".if ((0x60227d00 >> \\vector) & 1) == 0",
    "    push 0",
    ".endif",
    "    push \\vector",
    "    jmp trap_common",
    ".endm",
    ".macro trap_address machine, vector",
    "    .quad \\machine\\()_trap_\\vector",
    ".endm",
    ".altmacro",
    ".macro trap_stubs machine",
    "    .set n, 0",
    "    .rept 32",
    "        trap_stub \\machine, %n",
    "        .set n, n + 1",
    "    .endr",
    ".endm",
    ".macro trap_addresses machine",
    "    .set n, 0",
    "    .rept 32",
    "        trap_address \\machine, %n",
    "        .set n, n + 1",
    "    .endr",
    ".endm",
    ".pushsection .text.entry, \"ax\"",
    "trap_stubs hvm",
    "trap_stubs pv",
    "trap_common:",
    "    push rax",
    "    push rbx",
    "    push rcx",
    "    push rdx",
    "    push rsi",
    "    push rdi",
    "    push rbp",
    "    push r8",
    "    push r9",
    "    push r10",
    "    push r11",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    cld",
    "    mov rdi, rsp",
    "    and rsp, -16",
    "    call {trap}",
    "    ud2",
    ".popsection",
    ".pushsection .rodata.trap_stubs, \"a\"",
    ".align 8",
    ".global prism_hvm_trap_stubs",
    "prism_hvm_trap_stubs:",
    "trap_addresses hvm",
    ".global prism_pv_trap_stubs",
    "prism_pv_trap_stubs:",
    "trap_addresses pv",
    ".popsection",
    ".noaltmacro",
    trap = sym trap,
);

unsafe extern "C" {
    #[link_name = "prism_hvm_trap_stubs"]
    static HVM_STUBS: [u64; 32];
    #[link_name = "prism_pv_trap_stubs"]
    static PV_STUBS: [u64; 32];
}

/// Addresses of the stubs for frames that the CPU pushed.
pub(crate) fn hvm_stubs() -> &'static [u64; 32] {
    // SAFETY: the table above; constant.
    unsafe { &HVM_STUBS }
}

/// Addresses of the stubs for frames that Xen pushed.
pub(crate) fn pv_stubs() -> &'static [u64; 32] {
    // SAFETY: the table above; constant.
    unsafe { &PV_STUBS }
}
