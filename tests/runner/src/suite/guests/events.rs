// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events and timers in numbers.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[GuestTest::new("no_event_is_lost_and_no_timer_is_early", "events")
    .envs(&[Env::Dom0Pv, Env::Dom0Pvh, Env::Pv, Env::Pvh, Env::PvShim, Env::Pvhvm, Env::QemuXen])];
