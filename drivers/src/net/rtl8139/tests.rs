// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver against a fake NIC.

use super::Nic;
use super::fake::{BASE, FakeNic, OURS};
use super::nic::{RING, SENDERS};
use super::registers::{CHECKSUM, GOOD, HEADER, LINK_DOWN};
use crate::hal::now;
use crate::net::samples::{frame, receive};
use crate::net::{Error, NetDevice, Properties};

type Opened = Nic<FakeNic, FakeNic>;

fn open(fake: &FakeNic) -> Result<(Opened, Properties), Error> {
    now(Nic::open(fake.clone(), BASE, fake.clone(), fake))
}

fn opened() -> (FakeNic, Opened) {
    let fake = FakeNic::new();
    let (nic, _) = open(&fake).unwrap();
    (fake, nic)
}

#[test]
fn a_nic_reports_its_address_and_its_link() {
    let fake = FakeNic::new();
    let (mut nic, properties) = open(&fake).unwrap();
    assert_eq!(properties, Properties { mac: OURS, mtu: 1500, segments: 1 });
    assert!(nic.is_up());
    fake.set_cable(LINK_DOWN);
    assert!(fake.interrupts());
    assert_eq!(nic.needs_poll(false), Ok(true));
    assert!(!nic.is_up());
    assert_eq!(nic.needs_poll(false), Ok(false), "told once");
    fake.set_cable(0);
    assert_eq!(nic.needs_poll(false), Ok(true));
    assert!(nic.is_up());
}

#[test]
fn frames_come_in_order_many_times_around_the_ring() {
    let (fake, mut nic) = opened();
    let mut bytes = 0;
    for number in 0.. {
        // All alignments, and all places at the ring's end.
        let frame = frame(number, 60 + number * 7 % 1455);
        assert!(fake.receive(&frame) && fake.interrupts());
        assert_eq!(nic.needs_poll(false), Ok(true));
        assert!(!fake.interrupts(), "the interrupt is taken back");
        bytes += frame.len();
        assert_eq!(receive(&mut nic), Ok(Some(frame)));
        assert_eq!(receive(&mut nic), Ok(None));
        if bytes > 5 * RING {
            break;
        }
    }
}

#[test]
fn a_ring_that_is_full_holds_all_its_frames() {
    let (fake, mut nic) = opened();
    for round in 0..3 {
        let count = (0..).take_while(|number| fake.receive(&frame(*number + round, 1514))).count();
        assert_eq!(count, RING / (HEADER + 1514 + CHECKSUM));
        for number in 0..count {
            assert_eq!(receive(&mut nic), Ok(Some(frame(number + round, 1514))));
        }
        assert_eq!(receive(&mut nic), Ok(None));
    }
}

#[test]
fn frames_go_out_in_order_once_they_are_published_and_are_long_enough() {
    let (fake, mut nic) = opened();
    for number in 0..3 * SENDERS {
        nic.send(&mut frame(number, 42 + number * 2));
        assert_eq!(fake.send(), None);
        nic.publish(0);
        let mut expected = frame(number, 42 + number * 2);
        expected.resize(expected.len().max(60), 0);
        assert_eq!(fake.send(), Some(expected));
    }
}

#[test]
fn four_frames_that_wait_are_waited_for_by_interrupt() {
    let (fake, mut nic) = opened();
    let mut sent = 0;
    while nic.can_send(1514) == Ok(true) {
        nic.send(&mut frame(sent, 1514));
        sent += 1;
    }
    assert_eq!(sent, SENDERS);
    nic.send(&mut frame(99, 1514));
    assert_eq!(nic.failed(), 1);
    nic.publish(0);
    assert_eq!(nic.needs_poll(true), Ok(false));
    assert_eq!(fake.send(), Some(frame(0, 1514)));
    assert!(fake.interrupts());
    assert_eq!(nic.needs_poll(true), Ok(true));
    assert_eq!(nic.can_send(1514), Ok(true));
    assert_eq!(fake.send(), Some(frame(1, 1514)));
    assert!(!fake.interrupts(), "only while somebody waits");
}

#[test]
fn what_is_damaged_too_short_or_too_long_is_dropped_and_the_next_one_is_not() {
    let (fake, mut nic) = opened();
    let good = frame(7, 64);
    fake.deliver(&good, 0, good.len() + CHECKSUM);
    fake.deliver(&good, GOOD, 13 + CHECKSUM);
    fake.deliver(&good, GOOD, CHECKSUM);
    fake.receive(&frame(1, 9014));
    fake.receive(&good);
    for _ in 0..4 {
        assert_eq!(receive(&mut nic), Ok(Some(Vec::new())));
    }
    assert_eq!(receive(&mut nic), Ok(Some(good)));
}

#[test]
fn a_nic_that_reports_an_impossible_length_is_disabled() {
    for length in [0, 3] {
        let (fake, mut nic) = opened();
        fake.deliver(&[1; 60], GOOD, length);
        assert!(matches!(receive(&mut nic), Err(Error::Nic(_))), "{length}");
    }
}

#[test]
fn a_nic_that_is_removed_is_disabled() {
    let (fake, mut nic) = opened();
    fake.inner().gone = true;
    assert!(matches!(nic.needs_poll(false), Err(Error::Nic(_))));
}

#[test]
fn a_nic_that_is_shut_down_raises_no_interrupts() {
    let (fake, mut nic) = opened();
    fake.receive(&frame(1, 60));
    assert!(fake.interrupts());
    nic.shut_down();
    assert!(!fake.interrupts());
}

#[test]
fn a_nic_whose_reset_does_not_end_is_disabled_in_time() {
    for (stuck, gone) in [(true, false), (false, true)] {
        let fake = FakeNic::new();
        (fake.inner().stuck, fake.inner().gone) = (stuck, gone);
        assert!(matches!(open(&fake), Err(Error::Nic("it does not respond"))));
    }
}

#[test]
fn a_nic_that_cannot_reach_its_memory_or_has_no_address_is_not_used() {
    let fake = FakeNic::new();
    fake.inner().address = (1 << 32) - 4096;
    assert!(matches!(open(&fake), Err(Error::Nic("its memory is beyond 4 GiB"))));
    for mac in [[0; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let fake = FakeNic::new();
        fake.set_mac(mac);
        assert!(matches!(open(&fake), Err(Error::Nic(_))), "{mac:?}");
    }
}
