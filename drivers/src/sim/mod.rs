// SPDX-License-Identifier: MIT OR Apache-2.0
//! A platform for tests, over a fake Xen that is stricter than the real one.
//!
//! [`SimPlatform`] gives a driver pages, grants and event channels; a test plays the backend with
//! [`peer`](SimPlatform::peer) and [`far_end`](SimPlatform::far_end). Time passes only as a test says. When
//! it is dropped, it panics if a grant or a channel was leaked.
#![allow(clippy::panic, clippy::expect_used, reason = "a fake stops the test that made the mistake")]

mod channel;
mod platform;

pub use channel::{FarEnd, SimChannel};
pub use platform::{Clock, SimPlatform};
