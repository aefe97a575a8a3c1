// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which task is told of which event, by which vCPU, in both ABIs.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use xen::Errno;
use xen::event::{self, Binding, Dispatch, Earlier, Events, Port, Priority, Slot};
use xen::fake::{Config, FakePage, FakeXen};

use crate::guest::{Guest, PEER, Task, VCPUS, both};

const IPI: Binding = Binding::Ipi { vcpu: 0 };

impl Guest {
    /// A port whose two ends are vCPU 0's, and its slot.
    fn to_self(&self) -> (Port, Arc<Slot>) {
        let port = event::bind_ipi(&self.xen, 0).unwrap();
        (port, self.add(port, IPI))
    }

    fn raise(&self, port: Port) {
        event::send(&self.xen, port).unwrap();
    }

    fn poll(&self, (port, slot): &(Port, Arc<Slot>), task: &Arc<Task>) -> Poll<()> {
        self.dispatch.poll(&self.xen, *port, slot, &Waker::from(Arc::clone(task)))
    }
}

#[test]
fn an_event_wakes_the_task_that_waits_for_it_and_no_other() {
    both(|guest| {
        let ports = [guest.to_self(), guest.to_self(), guest.to_self()];
        let tasks = [(); 3].map(|()| Arc::new(Task::default()));
        for (port, task) in ports.iter().zip(&tasks) {
            assert!(guest.poll(port, task).is_pending());
        }
        guest.raise(ports[2].0);
        guest.raise(ports[0].0);
        assert_eq!(guest.dispatch.take_all(0), 2);
        assert_eq!(tasks.each_ref().map(|task| task.woken()), [1, 0, 1]);
        assert_eq!(
            ports.iter().zip(&tasks).filter(|(port, task)| guest.poll(port, task).is_ready()).count(),
            2
        );
        ports.iter().for_each(|(port, _)| guest.close(*port));
    });
}

#[test]
fn an_event_that_comes_before_it_is_waited_for_is_found_then() {
    both(|guest| {
        let (port, task) = (guest.to_self(), Arc::new(Task::default()));
        guest.raise(port.0);
        guest.raise(port.0);
        assert_eq!(guest.dispatch.take_all(0), 0, "nobody waits: nobody is interrupted");
        assert!(guest.poll(&port, &task).is_ready());
        assert!(guest.poll(&port, &task).is_pending(), "several are one");
        assert_eq!(task.woken(), 0);
        guest.close(port.0);
    });
}

#[test]
fn a_storm_interrupts_nobody_until_its_task_has_looked() {
    both(|guest| {
        let (port, task) = (guest.to_self(), Arc::new(Task::default()));
        assert!(guest.poll(&port, &task).is_pending());
        for _ in 0..100 {
            guest.raise(port.0);
        }
        assert_eq!(guest.dispatch.take_all(0), 1);
        for _ in 0..100 {
            guest.raise(port.0);
            assert_eq!(guest.dispatch.take_all(0), 0);
        }
        assert_eq!(task.woken(), 1);
        assert!(guest.poll(&port, &task).is_ready());
        assert!(guest.poll(&port, &task).is_ready(), "what was raised since is one more");
        assert!(guest.poll(&port, &task).is_pending());
        guest.close(port.0);
    });
}

/// A task that has its own event raised again as it is woken, as another vCPU may.
struct Storm {
    guest: &'static Guest,
    port: Port,
}

impl Wake for Storm {
    fn wake(self: Arc<Self>) {
        self.guest.raise(self.port);
    }
}

#[test]
fn taking_events_ends_though_they_are_raised_again_meanwhile() {
    both(|guest| {
        let guest: &'static Guest = Box::leak(Box::new(guest));
        let ports = [guest.to_self(), guest.to_self()];
        for (port, slot) in &ports {
            let waker = Waker::from(Arc::new(Storm { guest, port: *port }));
            assert!(guest.dispatch.poll(&guest.xen, *port, slot, &waker).is_pending());
            guest.raise(*port);
        }
        assert!((2..=4).contains(&guest.dispatch.take_all(0)));
        ports.iter().for_each(|(port, _)| guest.close(*port));
    });
}

#[test]
fn what_an_earlier_port_of_the_same_number_left_is_not_the_new_ones() {
    both(|guest| {
        let (port, slot) = guest.to_self();
        guest.raise(port);
        drop(slot);
        let again = (port, guest.add(port, Binding::Peer));
        assert!(guest.poll(&again, &Arc::new(Task::default())).is_pending());
        // It was left unmasked.
        guest.add(port, IPI);
        guest.raise(port);
        assert!(!guest.xen.has_upcall(0));
        guest.close(port);
    });
}

