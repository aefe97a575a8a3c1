// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walking the stack by frame pointers.

use core::arch::asm;

use crate::traps::Registers;
use crate::{image, stack};

/// Return addresses, innermost first; stops at the first frame that cannot be right.
///
/// Everything is compiled with frame pointers: `[rbp]` is the caller's RBP, `[rbp + 8]` the
/// return address. Each frame must lie in the same stack, above the one before, and return into
/// the image's text, so that a walk over a broken stack ends instead of faulting.
#[derive(Clone, Debug)]
pub struct Backtrace {
    /// The caller by the stack's top, where the frame pointer doesn't know it.
    first: Option<u64>,
    frame: u64,
    text: core::ops::Range<u64>,
}

impl Backtrace {
    /// The callers of the function that an exception happened in.
    ///
    /// After a jump to where no code is, nobody has set a frame up: what called is known by the
    /// return address on top of the stack.
    pub fn of_fault(registers: &Registers) -> Self {
        let mut backtrace = Self::from_frame(registers.rbp);
        if !backtrace.text.contains(&registers.rip) {
            backtrace.first = read_pair(registers.rsp).map(|[address, _]| address);
        }
        backtrace
    }

    fn from_frame(rbp: u64) -> Self {
        Self { first: None, frame: rbp, text: image::image().text }
    }

    /// The callers of the function that calls this.
    #[inline(always)]
    pub fn here() -> Self {
        let rbp: u64;
        // SAFETY: copies a register.
        unsafe { asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack, preserves_flags)) };
        Self::from_frame(rbp)
    }
}

impl Iterator for Backtrace {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if let Some(address) = self.first.take().filter(|address| self.text.contains(address)) {
            return Some(address);
        }
        let [caller, address] = read_pair(self.frame)?;
        self.frame = if caller > self.frame { caller } else { 0 };
        self.text.contains(&address).then_some(address)
    }
}

/// Two words of a stack of ours; `None` if `address` is not one of them.
fn read_pair(address: u64) -> Option<[u64; 2]> {
    let stack = stack::containing(address)?;
    if !address.is_multiple_of(8) || stack.end - address < 16 {
        return None;
    }
    let pointer = core::ptr::with_exposed_provenance::<[u64; 2]>(address as usize);
    // SAFETY: 16 aligned bytes inside a stack of ours, which is always mapped.
    Some(unsafe { pointer.read_volatile() })
}
