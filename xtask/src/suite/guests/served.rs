// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices that Prism serves to other guests.

use super::GuestTest;
use crate::env::Env;
use crate::guest::Backend;

/// A driver domain with one disk.
const STORAGE: GuestTest =
    GuestTest::new("", "storage").memory(16).disk(Backend::Kernel).settings(&["driver_domain = 1"]);

/// A driver domain with one network.
const ROUTER: GuestTest = GuestTest::new("", "router")
    .memory(16)
    .with_network()
    .settings(&["driver_domain = 1"])
    .telling(&["router: ready", "bridged, MTU 1500", "0 of them refused"]);

/// What a network is told of whose interfaces are attached and detached.
const PLUGGED: &[&str] =
    &["router: ready", "bridged, MTU 1500", "0 of them refused", "attached and detached 3 times"];

/// Where a driver domain may be, beyond the normal run.
const LONG: &[Env] = &[Env::Pv, Env::Pvh];

/// What frontends do with a driver domain.
macro_rules! served {
    ($($script:expr),*) => {
        concat!(include_str!("served/until.sh"), include_str!("served/common.sh"), $($script),*)
    };
}

/// The devices of dom0's that come and go, so many times.
macro_rules! again {
    ($times:literal, $script:literal) => {
        concat!(
            $times,
            include_str!("served/until.sh"),
            include_str!("served/common.sh"),
            include_str!("served/left.sh"),
            include_str!($script)
        )
    };
}

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    STORAGE
        .named("a_guest_has_its_disk_from_a_driver_domain")
        .in_pv()
        .serving("disk", served!(include_str!("served/disk.sh")))
        .telling(&["storage: ready", "64 MiB, all checked", "verified 16777216 bytes", "detached 3 times"]),
    STORAGE
        .named("a_linux_has_its_root_from_a_driver_domain")
        .envs(&[])
        .long_envs(LONG)
        .serving("disk", served!(include_str!("served/linux.sh")))
        .seconds(900)
        .telling(&[
            "storage: ready",
            "round 5: whole",
            "four at a time: whole",
            "past the cache: whole",
            "behind the cache: whole",
            "after fstrim: whole",
            "discards and flushes were sent",
            "xvdb cannot be written",
            "the disk for reading: whole",
            "dom0 finds the same",
            "fsck finds nothing",
        ]),
    STORAGE
        .named("a_disk_is_served_again_and_again")
        .envs(&[])
        .long_envs(LONG)
        .serving("disk", again!("times=24\n", "served/again.sh"))
        .seconds(900)
        .telling(&["nothing is left of 24 times"]),
    STORAGE
        .named("a_thousand_disks_leave_nothing_behind")
        .envs(&[Env::Pv])
        .serving("disk", again!("times=1000\n", "served/again.sh"))
        .telling(&["nothing is left of 1000 times"])
        .lasting(90),
    STORAGE
        .named("a_frontend_of_a_disk_that_lies_leaves_nothing_behind")
        .envs(LONG)
        .serving("disk", again!("kind=vbd moves=100000\n", "served/liar.sh"))
        .lasting(90)
        .telling(&["nothing is left of 100000 moves"]),
    STORAGE
        .named("guests_on_a_driver_domains_disk_are_saved_and_restored")
        .envs(&[])
        .long_envs(LONG)
        .serving(
            "disk",
            served!(
                include_str!("served/save.sh"),
                include_str!("served/initramfs.sh"),
                include_str!("served/saved_disk.sh")
            ),
        )
        .seconds(900)
        .telling(&["suspend: not possible while other domains are served", "linux goes on"]),
    STORAGE
        .named("a_guest_that_is_destroyed_under_io_disturbs_no_other")
        .envs(&[])
        .long_envs(LONG)
        .serving("disk", served!(include_str!("served/several_disks.sh")))
        .seconds(900)
        .telling(&[
            "one is served while the other one comes and goes",
            "one is served while the other one asks for all that it can",
        ]),
    STORAGE
        .named("a_driver_domains_disks_fail_and_grow_and_their_frontends_are_told")
        .envs(&[])
        .long_envs(LONG)
        .serving("disk", served!(include_str!("served/faults.sh")))
        .seconds(600)
        .telling(&[
            "a disk that fails: told, and the rest is good",
            "a disk that is full: told, and what is there is good",
            "a disk that grows: seen",
            "a disk that goes and comes: told, and good",
        ]),
    STORAGE
        .named("more_disks_than_a_driver_domain_can_serve_are_refused")
        .memory(8)
        .envs(&[])
        .long_envs(LONG)
        .serving("disk", served!(include_str!("served/crowd.sh")))
        .seconds(900)
        .telling(&["refused: xvd", "served again"]),
    GuestTest::new("a_disk_comes_back_when_its_driver_domain_is_restarted", "disk")
        .words("await=xvda hammer=xvda await=xvda hammer=xvda await=xvda sha256=xvda hammer=xvda")
        .with_other("storage")
        .envs(&[])
        .long_envs(LONG)
        .after(concat!(
            include_str!("served/until.sh"),
            include_str!("served/driver.sh"),
            include_str!("served/death_disk.sh")
        ))
        .seconds(600)
        .telling(&["the disk was taken away", "both go on with the third one"]),
    // The other environment has its interface served by the router below.
    ROUTER
        .named("a_guest_has_its_network_from_a_driver_domain")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh])
        .serving("httpd", served!(include_str!("served/site.sh"), include_str!("served/plug.sh")))
        .telling(PLUGGED),
    ROUTER
        .named("what_is_sent_through_a_driver_domain_comes_back")
        .envs(&[])
        .long_envs(LONG)
        .serving(
            "echo",
            served!(
                include_str!("served/echo.sh"),
                include_str!("network/echo.sh"),
                include_str!("served/plug.sh")
            ),
        )
        .telling(PLUGGED),
    GuestTest::new("a_guest_behind_a_router_reaches_the_network_and_is_not_reached", "router")
        .memory(16)
        .with_network()
        .words(concat!(
            "mode=route net6=2001:db8:1::1/64 redirect=tcp,7007,10.137.0.9,7 ",
            "accept=in,icmp,to,2001:db8:1::/64 metrics=9100"
        ))
        .settings(&["driver_domain = 1"])
        .seconds(300)
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pv])
        .serving("echo", served!(include_str!("served/route.sh")))
        .telling(&[
            "router: ready",
            "routed, MTU 1500",
            "a guest has reached the network",
            "what a rule lets in comes in",
            "nothing else does",
            "other rules are in force",
        ]),
    GuestTest::new("a_linux_finds_its_way_through_a_router", "router")
        .memory(16)
        .with_network()
        .words("mode=route net6=2001:db8:1::1/64 reject=out,tcp,port,25")
        .settings(&["driver_domain = 1"])
        .seconds(600)
        .envs(&[])
        .long_envs(LONG)
        .visited_by(served!(include_str!("served/initramfs.sh"), include_str!("served/linux_routed.sh")))
        .telling(&["router: ready", "linux has found its way"]),
    ROUTER
        .named("a_linux_has_its_network_from_a_driver_domain")
        .envs(&[])
        .long_envs(LONG)
        .visited_by(served!(
            include_str!("served/initramfs.sh"),
            include_str!("served/linux_network.sh"),
            include_str!("served/plug.sh")
        ))
        .telling(PLUGGED),
    ROUTER
        .named("a_linux_has_its_network_from_a_driver_domain_with_several_queues")
        .envs(&[])
        .long_envs(&[Env::Pvh])
        .visited_by(served!(
            include_str!("served/initramfs.sh"),
            include_str!("served/linux_queues.sh"),
            include_str!("served/plug.sh")
        ))
        .telling(PLUGGED),
    ROUTER
        .named("a_frontend_of_an_interface_that_lies_leaves_nothing_behind")
        .envs(LONG)
        .serving("httpd", again!("kind=vif moves=100000\n", "served/liar.sh"))
        .lasting(180)
        .telling(&["nothing is left of 100000 moves"]),
    ROUTER
        .named("a_thousand_interfaces_leave_nothing_behind")
        .envs(&[Env::Pvh])
        .serving("httpd", again!("times=1000\n", "served/again_network.sh"))
        .telling(&["nothing is left of 1000 times"])
        .lasting(90),
    ROUTER
        .named("an_interface_is_served_again_and_again")
        .envs(&[])
        .long_envs(LONG)
        .serving("httpd", again!("times=24\n", "served/again_network.sh"))
        .seconds(900)
        .telling(&["nothing is left of 24 times"]),
    ROUTER
        .named("guests_on_a_driver_domains_network_are_saved_and_restored")
        .envs(&[])
        .long_envs(LONG)
        .serving(
            "httpd",
            served!(
                include_str!("served/save.sh"),
                include_str!("served/initramfs.sh"),
                include_str!("served/saved_network.sh")
            ),
        )
        .seconds(900)
        .telling(&["suspend: not possible while other domains are served", "linux goes on"]),
    ROUTER
        .named("a_guest_that_is_flooded_and_destroyed_disturbs_no_other")
        .envs(&[])
        .long_envs(LONG)
        .serving("httpd", served!(include_str!("served/several_networks.sh")))
        .seconds(900)
        .telling(&[
            "one is served while the other one is flooded and destroyed",
            "one is served while another one floods and goes",
        ]),
    ROUTER
        .named("a_driver_domains_own_interface_goes_and_comes_back")
        .envs(&[])
        .long_envs(LONG)
        .serving("httpd", served!(include_str!("served/uplink.sh")))
        .seconds(600)
        .telling(&["the network has gone and come back"]),
    GuestTest::new("an_interface_comes_back_when_its_driver_domain_is_restarted", "httpd")
        .envs(&[])
        .long_envs(LONG)
        .with_network()
        .serving(
            "router",
            concat!(
                include_str!("served/until.sh"),
                include_str!("served/driver.sh"),
                include_str!("served/death_network.sh")
            ),
        )
        .seconds(600)
        .telling(&["both go on with the third one"]),
];
