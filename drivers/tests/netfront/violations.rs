// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_drivers::net::Error;
use prism_drivers::net::ProtocolViolation;
use proptest::prelude::*;
use xen::ring::Violation;
use xen_sys::io::netif::*;

use crate::backend::{FEATURES, connected, frame, platform, receive};

/// What comes of one response, as the backend changes it.
fn caught(fault: impl FnOnce(&mut netif_rx_response)) -> Error {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    backend.part(0, &frame(b"x"), fault);
    backend.publish();
    let error = receive(&mut pair).unwrap_err();
    backend.deliver(&frame(b"next"));
    assert!(receive(&mut pair).is_err(), "it is not believed any more");
    assert!(!pair.publish().transmit);
    error
}

#[test]
fn responses_that_cannot_be_are_caught() {
    assert_eq!(
        caught(|response| response.id = 9),
        Error::Protocol(ProtocolViolation::Id { asked: 0, told: 9 })
    );
    assert_eq!(
        caught(|response| response.id = u16::MAX),
        Error::Protocol(ProtocolViolation::Id { asked: 0, told: u16::MAX })
    );
    let outside = |offset, length| Error::Protocol(ProtocolViolation::OutsidePage { offset, length });
    assert_eq!(caught(|response| response.status = 4097), outside(0, 4097));
    assert_eq!(caught(|response| response.offset = 4095), outside(4095, 43));
    assert_eq!(caught(|response| response.offset = u16::MAX), outside(u16::MAX, 43));
}

#[test]
fn more_responses_than_there_were_requests_are_caught() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    backend.claim(33);
    let violation = Violation::Index { unanswered: 32, claimed: 33 };
    assert_eq!(receive(&mut pair).unwrap_err(), Error::Violation(violation));
}

#[test]
fn a_packet_without_end_is_caught() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    for _ in 0..24 {
        backend.part(0, b"x", |response| response.flags = NETRXF_more_data);
    }
    backend.publish();
    assert_eq!(receive(&mut pair).unwrap_err(), Error::Protocol(ProtocolViolation::TooLong));
}

#[test]
fn announced_extra_information_has_to_be_valid() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    backend.part(0, &frame(b"x"), |response| response.flags = NETRXF_extra_info);
    // A response with data where extra information should be.
    backend.part(0, &frame(b"y"), |_| ());
    backend.publish();
    assert!(matches!(
        receive(&mut pair).unwrap_err(),
        Error::Protocol(ProtocolViolation::Extra(_) | ProtocolViolation::Gso { .. })
    ));

    let (mut pair, backend) = connected(&platform, FEATURES);
    backend.part(0, &frame(b"x"), |response| response.flags = NETRXF_extra_info);
    let none = [0, u16::from(XEN_NETIF_GSO_TYPE_TCPV4), 0];
    backend.extra(netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_GSO, flags: 0, u: none });
    backend.publish();
    let violation = ProtocolViolation::Gso { size: 0, kind: XEN_NETIF_GSO_TYPE_TCPV4 };
    assert_eq!(receive(&mut pair).unwrap_err(), Error::Protocol(violation));
}

#[test]
fn an_answer_to_a_packet_that_was_not_sent_is_caught() {
    for (id, status) in
        [(15, NETIF_RSP_OKAY), (16, NETIF_RSP_OKAY), (u16::MAX, NETIF_RSP_OKAY), (0, NETIF_RSP_NULL), (0, 77)]
    {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        pair.send(&mut frame(b"x"));
        let _ = pair.publish();
        assert_eq!(backend.take().unwrap().ids, [0]);
        backend.answer(0, id, status);
        assert!(pair.can_send(16 * 4096).is_err(), "id {id}, status {status}");
        assert!(pair.can_send(16 * 4096).is_err(), "it is not believed any more");
    }
}

#[test]
fn an_answer_given_twice_is_caught() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    pair.send(&mut frame(b"x"));
    pair.send(&mut frame(b"y"));
    let _ = pair.publish();
    let id = backend.take().unwrap().ids[0];
    backend.answer(0, id, NETIF_RSP_OKAY);
    backend.answer(1, id, NETIF_RSP_OKAY);
    assert!(pair.can_send(16 * 4096).is_err());
}

#[test]
fn data_that_changes_after_it_was_received_changes_nothing() {
    let platform = platform();
    let (mut pair, backend) = connected(&platform, FEATURES);
    let page = platform.peer(crate::backend::DOMAIN);
    let page = page.map_to_write(xen::grant::Reference::new(backend.asked().gref).unwrap()).unwrap();
    backend.deliver(&frame(b"honest"));
    let received = receive(&mut pair).unwrap();
    page.write(0, &[0xff; 100]);
    assert_eq!(received, Some(frame(b"honest")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a backend answers: an error, or packets of possible lengths; never more pages in
    /// use than there are.
    #[test]
    fn no_answers_do_harm(answers in proptest::collection::vec(any::<(u16, u16, u16, i16, bool)>(), 1..30)) {
        let platform = platform();
        let (mut pair, backend) = connected(&platform, FEATURES);
        for (id, offset, flags, status, honest) in answers {
            if backend.room() == 0 {
                break;
            }
            backend.part(0, b"", |response| {
                *response = netif_rx_response { offset: offset % 4200, flags: flags & 0xf, status: status % 5000, ..*response };
                if !honest {
                    response.id = id % 64;
                }
            });
            backend.publish();
            match receive(&mut pair) {
                Ok(packet) => prop_assert!(packet.is_none_or(|packet| packet.is_empty() || packet.len() >= 14)),
                Err(_) => break,
            }
            let _ = pair.publish();
        }
    }
}
