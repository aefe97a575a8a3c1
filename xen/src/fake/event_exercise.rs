// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of operations on event channels, each step checked against a model: no event is lost,
//! none is invented, and none of a closed port arrives. Property tests and fuzzers make up the
//! lists.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::{Config, FakePage, FakeXen, Peer};
use crate::event::{self, Abi, Events, Port, Priority};
use crate::grant::{Frame, Memory, Page};
use crate::{DomainId, Errno};

/// What a domain and its peer may do. Numbers choose among the open ports, or the vCPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The domain opens a port to itself on a vCPU.
    BindIpi(u8),
    /// The domain opens a port, and the peer connects to it.
    BindPeer,
    /// The domain closes a port.
    Close(u8),
    /// A port's event is raised.
    Raise(u8),
    /// The domain unmasks a port, or takes the event that had arrived.
    UnmaskOrTake(u8),
    /// The domain unmasks a port in any case.
    UnmaskAndTake(u8),
    /// The domain masks a port.
    Mask(u8),
    /// The domain takes a port's event out of turn.
    TakePending(u8),
    /// Xen unmasks a port for the domain.
    Unmask(u8),
    /// A vCPU takes all its events.
    TakeAll(u8),
    /// A port of the peer's is moved to another vCPU.
    Move(u8),
    /// A port is given another priority.
    Prioritize(u8),
}

impl From<[u8; 2]> for Operation {
    fn from([code, number]: [u8; 2]) -> Self {
        match code % 16 {
            0 => Self::BindIpi(number),
            1 => Self::BindPeer,
            2 => Self::Close(number),
            3..6 => Self::Raise(number),
            6..8 => Self::UnmaskOrTake(number),
            8 => Self::UnmaskAndTake(number),
            9 => Self::Mask(number),
            10 => Self::TakePending(number),
            11 => Self::Unmask(number),
            12..14 => Self::TakeAll(number),
            14 => Self::Move(number),
            _ => Self::Prioritize(number),
        }
    }
}

/// Carries the operations out on a fresh machine. At the end every event that is owed must arrive.
pub fn run(config: Config, operations: impl IntoIterator<Item = Operation>) {
    let xen = FakeXen::with(config);
    let mut exercise = Exercise::new(&xen, config);
    for operation in operations {
        exercise.step(operation);
    }
    exercise.finish();
}

/// Machines that differ in what matters to events.
pub fn machines() -> [Config; 4] {
    let machine = |fifo, vcpus| Config { fifo, vcpus, max_event_channels: 8, ..Config::default() };
    [machine(false, 1), machine(false, 3), machine(true, 1), machine(true, 3)]
}

const PEER: DomainId = DomainId(7);

struct Exercise<'x> {
    xen: &'x FakeXen,
    events: Events,
    peer: Peer,
    config: Config,
    ports: BTreeMap<Port, Model>,
    pages: RefCell<Vec<FakePage>>,
}

/// What must be true of a port.
#[derive(Clone, Copy, Default)]
struct Model {
    /// It was raised, and the event was not taken.
    owed: bool,
    /// It is unmasked.
    unmasked: bool,
    /// The peer is at the other end.
    of_peer: bool,
}

/// A page that Xen keeps events in. It is the exercise's, which gives it back when Xen is done with the
/// domain: otherwise each exercise would keep its machine for ever.
struct GrantedFake {
    frame: Frame,
    memory: Memory,
}

// SAFETY: the page outlives the events that are kept in it: see `Exercise::finish`.
unsafe impl Page for GrantedFake {
    fn frame(&self) -> Frame {
        self.frame
    }

    unsafe fn memory(&self) -> Memory {
        self.memory
    }
}

/// Lends a fresh page.
fn lend(pages: &RefCell<Vec<FakePage>>, xen: &FakeXen) -> Option<GrantedFake> {
    let page = xen.page();
    // SAFETY: the page is kept, and used for nothing else.
    let memory = unsafe { page.memory() };
    let granted = GrantedFake { frame: page.frame(), memory };
    pages.borrow_mut().push(page);
    Some(granted)
}

impl<'x> Exercise<'x> {
    fn new(xen: &'x FakeXen, config: Config) -> Self {
        let pages = RefCell::default();
        let events = Events::fifo(xen, config.vcpus, || lend(&pages, xen)).unwrap_or_else(|errno| {
            assert_eq!(errno, Errno::NOSYS);
            Events::two_level(xen.shared_info(), config.vcpus)
        });
        assert_eq!(events.abi() == Abi::Fifo, config.fifo);
        Self { xen, events, peer: xen.peer(PEER), config, ports: BTreeMap::new(), pages }
    }

