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
    .telling(&["router: ready", "bridged, MTU 1500", "0 of them refused", "attached and detached 3 times"]);

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    STORAGE
        .named("a_guest_has_its_disk_from_a_driver_domain")
        .envs(&[Env::Pv, Env::Pvh])
        .serving("disk", concat!(include_str!("served/common.sh"), include_str!("served/disk.sh")))
        .telling(&["storage: ready", "64 MiB, all checked", "verified 16777216 bytes", "detached 3 times"]),
    STORAGE
        .named("a_linux_has_its_root_from_a_driver_domain")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .serving("disk", concat!(include_str!("served/common.sh"), include_str!("served/linux.sh")))
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
        .long_envs(&[Env::Pv, Env::Pvh])
        .serving(
            "disk",
            concat!("times=20\n", include_str!("served/common.sh"), include_str!("served/again.sh")),
        )
        .telling(&["nothing is left of 20 times"]),
    // The other environment has its interface served by the router below.
    ROUTER
        .named("a_guest_has_its_network_from_a_driver_domain")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh])
        .serving(
            "httpd",
            concat!(
                include_str!("served/common.sh"),
                include_str!("served/site.sh"),
                include_str!("served/plug.sh")
            ),
        ),
    ROUTER
        .named("what_is_sent_through_a_driver_domain_comes_back")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .serving(
            "echo",
            concat!(
                include_str!("served/common.sh"),
                include_str!("served/echo.sh"),
                include_str!("network/echo.sh"),
                include_str!("served/plug.sh")
            ),
        ),
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
        .serving("echo", concat!(include_str!("served/common.sh"), include_str!("served/route.sh")))
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
        .long_envs(&[Env::Pv, Env::Pvh])
        .visited_by(concat!(
            include_str!("served/common.sh"),
            include_str!("served/linux_root.sh"),
            include_str!("served/linux_routed.sh")
        ))
        .telling(&["router: ready", "linux has found its way"]),
    ROUTER
        .named("a_linux_has_its_network_from_a_driver_domain")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .visited_by(concat!(
            include_str!("served/common.sh"),
            include_str!("served/linux_root.sh"),
            include_str!("served/linux_network.sh"),
            include_str!("served/plug.sh")
        )),
];
