// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks: waiting for a time, for several things at once, for one thing but not for ever; and
//! giving way.
//!
//! A task runs until it waits; nothing takes the vCPU away from it. While it runs, no other task of this
//! vCPU does, and no event arrives. One that computes for long calls [`yield_now`] now and then;
//! [`long_polls`] counts the times when one should have, and at `loglevel=debug` each is logged. A task that
//! is woken again and again for nothing delays others, but does not keep them from running; [`spins`] counts
//! that, and the log names the task.
//!
//! What is here comes from `embassy_time` and `embassy_futures`; whatever else is written for these
//! runs here too. The examples below are what the guest test `tasks` runs on Xen.
//!
//! # Waiting
//!
//! ```ignore
#![doc = include_str!("../../../tests/guest/tasks/src/examples/waiting.rs")]
//! ```
//!
//! # Tasks beside main
//!
//! ```ignore
#![doc = include_str!("../../../tests/guest/tasks/src/examples/spawning.rs")]
//! ```

pub mod blocking;
mod critical;
pub(crate) mod executor;
pub(crate) mod kick;
pub(crate) mod smp;
pub mod sync;

use core::future::Future;

pub use embassy_futures::join::{join, join_array, join3, join4};
pub use embassy_futures::select::{Either, Either3, Either4, select, select_array, select3, select4};
pub use embassy_futures::yield_now;
pub use embassy_time::{Duration, Instant, Ticker, TimeoutError, Timer, with_deadline, with_timeout};

pub use self::executor::{long_polls, spins};

/// Waits for `duration`, or a little longer; never shorter.
pub fn sleep(duration: Duration) -> impl Future<Output = ()> {
    Timer::after(duration)
}
