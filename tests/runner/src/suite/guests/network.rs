// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks: real clients in the machine that the guest's interface leads to.

use super::GuestTest;
use crate::env::Env;

/// Where an interface is one of Xen's.
const XEN: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm, Env::QemuXen];

/// Where there is one that can be visited.
const ENVS: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm, Env::QemuXen, Env::Kvm];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("pings_of_all_sizes_are_answered", "echo")
        .envs(ENVS)
        .words("ip=192.0.2.2/24,192.0.2.1")
        .visited_by(include_str!("network/ping.sh")),
    GuestTest::new("what_is_sent_comes_back", "echo").envs(ENVS).visited_by(include_str!("network/echo.sh")),
    GuestTest::new("web_clients_are_served", "httpd").envs(ENVS).visited_by(include_str!("network/web.sh")),
    GuestTest::new("two_hundred_connections_in_turn_are_served", "httpd")
        .envs(ENVS)
        .words("connections=24")
        .visited_by(include_str!("network/connections.sh")),
    GuestTest::new("eight_mib_are_enough_for_a_web_server", "httpd")
        .envs(ENVS)
        .memory(8)
        .visited_by(include_str!("network/web.sh")),
    GuestTest::new("a_real_iperf_measures_both_directions", "iperf")
        .envs(ENVS)
        .visited_by(include_str!("network/iperf.sh"))
        .telling(&["iperf: received ", "iperf: sent "]),
    GuestTest::new("an_interface_comes_back_under_load", "echo")
        .envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .words("ip=192.0.2.2/24,192.0.2.1")
        .visited_by(include_str!("network/plug.sh")),
    GuestTest::new("without_an_interface_the_reason_is_told", "echo")
        .envs(XEN)
        .failing()
        .telling(&["no network: the toolstack gave no such interface"]),
];
