// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that are saved, restored, checkpointed and migrated.

use super::GuestTest;
use super::part::Part;
use crate::env::Env;
use crate::guest::Backend;

/// What the guest writes when it may be suspended.
const READY: &str = "ready to be suspended, time 1";

/// A guest that looks whether everything works after it was suspended.
const SUSPENDED: GuestTest = GuestTest::new("", "suspend").memory(32);

/// The same, which is checkpointed and then restored.
const BOTH_WAYS: GuestTest = SUSPENDED
    .envs(&[])
    .long_envs(&[Env::Pvh, Env::Pvhvm])
    .beside(READY, concat!(include_str!("suspend/common.sh"), "again 2 checkpoint_first && finish"))
    .telling(&["time 1: Cancelled", "time 2: Restored"]);

/// What a client says that has got the file on the disk whole each time.
const SERVED: &[&str] = &[
    "before 7d678feb37599c41e33aaa0df0222259fd04ecc71a81491b4575e8e7cd73649a",
    "kept as before: ",
    "half answered",
    "kept 7d678feb37599c41e33aaa0df0222259fd04ecc71a81491b4575e8e7cd73649a",
    "slow 7d678feb37599c41e33aaa0df0222259fd04ecc71a81491b4575e8e7cd73649a",
    "new 7d678feb37599c41e33aaa0df0222259fd04ecc71a81491b4575e8e7cd73649a",
];

/// Where guests can be saved.
const SUSPENDABLE: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm, Env::HvmPvDrivers];

/// Where guests can migrate while they run: without shadow page tables Xen does not tell what a PV guest
/// writes meanwhile.
const MIGRATABLE: &[Env] = &[Env::Pvh, Env::Pvhvm];

/// What Xen's own test system does with a guest.
const OSSTEST: GuestTest = GuestTest::new("", "httpd").telling(&["all steps are done"]);

/// Its script, as often as this says.
macro_rules! osstest {
    ($times:literal) => {
        concat!($times, include_str!("suspend/common.sh"), include_str!("suspend/osstest.sh"))
    };
}

/// What restores a guest, and does this.
macro_rules! suspend {
    ($($script:literal),*) => {
        concat!(include_str!("suspend/common.sh"), $(include_str!($script)),*)
    };
}

