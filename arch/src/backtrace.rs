// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walking the stack by frame pointers.

use core::arch::asm;

use crate::{image, stack};

/// Return addresses, innermost first; stops at the first frame that cannot be right.
///
/// Everything is compiled with frame pointers: `[rbp]` is the caller's RBP, `[rbp + 8]` the
/// return address. Each frame must lie in the same stack, above the one before, and return into
/// the image's text, so that a walk over a broken stack ends instead of faulting.
#[derive(Clone, Debug)]
pub struct Backtrace {
    frame: u64,
    text: core::ops::Range<u64>,
}

impl Backtrace {
    /// The callers of the function whose frame pointer is `rbp`.
    pub fn from_frame(rbp: u64) -> Self {
        Self { frame: rbp, text: image::image().text }
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
        let stack = stack::containing(self.frame)?;
        if !self.frame.is_multiple_of(8) || stack.end - self.frame < 16 {
            return None;
        }
        let pointer = core::ptr::with_exposed_provenance::<[u64; 2]>(self.frame as usize);
        // SAFETY: 16 aligned bytes inside a stack of ours, which is always mapped.
        let [caller, address] = unsafe { pointer.read_volatile() };
        self.frame = if caller > self.frame { caller } else { 0 };
        self.text.contains(&address).then_some(address)
    }
}
