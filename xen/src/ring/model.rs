// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of the two ends of a ring, for the model checker, which tries every order of their accesses to the
//! memory between them, and lets each of them see what is old for as long as nothing forbids it. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p xen --lib model`.
//!
//! What runs is the code of [`Ring`] and [`BackendRing`]; only the memory is the checker's. It stops where an
//! entry is read while the other end may still write it, or written while the other one may still read it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;
use xen_sys::io::ring::sring;

use super::entry::{bytes_of, from_bytes};
use super::slots::{LOAD, NotMade, STORE};
use super::{BackendRing, Entry, Ring, RingPage};
use crate::fake::FakePage;
use crate::grant::Memory as PageMemory;

/// What an end is in, in place of [`super::slots::Slots`]. An entry is a byte.
pub(super) struct Slots<M> {
    memory: Arc<Memory>,
    pages: Vec<M>,
}

/// The words of the header as far as they are used, and entries.
struct Memory {
    words: [AtomicU32; 4],
    slots: Vec<UnsafeCell<u8>>,
}

// SAFETY: the model checker stops at accesses to a slot that race.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(count: u32) -> Arc<Self> {
        let words = [0; 4].map(AtomicU32::new);
        Arc::new(Self { words, slots: (0..count).map(|_| UnsafeCell::new(0)).collect() })
    }
}

impl<M> Slots<M> {
    fn at(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), pages: Vec::new() }
    }

    pub(super) fn new(pages: Vec<M>, _: usize) -> Result<Self, NotMade> {
        Ok(Self { memory: Memory::new(1), pages })
    }

    pub(super) fn pages(&self) -> &[M] {
        &self.pages
    }

    pub(super) fn into_pages(self) -> Vec<M> {
        self.pages
    }

    pub(super) fn size(&self) -> usize {
        1
    }

    pub(super) fn count(&self) -> u32 {
        self.memory.slots.len() as u32
    }

    pub(super) fn write<E: Entry>(&self, index: u32, value: &E) {
        // SAFETY: the model checker stops before accesses that race.
        self.slot(index).with_mut(|slot| unsafe { *slot = bytes_of(value)[0] });
    }

    pub(super) fn read<E: Entry>(&self, index: u32) -> E {
        // SAFETY: as above.
        let byte = self.slot(index).with(|slot| unsafe { *slot });
        from_bytes(|bytes| bytes.fill(byte))
    }

    pub(super) fn load(&self, offset: usize) -> u32 {
        self.memory.words[offset / 4].load(LOAD)
    }

    pub(super) fn store(&self, offset: usize, value: u32) {
        self.memory.words[offset / 4].store(value, STORE);
    }

    fn slot(&self, index: u32) -> &UnsafeCell<u8> {
        &self.memory.slots[(index % self.count()) as usize]
    }
}

/// The header's words that are used are the first four.
const _: () = assert!(core::mem::offset_of!(sring, rsp_event) == 12);

/// Pages of a ring that has none.
enum Nobodys {}

// SAFETY: there is no value of it.
unsafe impl RingPage for Nobodys {
    unsafe fn memory(&self) -> PageMemory {
        match *self {}
    }
}

type Frontend = Ring<'static, FakePage>;
type Backend = BackendRing<Nobodys>;
type Byte = [u8; 1];

/// Both ends of a ring with so many entries.
fn ends(count: u32) -> (Frontend, Backend) {
    let memory = Memory::new(count);
    (Ring::on(Slots::at(&memory)), BackendRing::on(Slots::at(&memory)))
}

/// An event channel, as the one sees it who waits: an event is there until it is taken.
#[derive(Clone)]
struct Channel(Arc<AtomicBool>);

