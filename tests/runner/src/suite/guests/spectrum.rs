// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grid, everywhere.

use super::GuestTest;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] =
    &[GuestTest::new("spectrum_prints_the_right_grid", "spectrum").with_grid()];
