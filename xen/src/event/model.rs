// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of threads that race for events, for the model checker, which tries every order. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p xen --lib model`.

use alloc::sync::Arc;
use core::task::Waker;
use std::task::Wake;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;

use super::table::Slot;
use super::word::{self, BUSY, LINK, LINKED, MASKED, PENDING};

struct Flag(AtomicBool);

impl Flag {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(false)))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_waiter_takes_the_event_or_is_woken() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let woken = Flag::new();
        let sender = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.arrive())
        };
        let ready = slot.poll(&Waker::from(Arc::clone(&woken)), || false).is_ready();
        sender.join().unwrap();
        assert!(ready || woken.is_set() && slot.take(), "the event is lost");
    });
}

#[test]
fn an_event_is_taken_by_one_of_two() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        slot.arrive();
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.take())
        };
        let here = slot.take();
        assert!(here != other.join().unwrap());
    });
}

/// Xen's side of two ports in a queue, as far as it touches the words (`event_fifo.c`).
struct Xen {
    words: [AtomicU32; 3],
    head: AtomicU32,
    tail: AtomicU32,
    ready: AtomicBool,
}

impl Xen {
    /// Ports 1 and 2, of which those in `unmasked` are.
    fn new(unmasked: &[usize]) -> Arc<Self> {
        let word = |port| AtomicU32::new(if unmasked.contains(&port) { 0 } else { MASKED });
        Arc::new(Self {
            words: [word(0), word(1), word(2)],
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            ready: AtomicBool::new(false),
        })
    }

    /// One vCPU or device after the other raises events: Xen has a lock for it.
    fn raise(&self, port: usize) {
        let word = &self.words[port];
        word.fetch_or(PENDING, Ordering::SeqCst);
        if word.load(Ordering::SeqCst) & MASKED != 0 || word.fetch_or(LINKED, Ordering::SeqCst) & LINKED != 0
        {
            return;
        }
        let mut tail = self.tail.load(Ordering::SeqCst) as usize;
        if tail == port {
            tail = 0;
        }
        if tail == 0 || !self.set_link(tail, port) {
            self.head.store(port as u32, Ordering::SeqCst);
            self.ready.store(true, Ordering::SeqCst);
        }
        self.tail.store(port as u32, Ordering::SeqCst);
    }

    fn set_link(&self, tail: usize, port: usize) -> bool {
        let word = &self.words[tail];
        let mut now = word.load(Ordering::SeqCst);
        for attempt in 0..5 {
            if now & LINKED == 0 {
                if attempt > 0 {
                    word.fetch_and(!BUSY, Ordering::SeqCst);
                }
                return false;
            }
            let new = now & !(BUSY | LINK) | port as u32;
            match word.compare_exchange(now, new, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(_) if attempt == 0 => now = word.fetch_or(BUSY, Ordering::SeqCst) | BUSY,
                Err(changed) => now = changed,
            }
        }
        panic!("the guest changed a BUSY word more often than it may");
    }

    /// What the guest does when it is told: takes every port out, and says which events it got.
    fn take_all(&self) -> Vec<usize> {
        let mut taken = Vec::new();
        if !self.ready.swap(false, Ordering::SeqCst) {
            return taken;
        }
        let mut port = self.head.load(Ordering::SeqCst) as usize;
        while port != 0 {
            let unlinked = word::unlink(&self.words[port]);
            if unlinked.arrived {
                taken.push(port);
            }
            port = unlinked.next as usize;
        }
        taken
    }
}

/// Raises an event by a thread of its own.
fn raise_meanwhile(xen: &Arc<Xen>, port: usize) -> thread::JoinHandle<()> {
    let xen = Arc::clone(xen);
    thread::spawn(move || xen.raise(port))
}

#[test]
fn an_event_that_comes_while_its_port_is_unmasked_is_taken_or_queued() {
    loom::model(|| {
        let xen = Xen::new(&[]);
        let sender = raise_meanwhile(&xen, 1);
        let taken = word::unmask_or_take(&xen.words[1]) == Ok(true);
        sender.join().unwrap();
        assert_eq!(usize::from(taken) + xen.take_all().len(), 1);
    });
}

#[test]
fn an_event_that_comes_while_another_is_taken_is_taken_or_queued() {
    loom::model(|| {
        let xen = Xen::new(&[1, 2]);
        xen.raise(1);
        let sender = raise_meanwhile(&xen, 2);
        let mut taken = xen.take_all();
        sender.join().unwrap();
        taken.extend(xen.take_all());
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn masking_and_unmasking_the_last_port_of_a_queue_breaks_no_link() {
    loom::model(|| {
        let xen = Xen::new(&[1, 2]);
        xen.raise(1);
        let sender = raise_meanwhile(&xen, 2);
        word::mask(&xen.words[1]);
        let first = word::unmask_or_take(&xen.words[1]);
        sender.join().unwrap();
        assert_eq!(first, Ok(true), "it had arrived before");
        assert_eq!(xen.take_all(), [2]);
        assert_eq!(xen.words.each_ref().map(|word| word.load(Ordering::SeqCst)), [MASKED, MASKED, MASKED]);
    });
}

#[test]
fn an_event_raised_twice_while_it_is_taken_is_not_lost() {
    loom::model(|| {
        let xen = Xen::new(&[1]);
        xen.raise(1);
        let sender = raise_meanwhile(&xen, 1);
        assert_eq!(xen.take_all(), [1]);
        let again = word::unmask_or_take(&xen.words[1]) == Ok(true);
        sender.join().unwrap();
        let queued = xen.take_all();
        assert!(!again || queued.is_empty(), "one event, taken twice");
    });
}
