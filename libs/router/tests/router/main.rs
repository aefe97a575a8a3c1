// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of packets: translation, rules, errors, what guests are told, and bounds.

mod world;

use std::collections::BTreeSet;

use prism_router::{Guest, Rules, Side};
use proptest::prelude::*;
use smoltcp::wire::*;
use world::*;

#[test]
fn what_a_guest_sends_leaves_from_the_routers_address_and_what_is_answered_comes_back() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let sent = world.one(0, udp(&guest, FAR, 5000, 7, b"question"));
    assert_eq!((sent.to, sent.mac, sent.source), (Side::Network, GATEWAY_MAC, ip(OWN)));
    assert_eq!((sent.destination, sent.ports.1, sent.hop_limit), (ip(FAR), 7, 63));
    assert!(sent.ports.0 >= 1024 && sent.ports.0 < 49152);
    let back = world.one_in(udp(FAR, OWN, 7, sent.ports.0, b"answer"));
    assert_eq!((back.to, back.mac, back.source), (Side::Guests, GUESTS[0], ip(FAR)));
    assert_eq!((back.destination, back.ports, &back.payload()[8..]), (ip(&guest), (7, 5000), &b"answer"[..]));
    let again = world.one(0, udp(&guest, FAR, 5000, 7, b"more"));
    assert_eq!(again.ports, sent.ports);
}

#[test]
fn two_guests_with_the_same_ports_are_told_apart() {
    let mut world = World::new(&[]);
    let (one, two) = (world.address(0), world.address(1));
    let first = world.one(0, tcp(&one, FAR, 5000, 80, SYN));
    let second = world.one(1, tcp(&two, FAR, 5000, 80, SYN));
    assert_ne!(first.ports, second.ports);
    for (sent, guest) in [(first, 0), (second, 1)] {
        let back = world.one_in(tcp(FAR, OWN, 80, sent.ports.0, SYN | ACK));
        assert_eq!((back.mac, back.ports), (GUESTS[guest], (80, 5000)));
    }
}

#[test]
fn nothing_comes_in_that_nobody_has_asked_for() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let sent = world.one(0, udp(&guest, FAR, 5000, 7, b""));
    for packet in [
        udp("198.51.100.8", OWN, 7, sent.ports.0, b"from another host"),
        udp(FAR, OWN, 8, sent.ports.0, b"from another port"),
        tcp(FAR, OWN, 7, sent.ports.0, SYN),
        tcp(FAR, OWN, 7, 22, SYN),
    ] {
        assert_eq!(world.network(packet), (false, vec![]), "it is for the router's own stack");
    }
    for packet in [udp(FAR, &guest, 7, 5000, b"past the translation"), tcp(FAR, &guest, 7, 22, SYN)] {
        assert_eq!(world.network(packet), (true, vec![]));
    }
    assert_eq!(world.router.counters().forbidden, 2);
}

#[test]
fn pings_go_out_and_come_back() {
    let mut world = World::new(&[]);
    let (one, two) = (world.address(0), world.address(1));
    let first = world.one(0, echo(&one, FAR, true, 77));
    let second = world.one(1, echo(&two, FAR, true, 77));
    assert_ne!(identifier(&first), identifier(&second));
    let back = world.one_in(echo(FAR, OWN, false, identifier(&second)));
    assert_eq!((back.mac, back.destination, identifier(&back)), (GUESTS[1], ip(&two), 77));
    assert_eq!(world.network(echo(FAR, OWN, true, identifier(&second))), (false, vec![]), "for the stack");
    let reply = world.one(0, echo(&one, "10.137.0.1", true, 5));
    assert_eq!((reply.mac, reply.source, reply.payload()[0]), (GUESTS[0], ip("10.137.0.1"), 0));
}

