// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::headers::{FIN, RST, SYN, UDP, get};
use super::too_big::too_big;
use super::*;

const MINUTE: u64 = 60_000_000_000;

/// Whose packet: ours or the peer's, and the ports.
#[derive(Clone, Copy)]
struct Ends {
    ours: u16,
    theirs: u16,
    /// The last byte of the peer's address.
    peer: u8,
    is_ipv4: bool,
}

const ENDS: Ends = Ends { ours: 2000, theirs: 80, peer: 9, is_ipv4: true };

/// A shim, and its clock.
fn shim() -> (StackShim<'static>, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&clock);
    (StackShim::new([7; 16], move || now.load(Ordering::Relaxed)), clock)
}

fn packet(ends: Ends, direction: Direction, protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let (mut ours, mut theirs) = if ends.is_ipv4 {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + 4 + transport.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        (vec![192, 0, 2, 1], vec![192, 0, 2, ends.peer])
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((4 + transport.len() as u16).to_be_bytes());
        frame.extend([protocol, 64]);
        (vec![0x20; 16], [[0x20; 15].as_slice(), &[ends.peer]].concat())
    };
    let mut ports = [ends.ours, ends.theirs];
    if direction == Direction::In {
        std::mem::swap(&mut ours, &mut theirs);
        ports.reverse();
    }
    frame.extend(ours);
    frame.extend(theirs);
    frame.extend(ports.into_iter().flat_map(u16::to_be_bytes));
    frame.extend(transport);
    frame
}

/// A segment without payload.
fn segment(ends: Ends, direction: Direction, flags: u8, numbers: [u32; 2], options: &[u8]) -> Vec<u8> {
    let mut transport: Vec<u8> = numbers.into_iter().flat_map(u32::to_be_bytes).collect();
    transport.extend([((20 + options.len()) as u8 / 4) << 4, flags, 1, 0, 0, 0, 0, 0]);
    transport.extend(options);
    packet(ends, direction, TCP, &transport)
}

fn datagram(ends: Ends, direction: Direction, payload: &[u8]) -> Vec<u8> {
    let mut transport = (8 + payload.len() as u16).to_be_bytes().to_vec();
    transport.extend([0, 0]);
    transport.extend(payload);
    packet(ends, direction, UDP, &transport)
}

fn tuple(frame: &[u8], direction: Direction) -> headers::Tuple {
    Headers::find(frame).unwrap().tuple(direction)
}

fn out(shim: &mut StackShim<'_>, mut frame: Vec<u8>) -> Vec<u8> {
    shim.outgoing(&mut frame, 1500);
    frame
}

fn into(shim: &mut StackShim<'_>, mut frame: Vec<u8>) -> Vec<u8> {
    shim.incoming(&mut frame, 1500);
    frame
}

fn port(frame: &[u8], direction: Direction) -> u16 {
    tuple(frame, direction).local.port
}

fn numbers(frame: &[u8]) -> [u32; 2] {
    let start = Headers::find(frame).unwrap().start;
    [4, 8].map(|place| u32::from_be_bytes(get(frame, start + place).unwrap()))
}

#[test]
fn each_connection_has_sequence_numbers_of_its_own_and_the_stack_does_not_see_them() {
    for is_ipv4 in [true, false] {
        let (mut shim, _) = shim();
        let ends = Ends { is_ipv4, ours: 80, theirs: 5000, ..ENDS };
        let answer = out(&mut shim, segment(ends, Direction::Out, SYN | ACK, [1000, 1], &[]));
        let [begin, acknowledged] = numbers(&answer);
        assert_eq!((acknowledged, port(&answer, Direction::Out)), (1, 80));
        assert_ne!(begin, 1000);
        let other =
            out(&mut shim, segment(Ends { theirs: 5001, ..ends }, Direction::Out, SYN | ACK, [1000, 1], &[]));
        assert_ne!(numbers(&other)[0], begin);
        let more = out(&mut shim, segment(ends, Direction::Out, ACK, [1500, 1], &[]));
        assert_eq!(numbers(&more)[0], begin.wrapping_add(500));
        let back = into(&mut shim, segment(ends, Direction::In, ACK, [1, begin.wrapping_add(1)], &[]));
        assert_eq!(numbers(&back), [1, 1001]);
    }
}

/// Whether the stack sees a SYN with this number as one.
fn shows(shim: &mut StackShim<'_>, ends: Ends, sequence: u32) -> bool {
    let syn = into(shim, segment(ends, Direction::In, SYN, [sequence, 0], &[]));
    Headers::find(&syn).is_some_and(|headers| headers.flags(&syn) & (SYN | ACK) == SYN)
}

