// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::CommandLine;
use prism_boot::command_line::{Addressing, INTERFACES, StaticAddress};

fn given(value: &str) -> Option<StaticAddress> {
    match CommandLine::from(format!("ip={value}").as_str()).addressing(0) {
        Ok(Addressing::Static(address)) => Some(address),
        _ => None,
    }
}

#[test]
fn without_a_word_an_interface_asks_the_network() {
    let line = CommandLine::from("ip1=dhcp");
    for index in 0..=INTERFACES {
        assert_eq!(line.addressing(index), Ok(Addressing::Dynamic));
    }
}

#[test]
fn gateway_and_name_server_may_be_left_out() {
    let address = StaticAddress {
        address: "192.0.2.2".parse().unwrap(),
        prefix: 24,
        gateway: Some("192.0.2.1".parse().unwrap()),
        dns: Some("192.0.2.3".parse().unwrap()),
    };
    assert_eq!(given("192.0.2.2/24,192.0.2.1,192.0.2.3"), Some(address));
    assert_eq!(given("192.0.2.2/24,192.0.2.1"), Some(StaticAddress { dns: None, ..address }));
    assert_eq!(given("192.0.2.2/24,,192.0.2.3"), Some(StaticAddress { gateway: None, ..address }));
    assert_eq!(given("192.0.2.2/24"), Some(StaticAddress { gateway: None, dns: None, ..address }));
}

#[test]
fn ipv6_addresses_do_as_well() {
    let found = given("2001:db8::2/64,fe80::1").unwrap();
    assert_eq!((found.prefix, found.gateway), (64, Some("fe80::1".parse().unwrap())));
}

#[test]
fn each_interface_has_a_word_of_its_own() {
    let line = CommandLine::from("ip1=192.0.2.2/24 ip3=192.0.2.3/24 ip15=192.0.2.4/24");
    let is_static = |index: &usize| matches!(line.addressing(*index), Ok(Addressing::Static(_)));
    let given: Vec<usize> = (0..100).filter(is_static).collect();
    assert_eq!((given, line.unknown(&[]).count()), (vec![1, 3, 15], 0));
}

#[test]
fn what_no_single_host_can_use_is_refused() {
    let wrong = [
        "",
        "on",
        "192.0.2.2",
        "192.0.2.2/",
        "192.0.2.2/33",
        "192.0.2.2/+8",
        "192.0.2/24",
        "0.0.0.0/0",
        "224.0.0.1/4",
        "255.255.255.255/0",
        "::/0",
        "ff02::1/64",
        "2001:db8::2/129",
        "192.0.2.2/24,2001:db8::1",
        "192.0.2.2/24,x",
        "192.0.2.2/24,192.0.2.1,192.0.2.3,",
        "[2001:db8::2]/64",
    ];
    for value in wrong {
        assert_eq!(given(value), None, "{value}");
    }
    let line = CommandLine::from("ip2=here");
    assert!(
        line.addressing(2).unwrap_err().to_string().starts_with("ip2=here is not understood; give dhcp, or")
    );
}
