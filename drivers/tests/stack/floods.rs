// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks that send more than anybody has a use for, beside a client: it is served, and memory is not used
//! up.

use std::net::Ipv4Addr;

use embassy_net::Config;

use super::connections::{CLIENT, Client, impatient_server, server};
use super::host::Host;
use super::network::{self, Network};
use super::{GATEWAY, OWN, SECOND, by_hand};

/// Has a client talk, which may have to be looked for again.
fn talk_after(host: &mut Host, client: &mut Client) {
    host.run(SECOND * 3);
    client.talk(host);
}

#[test]
fn ten_thousand_connections_are_served_one_after_another() {
    let mut host = server(4);
    let mut lasting = Client::connect(&mut host, 1);
    for number in 0..10_000 {
        let mut client = Client::connect(&mut host, 1000 + number);
        client.talk(&mut host);
        match number % 3 {
            0 => client.reset(&mut host),
            _ => client.close(&mut host),
        }
        if number % 400 == 0 {
            lasting.talk(&mut host);
        }
    }
    lasting.talk(&mut host);
}

#[test]
fn hosts_that_are_not_there_keep_no_client_out() {
    let mut host = impatient_server(5);
    let mut served = 0;
    for round in 0..40_u32 {
        // Each asks again after one second, three and seven, as hosts do whom no answer reaches.
        for number in 0..80_u32 {
            if [0, 1, 3, 7].contains(&((round + number) % 16)) {
                host.receive(network::syn(
                    Ipv4Addr::from(0x0a01_0264 + number % 100),
                    2000 + number as u16,
                    number,
                ));
            }
        }
        let mut client = Client::new(3000 + round as u16);
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers = client.begin(&mut host);
            if !answers.is_empty() {
                break;
            }
            host.run(SECOND);
        }
        client.take_answer(&answers);
        client.acknowledge(&mut host);
        client.talk(&mut host);
        client.close(&mut host);
        served += 1;
    }
    assert_eq!(served, 40);
}

#[test]
fn fragments_that_never_become_packets_keep_no_client_out() {
    let mut host = server(2);
    let mut client = Client::connect(&mut host, 1000);
    for number in 0..20_000_u32 {
        // The last ones end behind the longest packet that there is.
        let place = [0, 3, 185, 4000, 8000, 8191][number as usize % 6];
        let source = Ipv4Addr::from(0x0a01_0300 | number >> 8);
        host.receive(network::fragment(source, OWN, number as u16, place, number % 7 != 0, 1480));
        if number % 100 == 0 {
            host.run(SECOND / 10);
        }
        if number % 5000 == 0 {
            client.talk(&mut host);
        }
    }
    talk_after(&mut host, &mut client);
    Client::connect(&mut host, 2000).talk(&mut host);
}

#[test]
fn neighbors_that_are_made_up_keep_no_client_out() {
    let mut host = server(2);
    let mut client = Client::connect(&mut host, 1000);
    for number in 0..10_000_u32 {
        let made_up = Ipv4Addr::from(0x0a01_0200 | (number % 253 + 2));
        if made_up != OWN && made_up != CLIENT {
            host.receive(network::arp(made_up, OWN, number % 2 == 0));
        }
        host.receive(network::neighbor(number));
        if number % 100 == 0 {
            host.run(SECOND / 10);
        }
    }
    talk_after(&mut host, &mut client);
    Client::connect(&mut host, 2000).talk(&mut host);
}

#[test]
fn routers_that_announce_a_network_after_the_other_keep_no_client_out() {
    let mut host = server(2);
    let mut client = Client::connect(&mut host, 1000);
    for number in 0..5000_u16 {
        host.receive(network::router_advertisement(
            number % 3 * 600,
            u32::from(number % 2) * 9000,
            &[number, number ^ 1, number ^ 2],
        ));
        if number % 50 == 0 {
            host.run(SECOND / 10);
        }
    }
    talk_after(&mut host, &mut client);
    assert!(host.polls < 20_000, "{} polls", host.polls);
}

#[test]
fn leases_that_somebody_else_grants_are_not_taken() {
    let network = Network { gateway: Some(GATEWAY), lease: Some((OWN, 24, 3600)), ..Network::default() };
    let mut host = Host::new(Config::dhcpv4(Default::default()), network);
    // Who does not see the question has to guess its number.
    for guess in 0..5000_u32 {
        let transaction = guess.wrapping_mul(0x9e37_79b9).to_be_bytes();
        host.receive(network::lease(&transaction, Ipv4Addr::new(10, 6, 6, 6), 2 + 3 * (guess % 2) as u8));
        if guess % 100 == 0 {
            host.run(SECOND / 100);
        }
    }
    host.run(SECOND * 12);
    let config = host.stack.config_v4().unwrap();
    assert_eq!(config.address.address(), OWN);
}

#[test]
fn what_is_sent_to_nobody_is_ignored() {
    let mut host = Host::new(by_hand(OWN, 24, None), Network { gateway: Some(CLIENT), ..Network::default() });
    for number in 0..10_000_u32 {
        // Of no protocol that anybody has, and to addresses of others.
        let to = if number % 2 == 0 { OWN } else { Ipv4Addr::from(0xc000_0200 | (number % 256)) };
        host.receive(network::packet((number % 256) as u8, CLIENT, to, &number.to_be_bytes().repeat(9)));
        if number % 100 == 0 {
            host.run(SECOND / 10);
        }
    }
    host.run(SECOND);
    // Answers to those who were mistaken have a rate, or are as many as were asked.
    assert!(host.network().seen.len() <= 10_100, "{}", host.network().seen.len());
}