/// Ends at which we serve.
const SERVED: Ends = Ends { ours: 80, theirs: 5000, ..ENDS };

#[test]
fn a_syn_that_comes_again_while_its_answer_is_on_its_way_is_not_shown_to_the_stack() {
    let (mut shim, clock) = shim();
    let answer = |shim: &mut StackShim<'_>, sequence: u32| {
        numbers(&out(shim, segment(SERVED, Direction::Out, SYN | ACK, [1000, sequence], &[])))[0]
    };
    assert!(shows(&mut shim, SERVED, 700) && shows(&mut shim, SERVED, 700), "it is not answered yet");
    let begin = answer(&mut shim, 701);
    assert!(!shows(&mut shim, SERVED, 700));
    assert!(!shows(&mut shim, SERVED, 7000), "somebody else's, or an old one");
    clock.store(2_000_000_000, Ordering::Relaxed);
    assert_eq!(answer(&mut shim, 701), begin);
    clock.store(4_000_000_000, Ordering::Relaxed);
    assert!(!shows(&mut shim, SERVED, 700), "the answer was sent again");
    clock.store(6_000_000_000, Ordering::Relaxed);
    assert!(shows(&mut shim, SERVED, 700), "nobody answers any more");
}

#[test]
fn a_client_that_refuses_our_answer_may_begin_again_at_once() {
    let (mut shim, _) = shim();
    shows(&mut shim, SERVED, 700);
    out(&mut shim, segment(SERVED, Direction::Out, SYN | ACK, [1000, 701], &[]));
    into(&mut shim, segment(SERVED, Direction::In, RST, [5, 0], &[]));
    assert!(!shows(&mut shim, SERVED, 7000), "the reset is somebody else's");
    into(&mut shim, segment(SERVED, Direction::In, RST, [701, 0], &[]));
    assert!(shows(&mut shim, SERVED, 7000));
}

/// Has a connection opened by the peer; the number that we begin with on the network.
fn accept(shim: &mut StackShim<'_>, ends: Ends) -> u32 {
    assert!(shows(shim, ends, 700));
    let begin = numbers(&out(shim, segment(ends, Direction::Out, SYN | ACK, [1000, 701], &[])))[0];
    into(shim, segment(ends, Direction::In, ACK, [701, begin.wrapping_add(1)], &[]));
    begin
}

#[test]
fn a_syn_on_an_open_connection_has_the_stack_tell_the_peer_where_it_is() {
    for is_ipv4 in [true, false] {
        let (ends, (mut shim, clock)) = (Ends { is_ipv4, ..SERVED }, shim());
        accept(&mut shim, ends);
        out(&mut shim, segment(ends, Direction::Out, ACK, [1001, 801], &[]));
        clock.store(MINUTE, Ordering::Relaxed);
        for (sequence, options) in [(700, &[][..]), (9_000_000, &[2, 4, 5, 180])] {
            let syn = into(&mut shim, segment(ends, Direction::In, SYN, [sequence, 0], options));
            let headers = Headers::find(&syn).unwrap();
            assert_eq!(
                tuple(&syn, Direction::In),
                tuple(&segment(ends, Direction::In, 0, [0; 2], &[]), Direction::In)
            );
            assert_eq!((headers.flags(&syn), headers.numbers(&syn)), (ACK, 0));
            assert_eq!(numbers(&syn), [800, 1001], "as who asks whether we are there");
        }
    }
}

#[test]
fn a_connection_that_is_over_keeps_no_syn_out() {
    let both = |shim: &mut StackShim<'_>, begin: u32| {
        out(shim, segment(SERVED, Direction::Out, FIN | ACK, [1001, 701], &[]));
        into(shim, segment(SERVED, Direction::In, FIN | ACK, [701, begin.wrapping_add(2)], &[]));
        assert!(!shows(shim, SERVED, 9000), "we have not heard its end");
        out(shim, segment(SERVED, Direction::Out, ACK, [1002, 702], &[]));
    };
    let peer_first = |shim: &mut StackShim<'_>, begin: u32| {
        into(shim, segment(SERVED, Direction::In, FIN | ACK, [701, begin.wrapping_add(1)], &[]));
        out(shim, segment(SERVED, Direction::Out, ACK, [1001, 702], &[]));
        out(shim, segment(SERVED, Direction::Out, FIN | ACK, [1001, 702], &[]));
        assert!(!shows(shim, SERVED, 9000), "the peer has not heard ours");
        into(shim, segment(SERVED, Direction::In, ACK, [702, begin.wrapping_add(2)], &[]));
    };
    let we_reset =
        |shim: &mut StackShim<'_>, _| drop(out(shim, segment(SERVED, Direction::Out, RST, [1001, 0], &[])));
    let peer_resets = |shim: &mut StackShim<'_>, _| {
        into(shim, segment(SERVED, Direction::In, RST, [750, 0], &[]));
        assert!(!shows(shim, SERVED, 9000), "that reset is a guess");
        into(shim, segment(SERVED, Direction::In, RST, [701, 0], &[]));
    };
    for end in [&both as &dyn Fn(&mut StackShim<'_>, u32), &peer_first, &we_reset, &peer_resets] {
        let (mut shim, _) = shim();
        for _ in 0..3 {
            let begin = accept(&mut shim, SERVED);
            assert!(!shows(&mut shim, SERVED, 9000));
            end(&mut shim, begin);
        }
    }
}

