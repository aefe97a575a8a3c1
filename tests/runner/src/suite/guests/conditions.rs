// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks and machines that are less kind than the lab's own, where a router advertises itself, DHCP
//! answers and nothing else runs: a file server has to do there what it does elsewhere. One guest answers
//! many questions.

use super::GuestTest;
use crate::suite::traced::NATIVE_TSC;

/// A server of files off a disk, which gets its disk and its interface before it runs. Its scripts count what
/// it asks of Xen.
const SERVER: GuestTest = GuestTest::new("", "httpd").seconds(400).settings(NATIVE_TSC);

/// What the scripts below have in common; put in front of each.
macro_rules! with_common {
    ($($text:expr),*) => {
        concat!(include_str!("conditions/common.sh"), $($text),*)
    };
}

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    SERVER
        .named("nobody_else_speaks_on_the_network")
        .in_pv_and_pvh()
        .words("ip=10.0.0.2/24,10.0.0.1")
        .after(with_common!(include_str!("conditions/alone.sh"))),
    SERVER
        .named("nobody_else_speaks_on_the_network_and_the_host_is_busy")
        .in_pvh()
        .words("ip=10.0.0.2/24,10.0.0.1")
        .after(with_common!("burn\n", include_str!("conditions/alone.sh"))),
    SERVER
        .named("the_network_has_ipv6_only")
        .in_pv()
        .words("ip=fd00::2/64,fd00::1")
        .after(with_common!(include_str!("conditions/ipv6.sh"))),
    SERVER
        .named("dhcp_tells_of_a_router_that_does_not_advertise_itself")
        .in_pvh()
        .after(with_common!("router=,10.0.0.1\n", include_str!("conditions/lease.sh"))),
    SERVER
        .named("dhcp_tells_of_no_router")
        .in_pv()
        .after(with_common!("router=\n", include_str!("conditions/lease.sh"))),
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
];
