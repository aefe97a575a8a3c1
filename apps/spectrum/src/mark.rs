// SPDX-License-Identifier: MIT OR Apache-2.0
//! Marks that whoever counts a guest's entries from outside sees between them.

use core::arch::x86_64::__cpuid_count;
use core::hint::black_box;

use prism::xen::vcpu;
use prism::{Context, println};

/// A vCPU that no domain has: Xen says no, and its trace has the number.
const NO_VCPU: u32 = 0x5000;

/// How a mark is made.
#[derive(Clone, Copy)]
pub(crate) enum Marks {
    /// There are none: nobody counts.
    None,
    /// A hypercall about a vCPU that there is not. For PV domains.
    Hypercall,
    /// CPUID, which is an exit with hardware virtualization, and which the kernel does not need after boot.
    Cpuid,
    /// A line on the console, where each byte is an access to a device.
    Line,
}

impl Marks {
    /// Those that `marks=` names.
    ///
    /// # Errors
    ///
    /// If it names none.
    pub(crate) fn of(context: &Context) -> prism::Result<Self> {
        Ok(match context.command_line().get("marks") {
            None => Self::None,
            Some("hypercall") => Self::Hypercall,
            Some("cpuid") => Self::Cpuid,
            Some("line") => Self::Line,
            Some(_) => return Err("marks= is none of hypercall, cpuid, line".into()),
        })
    }

    /// Makes one.
    pub(crate) fn make(self, context: &Context) {
        match self {
            Self::None => {}
            Self::Hypercall => {
                if let Some(calls) = context.environment().hypervisor_calls() {
                    let _ = vcpu::is_up(&calls, NO_VCPU); // refused, as it should be
                }
            }
            Self::Cpuid => ask(),
            Self::Line => println!("mark"),
        }
    }
}

/// In one place: an exit's address tells a mark from what else asks CPUID.
#[inline(never)]
fn ask() {
    black_box(__cpuid_count(0, 0));
}