#[test]
fn an_icmp_error_reaches_the_guest_and_is_about_what_the_guest_has_sent() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let sent = world.one(0, tcp(&guest, FAR, 5000, 80, SYN));
    let back = world.one_in(error("198.51.100.1", OWN, 3, 4, &sent.bytes));
    assert_eq!((back.mac, back.source, back.destination), (GUESTS[0], ip("198.51.100.1"), ip(&guest)));
    let quoted = Ipv4Packet::new_unchecked(&back.payload()[8..]);
    assert_eq!((quoted.src_addr().into(), quoted.dst_addr().into()), (ip(&guest), ip(FAR)));
    assert!(quoted.verify_checksum());
    let ports = TcpPacket::new_unchecked(quoted.payload());
    assert_eq!((ports.src_port(), ports.dst_port()), (5000, 80));
    let strange = tcp(OWN, FAR, 1, 80, SYN);
    assert_eq!(world.network(error("198.51.100.1", OWN, 3, 4, &strange)), (false, vec![]));
}

#[test]
fn an_icmp_error_of_a_guests_is_about_what_the_network_has_sent() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let sent = world.one(0, udp(&guest, FAR, 5000, 7, b""));
    let received = world.one_in(udp(FAR, OWN, 7, sent.ports.0, b"late"));
    let error = world.one(0, error(&guest, FAR, 3, 3, &received.bytes));
    assert_eq!((error.to, error.source, error.destination), (Side::Network, ip(OWN), ip(FAR)));
    let quoted = Ipv4Packet::new_unchecked(&error.payload()[8..]);
    assert_eq!((quoted.src_addr().into(), quoted.dst_addr().into()), (ip(FAR), ip(OWN)));
    assert_eq!(UdpPacket::new_unchecked(quoted.payload()).dst_port(), sent.ports.0);
}

#[test]
fn nobody_sends_from_another_address_than_its_own() {
    let mut world = World::new(&[]);
    let two = world.address(1);
    for source in [&two[..], "10.137.0.77", "192.0.2.1", "203.0.113.9", "127.0.0.1", "0.0.0.0"] {
        assert_eq!(world.guest(0, udp(source, FAR, 1, 2, b"")), []);
    }
    assert_eq!(world.guest(0, udp("2001:db8:2::7", FAR6, 1, 2, b"")), []);
    assert_eq!(world.router.counters().spoofed, 7);
    let from_outside = udp(&two, OWN, 1, 2, b"");
    assert_eq!(world.network(from_outside), (true, vec![]));
    assert_eq!(world.router.counters().spoofed, 8);
}

#[test]
fn what_is_for_nobody_else_stays_here() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    for destination in ["224.0.0.251", "255.255.255.255", "169.254.169.254", "127.0.0.1", "0.0.0.0", OWN] {
        assert_eq!(world.guest(0, udp(&guest, destination, 1, 2, b"")), [], "{destination}");
    }
}

#[test]
fn guests_do_not_reach_each_other_unless_a_rule_says_so() {
    let mut world = World::new(&[]);
    let (one, two) = (world.address(0), world.address(1));
    assert_eq!(world.guest(0, tcp(&one, &two, 5000, 22, SYN)), []);
    let rules = Rules::parse([("accept", "between,tcp,port,22")]).unwrap();
    world.router.set_rules(rules);
    let sent = world.one(0, tcp(&one, &two, 5000, 22, SYN));
    assert_eq!((sent.mac, sent.source, sent.ports), (GUESTS[1], ip(&one), (5000, 22)));
    let back = world.one(1, tcp(&two, &one, 22, 5000, SYN | ACK));
    assert_eq!((back.mac, back.source, back.ports), (GUESTS[0], ip(&two), (22, 5000)));
}

#[test]
fn rules_forbid_and_reject() {
    let mut world = World::new(&[("drop", "out,udp"), ("reject", "out,tcp,port,25")]);
    let guest = world.address(0);
    assert_eq!(world.guest(0, udp(&guest, FAR, 1, 2, b"")), []);
    let told = world.one(0, tcp(&guest, FAR, 5000, 25, SYN));
    assert_eq!((told.mac, &told.payload()[..2]), (GUESTS[0], &[3, 13][..]));
    assert_eq!(world.one(0, tcp(&guest, FAR, 5000, 26, SYN)).to, Side::Network);
    assert_eq!(world.router.counters().forbidden, 2);
}

