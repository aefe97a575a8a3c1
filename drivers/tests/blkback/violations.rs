// SPDX-License-Identifier: MIT OR Apache-2.0
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use xen::xenbus::State;
use xen_sys::io::blkif::*;

use super::frontend::{Front, Host, a_while, bytes, content, direct, indirect, request};

const ERROR: i16 = BLKIF_RSP_ERROR;

/// Whether the frontend is served as if nothing had happened.
async fn is_served(front: &Front) {
    let pages = front.pages(&[0; 4096]);
    assert_eq!(front.transfer(BLKIF_OP_READ, 8, &pages).await, BLKIF_RSP_OKAY);
    assert_eq!(bytes(&pages), content(1 << 20)[4096..8192]);
}

#[test]
fn requests_that_make_no_sense_are_refused_and_others_are_served() {
    let host = Host::new();
    host.serve_one(async |front| {
        let page = front.pages(&[0]).remove(0);
        let page = page.reference().number();
        let sectors = (1 << 20) / 512;
        let refused = [
            request(BLKIF_OP_READ, 0, &[]),
            request(BLKIF_OP_READ, 0, &[(page, 0, 8)]),
            request(BLKIF_OP_READ, 0, &[(page, 5, 4)]),
            request(BLKIF_OP_READ, 0, &[(0, 0, 7)]),
            request(BLKIF_OP_READ, sectors, &[(page, 0, 0)]),
            request(BLKIF_OP_READ, sectors - 7, &[(page, 0, 7)]),
            request(BLKIF_OP_READ, u64::MAX, &[(page, 0, 7)]),
            request(BLKIF_OP_WRITE, u64::MAX / 512 + 1, &[(page, 0, 7)]),
            blkif_request { nr_segments: 12, ..request(BLKIF_OP_WRITE, 0, &[(page, 0, 7)]) },
            blkif_request { nr_segments: 255, ..request(BLKIF_OP_FLUSH_DISKCACHE, 0, &[(page, 0, 7)]) },
        ];
        for request in refused {
            assert_eq!(front.ask(request).await, ERROR, "{request:?}");
        }
        for operation in [BLKIF_OP_WRITE_BARRIER, BLKIF_OP_RESERVED_1, 7, 255] {
            assert_eq!(front.ask(request(operation, 0, &[(page, 0, 7)])).await, BLKIF_RSP_EOPNOTSUPP);
        }
        is_served(&front).await;
    });
    assert!(host.failures.lock().unwrap().is_empty());
}

#[test]
fn pages_that_are_not_granted_or_not_for_this_are_refused_and_others_of_the_round_are_served() {
    let host = Host::new();
    host.serve_one(async |front| {
        let read_only = front.peer.offer_to_read(&[7; 4096]).number();
        let withdrawn = front.pages(&[0]).remove(0);
        assert!(front.peer.withdraw(withdrawn.reference()));
        let good = front.pages(&[0; 4096]);
        let good_page = good[0].reference().number();
        let bad = [
            request(BLKIF_OP_READ, 0, &[(read_only, 0, 7)]),
            request(BLKIF_OP_READ, 0, &[(withdrawn.reference().number(), 0, 7)]),
            request(BLKIF_OP_WRITE, 0, &[(u32::MAX, 0, 7)]),
            request(BLKIF_OP_WRITE, 8, &[(good_page, 0, 7), (99_999, 0, 7)]),
            request(BLKIF_OP_WRITE, 8, &[(99_999, 0, 7), (good_page, 0, 7)]),
            request(BLKIF_OP_WRITE, 8, &[(99_998, 0, 7)]),
        ];
        let mut ids = Vec::new();
        for bad in bad {
            ids.push((front.id(), ERROR));
            front.push(blkif_request { id: ids.last().unwrap().0, ..bad });
            ids.push((front.id(), BLKIF_RSP_OKAY));
            let id = ids.last().unwrap().0;
            front.push(blkif_request { id, ..direct(BLKIF_OP_READ, 16, &good) });
        }
        for (id, status) in ids {
            assert_eq!(front.response(id).await.1, status);
        }
        assert_eq!(bytes(&good), content(1 << 20)[8192..12288]);
        // Nothing of the writes has reached the disk.
        is_served(&front).await;
        assert_eq!(front.ask(request(BLKIF_OP_WRITE, 64, &[(read_only, 0, 7)])).await, BLKIF_RSP_OKAY);
    });
}

