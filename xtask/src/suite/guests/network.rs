// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks: real clients in the machine that the guest's interface leads to.

use super::GuestTest;
use super::part::Part;
use crate::env::Env;

/// Where there is a fast one.
const FAST: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm, Env::QemuXen, Env::Kvm];

/// 256 MiB through whatever a guest has.
const LARGE_FILE: GuestTest = GuestTest::new("", "httpd")
    .words("root=disk1 log")
    .disk_with_large_file()
    .visited_by("curl -sS -m 900 http://192.0.2.2/file.bin | sha256sum")
    .seconds(960)
    .telling(&["91c81aa370873c16989a3bb3cf5d16f4d3a10b91eb085639f4439c8faa37719e  -"]);

/// Says what a guest serves by the name of the file that is on its disk.
pub(super) const FETCH: &str = "curl -sS -m 300 http://192.0.2.2/file.bin | sha256sum";

/// What that says, if it is what is on the disk.
pub(super) const FETCHED: &[&str] = &["7d678feb37599c41e33aaa0df0222259fd04ecc71a81491b4575e8e7cd73649a  -"];

/// What an echo server off DHCP is asked beside.
const ECHO: &[Part] = &[
    Part::new("pings_of_all_sizes_are_answered", &[Env::Pv, Env::Kvm])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::QemuXen])
        .script(include_str!("network/ping.sh")),
    Part::new("a_peer_behind_a_network_that_takes_less_gets_everything", &[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Kvm])
        .script(include_str!("network/path.sh")),
    Part::new("two_guests_find_each_other_by_name_and_talk", &[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm])
        .script(include_str!("network/pair.sh"))
        .telling(&["guest.test is 192.0.2.2", "256 of 256 blocks", "5 of 5 datagrams"]),
    Part::new("a_lease_and_its_connections_outlive_a_restart_of_the_backend", &[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm])
        .script(include_str!("network/lease.sh"))
        .telling(&["echoed on the same connection", "announced"]),
];

/// What a web server is asked beside.
const WEB: &[Part] = &[
    Part::new("two_hundred_connections_in_turn_are_served", &[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::QemuXen, Env::Kvm])
        .words("connections=24")
        .script(include_str!("network/connections.sh"))
        .telling(&["200 connections, 8 others all the time"]),
    Part::new("packets_of_other_groups_stay_away", &[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm])
        .script(include_str!("network/groups.sh"))
        .telling(&["only its own groups"]),
];

/// What is found out about an interface that came back.
const CHECKSUMS: &[Part] = &[Part::new("checksums_are_right_where_nobody_else_fills_them_in", &[Env::Pvh])
    .long_envs(&[Env::Pv, Env::Pvhvm])
    .script(include_str!("network/checksums.sh"))
    .telling(&["blank at first", "right without offload"])];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("what_is_sent_comes_back", "echo")
        .envs(&[Env::Pv, Env::Kvm, Env::Fv])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::HvmPvDrivers, Env::QemuXen])
        .visited_by(include_str!("network/echo.sh"))
        .showing(ECHO),
    GuestTest::new("what_is_sent_comes_back_to_who_looks_for_it", "echo")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pv, Env::QemuXen])
        .words("net.poll_us=500")
        .visited_by(include_str!("network/echo.sh")),
    GuestTest::new("a_line_comes_back", "echo")
        .envs(&[])
        .long_envs(&[Env::Hvm])
        .visited_by(include_str!("network/hello.sh")),
    GuestTest::new("flows_have_several_queues", "echo")
        .in_pv()
        .vcpus(4)
        .visited_by(concat!(include_str!("network/queues.sh"), include_str!("network/echo.sh")))
        .telling(&["4 queues"]),
    GuestTest::new("web_clients_are_served", "httpd")
        .envs(&[Env::Pv, Env::Kvm])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::HvmPvDrivers, Env::Hvm, Env::QemuXen, Env::Fv])
        .visited_by(include_str!("network/web.sh"))
        .showing(WEB),
    GuestTest::new("hosts_that_are_not_there_keep_nobody_out", "httpd")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm])
        .visited_by(include_str!("network/flood.sh"))
        .telling(&["served while "])
        .lasting(3),
    GuestTest::new("web_clients_are_served_for_a_minute", "httpd")
        .envs(FAST)
        .visited_by(concat!("seconds=60\n", include_str!("network/web.sh")))
        .lasting(3),
    GuestTest::new("ten_thousand_connections_in_turn_are_served", "httpd")
        .envs(FAST)
        .visited_by(include_str!("network/ten_thousand.sh"))
        .telling(&["10000 connections and more"])
        .lasting(20),
    GuestTest::new("files_of_a_fat_disk_are_served", "httpd")
        .in_pvh()
        .words("root=xvda log")
        .hosted_by(concat!(include_str!("network/site.sh"), include_str!("network/fat_site.sh"))),
    GuestTest::new("the_same_file_is_served_off_any_disk_by_the_same_words", "httpd")
        .envs(&Env::WITH_DEVICES)
        .disk_with_files()
        .visited_by(FETCH)
        .telling(FETCHED)
        .with_grid(),
    LARGE_FILE.named("a_file_of_256_mib_off_a_partition_arrives_whole").envs(&[]).long_envs(&[Env::Pv]),
    LARGE_FILE
        .named("a_file_of_256_mib_arrives_whole_elsewhere_too")
        .envs(&[Env::Pvh, Env::Pvhvm, Env::QemuXen])
        .lasting(7),
    GuestTest::new("eight_mib_are_enough_for_a_web_server", "httpd")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pv, Env::Pvhvm, Env::QemuXen, Env::Kvm])
        .memory(8)
        .visited_by(include_str!("network/web.sh")),
    GuestTest::new("a_real_iperf_measures_both_directions", "iperf")
        .envs(&[Env::Pv, Env::Kvm])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::QemuXen])
        .visited_by(include_str!("network/iperf.sh"))
        .telling(&["iperf: received ", "iperf: sent ", "frames have left in"]),
    GuestTest::new("the_guest_measures_with_a_real_iperf_server", "iperf")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pv, Env::Pvhvm, Env::QemuXen])
        .words("client=192.0.2.1 time=3")
        .met_by(include_str!("network/iperf_server.sh"))
        .telling(&["iperf: sent ", "iperf: received ", "the server has received"]),
    GuestTest::new("an_interface_comes_back_under_load", "echo")
        .in_pvh()
        .words("ip=192.0.2.2/24,192.0.2.1")
        .visited_by(include_str!("network/plug.sh"))
        .showing(CHECKSUMS),
    GuestTest::new("without_an_interface_the_reason_is_told", "echo")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::QemuXen])
        .failing()
        .telling(&["no network: the toolstack gave no such interface"]),
    GuestTest::new("who_stops_waiting_for_an_interface_may_ask_again", "interface")
        .in_fv()
        .telling(&["the stack came when it had been asked for in vain "]),
    GuestTest::new("an_emulated_nic_goes_when_the_paravirtual_interface_works", "echo")
        .envs(&[Env::Pvhvm])
        .long_envs(&[Env::HvmPvDrivers])
        .words("loglevel=debug")
        .visited_by(include_str!("network/unplugged.sh"))
        .telling(&["the emulated NICs are unplugged"])
        .not_telling(&["e1000"]),
    GuestTest::new("an_emulated_nic_stays_where_nothing_paravirtual_may_be_used", "echo")
        .envs(&[Env::Pvhvm])
        .words("pv_level=hvm loglevel=debug")
        .visited_by(include_str!("network/hello.sh"))
        .telling(&[": e1000"])
        .not_telling(&["unplugged"]),
];
