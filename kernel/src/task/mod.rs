// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks: sleep, timeouts, join, select, yield.
//!
//! Tasks are cooperative. While one runs, no other task of its vCPU does, and no event is handled. A task
//! that computes for long should call [`yield_now`]; [`long_polls`] counts those that should have, and
//! `loglevel=debug` logs each. A task that is woken over and over without work delays the others, but does
//! not starve them; [`spins`] counts that, and the log names the task.
//!
//! Everything here comes from `embassy_time` and `embassy_futures`; other crates for these run here too. The
//! examples below are what the guest test `tasks` runs on Xen.
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
pub mod embassy;
pub(crate) mod executor;
pub(crate) mod hotplug;
pub(crate) mod kick;
pub(crate) mod smp;
pub(crate) mod stop;
pub mod sync;

use core::future::Future;

pub use embassy_futures::join::{join, join_array, join3, join4};
pub use embassy_futures::select::{Either, Either3, Either4, select, select_array, select3, select4};
pub use embassy_futures::yield_now;
pub use embassy_time::{Duration, Instant, Ticker, TimeoutError, Timer, with_deadline, with_timeout};

pub use self::executor::{TaskUsage, long_polls, spins, tasks};

/// Waits for at least `duration`.
pub fn sleep(duration: Duration) -> impl Future<Output = ()> {
    Timer::after(duration)
}
