// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is the same in both ABIs.

use xen::event::{self, Abi, Events, Port, Priority};
use xen::fake::{Config, FakeXen};
use xen::{DomainId, Errno};

const PEER: DomainId = DomainId(5);

fn machine(fifo: bool) -> (FakeXen, Events) {
    let xen = FakeXen::with(Config { fifo, max_event_channels: 100, ..Config::default() });
    let events = Events::fifo(&xen, 1, || Some(xen.page()))
        .unwrap_or_else(|_| Events::two_level(xen.shared_info(), 1));
    (xen, events)
}

fn both(test: impl Fn(FakeXen, Events)) {
    for fifo in [false, true] {
        let (xen, events) = machine(fifo);
        assert_eq!(events.abi(), if fifo { Abi::Fifo } else { Abi::TwoLevel });
        test(xen, events);
    }
}

fn taken(xen: &FakeXen, events: &Events) -> Vec<Port> {
    let mut taken = Vec::new();
    events.take_all(0, xen.vcpu_info(0), |port| taken.push(port));
    taken
}

#[test]
fn a_taken_port_interrupts_nobody_until_it_is_opened_again() {
    both(|xen, events| {
        let port = event::bind_ipi(&xen, 0).unwrap();
        assert!(!events.unmask_or_take(&xen, port));
        event::send(&xen, port).unwrap();
        assert_eq!(taken(&xen, &events), [port]);
        event::send(&xen, port).unwrap();
        assert!(!xen.has_upcall(0));
        assert_eq!(taken(&xen, &events), []);
        assert!(events.unmask_or_take(&xen, port), "what arrived meanwhile is not lost");
        event::close(&xen, port).unwrap();
    });
}

#[test]
fn ports_run_out_with_an_error_and_come_back() {
    both(|xen, _events| {
        let ports: Vec<Port> = core::iter::from_fn(|| event::bind_ipi(&xen, 0).ok()).collect();
        assert_eq!(ports.len(), 100);
        assert_eq!(event::bind_ipi(&xen, 0), Err(Errno::NOSPC));
        for port in &ports {
            event::close(&xen, *port).unwrap();
        }
        let again = event::bind_ipi(&xen, 0).unwrap();
        assert_eq!(again, ports[0]);
        event::close(&xen, again).unwrap();
    });
}

#[test]
fn a_port_that_the_peer_closes_gets_no_events_and_harms_nothing() {
    both(|xen, events| {
        let peer = xen.peer(PEER);
        let port = event::alloc_unbound(&xen, PEER).unwrap();
        peer.connect(port, Port(9)).unwrap();
        events.unmask_or_take(&xen, port);
        event::send(&xen, port).unwrap();
        assert_eq!(peer.heard(Port(9)), 1);
        peer.disconnect(port);
        assert_eq!(peer.notify(port), Err(Errno::INVAL));
        event::send(&xen, port).unwrap();
        assert_eq!(peer.heard(Port(9)), 1);
        event::close(&xen, port).unwrap();
        assert_eq!(event::send(&xen, port), Err(Errno::INVAL));
    });
}

#[test]
fn a_new_connection_is_pending_at_once() {
    both(|xen, events| {
        xen.peer(PEER).open(Port(4));
        assert_eq!(event::bind_interdomain(&xen, PEER, Port(5)), Err(Errno::INVAL));
        let port = event::bind_interdomain(&xen, PEER, Port(4)).unwrap();
        assert!(events.unmask_or_take(&xen, port));
        event::close(&xen, port).unwrap();
    });
}

#[test]
fn a_port_that_was_closed_with_its_event_pending_is_quiet_when_it_is_used_again() {
    both(|xen, events| {
        let port = event::bind_ipi(&xen, 0).unwrap();
        event::send(&xen, port).unwrap();
        event::close(&xen, port).unwrap();
        assert_eq!(event::bind_ipi(&xen, 0), Ok(port));
        assert!(!events.unmask_or_take(&xen, port));
        event::close(&xen, port).unwrap();
    });
}

#[test]
fn ports_that_cannot_exist_are_refused_and_never_pending() {
    both(|xen, events| {
        for port in [Port(1 << 17), Port(u32::MAX)] {
            assert!(events.grow(&xen, port, || Some(xen.page())).is_err());
            events.mask(port);
            assert!(
                !events.unmask_or_take(&xen, port)
                    && !events.unmask_and_take(&xen, port)
                    && !events.take_pending(port)
            );
        }
    });
}

#[test]
fn priorities_are_for_the_fifo_abi_only() {
    both(|xen, events| {
        let port = event::bind_ipi(&xen, 0).unwrap();
        let set = events.set_priority(&xen, port, Priority::HIGHEST);
        assert_eq!(set.is_ok(), events.abi() == Abi::Fifo);
        event::close(&xen, port).unwrap();
        assert_eq!(Priority::new(16), None);
    });
}
