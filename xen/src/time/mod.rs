// SPDX-License-Identifier: MIT OR Apache-2.0
//! What time it is: Xen's clocks, read from memory without a hypercall.
//!
//! | item | what it shows | where it is described |
//! |---|---|---|
//! | [`Clock`] | nanoseconds since Xen started, as one vCPU sees it | `struct vcpu_time_info` of `xen/include/public/xen.h` |
//! | [`WallClock`] | the date and time at which that clock showed zero | `wc_sec` and its neighbours in `struct shared_info` there |
//! | [`Monotonic`] | one time for all vCPUs, which never goes back | - |
//! | [`Delay`] | a kernel's way to let time pass | - |
//!
//! KVM's clocks have the same layout (Linux `Documentation/virt/kvm/x86/msr.rst`), and are read by the same
//! code. Xen changes the numbers while we read them: both are under a version that is odd meanwhile,
//! and a reading is tried again, but not for ever.
//!
//! ```
//! use xen::shared::Shared;
//! use xen::time::{Clock, Monotonic};
//! use xen_sys::xen::vcpu_time_info;
//!
//! // A time-stamp counter of 2 GHz: each tick is half a nanosecond, or 2^31 / 2^32.
//! let mut info = vcpu_time_info {
//!     version: 2,
//!     tsc_timestamp: 1000,
//!     system_time: 5_000_000_000,
//!     tsc_to_system_mul: 1 << 31,
//!     ..Default::default()
//! };
//! # let address = (&raw mut info).expose_provenance() as u64;
//! // SAFETY: `info` lives longer than the clock, and nothing else uses it.
//! let clock = Clock::new(unsafe { Shared::at(address) });
//! assert_eq!(clock.nanoseconds(|| 3000), Some(5_000_001_000));
//! assert_eq!(clock.timestamp_khz(), Some(2_000_000));
//!
//! // The clock of a machine is a static; it shows zero at the first reading. This one has two vCPUs.
//! static TIME: Monotonic<2> = Monotonic::new();
//! TIME.start(5_000_000_000);
//! assert_eq!(TIME.now(0, || clock.nanoseconds(|| 3000)), 1000);
//! assert_eq!(TIME.now(0, || clock.nanoseconds(|| 2000)), 1000, "time never goes back");
//! ```

mod clock;
mod delay;
mod monotonic;
mod wall;

pub use clock::Clock;
pub use delay::Delay;
pub(crate) use delay::{First, all, both, first};
pub use monotonic::Monotonic;
pub use wall::WallClock;

/// How often a reading is tried while the hypervisor keeps changing the numbers under it. It
/// changes them a few times a second; more than a handful of collisions means that something is
/// wrong.
const TRIES: u32 = 1000;