impl Channel {
    fn new() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    fn notify(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// Takes all requests that there are.
fn take_requests(back: &mut Backend, taken: &mut Vec<u8>) {
    while let Some([request]) = back.pop::<Byte>().unwrap() {
        taken.push(request);
    }
}

/// Takes all responses that there are.
fn take_responses(front: &mut Frontend, taken: &mut Vec<u8>) {
    while let Some([response]) = front.pop::<Byte>().unwrap() {
        taken.push(response);
    }
}

/// Makes a request; whether the backend is to be told.
fn ask(front: &mut Frontend, request: u8) -> bool {
    front.push([request]).unwrap();
    front.publish()
}

/// Makes a response; whether the frontend is to be told.
fn answer(back: &mut Backend, response: u8) -> bool {
    back.push([response]).unwrap();
    back.publish()
}

#[test]
fn a_request_is_seen_by_a_backend_that_is_awake_or_an_event_wakes_it() {
    loom::model(|| {
        let ((mut front, mut back), channel) = (ends(2), Channel::new());
        let events = channel.clone();
        let backend = thread::spawn(move || {
            let mut taken = Vec::new();
            // It is woken by an event, if there was one, and sleeps when there is nothing more.
            events.take();
            take_requests(&mut back, &mut taken);
            while back.request_event(1).unwrap() > 0 {
                take_requests(&mut back, &mut taken);
            }
            (back, taken)
        });
        for request in [1, 2] {
            if ask(&mut front, request) {
                channel.notify();
            }
        }
        let (mut back, mut taken) = backend.join().unwrap();
        if channel.take() {
            take_requests(&mut back, &mut taken);
        }
        assert_eq!(taken, [1, 2], "the backend sleeps, and nobody wakes it");
    });
}

/// A frontend has made two requests, and sleeps once it knows of fewer than `wanted` responses more; the
/// backend answers both, one after the other.
fn two_answers_for_one_who_waits_for(wanted: u32) {
    let ((mut front, mut back), channel) = (ends(2), Channel::new());
    assert!(ask(&mut front, 1));
    ask(&mut front, 2);
    let events = channel.clone();
    let backend = thread::spawn(move || {
        while let Some([request]) = back.pop::<Byte>().unwrap() {
            if answer(&mut back, request + 10) {
                events.notify();
            }
        }
    });
    let mut taken = Vec::new();
    channel.take();
    if wanted == 1 {
        take_responses(&mut front, &mut taken);
    }
    while front.request_event(wanted).unwrap() >= wanted {
        take_responses(&mut front, &mut taken);
    }
    backend.join().unwrap();
    if channel.take() {
        take_responses(&mut front, &mut taken);
    }
    assert_eq!(taken, [11, 12], "the frontend sleeps, and nobody wakes it");
}

#[test]
fn a_response_is_seen_by_a_frontend_that_is_awake_or_an_event_wakes_it() {
    loom::model(|| two_answers_for_one_who_waits_for(1));
}

#[test]
fn who_waits_for_two_responses_is_woken_when_both_are_there() {
    loom::model(|| two_answers_for_one_who_waits_for(2));
}

#[test]
fn a_backend_that_has_run_out_and_asks_for_no_event_sees_new_pages_or_is_told() {
    loom::model(|| {
        let ((mut front, mut back), channel) = (ends(2), Channel::new());
        assert!(ask(&mut front, 1));
        let backend = thread::spawn(move || {
            let [page] = back.pop::<Byte>().unwrap().unwrap();
            let _ = answer(&mut back, page);
            back.pop::<Byte>().unwrap()
        });
        front.push([2]).unwrap();
        if front.restock() {
            channel.notify();
        }
        let seen = backend.join().unwrap();
        assert!(seen == Some([2]) || channel.take(), "the backend waits, and nobody tells it");
    });
}

#[test]
fn an_entry_is_written_again_only_when_it_was_read_and_read_only_when_it_was_written() {
    loom::model(|| {
        let (mut front, mut back) = ends(1);
        let backend = thread::spawn(move || {
            let mut taken = Vec::new();
            for _ in 0..3 {
                if let Some([request]) = back.pop::<Byte>().unwrap() {
                    taken.push(request);
                    let _ = answer(&mut back, request + 10);
                }
            }
            taken
        });
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for request in 1..=3 {
            if front.room() > 0 {
                let _ = ask(&mut front, request);
                asked.push(request);
            }
            take_responses(&mut front, &mut answered);
        }
        let taken = backend.join().unwrap();
        assert!(asked.starts_with(&taken));
        assert!(taken.iter().map(|request| request + 10).collect::<Vec<_>>().starts_with(&answered));
    });
}
