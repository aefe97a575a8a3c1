// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver against a fake NIC.

use core::time::Duration;

use core::future::poll_fn;
use core::mem::replace;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use embassy_net_driver::{Driver, LinkState, RxToken, TxToken};

use super::Nic;
use super::fake::{ADDRESS, FakeNic};
use super::nic::{BUFFER, RECEIVERS, SENDERS};
use super::registers::{DONE, END, LINK_UP};
use crate::hal::{Interrupt, now};
use crate::net::samples::{frame, receive};
use crate::net::{Error, Interface, NetDevice, Properties, StackPort, StackShim, serve};

type Opened = Nic<FakeNic, FakeNic>;

fn open(fake: &FakeNic) -> Result<(Opened, Properties), Error> {
    now(Nic::open(fake.clone(), fake.clone(), fake))
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
    assert_eq!(properties, Properties { mac: ADDRESS, mtu: 1500, segments: 1 });
    assert!(nic.is_up());
    fake.set_cable(0);
    assert!(fake.interrupts());
    assert_eq!(nic.needs_poll(false), Ok(true));
    assert!(!nic.is_up());
    assert_eq!(nic.needs_poll(false), Ok(false), "told once");
    fake.set_cable(LINK_UP);
    assert_eq!(nic.needs_poll(false), Ok(true));
    assert!(nic.is_up());
}

#[test]
fn frames_come_in_order_and_each_buffer_again_and_again() {
    let (fake, mut nic) = opened();
    for number in 0..3 * RECEIVERS {
        let frame = frame(number, 60 + number);
        assert!(fake.receive(&frame) && fake.interrupts());
        assert_eq!(nic.needs_poll(false), Ok(true));
        assert!(!fake.interrupts(), "the interrupt is taken back");
        assert_eq!(receive(&mut nic), Ok(Some(frame)));
        assert_eq!(receive(&mut nic), Ok(None));
        nic.publish(0);
    }
}

#[test]
fn a_ring_that_is_full_holds_all_its_frames() {
    let (fake, mut nic) = opened();
    for round in 0..3 {
        let count = (0..).take_while(|number| fake.receive(&frame(*number + round, 100))).count();
        assert_eq!(count, RECEIVERS - 1);
        for number in 0..count {
            assert_eq!(receive(&mut nic), Ok(Some(frame(number + round, 100))));
        }
        assert_eq!(receive(&mut nic), Ok(None));
        nic.publish(0);
    }
}

#[test]
fn frames_go_out_in_order_once_they_are_published() {
    let (fake, mut nic) = opened();
    for number in 0..3 * SENDERS {
        nic.send(&mut frame(number, 60 + number));
        assert_eq!(fake.send(), None);
        nic.publish(0);
        assert_eq!(fake.send(), Some(frame(number, 60 + number)));
    }
}

#[test]
fn a_full_ring_is_waited_for_by_interrupt() {
    let (fake, mut nic) = opened();
    let mut sent = 0;
    while nic.can_send(1514) == Ok(true) {
        nic.send(&mut frame(sent, 1514));
        sent += 1;
    }
    assert_eq!(sent, SENDERS - 1);
    nic.send(&mut frame(99, 1514));
    assert_eq!(nic.failed(), 1);
    nic.publish(0);
    assert_eq!(nic.needs_poll(true), Ok(false));
    assert_eq!(fake.send(), Some(frame(0, 1514)));
    assert!(fake.interrupts());
    assert_eq!(nic.needs_poll(true), Ok(true));
    assert_eq!(nic.can_send(1514), Ok(true));
    assert!(fake.send().is_some());
    assert!(!fake.interrupts(), "only while somebody waits");
}

#[test]
fn what_is_damaged_or_longer_than_a_buffer_is_dropped_and_the_next_one_is_not() {
    let (fake, mut nic) = opened();
    let good = frame(7, 64);
    fake.deliver(&good, 64, DONE | END, 1);
    fake.deliver(&[1; BUFFER], BUFFER as u16, DONE, 0);
    fake.deliver(&[1; BUFFER], BUFFER as u16, DONE, 0);
    fake.deliver(&[1; 100], 100, DONE | END, 0);
    fake.deliver(&[1; 4], 4, DONE | END, 0);
    fake.receive(&good);
    for _ in 0..5 {
        assert_eq!(receive(&mut nic), Ok(Some(Vec::new())));
    }
    assert_eq!(receive(&mut nic), Ok(Some(good)));
}

#[test]
fn a_nic_that_reports_more_than_a_buffer_holds_is_disabled() {
    let (fake, mut nic) = opened();
    fake.deliver(&[1; 60], BUFFER as u16 + 1, DONE | END, 0);
    assert!(matches!(receive(&mut nic), Err(Error::Nic(_))));
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

/// An interrupt that comes whenever somebody looks again.
struct Looks;

impl Interrupt for Looks {
    async fn wait(&self, _limit: Duration) {
        let mut looked = false;
        poll_fn(|_| if replace(&mut looked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
    fn now(&self) -> u64 {
        0
    }
}

#[test]
fn an_interface_is_driven_until_its_nic_fails_and_then_what_is_sent_is_lost() {
    let fake = FakeNic::new();
    let (nic, properties) = open(&fake).unwrap();
    let interface = Arc::new(Interface::new());
    let mut port = StackPort::new(Arc::clone(&interface), properties, StackShim::new([7; 16], || 0)).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut driver = pin!(serve(&interface, nic, properties, &Looks));

    assert!(driver.as_mut().poll(&mut context).is_pending());
    assert!(port.link_state(&mut context) == LinkState::Up);
    port.transmit(&mut context).unwrap().consume(60, |bytes| bytes.fill(0x42));
    assert_eq!(fake.send(), None);
    assert!(driver.as_mut().poll(&mut context).is_pending());
    assert_eq!(fake.send(), Some(vec![0x42; 60]));
    fake.receive(&frame(1, 60));
    let (received, _) = port.receive(&mut context).unwrap();
    received.consume(|bytes| assert_eq!(bytes, frame(1, 60)));

    fake.inner().gone = true;
    assert!(matches!(driver.as_mut().poll(&mut context), Poll::Ready(Error::Nic(_))));
    assert!(port.link_state(&mut context) == LinkState::Up, "connections are not given up");
    port.transmit(&mut context).unwrap().consume(60, |bytes| bytes.fill(0x42));
    assert_eq!((interface.counters().lost, fake.send()), (1, None));
    assert!(port.receive(&mut context).is_none());
}

#[test]
fn a_nic_without_an_address_is_not_used() {
    for mac in [[0; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let fake = FakeNic::new();
        fake.inner().mac = mac;
        assert!(matches!(open(&fake), Err(Error::Nic(_))), "{mac:?}");
    }
}