#[test]
fn lists_of_segments_that_make_no_sense_are_refused() {
    let host = Host::new();
    host.serve_one(async |front| {
        let (list, pages) = (front.pages(&[0]).remove(0), front.pages(&[0; 4096]));
        let read = indirect(BLKIF_OP_READ, 0, &list, &pages);
        // What a list that cannot be copied would be taken for.
        let id = front.id();
        front.push(blkif_request_indirect { id, ..read });
        assert_eq!(front.response(id).await.1, BLKIF_RSP_OKAY);
        let mut no_page = read;
        no_page.indirect_grefs[0] = 0;
        let mut not_granted = read;
        not_granted.indirect_grefs[0] = 99_999;
        let refused = [
            no_page,
            not_granted,
            blkif_request_indirect { nr_segments: 0, ..read },
            blkif_request_indirect { nr_segments: 65, ..read },
            blkif_request_indirect { nr_segments: u16::MAX, ..read },
            // The second one is all zero: of no page.
            blkif_request_indirect { nr_segments: 2, ..read },
            blkif_request_indirect { indirect_op: BLKIF_OP_FLUSH_DISKCACHE, ..read },
            blkif_request_indirect { indirect_op: BLKIF_OP_INDIRECT, ..read },
        ];
        for refused in refused {
            let id = front.id();
            front.push(blkif_request_indirect { id, ..refused });
            assert_eq!(front.response(id).await, (refused.indirect_op, ERROR), "{refused:?}");
        }
        list.write(5, &[8]);
        let id = front.id();
        front.push(blkif_request_indirect { id, ..read });
        assert_eq!(front.response(id).await.1, ERROR);
        is_served(&front).await;
    });
}

#[test]
fn an_id_that_is_used_twice_is_answered_twice() {
    let host = Host::new();
    host.serve_one(async |front| {
        let page = front.pages(&[0]);
        for _ in 0..2 {
            front.push(blkif_request { id: 77, ..direct(BLKIF_OP_READ, 0, &page) });
        }
        assert_eq!(front.response(77).await.1, BLKIF_RSP_OKAY);
        assert_eq!(front.response(77).await.1, BLKIF_RSP_OKAY);
    });
}

#[test]
fn a_frontend_that_claims_more_requests_than_fit_is_closed_and_served_when_it_starts_again() {
    let host = Host::new();
    host.serve(async {
        for _ in 0..3 {
            let front = Front::connect(&host).await;
            is_served(&front).await;
            let kept = front.ring.references();
            front.ring.publish(front.ring.requests() + 33);
            front.far.notify();
            host.until(State::Closing).await;
            assert!(kept.iter().all(|page| front.peer.withdraw(*page)), "its ring is unmapped");
            host.be(State::Closed);
            host.until(State::Closed).await;
        }
        host.detach();
    });
    let failures = host.failures.lock().unwrap();
    assert_eq!(failures.len(), 3);
    assert!(failures[0].contains("unanswered requests in a ring of 32"), "{failures:?}");
}

#[test]
fn a_frontend_that_lies_while_its_requests_are_with_the_disk_gets_no_answer_and_leaves_nothing() {
    let host = Host::new();
    host.set("params", "gate");
    host.serve(async {
        let front = Front::connect(&host).await;
        host.gate.shut.store(true, Ordering::Relaxed);
        let page = front.pages(&[1]);
        front.push(blkif_request { id: 1, ..direct(BLKIF_OP_WRITE, 0, &page) });
        a_while().await;
        front.ring.publish(500);
        front.far.notify();
        a_while().await;
        assert_eq!(host.key("state").as_deref(), Some("4"), "what the disk has is waited for");
        host.gate.shut.store(false, Ordering::Relaxed);
        host.until(State::Closing).await;
        assert_eq!(front.ring.responses(), 0);
        host.detach();
        host.be(State::Closed);
    });
}