#[test]
fn a_redirected_port_leads_to_a_guest_and_back() {
    let mut world = World::new(&[("redirect", "tcp,8080,10.137.0.2,80")]);
    assert_eq!(world.address(0), "10.137.0.2");
    let sent = world.one_in(tcp(FAR, OWN, 6000, 8080, SYN));
    assert_eq!((sent.mac, sent.source, sent.destination), (GUESTS[0], ip(FAR), ip("10.137.0.2")));
    assert_eq!(sent.ports, (6000, 80));
    let back = world.one(0, tcp("10.137.0.2", FAR, 80, 6000, SYN | ACK));
    assert_eq!((back.source, back.destination, back.ports), (ip(OWN), ip(FAR), (8080, 6000)));
    assert_eq!(world.network(tcp(FAR, OWN, 6000, 8081, SYN)), (false, vec![]));
}

#[test]
fn new_rules_end_what_they_forbid_and_nothing_else() {
    let mut world = World::new(&[("redirect", "tcp,8080,10.137.0.2,80")]);
    let guest = world.address(0);
    world.one(0, tcp(&guest, FAR, 5000, 22, SYN));
    let web = world.one(0, tcp(&guest, FAR, 5000, 80, SYN));
    world.one_in(tcp(FAR, OWN, 6000, 8080, SYN));
    let rules = Rules::parse([("drop", "out,tcp,port,22")]).unwrap();
    assert_eq!(world.router.set_rules(rules), 2);
    assert_eq!(world.guest(0, tcp(&guest, FAR, 5000, 22, ACK)), []);
    assert_eq!(world.guest(0, tcp(&guest, FAR, 5000, 22, SYN)), []);
    assert_eq!(world.network(tcp(FAR, OWN, 6000, 8080, ACK)), (false, vec![]));
    assert_eq!(world.one(0, tcp(&guest, FAR, 5000, 80, ACK)).ports, web.ports);
}

#[test]
fn a_connection_is_opened_by_its_first_segment_only_and_is_over_in_time() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    assert_eq!(world.guest(0, tcp(&guest, FAR, 5000, 80, ACK)), []);
    let sent = world.one(0, tcp(&guest, FAR, 5000, 80, SYN));
    let port = sent.ports.0;
    world.pass(119);
    world.one_in(tcp(FAR, OWN, 80, port, SYN | ACK));
    world.pass(7000);
    world.one(0, tcp(&guest, FAR, 5000, 80, ACK));
    world.one(0, tcp(&guest, FAR, 5000, 80, FIN | ACK));
    world.pass(200);
    world.one_in(tcp(FAR, OWN, 80, port, FIN | ACK));
    world.pass(61);
    assert_eq!(world.network(tcp(FAR, OWN, 80, port, ACK)), (false, vec![]));
    world.router.poll(world.now);
    world.sent();
    assert_eq!(world.router.connections(), 0);
    let sent = world.one(0, tcp(&guest, FAR, 5001, 80, SYN));
    world.one_in(tcp(FAR, OWN, 80, sent.ports.0, RST | ACK));
    world.pass(61);
    assert_eq!(world.guest(0, tcp(&guest, FAR, 5001, 80, ACK)), []);
}

/// The frame as fragments of IPv4, of so many bytes of payload each.
fn fragments(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = frame.split_at(34);
    let count = payload.len().div_ceil(size);
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(number, piece)| {
            let mut frame = [header, piece].concat();
            let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
            packet.set_total_len(20 + piece.len() as u16);
            packet.set_ident(0x1234);
            packet.set_dont_frag(false);
            packet.set_more_frags(number + 1 < count);
            packet.set_frag_offset((number * size) as u16);
            packet.fill_checksum();
            frame
        })
        .collect()
}

/// What is behind the IP headers of fragments, from this source to this destination.
fn joined(sent: &[Sent]) -> Vec<u8> {
    assert!(sent.iter().all(|one| (one.source, one.destination) == (sent[0].source, sent[0].destination)));
    sent.iter().flat_map(|one| one.payload().to_vec()).collect()
}

