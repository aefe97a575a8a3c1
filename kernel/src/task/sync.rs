// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels, signals and mutexes between tasks: `embassy-sync`, with the lock for this kernel.
//!
//! Use [`Lock`] for a type of `embassy-sync` that tasks on several vCPUs share, and
//! [`NoopRawMutex`](blocking_mutex::raw::NoopRawMutex) for one whose tasks all run on one vCPU.

pub use embassy_sync::*;

/// A critical section. Keep it short: other vCPUs spin meanwhile.
pub type Lock = blocking_mutex::raw::CriticalSectionRawMutex;
