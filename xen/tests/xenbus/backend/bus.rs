// SPDX-License-Identifier: MIT OR Apache-2.0
use std::future::Future;
use std::task::{Context, Waker};

use xen::DomainId;
use xen::xenbus::backend::{Bus, Devices, Id};
use xen::xenstore::fake::{Fault, Xenstored, page};
use xen::xenstore::{Client, Error};

const CLASS: &str = "/local/domain/1/backend/vbd";

struct Guest {
    xenstored: Xenstored,
    client: Client,
    bus: Bus,
}

impl Guest {
    fn new(most: usize) -> Self {
        let xenstored = Xenstored::new(page());
        let client = Client::new(xenstored.page());
        let bus = xenstored.run(&client, Bus::watch(&client, "vbd", most)).unwrap();
        Self { xenstored, client, bus }
    }

    fn add(&self, device: &str) {
        self.xenstored.write(&format!("{CLASS}/{device}/state"), "1");
    }

    /// The next list; `None` if there is no change.
    fn next(&mut self) -> Option<Result<Devices, Error>> {
        self.xenstored.run_until_idle(&self.client, &mut Box::pin(self.bus.next()))
    }

    fn devices(&mut self) -> Vec<Id> {
        self.next().expect("a change").unwrap().devices
    }
}

fn id(frontend: u16, number: u32) -> Id {
    Id { frontend: DomainId(frontend), number }
}

#[test]
fn devices_are_found_in_order_when_they_come_and_go() {
    let mut guest = Guest::new(10);
    assert_eq!(guest.devices(), [], "the directory is not there yet");
    guest.add("12/51712");
    assert_eq!(guest.devices(), [id(12, 51712)]);
    guest.add("7/51728");
    guest.add("7/768");
    let found = guest.devices();
    while guest.next().is_some() {}
    assert_eq!(found, [id(7, 768), id(7, 51728), id(12, 51712)]);
    guest.xenstored.remove(&format!("{CLASS}/7/768"));
    while guest.next().is_some() {}
    guest.xenstored.remove(&format!("{CLASS}/12"));
    assert_eq!(guest.devices(), [id(7, 51728)]);
    assert_eq!(id(7, 51728).directory("vbd"), "backend/vbd/7/51728");
}

#[test]
fn what_happens_within_a_device_is_no_change() {
    let mut guest = Guest::new(10);
    guest.add("7/768");
    while guest.next().is_some() {}
    for key in ["state", "online", "sectors", "deep/er"] {
        guest.xenstored.write(&format!("{CLASS}/7/768/{key}"), "0");
    }
    assert!(guest.next().is_none());
}

#[test]
fn a_device_whose_directory_nobody_told_of_is_found_by_what_is_in_it() {
    let mut guest = Guest::new(10);
    while guest.next().is_some() {}
    guest.xenstored.write(&format!("{CLASS}/7/768/deep/er"), "1");
    assert_eq!(guest.devices(), [id(7, 768)]);
}

#[test]
fn a_flood_of_changes_hides_no_device() {
    let mut guest = Guest::new(10);
    while guest.next().is_some() {}
    guest.add("7/768");
    for key in 0..40 {
        guest.xenstored.write(&format!("{CLASS}/7/768/{key}"), "0");
    }
    assert_eq!(guest.devices(), [id(7, 768)]);
}

#[test]
fn names_that_are_no_numbers_are_no_devices() {
    let mut guest = Guest::new(10);
    for device in ["x/768", "07/768", "32752/768", "70000/1", "-1/1", "7/x", "7/0768", "7/4294967296", "7/1"]
    {
        guest.add(device);
    }
    assert_eq!(guest.devices(), [id(7, 1)]);
}

#[test]
fn no_more_devices_are_told_of_than_were_asked_for() {
    let mut guest = Guest::new(3);
    for frontend in 0..100 {
        guest.add(&format!("{frontend}/1"));
        guest.add(&format!("{frontend}/2"));
    }
    let found = guest.next().unwrap().unwrap();
    assert_eq!(found, Devices { devices: vec![id(0, 1), id(0, 2), id(1, 1)], ignored: 197 });
}

#[test]
fn a_directory_that_goes_while_it_is_listed_has_no_devices() {
    let mut guest = Guest::new(10);
    guest.add("7/768");
    guest.xenstored.inject(Fault::Refuse("ENOENT"));
    assert_eq!(guest.devices(), []);
}

#[test]
fn a_broken_connection_is_an_error_and_a_dropped_bus_leaves_no_watch() {
    let mut guest = Guest::new(10);
    guest.xenstored.inject(Fault::Length(u32::MAX));
    assert!(matches!(guest.next(), Some(Err(Error::Disconnected(_)))));
    let Guest { xenstored, client, bus } = Guest::new(10);
    drop(bus);
    let mut idle = Box::pin(std::future::pending::<()>());
    assert!(idle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(xenstored.run_until_idle(&client, &mut idle).is_none());
    assert!(xenstored.watches().is_empty());
}