#[test]
fn fragments_go_where_their_first_one_went_and_the_sum_over_all_stays_right() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let (own, far) = (guest.parse().unwrap(), FAR.parse().unwrap());
    let mut whole = udp(&guest, FAR, 5000, 7, &[9; 3000]);
    UdpPacket::new_unchecked(&mut whole[34..]).fill_checksum(&IpAddress::Ipv4(own), &IpAddress::Ipv4(far));
    let parts = fragments(&whole, 1480);
    let sent: Vec<_> = parts.iter().map(|part| world.one(0, part.clone())).collect();
    let joined_sent = joined(&sent);
    let datagram = UdpPacket::new_checked(&joined_sent).unwrap();
    assert!(datagram.verify_checksum(&IpAddress::Ipv4(OWN.parse().unwrap()), &IpAddress::Ipv4(far)));
    assert_eq!((sent[2].mac, sent[2].source), (GATEWAY_MAC, ip(OWN)));

    let mut ping = echo(&guest, FAR, true, 77);
    ping.extend([5; 2000]);
    let mut packet = Ipv4Packet::new_unchecked(&mut ping[14..]);
    packet.set_total_len(20 + 10 + 2000);
    Icmpv4Packet::new_unchecked(packet.payload_mut()).fill_checksum();
    let sent: Vec<_> = fragments(&ping, 1480).into_iter().map(|part| world.guest(0, part)).collect();
    let message = sent.iter().flatten().flat_map(|one| one.bytes[34..].to_vec()).collect::<Vec<_>>();
    assert!(Icmpv4Packet::new_checked(&message).unwrap().verify_checksum());

    let mut late = parts[1].clone();
    Ipv4Packet::new_unchecked(&mut late[14..]).set_ident(0x4321);
    Ipv4Packet::new_unchecked(&mut late[14..]).fill_checksum();
    assert_eq!(world.guest(0, late), [], "nobody knows its first");
    world.pass(31);
    assert_eq!(world.guest(0, parts[1].clone()), []);
}

#[test]
fn a_guest_that_opens_many_connections_keeps_no_other_out() {
    let mut world = World::with(&[], 64);
    let (one, two) = (world.address(0), world.address(1));
    let sent: usize = (0..1000).map(|port| world.guest(0, udp(&one, FAR, 1000 + port, 9, b"")).len()).sum();
    assert_eq!(sent, 16, "a quarter");
    assert_eq!(world.guest(1, udp(&two, FAR, 5000, 9, b"")).len(), 1);
    world.pass(31);
    assert_eq!(world.guest(0, udp(&one, FAR, 9000, 9, b"")).len(), 1, "those before are over");
    assert_eq!(world.router.counters().refused_connections, 984);
}

#[test]
fn ports_are_taken_by_chance_and_never_twice_for_the_same_peer() {
    let mut world = World::with(&[], 4096);
    let guest = world.address(0);
    let ports: BTreeSet<u16> =
        (0..900).map(|port| world.one(0, udp(&guest, FAR, 1000 + port, 7, b"")).ports.0).collect();
    assert_eq!(ports.len(), 900);
    let neighbors = ports.iter().zip(ports.iter().skip(1)).filter(|(one, next)| **one + 1 == **next).count();
    assert!(neighbors < 100, "{neighbors}");
}

#[test]
fn who_is_too_long_on_its_way_or_too_long_is_told_of() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let mut old = udp(&guest, FAR, 5000, 7, b"");
    let mut header = Ipv4Packet::new_unchecked(&mut old[14..]);
    header.set_hop_limit(1);
    header.fill_checksum();
    let told = world.one(0, old);
    assert_eq!((told.source, &told.payload()[..2]), (ip("10.137.0.1"), &[11, 0][..]));
    let mut narrow = uplink(OWN);
    narrow.mtu = 1280;
    world.router.set_uplink(narrow);
    let long = tcp_with(&guest, FAR, 5000, 80, SYN, &[7; 1300]);
    let told = world.one(0, long);
    assert_eq!(&told.payload()[..8], &[3, 4, told.payload()[2], told.payload()[3], 0, 0, 5, 0]);
    assert_eq!(&told.payload()[8 + 12..8 + 16], &world.router.address_of(GUESTS[0]).unwrap().octets());
    let told = world.one(0, tcp_with(GUEST6, FAR6, 5000, 80, SYN, &[7; 1300]));
    assert_eq!((told.source, told.payload()[0]), (ip("2001:db8:1::1"), 2));
    assert_eq!(world.router.counters().too_big, 2);
}