#[test]
fn ten_thousand_connections_take_the_room_of_some() {
    let (mut shim, _) = shim();
    for number in 0..10_000 {
        let begin = accept(&mut shim, Ends { theirs: 10_000 + number, ..SERVED });
        if number % 2 == 0 {
            into(
                &mut shim,
                segment(Ends { theirs: 10_000 + number, ..SERVED }, Direction::In, ACK, [701, begin], &[]),
            );
        }
    }
    assert!(shim.flows.count() <= 512);
    // Those that are half open or over make room for one that lives.
    let begin = accept(&mut shim, SERVED);
    assert_ne!(begin, 1000);
    for number in 0..10_000 {
        shows(&mut shim, Ends { theirs: 20_000 + number, ..SERVED }, 1);
    }
    assert!(!shows(&mut shim, SERVED, 9000));
}

#[test]
fn a_connection_to_a_group_is_not_shown_to_the_stack() {
    let (mut shim, _) = shim();
    for group in [[224, 0, 0, 1], [255; 4]] {
        let mut syn = segment(SERVED, Direction::In, SYN, [1, 0], &[]);
        syn[30..34].copy_from_slice(&group);
        assert_eq!(Headers::find(&into(&mut shim, syn)), None);
    }
}

#[test]
fn headers_that_only_the_stack_would_find_are_not_shown_to_it() {
    let is_shown = |frame: &[u8]| {
        let (mut shim, _) = shim();
        let kind = frame[12..14].to_vec();
        into(&mut shim, frame.to_vec())[12..14] == kind
    };
    for protocol in [TCP, UDP] {
        // Of IPv4: length of the payload, the place in eights, whether there are more.
        for (length, place, is_last, expected) in [
            (8, 0, false, false),
            (16, 0, false, false),
            (24, 0, false, true),
            (8, 1, true, false),
            (100, 2, false, false),
            (100, 3, false, true),
            (4, 185, true, true),
        ] {
            let mut frame = packet(SERVED, Direction::In, protocol, &vec![0; length - 4]);
            let flags = u16::from(!is_last) << 13 | place;
            frame[20..22].copy_from_slice(&flags.to_be_bytes());
            assert_eq!(is_shown(&frame), expected, "{length} bytes at {place}");
        }
        // Behind another header of IPv6: options for routers, of no meaning.
        let plain = packet(Ends { is_ipv4: false, ..SERVED }, Direction::In, protocol, &[0; 16]);
        assert!(is_shown(&plain));
        let mut behind = plain.clone();
        behind[20] = 0;
        behind.splice(54..54, [protocol, 0, 1, 4, 0, 0, 0, 0]);
        behind[19] += 8;
        assert!(!is_shown(&behind));
        behind[54] = 58;
        assert!(is_shown(&behind), "who tells of groups does so");
    }
    let mut ping = packet(SERVED, Direction::In, 1, &[0; 4]);
    ping[20] = 0x20;
    assert!(is_shown(&ping), "nobody looks for anything there");
}

#[test]
fn two_boots_begin_a_connection_with_different_numbers() {
    let begin = |key| {
        let mut shim = StackShim::new([key; 16], || 0);
        numbers(&out(&mut shim, segment(ENDS, Direction::Out, SYN | ACK, [1000, 1], &[])))[0]
    };
    assert_ne!(begin(1), begin(2));
}

#[test]
fn a_number_that_acknowledges_nothing_is_left_alone() {
    let (mut shim, _) = shim();
    let syn = segment(ENDS, Direction::In, SYN, [5, 0], &[]);
    assert_eq!(into(&mut shim, syn.clone()), syn);
    let reset = segment(ENDS, Direction::Out, RST | ACK, [0, 6], &[]);
    assert_eq!(numbers(&out(&mut shim, reset)), [0, 6]);
    let reset = segment(ENDS, Direction::Out, RST, [77, 0], &[]);
    assert_ne!(numbers(&out(&mut shim, reset))[0], 77);
}

