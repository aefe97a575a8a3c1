// SPDX-License-Identifier: MIT OR Apache-2.0
//! Letting other tasks go on, though there is nothing to wait for.

use prism::blocking::wait;
use prism::task::yield_now;

/// Reads between two turns of the others.
const READS: u32 = 64;

/// Counts reads. A disk in memory answers at once: whoever reads much of it would keep the vCPU otherwise.
#[derive(Default)]
pub(crate) struct Turns(u32);

impl Turns {
    /// A read is about to be: it may be the others' turn first.
    pub(crate) fn pass(&mut self) {
        self.0 = self.0.wrapping_add(1);
        if self.0.is_multiple_of(READS) {
            wait(yield_now());
        }
    }
}