#[test]
fn no_more_errors_are_sent_than_a_hundred_in_a_second() {
    let mut world = World::new(&[("reject", "out")]);
    let guest = world.address(0);
    let told: usize = (0..1000).map(|_| world.guest(0, udp(&guest, FAR, 5000, 7, b"")).len()).sum();
    assert!(told <= 100, "{told}");
    world.pass(1);
    assert_eq!(world.guest(0, udp(&guest, FAR, 5000, 7, b"")).len(), 1);
}

#[test]
fn another_address_ends_connections_of_the_one_before() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    world.one(0, tcp(&guest, FAR, 5000, 80, SYN));
    world.router.set_uplink(uplink("192.0.2.77"));
    assert_eq!(world.router.connections(), 0);
}

#[test]
fn a_neighbor_is_asked_for_its_address_and_gets_what_waited() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let asked = world.one(0, udp(&guest, "192.0.2.40", 5000, 7, b"for a neighbor"));
    assert_eq!((asked.mac, &asked.bytes[12..14]), ([0xff; 6], &[8, 6][..]));
    assert_eq!(asked.bytes[38..42], [192, 0, 2, 40]);
    let mut reply = asked.bytes.clone();
    reply[21] = 2;
    reply[22..32].copy_from_slice(&[6, 0, 0, 0, 0, 40, 192, 0, 2, 40]);
    assert!(!world.network(reply).0);
    // `network` takes what was sent.
    let sent = world.one(0, udp(&guest, "192.0.2.40", 5000, 7, b"more"));
    assert_eq!(sent.mac, [6, 0, 0, 0, 0, 40]);
}

#[test]
fn names_are_asked_for_at_the_networks_server_with_other_ids() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    let sent = world.one(0, udp(&guest, "10.137.0.1", 5353, 53, &[0x12, 0x34, 1, 0]));
    assert_eq!((sent.source, sent.destination, sent.ports.1), (ip(OWN), ip(RESOLVER), 53));
    let id = &sent.payload()[8..10];
    assert_ne!(id, [0x12, 0x34]);
    assert_eq!(sent.payload()[10..], [1, 0]);
    let back = world.one_in(udp(RESOLVER, OWN, 53, sent.ports.0, &[id[0], id[1], 0x81, 0]));
    assert_eq!((back.source, back.ports), (ip("10.137.0.1"), (53, 5353)));
    assert_eq!(back.payload()[8..], [0x12, 0x34, 0x81, 0]);
    let by_tcp = world.one(0, tcp(&guest, "10.137.0.1", 5353, 53, SYN));
    assert_eq!(by_tcp.destination, ip(RESOLVER));
    assert_eq!(world.guest(0, udp(&guest, "10.137.0.1", 5353, 54, b"")), []);
}

fn dhcp(kind: DhcpMessageType, mac: [u8; 6], wanted: Option<&str>) -> Vec<u8> {
    let none = std::net::Ipv4Addr::UNSPECIFIED;
    let message = DhcpRepr {
        message_type: kind,
        transaction_id: 0x1234_5678,
        secs: 0,
        client_hardware_address: EthernetAddress(mac),
        client_ip: none,
        your_ip: none,
        server_ip: none,
        router: None,
        subnet_mask: None,
        relay_agent_ip: none,
        broadcast: false,
        requested_ip: wanted.map(|address| address.parse().unwrap()),
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).unwrap();
    udp("0.0.0.0", "255.255.255.255", 68, 67, &bytes)
}

