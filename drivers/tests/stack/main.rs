// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stack that images have, on an interface to a network that is played by a test, in a time that passes
//! only when nobody has anything to do: how it is configured, and what that costs.

mod clock;
mod connections;
mod floods;
mod host;
mod network;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use embassy_net::{Config, ConfigV4, ConfigV6, Ipv4Cidr, Ipv6Cidr, StaticConfigV4, StaticConfigV6};

use host::Host;
use network::{Kind, Network};

const SECOND: Duration = Duration::from_secs(1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 1);

fn by_hand(address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Config {
    let address = Ipv4Cidr::new(address, prefix);
    let mut config = Config::default();
    config.ipv4 = ConfigV4::Static(StaticConfigV4 { address, gateway, dns_servers: Default::default() });
    config
}

#[test]
fn a_network_without_routers_costs_next_to_nothing() {
    let mut host = Host::new(by_hand(OWN, 24, None), Network::default());
    host.run(SECOND * 600);
    assert!(host.polls < 60, "{} polls in ten minutes", host.polls);
    let sent = host.network().sent(Kind::RouterSolicitation);
    assert!((5..12).contains(&sent), "{sent} solicitations");
}

#[test]
fn a_router_that_comes_late_gives_an_address_and_one_that_goes_takes_it() {
    let mut host = Host::new(by_hand(OWN, 24, None), Network::default());
    host.run(SECOND * 600);
    assert_eq!(host.stack.config_v6(), None);
    host.receive(network::router_advertisement(60, 90, &[7]));
    host.run(SECOND);
    let config = host.stack.config_v6().unwrap();
    assert_eq!(config.address.address(), Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0xff, 0xfe00, 1));
    assert_eq!(config.gateway, Some(network::ROUTER));
    host.run(SECOND * 60);
    assert_eq!(host.stack.config_v6().unwrap().gateway, None);
    host.run(SECOND * 30);
    assert_eq!(host.stack.config_v6(), None);
    assert!(host.polls < 120, "{} polls", host.polls);
}

#[test]
fn addresses_of_all_prefixes_answer() {
    let mut host = Host::new(by_hand(OWN, 24, None), Network::default());
    host.receive(network::router_advertisement(600, 900, &[7, 8]));
    host.run(SECOND * 5);
    let far = Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 1);
    for prefix in [7, 8] {
        let own = Ipv6Addr::new(0x2001, 0xdb8, 0, prefix, 0, 0xff, 0xfe00, 1);
        // The first one is lost while the router is asked for.
        for _ in 0..2 {
            host.receive(network::echo_request(far, own));
            host.run(SECOND * 2);
        }
        assert!(host.network().sent(Kind::EchoReply { source: own }) > 0, "{own}");
    }
}

#[test]
fn another_router_is_used_if_one_does_not_answer() {
    let mut host = Host::new(by_hand(OWN, 24, None), Network::default());
    host.receive(network::silent_router_advertisement(1800, 1800, &[7]));
    host.run(SECOND);
    host.receive(network::router_advertisement(1800, 1800, &[7]));
    let (far, own) = (
        Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0xff, 0xfe00, 1),
    );
    for _ in 0..8 {
        host.receive(network::echo_request(far, own));
        host.run(SECOND * 2);
    }
    assert_eq!(host.stack.config_v6().unwrap().gateway, Some(network::ROUTER));
    assert!(host.network().sent(Kind::EchoReply { source: own }) > 0);
}

#[test]
fn a_gateway_outside_of_the_prefix_is_asked_for_and_used() {
    for prefix in [32, 24] {
        let mut host = Host::new(Config::default(), Network { gateway: Some(GATEWAY), ..Network::default() });
        let (stack_prefix, alias) = host.interface.reach_gateway(OWN, prefix, GATEWAY);
        let ipv4 = by_hand(OWN, stack_prefix, Some(alias)).ipv4;
        host.stack.set_config_v4(ipv4);
        host.send_far_away();
        host.run(SECOND * 3);
        let network = host.network();
        assert_eq!(network.asked_for(GATEWAY), 1, "/{prefix}");
        assert_eq!(network.datagrams, 1, "/{prefix}");
    }
}

