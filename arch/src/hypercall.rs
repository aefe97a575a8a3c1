// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instruction that enters the hypervisor.
//!
//! By default the instruction is inline: `syscall` in a PV domain; elsewhere `vmcall` on Intel and `vmmcall`
//! on AMD. The hypercall page, code that Xen writes into the guest, does the same with a `ret` that
//! speculation defences dislike (XSA-466). `hypercall=page` selects it.
//!
//! Convention: `docs/guest-guide/x86/hypercall-abi.rst`.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU8, Ordering};

use xen::Hypercall;
use xen::sched::{SUSPEND_REASON, suspend_arguments};
use xen_sys::xen::__HYPERVISOR_sched_op;

/// How hypercalls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// `syscall`: PV.
    Syscall = 1,
    /// `vmcall`: HVM and PVH on Intel and compatible CPUs.
    Vmcall = 2,
    /// `vmmcall`: HVM and PVH on AMD and compatible CPUs.
    Vmmcall = 3,
    /// A call into the page that Xen filled in.
    Page = 4,
}

impl Method {
    /// What the boot report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syscall => "inline syscall",
            Self::Vmcall => "inline vmcall",
            Self::Vmmcall => "inline vmmcall",
            Self::Page => "hypercall page",
        }
    }
}

/// The method in use, or 0 before there is one.
static METHOD: AtomicU8 = AtomicU8::new(0);

/// Chooses how hypercalls are made from now on.
///
/// # Safety
///
/// There is a hypervisor that understands the method, and for [`Method::Page`] it has filled
/// the hypercall page in.
pub unsafe fn select(method: Method) {
    METHOD.store(method as u8, Ordering::Release);
}

/// Disables hypercalls: each returns `ENOSYS` from now on.
pub fn disable() {
    METHOD.store(0, Ordering::Release);
}

/// The method in use, if there is a hypervisor to call.
pub fn method() -> Option<Method> {
    match METHOD.load(Ordering::Acquire) {
        1 => Some(Method::Syscall),
        2 => Some(Method::Vmcall),
        3 => Some(Method::Vmmcall),
        4 => Some(Method::Page),
        _ => None,
    }
}

/// The page that Xen writes its stubs into: at start (PV, found by an ELF note), or when its
/// address is written to an MSR. 32 bytes for each hypercall number.
///
/// Full of breakpoints until then: a call that comes too early is reported, not lost.
#[unsafe(naked)]
#[unsafe(link_section = ".text.hypercall_page")]
pub(crate) unsafe extern "C" fn hypercall_page() {
    naked_asm!(".fill 4096, 1, 0xcc")
}

/// Has Xen fill the hypercall page in, through the MSR whose number CPUID gave. On HVM this is
/// also what tells Xen that the guest is a 64-bit one, and how `shared_info` is to be laid out.
///
/// # Safety
///
/// `msr` is the number from Xen's CPUID leaf; this is not a PV domain.
pub unsafe fn fill_page(msr: u32) {
    let page = (hypercall_page as *const ()).addr() as u64;
    // SAFETY: Xen writes the stubs into the page, which holds nothing else.
    unsafe { x86_64::registers::model_specific::Msr::new(msr).write(page) };
}

/// The hypervisor beneath, if [`select`] found one.
#[derive(Clone, Copy, Debug)]
pub struct Hypervisor;

impl Hypercall for Hypervisor {
    unsafe fn issue(&self, number: u64, arguments: [u64; 5]) -> i64 {
        match method() {
            // SAFETY: the caller's promise, and `select`'s for the instruction.
            Some(Method::Syscall) => unsafe { syscall(number, arguments) },
            // SAFETY: as above.
            Some(Method::Vmcall) => unsafe { vmcall(number, arguments) },
            // SAFETY: as above.
            Some(Method::Vmmcall) => unsafe { vmmcall(number, arguments) },
            // SAFETY: as above.
            Some(Method::Page) => unsafe { page(number, arguments) },
            None => -i64::from(xen::Errno::NOSYS.0),
        }
    }
}

/// One function per instruction. RCX and R11 are lost to `syscall`; Xen may also change the
/// argument registers (debug builds do, on purpose).
macro_rules! instruction {
    ($name:ident, $code:literal) => {
        /// # Safety
        ///
        /// As for [`Hypercall::issue`], and the hypervisor must take this instruction.
        #[inline(always)]
        unsafe fn $name(number: u64, [a, b, c, d, e]: [u64; 5]) -> i64 {
            let result;
            // SAFETY: the caller's promise. Memory is clobbered, as it is by default.
            unsafe {
                asm!(
                    $code,
                    inlateout("rax") number => result,
                    inlateout("rdi") a => _,
                    inlateout("rsi") b => _,
                    inlateout("rdx") c => _,
                    inlateout("r10") d => _,
                    inlateout("r8") e => _,
                    lateout("rcx") _,
                    lateout("r11") _,
                );
            }
            result
        }
    };
}

instruction!(syscall, "syscall");
instruction!(vmcall, "vmcall");
instruction!(vmmcall, "vmmcall");

/// # Safety
///
/// As for [`Hypercall::issue`], and Xen must have filled the page in.
unsafe fn page(number: u64, [a, b, c, d, e]: [u64; 5]) -> i64 {
    let stub = (hypercall_page as *const ()).addr() as u64 + number * 32;
    let result;
    // SAFETY: the caller's promise. The stub is called like a function, and may use the stack.
    unsafe {
        asm!(
            "call {stub}",
            stub = in(reg) stub,
            lateout("rax") result,
            inlateout("rdi") a => _,
            inlateout("rsi") b => _,
            inlateout("rdx") c => _,
            inlateout("r10") d => _,
            inlateout("r8") e => _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Suspends a PV domain whose `start_info` is machine frame `start_info`; what Xen returned when it goes on.
///
/// By `syscall` in any case, with the registers that it changes set to what it leaves there: a CPU with FRED
/// leaves them alone, and a vCPU that is restored on another one goes on at RCX.
///
/// # Safety
///
/// As for [`xen::sched::suspend`], in a PV domain; no page but the domain's own is mapped.
pub(crate) unsafe fn suspend_pv(start_info: u64) -> xen::error::Result<u64> {
    let reason = SUSPEND_REASON;
    let [command, pointer, start_info, ..] = suspend_arguments(&reason, start_info);
    let result: i64;
    // SAFETY: SCHEDOP_shutdown reads the reason; the rest is the caller's promise. All that the instruction
    // changes is named.
    unsafe {
        asm!(
            "pushfq",
            "pop r11",
            "lea rcx, [rip + 2f]",
            "syscall",
            "2:",
            inlateout("rax") __HYPERVISOR_sched_op => result,
            inlateout("rdi") command => _,
            inlateout("rsi") pointer => _,
            inlateout("rdx") start_info => _,
            lateout("r10") _,
            lateout("r8") _,
            out("rcx") _,
            out("r11") _,
        );
    }
    xen::error::check(result)
}