#[test]
fn dhcp_tells_a_guest_the_address_that_it_has() {
    let mut world = World::new(&[]);
    let given = Guest { mac: GUESTS[1], mtu: 1500, addresses: vec![ip("10.137.0.99")] };
    let first = Guest { mac: GUESTS[0], mtu: 1500, addresses: Vec::new() };
    world.router.set_guests(std::slice::from_ref(&first));
    world.router.set_guests(&[first, given]);
    let answers = [
        (DhcpMessageType::Discover, None, DhcpMessageType::Offer),
        (DhcpMessageType::Request, Some("10.137.0.99"), DhcpMessageType::Ack),
        (DhcpMessageType::Request, Some("10.137.0.2"), DhcpMessageType::Nak),
    ];
    for (kind, wanted, expected) in answers {
        let sent = world.one(1, dhcp(kind, GUESTS[1], wanted));
        assert_eq!((sent.mac, sent.source, sent.ports), (GUESTS[1], ip("10.137.0.1"), (67, 68)));
        let packet = DhcpPacket::new_checked(&sent.payload()[8..]).unwrap();
        let reply = DhcpRepr::parse(&packet).unwrap();
        assert_eq!((reply.message_type, reply.transaction_id), (expected, 0x1234_5678));
        if expected != DhcpMessageType::Nak {
            assert_eq!(reply.your_ip, "10.137.0.99".parse::<std::net::Ipv4Addr>().unwrap());
            assert_eq!(reply.router, Some("10.137.0.1".parse().unwrap()));
            assert_eq!(reply.subnet_mask, Some("255.255.255.0".parse().unwrap()));
            assert_eq!(reply.dns_servers.unwrap()[0], "10.137.0.1".parse::<std::net::Ipv4Addr>().unwrap());
        }
    }
    assert_eq!(world.guest(1, dhcp(DhcpMessageType::Discover, GUESTS[0], None)), [], "for another one");
    assert_eq!(world.router.counters().leases, 1);
}

#[test]
fn the_router_stands_for_all_others_where_a_guest_looks_for_neighbors() {
    let mut world = World::new(&[]);
    let own: std::net::Ipv4Addr = world.address(0).parse().unwrap();
    let ask = |world: &mut World, source: std::net::Ipv4Addr, target: &str| {
        let message = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: EthernetAddress(GUESTS[0]),
            source_protocol_addr: source,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: target.parse().unwrap(),
        };
        let mut frame = vec![0; 14 + message.buffer_len()];
        frame[12..14].copy_from_slice(&[8, 6]);
        message.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
        world.guest(0, frame)
    };
    for target in ["10.137.0.1", "10.137.0.3"] {
        let answers = ask(&mut world, own, target);
        assert_eq!(answers[0].bytes[22..28], prism_router::ROUTER_MAC);
    }
    assert_eq!(ask(&mut world, [0; 4].into(), &own.to_string()), [], "nobody has the guest's own");
    assert_eq!(ask(&mut world, own, "192.0.2.1"), []);
    assert_eq!(ask(&mut world, [10, 137, 0, 3].into(), "10.137.0.1"), [], "not its address");
}

/// What the gateway answers to who looks for it.
fn gateway_advertisement() -> Vec<u8> {
    let mut answer = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    answer.extend("fe80::9".parse::<std::net::Ipv6Addr>().unwrap().octets());
    answer.extend([2, 1]);
    answer.extend(GATEWAY_MAC);
    let mut answer = packet("fe80::9", "2001:db8:2::1", 58, &answer);
    answer[14 + 7] = 255;
    answer
}

/// The packet of IPv6 as fragments, of so many bytes of payload each.
fn fragments6(frame: &[u8], size: usize, id: u32) -> Vec<Vec<u8>> {
    let (header, payload) = frame.split_at(54);
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(number, piece)| {
            let is_last = (number + 1) * size >= payload.len();
            let place = (number * size) as u16 | u16::from(!is_last);
            let mut frame =
                [header, &[header[20], 0], &place.to_be_bytes(), &id.to_be_bytes(), piece].concat();
            frame[18..20].copy_from_slice(&(8 + piece.len() as u16).to_be_bytes());
            frame[20] = 44;
            frame
        })
        .collect()
}

