// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domains that are saved and restored while tasks wait for events.

use std::sync::Arc;
use std::task::Waker;

use xen::Errno;
use xen::event::{self, Binding, Port, Slot};

use crate::guest::{Guest, PEER, Task, both};

const TIMER: u32 = xen_sys::xen::VIRQ_TIMER;

impl Guest {
    /// Saves and restores the domain; the toolstack opens one port, for the one of this number.
    fn migrate(&self, toolstacks: Port) -> Result<Port, Errno> {
        self.xen.migrate();
        let moved = self.xen.toolstack_port(PEER);
        let place = |port| (port == toolstacks).then_some(moved);
        self.dispatch.resume(&self.xen, place, || Some(self.xen.page())).map(|()| moved)
    }

    fn is_ready(&self, slot: &Slot, task: &Arc<Task>) -> bool {
        let waker = Waker::from(Arc::clone(task));
        self.dispatch.poll(&self.xen, slot.port(), slot, &waker).is_ready()
    }
}

#[test]
fn what_the_domain_has_bound_to_itself_is_bound_again_where_it_was() {
    both(|guest| {
        let binding = Binding::Ipi { vcpu: 1 };
        let slot = guest.add(event::bind_ipi(&guest.xen, 1).unwrap(), binding);
        let timer = Binding::Virq { virq: TIMER, vcpu: 1 };
        let timer = guest.add(event::bind_virq(&guest.xen, TIMER, 1).unwrap(), timer);
        let (task, before) = (Arc::new(Task::default()), slot.port());
        assert!(!guest.is_ready(&slot, &task));
        for _ in 0..3 {
            guest.migrate(Port(0)).unwrap();
            assert_ne!(slot.port(), before);
            assert!(guest.is_ready(&slot, &task), "who waited looks");
            assert!(!guest.is_ready(&slot, &task));
            let woken = task.woken();
            event::send(&guest.xen, slot.port()).unwrap();
            assert_eq!((guest.dispatch.take_all(0), guest.dispatch.take_all(1)), (0, 1));
            assert_eq!(task.woken(), woken + 1);
            assert!(guest.is_ready(&slot, &task));
            assert_eq!(event::bind_virq(&guest.xen, TIMER, 1), Err(Errno::EXIST));
        }
        assert_eq!(guest.dispatch.open_ports(), 2);
        guest.close(slot.port());
        guest.close(timer.port());
    });
}

#[test]
fn a_port_of_the_toolstacks_is_where_the_toolstack_put_it() {
    both(|guest| {
        let before = guest.xen.toolstack_port(PEER);
        let (slot, task) = (guest.add(before, Binding::Toolstack), Arc::new(Task::default()));
        let moved = guest.migrate(before).unwrap();
        assert_eq!(slot.port(), moved);
        assert!(guest.is_ready(&slot, &task) && !guest.is_ready(&slot, &task));
        let peer = guest.xen.peer(PEER);
        peer.connect(moved, Port(3)).unwrap();
        peer.notify(moved).unwrap();
        assert_eq!(guest.dispatch.take_all(0), 1);
        assert!(guest.is_ready(&slot, &task));
    });
}

#[test]
fn a_channel_to_another_domain_ends_and_wakes_its_task() {
    both(|guest| {
        let port = event::alloc_unbound(&guest.xen, PEER).unwrap();
        let (slot, task) = (guest.add(port, Binding::Peer), Arc::new(Task::default()));
        assert!(!guest.is_ready(&slot, &task));
        guest.migrate(Port(0)).unwrap();
        assert_eq!((slot.port(), task.woken()), (Port(0), 1));
        assert!(guest.is_ready(&slot, &task) && !guest.is_ready(&slot, &task));
        // Its number may be another channel's by now, which closing this one must not disturb.
        let others = guest.add(event::bind_ipi(&guest.xen, 0).unwrap(), Binding::Ipi { vcpu: 0 });
        guest.dispatch.remove(slot.port());
        assert_eq!(guest.dispatch.open_ports(), 1);
        guest.close(others.port());
    });
}

#[test]
fn what_had_arrived_before_is_not_the_new_ports() {
    both(|guest| {
        let old = guest.add(event::bind_ipi(&guest.xen, 0).unwrap(), Binding::Ipi { vcpu: 0 });
        event::send(&guest.xen, old.port()).unwrap();
        guest.close(old.port());
        guest.migrate(Port(0)).unwrap();
        assert_eq!(guest.xen.vcpu_info(0).read().evtchn_upcall_mask, 1);
        let (slot, task) =
            (guest.add(event::bind_ipi(&guest.xen, 0).unwrap(), Binding::Peer), Arc::default());
        assert!(!guest.is_ready(&slot, &task));
        guest.close(slot.port());
    });
}

#[test]
fn a_xen_without_the_abi_in_use_is_an_error() {
    let guest = Guest::new(true);
    guest.xen.refuse(xen::fake::Call::event(xen_sys::event_channel::EVTCHNOP_init_control), Errno::NOSYS);
    assert_eq!(guest.migrate(Port(0)), Err(Errno::NOSYS));
}

#[test]
fn a_xen_that_has_no_port_for_what_was_bound_is_an_error() {
    use xen_sys::event_channel::{EVTCHNOP_bind_ipi, EVTCHNOP_bind_virq};
    both(|guest| {
        let ipi = event::bind_ipi(&guest.xen, 1).unwrap();
        guest.add(ipi, Binding::Ipi { vcpu: 1 });
        guest.xen.refuse(xen::fake::Call::event(EVTCHNOP_bind_ipi), Errno::NOSPC);
        assert_eq!(guest.migrate(Port(0)), Err(Errno::NOSPC));
    });
    both(|guest| {
        let timer = event::bind_virq(&guest.xen, TIMER, 1).unwrap();
        guest.add(timer, Binding::Virq { virq: TIMER, vcpu: 1 });
        guest.xen.refuse(xen::fake::Call::event(EVTCHNOP_bind_virq), Errno::NOSPC);
        assert_eq!(guest.migrate(Port(0)), Err(Errno::NOSPC));
    });
}
