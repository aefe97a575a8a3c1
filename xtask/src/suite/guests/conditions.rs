// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks and machines that are less kind than the lab's own, where a router advertises itself, DHCP
//! answers and nothing else runs: a file server has to do there what it does elsewhere. One guest answers
//! many questions.

use super::GuestTest;
use crate::env::Env;
use crate::suite::traced::NATIVE_TSC;

/// A server of files off a disk, which gets its disk and its interface before it runs. Its scripts count what
/// it asks of Xen.
const SERVER: GuestTest = GuestTest::new("", "httpd").settings(NATIVE_TSC);

/// What the scripts below have in common; put in front of each.
macro_rules! with_common {
    ($($text:expr),*) => {
        concat!(include_str!("conditions/common.sh"), $($text),*)
    };
}

/// What a server owes to its clients; the texts say how they reach it, and whether the host is busy.
macro_rules! served {
    ($($text:expr),*) => {
        with_common!($($text),*, include_str!("conditions/served.sh"))
    };
}

/// Addresses of IPv4 for `served.sh`: the guest's, dom0's, and along a path that ends at these.
macro_rules! ipv4 {
    ($behind:literal) => {
        concat!(
            "length=24 guest=10.0.0.2 host=10.0.0.1 near=10.6.0.1 middle=10.6.0.2 wide=10.7.0.1 far=10.",
            $behind,
            ".200 hidden=10.",
            $behind,
            ".201 other=10.",
            $behind,
            ".202 behind=10.",
            $behind,
            ".200/30\n"
        )
    };
}

/// Addresses of IPv6 for `served.sh`.
macro_rules! ipv6 {
    () => {
        "length=64 guest=fd00::2 host=fd00::1 near=fd06::1 middle=fd06::2 wide=fd07::1 far=fd07::2 \
         hidden=fd07::3 other=fd07::4 behind=fd07::/64\n"
    };
}

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    SERVER
        .named("nobody_else_speaks_on_the_network")
        .in_pv()
        .words("ip=10.0.0.2/24,10.0.0.1")
        .after(served!(ipv4!("7.0"), "quiet=20 busy=2 blind=yes\n")),
    SERVER
        .named("the_network_has_ipv6_only")
        .in_pvh()
        .words("ip=fd00::2/64,fd00::1")
        .after(served!(ipv6!(), "quiet=5\n")),
    SERVER
        .named("dhcp_tells_of_a_router_that_does_not_advertise_itself")
        .in_pvh()
        .after(served!(ipv4!("7.0"), "quiet=5 lease=option:router,10.0.0.1 comes_and_goes=yes\n")),
    SERVER
        .named("dhcp_tells_of_no_router")
        .in_pv()
        .after(served!(ipv4!("0.0"), "quiet=5 lease=option:router\n")),
    SERVER
        .named("a_restored_guest_sleeps_without_an_exit")
        .words("ip=10.0.0.2/24,10.0.0.1")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .after(with_common!(ipv4!("7.0"), include_str!("conditions/restored.sh"))),
    SERVER
        .named("the_gateway_is_outside_of_the_prefix")
        .in_pvh()
        .words("ip=10.1.2.3/32,10.9.9.1")
        .after(with_common!(include_str!("conditions/apart.sh"))),
    SERVER
        .named("there_are_forty_disks_and_sixteen_interfaces")
        .in_pv()
        .words("ip=10.0.0.2/24,10.0.0.1")
        .memory(128)
        .after(with_common!(include_str!("conditions/many.sh"))),
    SERVER
        .named("a_busy_host_has_a_network_where_nobody_else_speaks")
        .in_pv_and_pvh()
        .words("ip=10.0.0.2/24,10.0.0.1")
        .lasting(30)
        .after(served!(ipv4!("7.0"), "strict=yes quiet=20 busy=20\n")),
    SERVER
        .named("a_busy_host_has_ipv6_only")
        .in_pv_and_pvh()
        .words("ip=fd00::2/64,fd00::1")
        .lasting(30)
        .after(served!(ipv6!(), "strict=yes quiet=20 busy=20\n")),
    SERVER
        .named("a_busy_host_tells_of_a_router_by_dhcp")
        .in_pv_and_pvh()
        .lasting(30)
        .after(served!(ipv4!("7.0"), "strict=yes quiet=20 busy=20 lease=option:router,10.0.0.1\n")),
    SERVER
        .named("a_busy_host_tells_of_no_router_by_dhcp")
        .in_pv_and_pvh()
        .lasting(30)
        .after(served!(ipv4!("0.0"), "strict=yes quiet=20 busy=20 lease=option:router\n")),
    GuestTest::new("disks_are_slow_or_without_a_cache_and_the_guest_is_held_up", "disk")
        .in_pvh()
        .seconds(600)
        .words("await=xvda await=xvdb await=xvdc mix=xvda,1,32 mix=xvdb,2,8 mix=xvdc,3,16")
        .after(with_common!(include_str!("conditions/disks.sh"))),
];