#[test]
fn fragments_of_ipv6_go_where_their_first_one_went_as_they_are() {
    let mut world = World::new(&[]);
    world.one(0, udp(GUEST6, FAR6, 5000, 7, b""));
    assert_eq!(world.network(gateway_advertisement()).1.len(), 1);
    for whole in [udp(GUEST6, FAR6, 5000, 7, &[9; 3000]), echo(GUEST6, FAR6, true, 77)] {
        let parts = fragments6(&whole, 8 * ((whole.len() - 54) / 24).max(1), 0x1234_5678);
        assert!(parts.len() > 1);
        for part in &parts {
            let sent = world.one(0, part.clone());
            assert_eq!((sent.mac, sent.source, sent.hop_limit), (GATEWAY_MAC, ip(GUEST6), 63));
            assert_eq!(sent.bytes[54..], part[54..]);
        }
    }
    let back = fragments6(&udp(FAR6, GUEST6, 7, 5000, &[8; 2000]), 1000, 7);
    for part in &back {
        assert_eq!(world.one_in(part.clone()).bytes[54..], part[54..]);
    }
    // The lower half of the identification is not enough, and neither is one of long ago.
    let late = fragments6(&udp(FAR6, GUEST6, 7, 5000, &[8; 2000]), 1000, 0x1_0007);
    assert_eq!(world.network(late[1].clone()), (true, vec![]));
    world.pass(31);
    assert_eq!(world.network(back[1].clone()), (true, vec![]));
    let opening = fragments6(&udp(FAR6, GUEST6, 7, 22, &[8; 2000]), 1000, 8);
    for part in opening {
        assert_eq!(world.network(part), (true, vec![]), "no rule lets it in");
    }
    let too_long = fragments6(&udp(GUEST6, FAR6, 5000, 7, &[9; 3000]), 1504, 9);
    assert_eq!(world.one(0, too_long[0].clone()).payload()[0], 2, "packet too big");
    for length in 40..56 {
        let mut cut = back[0][..14 + length].to_vec();
        cut[18..20].copy_from_slice(&(length as u16 - 40).to_be_bytes());
        assert_eq!(world.network(cut).1, [], "{length}");
    }
}

#[test]
fn neighbors_are_not_learned_from_fragments_and_the_router_answers_none() {
    let mut world = World::new(&[]);
    world.one(0, udp(GUEST6, FAR6, 5000, 7, b""));
    for part in fragments6(&gateway_advertisement(), 1000, 1) {
        assert_eq!(world.network(part).1, []);
    }
    assert_eq!(world.network(gateway_advertisement()).1.len(), 1);
    let ping = echo(GUEST6, "2001:db8:1::1", true, 9);
    assert_eq!(world.guest(0, ping.clone()).len(), 1);
    for part in fragments6(&ping, 8, 2) {
        assert_eq!(world.guest(0, part), []);
    }
    let ping = echo(&world.address(0), "10.137.0.1", true, 9);
    assert_eq!(world.guest(0, ping.clone()).len(), 1);
    for part in fragments(&ping, 8) {
        assert_eq!(world.guest(0, part), []);
    }
}

#[test]
fn ipv6_is_routed_as_it_is_with_the_same_rules() {
    let mut world = World::new(&[]);
    let asked = world.one(0, udp(GUEST6, FAR6, 5000, 7, b""));
    assert_eq!((asked.mac, asked.destination), ([0x33, 0x33, 0xff, 0, 0, 9], ip("ff02::1:ff00:9")));
    let (is_taken, waited) = world.network(gateway_advertisement());
    assert!(!is_taken);
    assert_eq!((waited[0].mac, waited[0].source, waited[0].hop_limit), (GATEWAY_MAC, ip(GUEST6), 63));
    let back = world.one_in(udp(FAR6, GUEST6, 7, 5000, b""));
    assert_eq!((back.mac, back.ports), (GUESTS[0], (7, 5000)));
    assert_eq!(world.network(tcp(FAR6, GUEST6, 7, 22, SYN)), (true, vec![]));
    assert_eq!(world.guest(1, udp(GUEST6, FAR6, 1, 2, b"")), [], "it is another guest's");
    let ping = world.one(0, echo(GUEST6, FAR6, true, 9));
    assert_eq!(ping.to, Side::Network);
    let error = world.one_in(error("2001:db8:fffe::1", GUEST6, 1, 0, &ping.bytes));
    assert_eq!((error.mac, error.source), (GUESTS[0], ip("2001:db8:fffe::1")));
}