#[test]
fn blocks_that_are_acknowledged_selectively_are_moved_like_the_rest() {
    let (mut shim, _) = shim();
    let ends = Ends { ours: 80, ..ENDS };
    let [begin, _] = numbers(&out(&mut shim, segment(ends, Direction::Out, SYN | ACK, [0, 1], &[])));
    let edges = [10u32, 20, 30, 40].map(|number| number.wrapping_add(begin).to_be_bytes()).concat();
    let options = [&[1, 1, 5, 18], edges.as_slice()].concat();
    let seen = into(&mut shim, segment(ends, Direction::In, ACK, [1, begin.wrapping_add(5)], &options));
    let expected = [10u32, 20, 30, 40].map(u32::to_be_bytes).concat();
    assert_eq!((numbers(&seen)[1], &seen[seen.len() - 16..]), (5, expected.as_slice()));
    for length in 0..=options.len() {
        for value in [0, 1, 2, 5, 255] {
            let mut options = options[..length / 4 * 4].to_vec();
            options.iter_mut().for_each(|byte| *byte = value);
            into(&mut shim, segment(ends, Direction::In, ACK, [1, 0], &options));
        }
    }
}

#[test]
fn a_connection_that_we_begin_has_a_random_port_and_its_answers_arrive() {
    let (mut shim, _) = shim();
    let mut seen = BTreeSet::new();
    for ours in 2000..2100 {
        let ends = Ends { ours, ..ENDS };
        let syn = out(&mut shim, segment(ends, Direction::Out, SYN, [100, 0], &[]));
        let wire = Ends { ours: port(&syn, Direction::Out), ..ENDS };
        assert!(wire.ours >= 49152 && seen.insert(wire.ours), "{}", wire.ours);
        assert_eq!(out(&mut shim, segment(ends, Direction::Out, SYN, [100, 0], &[])), syn, "once more");
        let acknowledged = numbers(&syn)[0].wrapping_add(1);
        let answer = into(&mut shim, segment(wire, Direction::In, SYN | ACK, [5, acknowledged], &[]));
        assert_eq!((numbers(&answer), port(&answer, Direction::In)), ([5, 101], ours));
        let data = out(&mut shim, segment(ends, Direction::Out, ACK, [101, 6], &[]));
        assert_eq!((numbers(&data), port(&data, Direction::Out)), ([acknowledged, 6], wire.ours));
    }
    let steps: BTreeSet<i32> =
        seen.iter().zip(seen.iter().skip(1)).map(|(a, b)| i32::from(*b) - i32::from(*a)).collect();
    assert!(steps.len() > 30, "{steps:?}");
}

#[test]
fn a_port_that_the_stack_uses_again_is_another_one_on_the_network() {
    let (mut shim, _) = shim();
    let syn = |shim: &mut StackShim<'_>, begin| {
        port(&out(shim, segment(ENDS, Direction::Out, SYN, [begin, 0], &[])), Direction::Out)
    };
    let first = syn(&mut shim, 1);
    let second = syn(&mut shim, 2);
    assert_ne!(first, second);
    let late = segment(Ends { ours: first, ..ENDS }, Direction::In, ACK, [0, 0], &[]);
    assert_eq!(port(&into(&mut shim, late), Direction::In), first, "the former one's packets are nobody's");
}

#[test]
fn a_connection_lives_while_thousands_come_and_go() {
    let (mut shim, clock) = shim();
    let syn = out(&mut shim, segment(ENDS, Direction::Out, SYN, [1, 0], &[]));
    for ours in 3000..9000 {
        clock.fetch_add(1, Ordering::Relaxed);
        let ends = Ends { ours, ..ENDS };
        out(&mut shim, segment(ends, Direction::Out, SYN, [1, 0], &[]));
        out(&mut shim, segment(ends, Direction::Out, RST, [2, 0], &[]));
    }
    let data = out(&mut shim, segment(ENDS, Direction::Out, ACK, [2, 1], &[]));
    assert_eq!(tuple(&data, Direction::Out), tuple(&syn, Direction::Out));
}

#[test]
fn questions_to_dns_servers_have_random_ports_and_ids() {
    for is_ipv4 in [true, false] {
        let (mut shim, clock) = shim();
        let ends = Ends { theirs: 53, is_ipv4, ..ENDS };
        let mut seen = BTreeSet::new();
        for _ in 0..10 {
            let question = out(&mut shim, datagram(ends, Direction::Out, b"\x12\x34rest"));
            let id: [u8; 2] = question[question.len() - 6..][..2].try_into().unwrap();
            let wire = Ends { ours: port(&question, Direction::Out), ..ends };
            assert!(seen.insert((id, wire.ours)), "{seen:?}");
            assert_eq!(out(&mut shim, datagram(ends, Direction::Out, b"\x12\x34rest")), question);
            let answer =
                into(&mut shim, datagram(wire, Direction::In, &[&id, b"answer".as_slice()].concat()));
            assert_eq!(answer, datagram(ends, Direction::In, b"\x12\x34answer"));
            clock.fetch_add(6 * MINUTE, Ordering::Relaxed);
        }
    }
}