#[test]
fn what_may_have_been_lost_before_counts_as_arrived_once() {
    both(|guest| {
        let port = guest.xen.toolstack_port(PEER);
        let (counts, page) = (Earlier::Counts, || Some(guest.xen.page()));
        let slot = guest.dispatch.add(&guest.xen, port, Binding::Toolstack, counts, page).unwrap();
        let (port, task) = ((port, slot), Arc::new(Task::default()));
        assert!(guest.poll(&port, &task).is_ready());
        assert!(guest.poll(&port, &task).is_pending());
        guest.dispatch.remove(port.0);
    });
}

#[test]
fn late_events_of_a_port_that_was_removed_wake_and_interrupt_nobody() {
    both(|guest| {
        let (port, task) = (guest.to_self(), Arc::new(Task::default()));
        assert!(guest.poll(&port, &task).is_pending());
        guest.dispatch.remove(port.0);
        guest.raise(port.0);
        assert!(!guest.xen.has_upcall(0));
        assert_eq!((guest.dispatch.take_all(0), task.woken(), guest.dispatch.open_ports()), (0, 0, 0));
        guest.close(port.0);
    });
}

#[test]
fn a_port_without_memory_is_not_left_behind() {
    let guest = Guest::new(true);
    let port = Port(2000);
    let refused = guest.dispatch.add(&guest.xen, port, Binding::Peer, Earlier::Void, || None::<FakePage>);
    assert_eq!((refused.err(), guest.dispatch.open_ports()), (Some(Errno::NOMEM), 0));
    let beyond =
        guest.dispatch.add(&guest.xen, Port(u32::MAX), Binding::Peer, Earlier::Counts, || None::<FakePage>);
    assert_eq!((beyond.err(), guest.dispatch.open_ports()), (Some(Errno::INVAL), 0));
    let guest = Guest::new(false);
    let beyond =
        guest.dispatch.add(&guest.xen, Port(4096), Binding::Peer, Earlier::Void, || None::<FakePage>);
    assert_eq!((beyond.err(), guest.dispatch.open_ports()), (Some(Errno::NOSPC), 0));
}

#[test]
fn the_vcpu_that_a_port_was_moved_to_takes_its_events() {
    both(|guest| {
        let port = event::alloc_unbound(&guest.xen, PEER).unwrap();
        let peer = guest.xen.peer(PEER);
        peer.connect(port, Port(9)).unwrap();
        let (port, task) = ((port, guest.add(port, Binding::Peer)), Arc::new(Task::default()));
        guest.dispatch.deliver(&guest.xen, port.0, 1).unwrap();
        assert!(guest.poll(&port, &task).is_pending());
        peer.notify(port.0).unwrap();
        assert_eq!((guest.dispatch.take_all(0), task.woken()), (0, 0));
        assert_eq!((guest.dispatch.take_all(1), task.woken()), (1, 1));
        assert!(guest.poll(&port, &task).is_ready());
        guest.close(port.0);
    });
}

#[test]
fn a_vcpu_that_goes_leaves_no_event_behind() {
    both(|guest| {
        let peer = guest.xen.peer(PEER);
        let task = Arc::new(Task::default());
        let ports = [9, 10, 11].map(|theirs| {
            let port = event::alloc_unbound(&guest.xen, PEER).unwrap();
            peer.connect(port, Port(theirs)).unwrap();
            let port = (port, guest.add(port, Binding::Peer));
            guest.dispatch.deliver(&guest.xen, port.0, 1).unwrap();
            port
        });
        let ipi = event::bind_ipi(&guest.xen, 1).unwrap();
        let own = (ipi, guest.add(ipi, Binding::Ipi { vcpu: 1 }));
        assert!(ports[..2].iter().all(|port| guest.poll(port, &task).is_pending()));
        // One has come, one is still to come; nobody waits for the third.
        peer.notify(ports[0].0).unwrap();
        assert_eq!((guest.dispatch.bound_to(1), guest.dispatch.bound_to(0)), (1, 0));
        guest.dispatch.move_away(&guest.xen, 1, 0);
        assert_eq!(task.woken(), 2, "both look again");
        assert!(ports.iter().all(|port| guest.poll(port, &task).is_ready()));
        // The one that had come may be told of once more.
        let _ = guest.poll(&ports[0], &task);
        assert!(ports.iter().all(|port| guest.poll(port, &task).is_pending()));
        for (count, port) in (1..).zip(&ports) {
            peer.notify(port.0).unwrap();
            assert_eq!((guest.dispatch.take_all(1), guest.dispatch.take_all(0)), (0, 1));
            assert_eq!(task.woken(), 2 + count);
        }
        // What is its own stays there.
        assert!(guest.poll(&own, &task).is_pending());
        guest.raise(own.0);
        assert_eq!((guest.dispatch.take_all(0), guest.dispatch.take_all(1)), (0, 1));
        ports.iter().chain([&own]).for_each(|port| guest.close(port.0));
    });
}