#[test]
fn guests_are_told_of_the_prefix_when_they_ask_and_now_and_then() {
    let mut world = World::new(&[]);
    let mut servers = uplink(OWN);
    servers.dns.push(ip("2001:db8:2::53"));
    world.router.set_uplink(servers);
    let mut ask = packet("fe80::1", "ff02::2", 58, &[133, 0, 0, 0, 0, 0, 0, 0]);
    ask[14 + 7] = 255;
    let told = world.one(0, ask);
    assert_eq!((told.mac, told.hop_limit, told.destination), (GUESTS[0], 255, ip("ff02::1")));
    let message = Icmpv6Packet::new_checked(told.payload()).unwrap();
    let NdiscRepr::RouterAdvert { prefix_info: Some(prefix), mtu, .. } = NdiscRepr::parse(&message).unwrap()
    else {
        panic!("{message:?}");
    };
    assert_eq!((prefix.prefix.to_string(), prefix.prefix_len, mtu), ("2001:db8:1::".into(), 64, Some(1500)));
    let server = "2001:db8:2::53".parse::<std::net::Ipv6Addr>().unwrap().octets();
    assert!(told.payload().ends_with(&server));
    assert!(world.router.poll(world.now).is_some());
    assert_eq!(world.sent().len(), 1);
    world.pass(200);
    world.router.poll(world.now);
    assert_eq!(world.sent()[0].mac, [0x33, 0x33, 0, 0, 0, 1]);
}

#[test]
fn servers_elsewhere_are_reached_whatever_their_port_is() {
    let mut world = World::new(&[]);
    let own = world.address(0);
    for port in [53, 67, 68, 80] {
        let sent = world.one(0, udp(&own, FAR, 5000, port, b"x"));
        assert_eq!((sent.destination, sent.ports.1), (ip(FAR), port));
    }
}

#[test]
fn what_the_router_has_done_is_told_to_prometheus() {
    let mut world = World::new(&[]);
    let guest = world.address(0);
    world.one(0, udp(&guest, FAR, 5000, 7, b""));
    let text = world.router.to_string();
    for line in ["prism_router_sent_packets_total 1", "prism_router_connections 1", "prism_router_guests 2"] {
        assert!(text.lines().any(|other| other == line), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_answered_reaches_who_has_asked(
        flows in proptest::collection::vec((0..2_usize, 1..u16::MAX, 1..u16::MAX, any::<u32>()), 1..60),
    ) {
        let mut world = World::new(&[]);
        for (guest, from, to, far) in flows {
            let far = std::net::Ipv4Addr::from((far % 0x5000_0000) | 0x2000_0000).to_string();
            let own = world.address(guest);
            if far.starts_with("127.") || far.starts_with("10.137.0.") {
                continue;
            }
            let sent = world.one(guest, udp(&own, &far, from, to, b"x"));
            prop_assert_eq!((sent.source, sent.destination, sent.ports.1), (ip(OWN), ip(&far), to));
            let back = world.one_in(udp(&far, OWN, to, sent.ports.0, b"y"));
            prop_assert_eq!((back.mac, back.destination, back.ports), (GUESTS[guest], ip(&own), (to, from)));
        }
    }

    #[test]
    fn whatever_is_sent_nothing_breaks(
        packets in proptest::collection::vec(
            (any::<bool>(), 0..2_usize, 0..6_u8, proptest::collection::vec((0..80_usize, any::<u8>()), 0..4), 0..100_usize),
            1..60,
        ),
    ) {
        let mut world = World::new(&[("redirect", "tcp,8080,10.137.0.2,80")]);
        for (from_guest, guest, kind, changes, cut) in packets {
            let own = world.address(guest);
            let (near, far) = if from_guest { (&own[..], FAR) } else { (FAR, OWN) };
            let inner = udp(OWN, FAR, 1, 2, b"");
            let mut bytes = match kind {
                0 => udp(near, far, 5000, 53, b"text"),
                1 => tcp(near, far, 5000, 8080, SYN),
                2 => echo(near, far, true, 7),
                3 => error(near, far, 3, 4, &inner),
                4 => dhcp(DhcpMessageType::Request, GUESTS[guest], Some("10.137.0.2")),
                _ => packet(GUEST6, FAR6, 58, &[135; 40]),
            };
            let length = bytes.len();
            for (place, value) in changes {
                if place > 12 {
                    bytes[place % length] = value;
                }
            }
            bytes.truncate(bytes.len().saturating_sub(cut).max(14));
            if from_guest {
                world.guest(guest, bytes);
            } else {
                world.network(bytes);
            }
        }
    }
}