/// The topic's tests. What the first two show, others show beside in the normal run.
pub(super) const TESTS: &[GuestTest] = &[
    SUSPENDED
        .named("a_checkpoint_changes_nothing")
        .envs(&[])
        .long_envs(SUSPENDABLE)
        .beside(READY, concat!(include_str!("suspend/common.sh"), "checkpoint && finish"))
        .telling(&["time 1: Cancelled", "resume: the same domain goes on"]),
    SUSPENDED
        .named("a_guest_is_saved_and_restored")
        .envs(&[])
        .long_envs(SUSPENDABLE)
        .beside(READY, concat!(include_str!("suspend/common.sh"), "save_and_restore && finish"))
        .telling(&["time 1: Restored", "resume: the domain was restored"]),
    SUSPENDED
        .named("four_vcpus_go_on_after_a_restore")
        .vcpus(4)
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh])
        // The part has the guest end.
        .beside(READY, concat!(include_str!("suspend/common.sh"), "save_and_restore"))
        .telling(&["time 1: Restored", "resume: the domain was restored"])
        .showing(&[Part::new("two_restores_of_one_file_draw_different_numbers", &[Env::Pv])
            .long_envs(&[Env::Pvh])
            .words("times=3")
            .script(concat!(
                "time=2\n",
                include_str!("suspend/common.sh"),
                include_str!("suspend/twice.sh"),
                "said 'ready to be suspended, time 3' && checkpoint && finish"
            ))
            .telling(&["two of a kind drew"])]),
    BOTH_WAYS.named("a_guest_with_vectors_of_its_own_is_restored").words("times=2 upcall=percpu"),
    GuestTest::new("a_guest_that_cannot_be_suspended_says_so_and_goes_on", "power")
        .words("power=wait")
        .envs(&[])
        .long_envs(&[Env::PvShim])
        .beside(
            "about to: wait",
            concat!(include_str!("suspend/common.sh"), "! checkpoint && xl shutdown $DOMID"),
        )
        .telling(&[
            "suspend: not offered: the domain is in a PV shim",
            "unsupported request \"suspend\" ignored",
        ]),
    BOTH_WAYS.named("a_guest_that_polls_for_events_is_restored").words("times=2 upcall=poll"),
    BOTH_WAYS.named("a_guest_of_the_2_level_abi_is_restored").words("times=2 events=2l"),
    SUSPENDED
        .named("a_guest_migrates")
        .envs(&[])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::HvmPvDrivers])
        .beside(READY, concat!(include_str!("suspend/common.sh"), "migrate && finish"))
        .telling(&["time 1: Restored", "resume: the domain was restored"]),
    SUSPENDED
        .named("an_application_may_refuse_to_be_suspended")
        .words("refuse")
        .in_pv()
        .beside(
            "ready to refuse",
            concat!(include_str!("suspend/common.sh"), "refused && checkpoint && finish"),
        )
        .telling(&["suspend: the application refuses", "time 1: Cancelled"]),
    SUSPENDED
        .named("requests_to_suspend_that_come_on_top_of_each_other_are_one")
        .words("slow times=2")
        .envs(&[])
        .long_envs(SUSPENDABLE)
        .beside(READY, concat!(suspend!("suspend/requests.sh"), "finish"))
        .telling(&["time 1: Cancelled", "time 2: Restored"]),
    GuestTest::new("a_guest_is_suspended_while_it_boots_and_while_it_connects", "httpd")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .disk_with_files()
        .hosted_by(concat!(
            "sum=7d678feb37599c41e33aaa0df0222259fd04ecc71a81491b4575e8e7cd73649a\n",
            include_str!("suspend/common.sh"),
            include_str!("suspend/early.sh")
        ))
        .telling(&["served after a restore in a handshake, and without xenstored"]),
    GuestTest::new("a_guest_is_restored_without_its_bridge_and_its_interface", "httpd")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .visited_by(suspend!("suspend/poor.sh", "suspend/no_bridge.sh"))
        .telling(&["served by a new interface"]),
    GuestTest::new("a_guest_is_restored_without_its_disk", "disk")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .disk(Backend::Kernel)
        .words("hammer=xvda await=xvda sha256=xvda")
        .beside("hammering", suspend!("suspend/poor.sh", "suspend/no_disk.sh"))
        .telling(&["the disk was taken away", "sha256 xvda"]),
    SUSPENDED
        .named("a_guest_that_may_have_fewer_event_channels_says_so")
        .vcpus(4)
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .beside(READY, concat!(suspend!("suspend/poor.sh", "suspend/few_ports.sh"), "finish"))
        .telling(&["time 1: Restored", "it may have fewer event channels than it uses"]),
    GuestTest::new("io_goes_on_with_a_smaller_grant_table", "disk")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .disk(Backend::Kernel)
        .words("mix=xvda,9,256")
        .beside("mixing", suspend!("suspend/poor.sh", "suspend/few_grants.sh"))
        .telling(&["256 MiB, all checked", "resume: the domain was restored"]),
    GuestTest::new("a_server_with_connections_and_a_disk_is_saved_and_restored", "httpd")
        .in_pv()
        .disk_with_files()
        .visited_by(concat!(include_str!("suspend/common.sh"), include_str!("suspend/served.sh")))
        .telling(SERVED),
    GuestTest::new("a_server_with_a_fixed_address_and_connections_is_saved_and_restored", "httpd")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::HvmPvDrivers])
        .words("ip=192.0.2.2/24,192.0.2.1")
        .disk_with_files()
        .visited_by(concat!(
            "fixed=yes\n",
            include_str!("suspend/common.sh"),
            include_str!("suspend/served.sh")
        ))
        .telling(SERVED),
    GuestTest::new("a_server_with_connections_and_a_disk_migrates", "httpd")
        .envs(&[])
        .long_envs(MIGRATABLE)
        .disk_with_files()
        .visited_by(concat!(
            "moves='migrate checkpoint migrate'\n",
            include_str!("suspend/common.sh"),
            include_str!("suspend/served.sh")
        ))
        .telling(SERVED),
    GuestTest::new("io_survives_being_saved_and_restored", "disk")
        .in_pvh()
        .disk(Backend::Kernel)
        .words("mix=xvda,9,256")
        .beside("mixing", concat!(include_str!("suspend/common.sh"), "checkpoint && save_and_restore"))
        .telling(&[
            "256 MiB, all checked",
            "resume: the same domain goes on",
            "resume: the domain was restored",
        ]),
    SUSPENDED
        .named("a_guest_is_suspended_twenty_times")
        .words("times=20")
        .in_pv_and_pvh()
        .lasting(30)
        .beside(READY, concat!(include_str!("suspend/common.sh"), "again 20 either && finish"))
        .telling(&["time 20: "]),
    SUSPENDED
        .named("a_guest_migrates_ten_times")
        .words("times=10")
        .envs(MIGRATABLE)
        .lasting(30)
        .beside(READY, concat!(include_str!("suspend/common.sh"), "again 10 migrate && finish"))
        .telling(&["time 10: Restored"]),
    OSSTEST
        .named("osstests_guest_sequence_in_short")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pvhvm])
        .visited_by(osstest!("saves=1 migrations=1\n")),
    OSSTEST
        .named("osstests_guest_sequence")
        .envs(MIGRATABLE)
        .lasting(30)
        .visited_by(osstest!("saves=2 migrations=10\n")),
    OSSTEST
        .named("osstests_guest_sequence_without_migrations")
        .in_pv()
        .lasting(30)
        .visited_by(osstest!("saves=2 migrations=0\n")),
];