    fn step(&mut self, operation: Operation) {
        match operation {
            Operation::BindIpi(vcpu) => {
                let vcpu = u32::from(vcpu) % self.config.vcpus;
                self.bound(event::bind_ipi(self.xen, vcpu), vcpu, false);
            }
            Operation::BindPeer => {
                let bound = event::alloc_unbound(self.xen, PEER);
                if let Ok(port) = bound {
                    self.peer.connect(port, port).expect("it waits for this peer");
                }
                self.bound(bound, 0, true);
            }
            Operation::Close(which) => self.close(which),
            Operation::Raise(which) => self.raise(which),
            Operation::UnmaskOrTake(which) => self.unmask_or_take(which),
            Operation::UnmaskAndTake(which) => self.unmask_and_take(which),
            Operation::Mask(which) => {
                let Some(port) = self.choose(which) else { return };
                self.events.mask(port);
                self.model(port).unmasked = false;
            }
            Operation::TakePending(which) => {
                let Some(port) = self.choose(which) else { return };
                let taken = self.events.take_pending(port);
                assert_eq!(taken, core::mem::take(&mut self.model(port).owed));
            }
            Operation::Unmask(which) => {
                let Some(port) = self.choose(which) else { return };
                event::unmask(self.xen, port).expect("it is open");
                self.model(port).unmasked = true;
            }
            Operation::TakeAll(vcpu) => self.take_all(u32::from(vcpu) % self.config.vcpus),
            Operation::Move(which) => {
                let Some(port) = self.choose(which) else { return };
                let vcpu = u32::from(which / 16) % self.config.vcpus;
                self.events.mask(port);
                self.model(port).unmasked = false;
                let moved = event::bind_vcpu(self.xen, port, vcpu);
                assert_eq!(moved.is_ok(), self.model(port).of_peer);
                if moved.is_ok() {
                    self.events.give(port, vcpu);
                }
            }
            Operation::Prioritize(which) => {
                let Some(port) = self.choose(which) else { return };
                let priority = Priority::new(u32::from(which / 16)).expect("15 at most");
                let set = self.events.set_priority(self.xen, port, priority);
                assert_eq!(set.is_ok(), self.config.fifo);
            }
        }
    }

    fn bound(&mut self, bound: Result<Port, Errno>, vcpu: u32, of_peer: bool) {
        match bound {
            Ok(port) => {
                self.events.grow(self.xen, port, || lend(&self.pages, self.xen)).expect("a place for it");
                // What a kernel does with every new port.
                self.events.mask(port);
                self.events.give(port, vcpu);
                assert!(!self.events.take_pending(port), "a new port is quiet");
                let before = self.ports.insert(port, Model { of_peer, ..Model::default() });
                assert!(before.is_none(), "{port:?} was handed out twice");
            }
            Err(errno) => assert_eq!(errno, Errno::NOSPC),
        }
    }

    fn close(&mut self, which: u8) {
        let Some(port) = self.choose(which) else { return };
        self.events.mask(port);
        event::close(self.xen, port).expect("it is open");
        self.ports.remove(&port);
    }

    fn raise(&mut self, which: u8) {
        let Some(port) = self.choose(which) else { return };
        if self.model(port).of_peer {
            self.peer.notify(port).expect("it is connected");
        } else {
            event::send(self.xen, port).expect("it is open");
        }
        self.model(port).owed = true;
    }

    fn unmask_or_take(&mut self, which: u8) {
        let Some(port) = self.choose(which) else { return };
        let before = self.xen.hypercalls();
        let arrived = self.events.unmask_or_take(self.xen, port);
        assert_eq!(self.xen.hypercalls(), before, "unmasking a port takes no hypercall");
        let model = self.model(port);
        assert_eq!(arrived, core::mem::take(&mut model.owed));
        model.unmasked = !arrived;
    }

    fn unmask_and_take(&mut self, which: u8) {
        let Some(port) = self.choose(which) else { return };
        let arrived = self.events.unmask_and_take(self.xen, port);
        let model = self.model(port);
        assert_eq!(arrived, core::mem::take(&mut model.owed));
        model.unmasked = true;
    }

    fn take_all(&mut self, vcpu: u32) {
        let before = self.xen.hypercalls();
        let Self { xen, events, ports, .. } = self;
        events.take_all(vcpu, xen.vcpu_info(vcpu), |port| {
            let model = ports.get_mut(&port).unwrap_or_else(|| panic!("{port:?} is closed, and arrived"));
            assert!(model.owed, "nobody raised {port:?}, and it arrived");
            assert!(model.unmasked, "{port:?} is masked, and arrived");
            *model = Model { owed: false, unmasked: false, ..*model };
        });
        assert_eq!(self.xen.hypercalls(), before, "taking events takes no hypercall");
        assert!(!self.xen.has_upcall(vcpu));
    }

    /// Every vCPU that was told takes its events: then nothing is owed to an unmasked port. What is owed to
    /// masked ones is found by unmasking them.
    fn finish(mut self) {
        for vcpu in 0..self.config.vcpus {
            self.take_all(vcpu);
        }
        let ports: Vec<(Port, Model)> = self.ports.iter().map(|(port, model)| (*port, *model)).collect();
        for (port, model) in ports {
            assert!(!(model.owed && model.unmasked), "the event of {port:?} is lost");
            assert_eq!(self.events.unmask_or_take(self.xen, port), model.owed);
            self.events.mask(port);
            event::close(self.xen, port).expect("it is open");
        }
        let Self { xen, events, pages, .. } = self;
        drop(events);
        xen.end_events();
        drop(pages);
    }

    fn choose(&self, which: u8) -> Option<Port> {
        self.ports.keys().nth(usize::from(which % 16) % self.ports.len().max(1)).copied()
    }

    fn model(&mut self, port: Port) -> &mut Model {
        self.ports.get_mut(&port).expect("chosen among them")
    }
}