#[test]
fn a_link_local_gateway_serves_an_address_without_a_prefix() {
    let mut host = Host::new(Config::default(), Network::default());
    let (far, own) =
        (Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
    host.stack.set_config_v6(ConfigV6::Static(StaticConfigV6 {
        address: Ipv6Cidr::new(own, 128),
        gateway: Some(network::ROUTER),
        dns_servers: Default::default(),
    }));
    for _ in 0..3 {
        host.receive(network::echo_request(far, own));
        host.run(SECOND * 2);
    }
    assert!(host.network().sent(Kind::EchoReply { source: own }) > 0);
}

#[test]
fn a_gateway_that_does_not_answer_is_asked_for_once_a_second() {
    let mut host = Host::new(by_hand(OWN, 8, Some(GATEWAY)), Network::default());
    host.send_far_away();
    host.run(SECOND * 60);
    let asked = host.network().asked_for(GATEWAY);
    assert!((50..=61).contains(&asked), "asked {asked} times in a minute");
    assert!(host.polls < 200, "{} polls", host.polls);
}

#[test]
fn a_lease_of_a_single_address_reaches_its_gateway() {
    let network = Network { gateway: Some(GATEWAY), lease: Some((OWN, 32, 3600)), ..Network::default() };
    let mut host = Host::new(Config::dhcpv4(Default::default()), network);
    host.run(SECOND * 2);
    assert_eq!(host.interface.reached_gateway(), Some((32, GATEWAY)));
    host.send_far_away();
    host.run(SECOND * 3);
    assert_eq!(host.network().datagrams, 1);
}

#[test]
fn a_lease_outlives_a_restart_of_the_backend() {
    let network = Network { lease: Some((OWN, 24, 3600)), ..Network::default() };
    let mut host = Host::new(Config::dhcpv4(Default::default()), network);
    host.run(SECOND * 5);
    let config = host.stack.config_v4();
    assert!(config.is_some());
    let told = |host: &Host| host.network().announced(OWN);
    assert_eq!(told(&host), 2, "when the address is new");
    host.disconnect();
    host.run(SECOND * 20);
    assert_eq!(host.stack.config_v4(), config);
    host.connect();
    host.run(SECOND * 5);
    assert_eq!(host.stack.config_v4(), config);
    assert_eq!(told(&host), 4, "when it is back");
    assert_eq!(host.network().sent(Kind::Discover), 1);
}

#[test]
fn leases_of_no_time_and_for_ever_cost_little() {
    for (seconds, most) in [(0, 300), (1, 300), (u32::MAX, 30)] {
        let network = Network { lease: Some((OWN, 24, seconds)), ..Network::default() };
        let mut host = Host::new(Config::dhcpv4(Default::default()), network);
        host.run(SECOND * 60);
        assert!(host.stack.config_v4().is_some());
        assert!(host.polls < most, "{} polls in a minute of leases of {seconds} s", host.polls);
    }
}

#[test]
fn a_dhcp_server_that_is_not_there_is_asked_for_now_and_then() {
    let mut host = Host::new(Config::dhcpv4(Default::default()), Network::default());
    host.run(SECOND * 600);
    assert!(host.polls < 150, "{} polls", host.polls);
    assert!(host.network().sent(Kind::Discover) <= 62, "every 10 s, and once more when the link is up");
}

#[test]
fn a_lease_with_a_router_that_is_none_does_no_harm() {
    for gateway in [[0; 4], [255; 4], [224, 0, 0, 1]] {
        let network =
            Network { gateway: Some(gateway.into()), lease: Some((OWN, 24, 3600)), ..Network::default() };
        let mut host = Host::new(Config::dhcpv4(Default::default()), network);
        host.run(SECOND * 2);
        host.send_far_away();
        host.run(SECOND * 2);
        assert_eq!(host.stack.config_v4().unwrap().gateway, None);
    }
}
