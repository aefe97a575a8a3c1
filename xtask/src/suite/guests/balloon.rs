// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests whose memory changes while they run.

use super::GuestTest;
use crate::env::Env;

/// What the guest writes when it works.
const READY: &str = "ready for a balloon";

/// A guest that works with its memory.
const WORKING: GuestTest = GuestTest::new("", "balloon");

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    WORKING
        .named("memory_is_given_back_and_taken_again")
        .envs(&[Env::Pv, Env::Pvh])
        .settings(&["maxmem = 96"])
        .words("size=64")
        .beside(
            READY,
            concat!(
                include_str!("balloon/common.sh"),
                "tells_memory 32768 98304 && ask_for_feature && set_memory 24 && [ $(xenstore-read $feature) = 1 ] && set_memory 96 && set_memory 64 && end"
            ),
        )
        .telling(&[
            "balloon: the target of 24576 KiB is reached",
            "balloon: the target of 98304 KiB is reached",
        ]),
    WORKING.named("targets_that_make_no_sense_do_no_harm").envs(&[]).long_envs(&[Env::Pv, Env::Pvh]).beside(
        READY,
        concat!(
            include_str!("balloon/common.sh"),
            "for target in '' 0 64M 99999999999999999999; do
                    write_target \"$target\"
                    said \"memory/target is .$target.,\"
                done
                write_target 4398046511104
                said 'the target of 4398046511104 KiB is more than the guest can have, taking 65536 KiB'
                has 63 65
                write_target 1
                said 'the target of 1 KiB is not reached'
                has 2 20
                set_memory 64
                end"
        ),
    ),
    WORKING
        .named("a_guest_grows_beyond_what_it_was_started_with")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .settings(&["maxmem = 256"])
        .words("size=256")
        .beside(
            READY,
            concat!(
                include_str!("balloon/common.sh"),
                "set_memory 128 && set_memory 32 && set_memory 256 && end"
            ),
        )
        .telling(&["balloon: the target of 262144 KiB is reached"]),
    WORKING
        .named("a_guest_with_a_card_gives_memory_back_and_takes_it_again")
        .envs(&[])
        .long_envs(&[Env::Pvhvm])
        .memory(128)
        .settings(&["maxmem = 256"])
        .words("size=180")
        .beside(
            READY,
            concat!(include_str!("balloon/common.sh"), "set_memory 64 20 && set_memory 200 20 && end"),
        ),
    WORKING
        .named("a_guest_with_less_memory_is_saved_and_restored")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside(
            READY,
            concat!(
                include_str!("suspend/common.sh"),
                include_str!("balloon/common.sh"),
                "set_memory 40 16
                checkpoint
                has 39 56
                save_and_restore
                # libxl wants a restored HVM guest to have a MiB less than before, if it may have more.
                has 37 56
                set_memory 32 16
                set_memory 64 16
                end"
            ),
        )
        .telling(&["resume: the domain was restored"]),
];
