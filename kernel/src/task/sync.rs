// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels, signals, mutexes between tasks: `embassy-sync`, with the lock that suits it here.
//!
//! A type of `embassy-sync` is given [`Lock`] if tasks on several vCPUs use it, and
//! [`NoopRawMutex`](blocking_mutex::raw::NoopRawMutex) if all of them run on one.

pub use embassy_sync::*;

/// What keeps several vCPUs from each other: a critical section. It must be short.
pub type Lock = blocking_mutex::raw::CriticalSectionRawMutex;