#[test]
fn ids_of_dhcp_are_random_and_answers_to_others_are_not_taken() {
    let (mut shim, _) = shim();
    let ends = Ends { ours: 68, theirs: 67, peer: 255, is_ipv4: true };
    let message = |id: u32| [&[1, 1, 6, 0], id.to_be_bytes().as_slice(), b"rest"].concat();
    let id = |frame: &[u8]| u32::from_be_bytes(get(frame, frame.len() - 8).unwrap());
    let ids: Vec<u32> =
        [1, 1, 2].map(|number| id(&out(&mut shim, datagram(ends, Direction::Out, &message(number))))).into();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1].wrapping_add(1), ids[2]);
    let answer =
        |shim: &mut StackShim<'_>, number| into(shim, datagram(ends, Direction::In, &message(number)));
    assert_eq!(answer(&mut shim, ids[2]), datagram(ends, Direction::In, &message(2)));
    for other in [2, ids[0], 0] {
        assert_ne!(id(&answer(&mut shim, other)), 2);
    }
}

#[test]
fn an_application_that_answers_datagrams_does_so_from_the_port_where_they_came() {
    let (mut shim, _) = shim();
    for ours in [7, 5000, 50000] {
        let ends = Ends { ours, theirs: 4000, ..ENDS };
        into(&mut shim, datagram(ends, Direction::In, b"question"));
        let answer = datagram(ends, Direction::Out, b"answer");
        assert_eq!(out(&mut shim, answer.clone()), answer);
        let later = datagram(Ends { peer: 33, ..ends }, Direction::Out, b"news");
        assert!(ours < 49152 || out(&mut shim, later.clone()) == later);
    }
    let mut client = datagram(Ends { ours: 50001, theirs: 4000, ..ENDS }, Direction::Out, b"question");
    client = out(&mut shim, client);
    let answer = into(
        &mut shim,
        datagram(
            Ends { ours: port(&client, Direction::Out), theirs: 4000, ..ENDS },
            Direction::In,
            b"answer",
        ),
    );
    assert_ne!(port(&client, Direction::Out), 50001);
    assert_eq!(port(&answer, Direction::In), 50001);
}

#[test]
fn what_comes_to_the_stacks_port_of_a_connection_with_another_one_is_discarded() {
    let (mut shim, clock) = shim();
    let is_discarded = |frame: &[u8]| Headers::find(frame).is_none();
    out(&mut shim, segment(ENDS, Direction::Out, SYN, [100, 0], &[]));
    let client = Ends { ours: 50001, theirs: 123, ..ENDS };
    out(&mut shim, datagram(client, Direction::Out, b"question"));
    for flags in [SYN, SYN | ACK, ACK, RST] {
        assert!(is_discarded(&into(&mut shim, segment(ENDS, Direction::In, flags, [5, 0], &[]))));
    }
    assert!(is_discarded(&into(&mut shim, datagram(client, Direction::In, b"forged"))));
    for other in [Ends { peer: 10, ..client }, Ends { theirs: 124, ..client }] {
        assert!(!is_discarded(&into(&mut shim, datagram(other, Direction::In, b"question"))));
    }
    clock.fetch_add(6 * MINUTE, Ordering::Relaxed);
    assert!(is_discarded(&into(&mut shim, segment(ENDS, Direction::In, ACK, [5, 0], &[]))));
    assert!(!is_discarded(&into(&mut shim, datagram(client, Direction::In, b"question"))), "it is over");
}

/// The stack's message that nobody has the port of the datagram in `frame`.
fn refusal(frame: &[u8], is_ipv4: bool) -> Vec<u8> {
    let (header, protocol, kind) = if is_ipv4 { (20, 1, [3, 3]) } else { (40, 58, [1, 4]) };
    let mut message = frame[..14 + header].to_vec();
    message[14 + if is_ipv4 { 9 } else { 6 }] = protocol;
    message.extend(kind);
    message.extend([0; 6]);
    message.extend(&frame[14..]);
    message
}

