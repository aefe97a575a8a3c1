// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is special about the FIFO ABI.

use xen::event::{self, Events, Fifo, Port, Priority};
use xen::fake::{Call, Config, FakePage, FakeXen};
use xen::shared::Shared;
use xen::{DomainId, Errno};
use xen_sys::event_channel::{EVTCHNOP_expand_array, EVTCHNOP_init_control};

fn machine(vcpus: u32) -> (FakeXen, Events) {
    let xen = FakeXen::with(Config { vcpus, ..Config::default() });
    let events = Events::fifo(&xen, vcpus, || Some(xen.page())).unwrap();
    (xen, events)
}

fn taken(xen: &FakeXen, events: &Events, vcpu: u32) -> Vec<Port> {
    let mut taken = Vec::new();
    events.take_all(vcpu, xen.vcpu_info(vcpu), |port| taken.push(port));
    taken
}

#[test]
fn events_are_taken_by_priority_and_then_as_they_came() {
    let (xen, events) = machine(1);
    let ports: Vec<Port> = (0..4).map(|_| event::bind_ipi(&xen, 0).unwrap()).collect();
    events.set_priority(&xen, ports[0], Priority::LOWEST).unwrap();
    events.set_priority(&xen, ports[3], Priority::HIGHEST).unwrap();
    for port in &ports {
        events.unmask_or_take(&xen, *port);
    }
    for index in [0, 2, 1, 3] {
        event::send(&xen, ports[index]).unwrap();
    }
    assert_eq!(taken(&xen, &events, 0), [ports[3], ports[2], ports[1], ports[0]]);
    ports.iter().for_each(|port| event::close(&xen, *port).unwrap());
}

#[test]
fn each_vcpu_takes_the_events_of_its_own_ports() {
    let (xen, events) = machine(3);
    let ports: Vec<Port> = (0..3).map(|vcpu| event::bind_ipi(&xen, vcpu).unwrap()).collect();
    for port in &ports {
        events.unmask_or_take(&xen, *port);
        event::send(&xen, *port).unwrap();
    }
    for vcpu in [2, 0, 1] {
        assert_eq!(taken(&xen, &events, vcpu), [ports[vcpu as usize]]);
    }
    assert_eq!(taken(&xen, &events, 3 - 1), []);
    ports.iter().for_each(|port| event::close(&xen, *port).unwrap());
}

#[test]
fn what_was_pending_before_the_switch_is_found_after_it() {
    let xen = FakeXen::new();
    let peer = xen.peer(DomainId(0));
    let port = xen.toolstack_port(DomainId(0));
    peer.connect(port, Port(1)).unwrap();
    peer.notify(port).unwrap();
    let events = Events::fifo(&xen, 1, || Some(xen.page())).unwrap();
    assert!(events.unmask_or_take(&xen, port));
}

#[test]
fn the_array_grows_with_the_ports() {
    let xen = FakeXen::with(Config { max_event_channels: 2100, ..Config::default() });
    let events = Events::fifo(&xen, 1, || Some(xen.page())).unwrap();
    let ports: Vec<Port> = core::iter::from_fn(|| event::bind_ipi(&xen, 0).ok()).collect();
    for port in &ports {
        events.grow(&xen, *port, || Some(xen.page())).unwrap();
        events.unmask_or_take(&xen, *port);
        event::send(&xen, *port).unwrap();
    }
    assert_eq!(xen.count(Call::event(EVTCHNOP_expand_array)), 3);
    let mut seen = Vec::new();
    while xen.has_upcall(0) {
        seen.extend(taken(&xen, &events, 0));
    }
    assert_eq!(seen, ports);
    ports.iter().for_each(|port| event::close(&xen, *port).unwrap());
}

#[test]
fn an_event_that_came_before_its_word_is_found_when_the_array_has_grown() {
    let xen = FakeXen::with(Config { max_event_channels: 1100, ..Config::default() });
    let events = Events::fifo(&xen, 1, || Some(xen.page())).unwrap();
    let ports: Vec<Port> = core::iter::from_fn(|| event::bind_ipi(&xen, 0).ok()).collect();
    let last = *ports.last().unwrap();
    event::send(&xen, last).unwrap();
    assert!(!events.take_pending(last));
    events.grow(&xen, last, || Some(xen.page())).unwrap();
    assert!(events.unmask_or_take(&xen, last));
    ports.iter().for_each(|port| event::close(&xen, *port).unwrap());
}

