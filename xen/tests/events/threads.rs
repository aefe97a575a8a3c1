// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sender and a taker at the same time, in both ABIs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use xen::DomainId;
use xen::event::{self, Events, Port};
use xen::fake::{Config, FakeXen};

const PORTS: u32 = 3;
const ROUNDS: u32 = 3000;
const PEER: DomainId = DomainId(5);

/// Says that a sender is done, even if it failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Each port has a count that goes up before its event is raised. Whoever takes the event reads the
/// count after; when all is over, the last count of each port must have been seen.
fn storm(fifo: bool) {
    let xen = FakeXen::with(Config { fifo, ..Config::default() });
    let events = Events::fifo(&xen, 1, || Some(xen.page()))
        .unwrap_or_else(|_| Events::two_level(xen.shared_info(), 1));
    let peer = xen.peer(PEER);
    let ports: Vec<Port> = (0..PORTS).map(|_| event::alloc_unbound(&xen, PEER).unwrap()).collect();
    let counts: Vec<AtomicU32> = ports.iter().map(|_| AtomicU32::new(0)).collect();
    for port in &ports {
        peer.connect(*port, *port).unwrap();
        events.unmask_or_take(&xen, *port);
    }
    let over = AtomicBool::new(false);
    let mut seen = vec![0; ports.len()];
    thread::scope(|scope| {
        scope.spawn(|| {
            let _over = Over(&over);
            for round in 0..ROUNDS {
                let index = (round * 7 % PORTS) as usize;
                counts[index].fetch_add(1, Ordering::SeqCst);
                peer.notify(ports[index]).unwrap();
            }
        });
        loop {
            let last_time = over.load(Ordering::SeqCst);
            let mut arrived = Vec::new();
            events.take_all(0, xen.vcpu_info(0), |port| arrived.push(port));
            while let Some(port) = arrived.pop() {
                let index = ports.iter().position(|known| *known == port).expect("one of ours");
                seen[index] = counts[index].load(Ordering::SeqCst);
                if events.unmask_or_take(&xen, port) {
                    arrived.push(port);
                }
            }
            if last_time {
                break;
            }
            thread::yield_now();
        }
    });
    let counts: Vec<u32> = counts.iter().map(|count| count.load(Ordering::SeqCst)).collect();
    assert_eq!(seen, counts, "an event was lost");
    ports.iter().for_each(|port| event::close(&xen, *port).unwrap());
}

#[test]
fn no_event_is_lost_in_the_two_level_abi() {
    storm(false);
}

#[test]
fn no_event_is_lost_in_the_fifo_abi() {
    storm(true);
}