#[test]
fn a_datagram_to_a_port_that_nobody_has_makes_no_server_of_it() {
    for is_ipv4 in [true, false] {
        let (mut shim, _) = shim();
        let client = Ends { ours: 50001, theirs: 123, is_ipv4, ..ENDS };
        let forged = into(&mut shim, datagram(client, Direction::In, b"forged"));
        out(&mut shim, refusal(&forged, is_ipv4));
        let question = out(&mut shim, datagram(client, Direction::Out, b"question"));
        assert_ne!(port(&question, Direction::Out), 50001);
    }
}

#[test]
fn a_datagram_to_a_port_that_asks_somebody_else_makes_no_server_of_it() {
    let (mut shim, _) = shim();
    let client = Ends { ours: 50001, theirs: 123, ..ENDS };
    out(&mut shim, datagram(client, Direction::Out, b"question"));
    let other = Ends { peer: 10, ..client };
    into(&mut shim, datagram(other, Direction::In, b"question"));
    assert_eq!(port(&out(&mut shim, datagram(other, Direction::Out, b"answer")), Direction::Out), 50001);
    let third = out(&mut shim, datagram(Ends { peer: 11, ..client }, Direction::Out, b"question"));
    assert_ne!(port(&third, Direction::Out), 50001);
}

#[test]
fn a_client_is_refused_by_a_port_that_nobody_listens_to_and_no_other() {
    let (mut shim, clock) = shim();
    let to = |ours, theirs| Ends { ours, theirs, ..ENDS };
    let refuses = |shim: &mut StackShim<'_>, ends| {
        let mut reset = segment(ends, Direction::Out, RST | ACK, [0, 6], &[]);
        shim.outgoing(&mut reset, 1500).is_some()
    };
    assert!(refuses(&mut shim, to(80, 5000)));
    out(&mut shim, segment(to(80, 5000), Direction::Out, SYN | ACK, [1000, 6], &[]));
    assert!(!refuses(&mut shim, to(80, 5001)) && refuses(&mut shim, to(81, 5001)));
    let mut reset = segment(to(80, 5000), Direction::Out, RST | ACK, [1001, 6], &[]);
    assert!(shim.outgoing(&mut reset, 1500).is_some(), "a connection can be ended");
    clock.fetch_add(2 * MINUTE, Ordering::Relaxed);
    assert!(refuses(&mut shim, to(80, 5002)));
}

#[test]
fn datagrams_to_groups_and_between_equal_ports_stay_as_they_are() {
    let (mut shim, _) = shim();
    let mut to_group = datagram(Ends { ours: 60000, theirs: 1900, ..ENDS }, Direction::Out, b"who");
    to_group[30..34].copy_from_slice(&[239, 255, 255, 250]);
    assert_eq!(out(&mut shim, to_group.clone()), to_group);
    let equal = datagram(Ends { ours: 51820, theirs: 51820, ..ENDS }, Direction::Out, b"hello");
    assert_eq!(out(&mut shim, equal.clone()), equal);
}