#[test]
fn a_port_is_not_moved_to_a_vcpu_that_takes_no_events() {
    both(|guest| {
        let (port, task) = (guest.to_self(), Arc::new(Task::default()));
        for vcpu in [2, 4, u32::MAX] {
            assert_eq!(guest.dispatch.deliver(&guest.xen, port.0, vcpu), Err(Errno::NOENT));
        }
        assert!(guest.dispatch.deliver(&guest.xen, port.0, 1).is_err(), "it is the first one's for good");
        assert!(guest.poll(&port, &task).is_pending());
        guest.raise(port.0);
        assert_eq!((guest.dispatch.take_all(1), guest.dispatch.take_all(0)), (0, 1));
        guest.close(port.0);
    });
}

#[test]
fn a_port_is_not_moved_to_a_vcpu_that_was_not_added() {
    let (xen, dispatch) = (FakeXen::with(Config { vcpus: 2, ..Config::default() }), Dispatch::<4>::new());
    dispatch.begin(Events::two_level(xen.shared_info(), 2));
    dispatch.add_vcpu(0, xen.vcpu_info(0)).unwrap();
    let port = event::alloc_unbound(&xen, PEER).unwrap();
    dispatch.add(&xen, port, Binding::Peer, Earlier::Void, || Some(xen.page())).unwrap();
    assert_eq!(dispatch.deliver(&xen, port, 1), Err(Errno::NOENT));
    event::close(&xen, port).unwrap();
}

#[test]
fn a_vcpu_that_events_do_not_reach_is_not_added() {
    both(|guest| {
        let info = guest.xen.vcpu_info(0);
        assert_eq!(guest.dispatch.add_vcpu(VCPUS, info), Err(Errno::NOENT));
        assert_eq!(guest.dispatch.take_all(VCPUS), 0);
        assert_eq!(guest.xen.vcpu_info(1).read().evtchn_upcall_mask, 1, "those are not interrupted for now");
    });
}

#[test]
fn an_event_that_is_taken_out_of_turn_is_told_unless_quietly() {
    both(|guest| {
        let (port, task) = (guest.to_self(), Arc::new(Task::default()));
        assert!(guest.poll(&port, &task).is_pending());
        assert!(!guest.dispatch.take_one(port.0));
        guest.raise(port.0);
        assert!(guest.dispatch.take_one(port.0) && !guest.dispatch.take_one(port.0));
        assert_eq!(task.woken(), 1);
        assert!(guest.poll(&port, &task).is_ready());
        assert!(guest.poll(&port, &task).is_pending());
        guest.raise(port.0);
        assert!(guest.dispatch.take_quietly(port.0));
        assert_eq!(task.woken(), 1);
        guest.close(port.0);
    });
}

#[test]
fn a_port_that_ends_sleeps_stays_open_whether_it_was_raised_or_not() {
    both(|guest| {
        let (port, slot) = guest.to_self();
        let take = || guest.dispatch.take_and_unmask(&guest.xen, port, &slot);
        assert!(!take());
        guest.raise(port);
        assert!(guest.xen.has_upcall(0));
        assert_eq!(guest.dispatch.take_all(0), 1);
        assert!(take(), "by the vCPU's own look at its events");
        guest.raise(port);
        assert!(take(), "by this one");
        assert_eq!(guest.dispatch.take_all(0), 0);
        guest.raise(port);
        assert!(guest.xen.has_upcall(0));
        guest.close(port);
    });
}

#[test]
fn where_there_are_no_events_nothing_is_taken_and_nothing_fails_but_what_needs_them() {
    let (xen, dispatch) = (FakeXen::new(), Dispatch::<4>::new());
    assert_eq!((dispatch.abi(), dispatch.take_all(0), dispatch.take_one(Port(1))), (None, 0, false));
    assert_eq!(dispatch.add_vcpu(0, xen.vcpu_info(0)), Err(Errno::NOENT));
    assert_eq!(dispatch.set_priority(&xen, Port(1), Priority::HIGHEST), Err(Errno::NOSYS));
    let slot = dispatch.add(&xen, Port(1), Binding::Peer, Earlier::Void, || Some(xen.page())).unwrap();
    assert!(dispatch.poll(&xen, Port(1), &slot, Waker::noop()).is_pending());
    dispatch.remove(Port(1));
}
