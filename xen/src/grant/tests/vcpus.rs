// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several vCPUs use the table at once, while a peer maps what it can get.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::fake::exercise::machines;

const ROUNDS: u32 = 500;

#[test]
fn vcpus_and_a_peer_that_races_them_share_nothing_twice() {
    for machine in machines() {
        let xen = FakeXen::with(machine);
        let table = xen.table();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let peer = scope.spawn(|| race(&xen, &done));
            let vcpus: Vec<_> = (0..3).map(|_| scope.spawn(|| grant_and_end(&xen, &table))).collect();
            vcpus.into_iter().for_each(|vcpu| vcpu.join().unwrap());
            done.store(true, Ordering::Relaxed);
            peer.join().unwrap();
        });
        table.retry_quarantine();
        assert!(table.report().is_idle(), "{}", table.report());
    }
}

/// A page that came back is written by nobody else.
fn grant_and_end(xen: &FakeXen, table: &Table<FakePage>) {
    for _ in 0..ROUNDS {
        let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
        thread::yield_now();
        if let Ok(mut page) = granted.end() {
            page.set(0, b"granter");
            thread::yield_now();
            assert_eq!(page.bytes(0), *b"granter");
        }
        table.retry_quarantine();
    }
}

/// Maps whatever happens to be granted. What is mapped is written by nobody else.
fn race(xen: &FakeXen, done: &AtomicBool) {
    let peer = xen.peer(PEER);
    let references = (8..12).cycle().filter_map(Reference::new);
    for reference in references.take_while(|_| !done.load(Ordering::Relaxed)) {
        if let Ok(mapping) = peer.map_to_write(reference) {
            mapping.write(0, b"peer");
            thread::yield_now();
            assert_eq!(mapping.read(0), *b"peer");
        }
    }
}