#[test]
fn what_is_cut_short_or_no_packet_does_no_harm() {
    let (mut shim, _) = shim();
    let whole = segment(ENDS, Direction::Out, SYN | ACK, [1, 2], &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    for length in 0..whole.len() {
        for byte in [0x45, 0x4f, 0x60, 0, 0xff] {
            let mut frame = whole[..length].to_vec();
            frame.get_mut(14).into_iter().for_each(|first| *first = byte);
            shim.outgoing(&mut frame.clone(), 1500);
            shim.incoming(&mut frame, 1500);
        }
    }
}

/// Has us send `length` bytes of payload from this number on.
fn send_data(shim: &mut StackShim<'_>, ends: Ends, sequence: u32, length: usize) -> Vec<u8> {
    let mut transport: Vec<u8> = [sequence, 1].into_iter().flat_map(u32::to_be_bytes).collect();
    transport.extend([0x50, ACK, 1, 0, 0, 0, 0, 0]);
    transport.resize(transport.len() + length, 1);
    out(shim, packet(ends, Direction::Out, TCP, &transport))
}

/// What the shim makes of the path to the peer.
fn path(shim: &mut StackShim<'_>, ends: Ends) -> usize {
    shim.outgoing(&mut datagram(Ends { theirs: 9, ..ends }, Direction::Out, b""), 1500).unwrap()
}

/// The same after this message.
fn after(shim: &mut StackShim<'_>, ends: Ends, mut message: Vec<u8>) -> usize {
    shim.incoming(&mut message, 1500);
    path(shim, ends)
}

#[test]
fn a_quote_of_data_in_flight_is_believed() {
    for is_ipv4 in [true, false] {
        let (mut shim, clock) = shim();
        let ends = Ends { ours: 80, theirs: 5000, is_ipv4, ..ENDS };
        let sent = send_data(&mut shim, ends, 1000, 1440);
        assert_eq!(path(&mut shim, ends), 1500);
        assert_eq!(after(&mut shim, ends, too_big(&sent, 1400)), 1400);
        assert_eq!(after(&mut shim, ends, too_big(&sent, 1450)), 1400, "it does not become more");
        assert_eq!(path(&mut shim, Ends { peer: 10, ..ends }), 1500);
        clock.fetch_add(11 * MINUTE, Ordering::Relaxed);
        assert_eq!(path(&mut shim, ends), 1500);
    }
}

#[test]
fn a_router_that_is_given_several_segments_as_one_is_believed() {
    for is_ipv4 in [true, false] {
        let (mut shim, _) = shim();
        let ends = Ends { ours: 80, theirs: 5000, is_ipv4, ..ENDS };
        let sent = send_data(&mut shim, ends, 1000, 8 * 1440);
        assert_eq!(after(&mut shim, ends, too_big(&sent, 1500)), 1500, "a segment would have got through");
        assert_eq!(after(&mut shim, ends, too_big(&sent, 1400)), 1400);
    }
}

#[test]
fn a_quote_of_nothing_in_flight_changes_nothing() {
    for is_ipv4 in [true, false] {
        let (mut shim, _) = shim();
        let ends = Ends { ours: 80, theirs: 5000, is_ipv4, ..ENDS };
        let sent = send_data(&mut shim, ends, 1000, 1440);
        let start = Headers::find(&sent).unwrap().start;
        let sequence = u32::from_be_bytes(get(&sent, start + 4).unwrap());
        for guess in [1000, 0, sequence.wrapping_sub(1), sequence.wrapping_add(1440)] {
            let mut forged = sent.clone();
            headers::set(&mut forged, start + 4, guess.to_be_bytes());
            assert_eq!(after(&mut shim, ends, too_big(&forged, 1400)), 1500);
        }
        for place in [start, start + 2] {
            let mut forged = sent.clone();
            forged[place] ^= 1;
            assert_eq!(after(&mut shim, ends, too_big(&forged, 1400)), 1500, "other ports");
        }
        let mut damaged = too_big(&sent, 1400);
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(after(&mut shim, ends, damaged), 1500);
        assert_eq!(after(&mut shim, ends, too_big(&sent, 1500)), 1500, "it would have got through");
        let acknowledged = segment(ends, Direction::In, ACK, [1, sequence.wrapping_add(1440)], &[]);
        into(&mut shim, acknowledged);
        assert_eq!(after(&mut shim, ends, too_big(&sent, 1400)), 1500, "it has arrived");
    }
}

#[test]
fn datagrams_that_are_too_big_have_to_have_been_sent_lately() {
    let (mut shim, clock) = shim();
    let ends = Ends { ours: 7, theirs: 5000, ..ENDS };
    let sent = datagram(ends, Direction::Out, &[1; 1400]);
    assert_eq!(after(&mut shim, ends, too_big(&sent, 1280)), 1500);
    out(&mut shim, sent.clone());
    clock.fetch_add(MINUTE, Ordering::Relaxed);
    assert_eq!(after(&mut shim, ends, too_big(&sent, 1280)), 1500);
    out(&mut shim, sent.clone());
    assert_eq!(after(&mut shim, ends, too_big(&sent, 1280)), 1280);
}

#[test]
fn what_a_router_says_of_very_small_networks_lets_it_divide_packets() {
    let (mut shim, _) = shim();
    let ends = Ends { ours: 80, theirs: 5000, ..ENDS };
    let sent = send_data(&mut shim, ends, 1000, 1440);
    assert_eq!(after(&mut shim, ends, too_big(&sent, 68)), 552);
    let ids = [1440, 1441].map(|sequence| {
        let sent = send_data(&mut shim, ends, sequence, 400);
        assert_eq!(sent[20] & 0x40, 0);
        assert_eq!(super::super::checksum::of_header(&sent[14..34]), 0, "the header's checksum is right");
        [sent[18], sent[19]]
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn messages_of_routers_that_are_cut_short_do_no_harm() {
    for is_ipv4 in [true, false] {
        let (mut shim, _) = shim();
        let ends = Ends { ours: 80, theirs: 5000, is_ipv4, ..ENDS };
        let whole = too_big(&send_data(&mut shim, ends, 1000, 1440), 1280);
        for length in 0..whole.len() {
            assert_eq!(after(&mut shim, ends, whole[..length].to_vec()), 1500);
        }
        assert_eq!(after(&mut shim, ends, whole), 1280);
    }
}

#[test]
fn a_window_is_no_larger_than_the_network_has_shown_to_take() {
    let (mut shim, _) = shim();
    let ends = Ends { ours: 80, theirs: 5000, ..ENDS };
    // Segments of 1460, windows in units of 128.
    into(&mut shim, segment(ends, Direction::In, SYN, [0, 0], &[2, 4, 5, 180, 1, 3, 3, 7]));
    let answer = out(&mut shim, segment(ends, Direction::Out, SYN | ACK, [0, 1], &[]));
    let begin = numbers(&answer)[0].wrapping_add(1);
    // The peer acknowledges so much, and has a window of 8 MiB; the one that the stack sees, and how often.
    let told = |shim: &mut StackShim<'_>, acknowledged: u32| {
        let mut ack = segment(ends, Direction::In, ACK, [1, begin.wrapping_add(acknowledged)], &[]);
        let headers = Headers::find(&ack).unwrap();
        headers.set_window(&mut ack, u16::MAX);
        let repeats = shim.incoming(&mut ack, 1500);
        (u32::from(headers.window(&ack)) * 128, repeats)
    };
    let segments = |count: u32| (count * 1460 / 128 * 128, 0);
    assert_eq!(told(&mut shim, 0), segments(10));
    send_data(&mut shim, ends, 1, 14600);
    assert_eq!(told(&mut shim, 14600), segments(20));
    into(&mut shim, segment(ends, Direction::In, SYN, [77, 0], &[2, 4, 1, 0, 1, 3, 3, 14]));
    assert_eq!(told(&mut shim, 14600), segments(20), "a SYN of somebody else's changes nothing");
    send_data(&mut shim, ends, 14601, 29200);
    for _ in 0..2 {
        assert_eq!(told(&mut shim, 14600), segments(20), "duplicates to the stack, too");
    }
    assert_eq!(told(&mut shim, 14600), (segments(14).0, 3), "seven tenths, which it sees often enough");
    assert_eq!(told(&mut shim, 14600), segments(14));
    send_data(&mut shim, ends, 14601, 1460);
    assert_eq!(told(&mut shim, 43800), segments(14));
    send_data(&mut shim, ends, 43801, 14600);
    send_data(&mut shim, ends, 43801, 1460);
    assert_eq!(told(&mut shim, 43800 + 1460), segments(2), "a time-out");
}

#[test]
fn a_peer_without_room_is_told_of_as_such() {
    let (mut shim, _) = shim();
    let ends = Ends { ours: 80, theirs: 5000, ..ENDS };
    into(&mut shim, segment(ends, Direction::In, SYN, [0, 0], &[2, 4, 5, 180, 1, 3, 3, 14]));
    let begin = numbers(&out(&mut shim, segment(ends, Direction::Out, SYN | ACK, [0, 1], &[])))[0];
    for (window, expected) in [(0, 0), (1, 1), (3, 1)] {
        let mut ack = segment(ends, Direction::In, ACK, [1, begin.wrapping_add(1)], &[]);
        let headers = Headers::find(&ack).unwrap();
        headers.set_window(&mut ack, window);
        shim.incoming(&mut ack, 1500);
        assert_eq!(headers.window(&ack), expected);
    }
}

proptest::proptest! {
    #[test]
    fn no_frame_does_harm(
        frames in proptest::collection::vec((0..6usize, 0..200usize, proptest::num::u8::ANY, proptest::num::u64::ANY), 1..60),
    ) {
        let (mut shim, clock) = shim();
        let ends = Ends { ours: 80, theirs: 5000, ..ENDS };
        let syn = segment(ends, Direction::In, SYN, [0, 0], &[2, 4, 5, 180, 1, 3, 3, 7]);
        let data = send_data(&mut shim, ends, 1, 1440);
        let kinds = [
            syn,
            data.clone(),
            too_big(&data, 1280),
            too_big(&send_data(&mut shim, Ends { is_ipv4: false, ..ends }, 1, 1440), 1280),
            datagram(Ends { theirs: 53, ..ends }, Direction::In, b"id"),
            segment(ends, Direction::In, ACK, [0, 0], &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        ];
        for (kind, place, byte, time) in frames {
            clock.store(time, Ordering::Relaxed);
            let mut frame = kinds[kind].clone();
            frame.get_mut(place).into_iter().for_each(|changed| *changed = byte);
            let mut other = frame.clone();
            shim.incoming(&mut frame, 1500);
            let mtu = shim.outgoing(&mut other, 1500);
            assert!(mtu.is_none_or(|mtu| (552..=1500).contains(&mtu)));
            assert_eq!((frame.len(), other.len()), (kinds[kind].len(), kinds[kind].len()));
        }
    }
}
