// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests and what their machine does beside them: dom0 as a peer, honest and hostile.

use super::{GuestTest, network};
use crate::env::Env;
use crate::guest::Backend;

/// What the guests write when they are ready for the peer.
const READY: &str = "ready for a peer";

/// A guest with a disk of its own, beside which a peer plays a backend that may do anything. What it says at
/// the end is what it has lost by that.
const ADVERSARY: GuestTest = GuestTest::new("", "adversary").disk(Backend::Kernel);

/// What plays so many moves with devices of these kinds, from these seeds on, until one goes wrong.
macro_rules! play {
    ($($game:literal),*) => {
        concat!(
            "play() { $PEER play $1 $DOMID $2 $3; }\ntrue ",
            $("&& play ", $game, " ",)*
            "\nstatus=$?; $PEER enough $DOMID; exit $status"
        )
    };
}

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("what_runs_beside_a_guest_knows_its_name_and_number", "idle")
        .words("seconds=2")
        .envs(&[Env::Pv, Env::QemuXen])
        .beside("Environment:", "echo beside $GUEST; [ -z \"$DOMID\" ] || xl domname $DOMID")
        .telling(&["beside prism"]),
    // The lying xenstored needs it, too.
    GuestTest::new("what_runs_before_a_guest_lets_it_begin", "idle")
        .words("seconds=0")
        .envs(&[])
        .long_envs(&[Env::Pvh])
        .after("xl list $DOMID; xl unpause $DOMID")
        .telling(&["--p---"]),
    GuestTest::new("ten_thousand_events_to_dom0_and_back_are_not_lost", "peer")
        .words("peer=echo")
        .in_pvh()
        .beside(READY, "$PEER echo $DOMID 10000")
        .telling(&["10000 events answered, 0 lost", "10000 events came and were answered"]),
    GuestTest::new("work_goes_on_in_a_storm_of_events", "peer")
        .words("peer=storm")
        .in_pv()
        .beside(READY, "$PEER storm $DOMID")
        .telling(&["50 rounds of work done, woken by events: often"]),
    GuestTest::new("pages_are_shared_with_dom0_both_ways", "peer")
        .words("peer=grants")
        .in_pv_and_pvh()
        .beside(READY, "$PEER grants $DOMID")
        .telling(&[
            "the peer left: written by dom0",
            "2 pages in quarantine, 0 came back early",
            "2 pages came back",
            "our pages say \"for reading\" and \"mapped for reading\"",
            "0 granted",
            "0 in quarantine, 0 lost",
        ]),
    GuestTest::new("transactions_beside_a_writer_in_dom0_add_up", "peer")
        .words("peer=add")
        .in_pvh()
        .beside(READY, "$PEER add $DOMID 200")
        .telling(&["40 added here, 200 by the peer, the sum is 240"]),
    GuestTest::new("a_lying_xenstored_is_survived", "peer")
        .words("peer=lie")
        .in_pv()
        .after("$PEER lie $DOMID")
        .telling(&["21 lies told", "21 lies survived", "the real xenstored answers: "]),
    GuestTest::new("a_flooded_watch_costs_no_more_than_it_may", "peer")
        .words("peer=flood")
        .in_pvh()
        .beside(READY, "$PEER flood $DOMID 5000")
        .telling(&["5000 writes done", "1 events of the flood kept, the last one stands for the rest: true"]),
    GuestTest::new("a_guest_goes_on_when_xenstored_and_xenconsoled_are_replaced", "peer")
        .words("peer=steady")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside(READY, include_str!("peers/daemons.sh"))
        .telling(&["xenstored was replaced", "rounds were told of"]),
    ADVERSARY
        .named("an_adversary_plays_moves")
        .in_pv()
        .words("use=vif")
        .beside(READY, play!("vbd 1 60", "vif 1 60", "store 1 60", "console 1 40"))
        .telling(&["vbd, seeds 1 to", "vif, seeds 1 to", "store, seeds 1 to", "console, seeds 1 to"]),
    ADVERSARY
        .named("an_adversary_plays_moves_in_xenstore_and_at_the_console")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside(READY, play!("store 1 5000", "console 1 2000"))
        .telling(&["store, seeds 1 to", "console, seeds 1 to"])
        .lasting(90),
    ADVERSARY
        .named("an_adversary_plays_many_moves")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside(READY, play!("vbd 1000000 5000"))
        .telling(&["moves made"])
        .lasting(90),
    ADVERSARY
        .named("an_adversary_plays_moves_in_a_network")
        .words("use=vif")
        .memory(128)
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside(READY, play!("vif 1 5000"))
        .telling(&["moves made"])
        .lasting(90),
    ADVERSARY
        .named("a_backend_that_hoards_pages_is_given_up_and_others_go_on")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .beside(READY, "$PEER hoard vbd $DOMID; status=$?; $PEER enough $DOMID; exit $status")
        .telling(&["pages kept, and then: the backend's domain keeps"]),
    GuestTest::new("limits_of_xenstore_are_errors", "peer")
        .words("peer=quotas")
        .in_pv()
        .telling(&["too long for a node: xenstored refused", "after many watches: xenstored refused"]),
    GuestTest::new("a_guest_of_eight_event_channels_lives_with_them", "peer")
        .words("peer=ports")
        .in_pvh()
        .settings(&["max_event_channels = 8"])
        .telling(&["channels opened before Xen said Some(", "xenstore still answers: prism"]),
    GuestTest::new("a_grant_table_of_one_frame_is_full_early", "grants")
        .in_pv()
        .settings(&["max_grant_frames = 1"])
        .telling(&["504 pages granted at once, then: the table is full", "1 of 1 frames"]),
    // An interface alone would have taken all of that.
    GuestTest::new("a_disk_and_an_interface_share_a_frame_of_grants_and_few_event_channels", "httpd")
        .in_pvh()
        .disk_with_files()
        .settings(&["max_grant_frames = 1", "max_event_channels = 16"])
        .visited_by(network::FETCH)
        .telling(network::FETCHED),
];
