// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CPU's random numbers: RDRAND and RDSEED (Intel SDM volume 1, 7.3.17).

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};

use crate::cpuid::{self, Reader};

/// The instructions that this guest may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomInstructions {
    rdrand: bool,
    rdseed: bool,
}

impl RandomInstructions {
    /// What CPUID, asked by `reader`, says of them.
    pub fn detect(reader: Reader) -> Self {
        Self { rdrand: cpuid::has_rdrand(reader), rdseed: cpuid::has_rdseed(reader) }
    }

    /// Executes RDRAND once: `None` if it is not there, `Some(None)` if it has no number just now.
    pub fn rdrand(self) -> Option<Option<u64>> {
        // SAFETY: CPUID says that the CPU has the instruction.
        self.rdrand.then(|| unsafe { rdrand() })
    }

    /// Executes RDSEED once: `None` if it is not there, `Some(None)` if it has no number just now.
    pub fn rdseed(self) -> Option<Option<u64>> {
        // SAFETY: CPUID says that the CPU has the instruction.
        self.rdseed.then(|| unsafe { rdseed() })
    }
}

#[target_feature(enable = "rdrand")]
fn rdrand() -> Option<u64> {
    let mut number = 0;
    (_rdrand64_step(&mut number) == 1).then_some(number)
}

#[target_feature(enable = "rdseed")]
fn rdseed() -> Option<u64> {
    let mut number = 0;
    (_rdseed64_step(&mut number) == 1).then_some(number)
}