#[test]
fn keys_that_make_no_sense_are_told_and_nothing_is_mapped() {
    let unreadable = |key: &'static str, value: &'static str| (key, value);
    let lies = [
        unreadable("ring-ref", "0"),
        unreadable("ring-ref", "-1"),
        unreadable("ring-ref", "99999"),
        unreadable("ring-ref", ""),
        unreadable("ring-ref", "4294967296"),
        unreadable("event-channel", "0"),
        unreadable("event-channel", "4000"),
        unreadable("event-channel", "x"),
        unreadable("ring-page-order", "3"),
        unreadable("ring-page-order", "1"),
        unreadable("ring-page-order", "4294967295"),
        unreadable("multi-queue-num-queues", "0"),
        unreadable("multi-queue-num-queues", "2"),
        unreadable("protocol", "x86_32-abi"),
        unreadable("protocol", "\x1b[2J"),
    ];
    for (key, value) in lies {
        let host = Host::new();
        host.serve(async {
            host.until(State::InitWait).await;
            let front = Front::make(&host, "", 1);
            host.front(key, value);
            host.be(State::Initialised);
            host.until(State::Closing).await;
            assert!(front.ring.references().iter().all(|page| front.peer.uses(*page) == 0), "{key}={value}");
            host.be(State::Closed);
            host.until(State::Closed).await;
            host.detach();
        });
        let failures = host.failures.lock().unwrap();
        assert_eq!(failures.len(), 1, "{key}={value}");
        assert!(!failures[0].contains('\x1b'));
    }
}

#[test]
fn a_frontend_without_keys_is_told_so() {
    for missing in ["ring-ref", "event-channel"] {
        let host = Host::new();
        host.serve(async {
            host.until(State::InitWait).await;
            let _front = Front::make(&host, "", 1);
            host.xenstored.remove(&format!("{}/{missing}", super::frontend::FRONTEND));
            host.be(State::Initialised);
            host.until(State::Closing).await;
            host.detach();
            host.be(State::Closed);
        });
        assert!(host.failures.lock().unwrap()[0].contains("does not say where its ring"));
    }
}

#[test]
fn a_page_that_is_named_twice_in_a_ring_does_no_harm() {
    let host = Host::new();
    host.serve(async {
        host.until(State::InitWait).await;
        let front = Front::make(&host, "", 2);
        host.front("ring-ref1", front.ring.references()[0].to_string());
        host.be(State::Initialised);
        host.until(State::Connected).await;
        for _ in 0..40 {
            front.push(blkif_request { operation: 0xff, ..Default::default() });
            a_while().await;
        }
        host.be(State::Closed);
        host.detach();
    });
}

#[test]
fn events_without_requests_are_noted() {
    let host = Host::new();
    host.serve_one(async |front| {
        for _ in 0..5 {
            front.far.notify();
            a_while().await;
        }
        assert!(front.far.in_vain() >= 4);
        is_served(&front).await;
        assert_eq!(front.far.in_vain(), 0);
    });
}

#[test]
fn a_frontend_that_takes_no_responses_gets_no_more_than_its_ring_holds() {
    let host = Host::new();
    host.set("params", "gate");
    host.serve_one(async |front| {
        let page = front.pages(&[0]);
        for _ in 0..32 {
            front.push(blkif_request { id: front.id(), ..direct(BLKIF_OP_READ, 0, &page) });
        }
        a_while().await;
        assert_eq!((front.ring.responses(), host.gate.begun.load(Ordering::Relaxed)), (32, 32));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is in the ring, each request is answered once, with its own id and operation.
    #[test]
    fn every_request_is_answered_once_whatever_it_says(
        entries in prop::collection::vec((0..8_u8, any::<u8>(), any::<[u8; 24]>(), 0..14_u32), 1..32),
    ) {
        let host = Host::new();
        host.serve_one(async |front| {
            let pages = front.pages(&[3; 4 * 4096]);
            let mut expected = Vec::new();
            for (operation, segments, rest, page) in &entries {
                let mut entry = [0_u8; 112];
                entry[0] = *operation;
                entry[1] = *segments;
                let id = front.id();
                entry[8..16].copy_from_slice(&id.to_ne_bytes());
                entry[16..24].copy_from_slice(&rest[..8]);
                // Many are to come near the disk.
                if rest[8] & 1 == 0 {
                    entry[17..24].fill(0);
                }
                let number = pages.get(*page as usize).map_or(*page, |page| page.reference().number());
                entry[24..28].copy_from_slice(&number.to_ne_bytes());
                entry[28..40].copy_from_slice(&rest[8..20]);
                // Of an indirect request the operation is the one inside.
                expected.push((id, if *operation == BLKIF_OP_INDIRECT { *segments } else { *operation }));
                front.push(entry);
            }
            for (id, operation) in expected {
                assert_eq!(front.response(id).await.0, operation);
            }
            assert!(front.responses.borrow().is_empty());
            front.far.notify();
        });
    }
}
