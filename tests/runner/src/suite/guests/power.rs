// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways to end, as Xen sees them.

use super::GuestTest;
use crate::env::Env;
use crate::guest::Ending;

const ENVS: &[Env] = &[Env::Pv, Env::Pvh, Env::PvShim, Env::Pvhvm, Env::Hvm];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("switching_off_is_a_poweroff", "power")
        .words("power=off")
        .envs(ENVS)
        .ending_by(&Ending::Poweroff),
    GuestTest::new("starting_again_is_a_reboot", "power")
        .words("power=reboot")
        .envs(ENVS)
        .ending_by(&Ending::Reboot),
    GuestTest::new("a_request_in_xenstore_is_obeyed", "power")
        .words("power=asked-to-reboot")
        .envs(&[Env::Pv, Env::Pvh, Env::PvShim, Env::Pvhvm])
        .telling(&["the toolstack asks for: reboot"])
        .ending_by(&Ending::Reboot),
];
