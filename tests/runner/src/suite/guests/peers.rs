// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests and what their machine does beside them: dom0 as a peer, honest and hostile.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("what_runs_beside_a_guest_knows_its_name_and_number", "idle")
        .words("seconds=2")
        .envs(&[Env::Pv, Env::QemuXen])
        .beside("Environment:", "echo beside $GUEST; [ -z \"$DOMID\" ] || xl domname $DOMID")
        .telling(&["beside prism"]),
    GuestTest::new("what_runs_before_a_guest_lets_it_begin", "idle")
        .words("seconds=0")
        .envs(&[Env::Pvh])
        .after("xl list $DOMID; xl unpause $DOMID")
        .telling(&["--p---"]),
];