#[test]
fn growing_without_memory_or_without_xens_consent_is_an_error_and_can_be_tried_again() {
    let xen = FakeXen::with(Config { max_event_channels: 1100, ..Config::default() });
    let events = Events::fifo(&xen, 1, || Some(xen.page())).unwrap();
    let port = Port(1050);
    assert_eq!(events.grow(&xen, port, || None::<FakePage>), Err(Errno::NOMEM));
    xen.refuse(Call::event(EVTCHNOP_expand_array), Errno::NOMEM);
    assert_eq!(events.grow(&xen, port, || Some(xen.page())), Err(Errno::NOMEM));
    assert_eq!(events.grow(&xen, port, || Some(xen.page())), Ok(()));
}

#[test]
fn a_hypervisor_without_it_leaves_the_domain_as_it_was() {
    for errno in [Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOMEM] {
        let xen = FakeXen::new();
        xen.refuse(Call::event(EVTCHNOP_init_control), errno);
        assert_eq!(Fifo::begin(&xen, 1, || Some(xen.page())).err(), Some(errno));
        let events = Events::two_level(xen.shared_info(), 1);
        let port = event::bind_ipi(&xen, 0).unwrap();
        events.unmask_or_take(&xen, port);
        event::send(&xen, port).unwrap();
        assert_eq!(taken(&xen, &events, 0), [port]);
        event::close(&xen, port).unwrap();
    }
    assert_eq!(Fifo::begin(&FakeXen::new(), 1, || None::<FakePage>).err(), Some(Errno::NOMEM));
}

#[test]
fn a_vcpu_that_got_no_control_block_is_told() {
    let xen = FakeXen::with(Config { vcpus: 2, ..Config::default() });
    let fifo = Fifo::begin(&xen, 4, || Some(xen.page())).unwrap();
    assert_eq!(fifo.vcpus(), 2);
    fifo.take_all(2, xen.vcpu_info(1), |port| panic!("{port:?}"));
}

/// What a mad hypervisor might do to the pages, which the fake never does.
struct Mad {
    xen: FakeXen,
    events: Events,
    /// The first page given, which has the control block, and the second, which has the words.
    pages: [Shared<[u8; 4096]>; 2],
}

impl Mad {
    fn new() -> Self {
        use xen::grant::Page;
        let xen = FakeXen::new();
        xen.forgive_leaks();
        let mut pages = Vec::new();
        let events = Events::fifo(&xen, 1, || {
            let page = xen.page();
            // SAFETY: it is given to Xen, and stays as long as the machine.
            pages.push(unsafe { page.memory() });
            Some(page)
        });
        Self { xen, events: events.unwrap(), pages: [pages[0], pages[1]] }
    }

    fn word(&self, port: u32, value: u32) {
        self.pages[1].field(port as usize * 4).unwrap().write(value);
    }

    fn ready(&self, bits: u32, head: u32) {
        self.pages[0].field(0).unwrap().write(bits);
        self.pages[0].field(8 + 7 * 4).unwrap().write(head);
        self.xen.vcpu_info(0).field::<u8>(0).unwrap().write(1);
    }

    fn taken(&self) -> Vec<u32> {
        taken(&self.xen, &self.events, 0).into_iter().map(|port| port.0).collect()
    }
}

const PENDING: u32 = 1 << 31;
const MASKED: u32 = 1 << 30;
const LINKED: u32 = 1 << 29;

#[test]
fn a_queue_that_runs_in_a_circle_ends() {
    let mad = Mad::new();
    mad.word(1, PENDING | LINKED | 2);
    mad.word(2, PENDING | LINKED | 1);
    mad.ready(1 << 7, 1);
    assert_eq!(mad.taken(), [1, 2]);
    mad.word(1, MASKED);
    mad.word(2, MASKED);
}

#[test]
fn a_queue_that_leads_beyond_the_array_ends() {
    let mad = Mad::new();
    mad.word(1, PENDING | LINKED | 0x1_ffff);
    mad.ready(1 << 7, 1);
    assert_eq!(mad.taken(), [1]);
    mad.ready(1 << 7, u32::MAX);
    assert_eq!(mad.taken(), []);
}

#[test]
fn queues_that_do_not_exist_are_not_looked_at() {
    let mad = Mad::new();
    mad.word(1, PENDING | LINKED);
    mad.ready(u32::MAX, 1);
    assert_eq!(mad.taken(), [1]);
}

#[test]
fn events_that_never_end_are_left_for_the_next_time() {
    let mad = Mad::new();
    mad.word(1, PENDING | LINKED);
    mad.ready(1 << 7, 1);
    let mut count = 0;
    mad.events.take_all(0, mad.xen.vcpu_info(0), |port| {
        count += 1;
        mad.word(port.0, PENDING | LINKED);
        mad.ready(1 << 7, port.0);
    });
    assert!((1..=1024).contains(&count), "{count} events in one go");
    assert!(mad.xen.has_upcall(0), "what is left ends the next sleep");
    mad.word(1, MASKED);
}
