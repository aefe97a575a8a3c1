// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain that serves an interface, and a frontend, honest unless it is told otherwise.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Lets everybody else go on.
pub(crate) use embassy_futures::yield_now;
use futures::future::join;
use prism_drivers::net::bridge::{Bridge, Checksum, Mac, Packet, Port, Source, Traffic};
use prism_drivers::net::netback::{Error, NetBack};
use prism_drivers::sim::{Clock, FarEnd, SimPlatform};
use xen::DomainId;
use xen::fake::{FrontRing, Peer, PeerPage};
use xen::xenbus::State;
use xen::xenbus::backend::{Device, Ended, Failure, run};
use xen::xenstore::Client;
use xen::xenstore::fake::{Xenstored, page};
use xen_sys::io::netif::*;

pub(crate) const DOMAIN: DomainId = DomainId(7);
pub(crate) const BACKEND: &str = "/local/domain/1/backend/vif/7/0";
pub(crate) const FRONTEND: &str = "/local/domain/7/device/vif/0";
pub(crate) const GUEST: Mac = [0, 0x16, 0x3e, 0, 0, 1];
pub(crate) const OTHER: Mac = [0, 0x16, 0x3e, 0, 0, 2];
const LIMIT: Duration = Duration::from_secs(10);

/// The domain that serves, and what the toolstack wrote for it.
pub(crate) struct Host {
    pub(crate) xenstored: Xenstored,
    pub(crate) client: Client,
    pub(crate) platform: SimPlatform,
    pub(crate) bridge: Bridge,
    pub(crate) failures: Mutex<Vec<String>>,
    pub(crate) traffic: Mutex<Traffic>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let xenstored = Xenstored::new(page());
        let write = |key: &str, value: &str| {
            xenstored.write(&format!("{BACKEND}/{key}"), value);
            xenstored.give(&format!("{BACKEND}/{key}"), 1);
        };
        write("frontend", FRONTEND);
        write("frontend-id", "7");
        write("online", "1");
        write("state", "1");
        write("handle", "0");
        write("mac", "00:16:3e:00:00:01");
        write("hotplug-status", "");
        xenstored.give(BACKEND, 1);
        xenstored.write(&format!("{FRONTEND}/state"), "1");
        let client = Client::new(xenstored.page());
        Self {
            client,
            xenstored,
            platform: SimPlatform::new(Clock::Stopped),
            bridge: Bridge::new(),
            failures: Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    /// Sets a key of the backend's directory.
    pub(crate) fn set(&self, key: &str, value: &str) {
        self.xenstored.write(&format!("{BACKEND}/{key}"), value);
    }

    /// A key that the backend wrote.
    pub(crate) fn key(&self, key: &str) -> Option<String> {
        let value = self.xenstored.read(&format!("{BACKEND}/{key}"))?;
        Some(String::from_utf8(value).unwrap())
    }

    /// Sets a key of the frontend's directory.
    pub(crate) fn front(&self, key: &str, value: impl AsRef<[u8]>) {
        self.xenstored.write(&format!("{FRONTEND}/{key}"), value);
    }

    /// The frontend's state.
    pub(crate) fn be(&self, state: State) {
        self.front("state", state.number().to_string());
    }

    pub(crate) async fn until(&self, state: State) {
        for _ in 0..20_000 {
            if self.key("state") == Some(state.number().to_string()) {
                return;
            }
            yield_now().await;
        }
        panic!("the backend is {:?}, not {state:?}: {:?}", self.key("state"), self.failures);
    }

    /// Has the toolstack remove the device.
    pub(crate) fn detach(&self) {
        self.set("online", "0");
        self.set("state", "5");
    }

    /// Serves while `script` runs, which has to have the device removed.
    pub(crate) fn serve(&self, script: impl Future<Output = ()>) {
        let report = |failure: &Failure<Error>| self.failures.lock().unwrap().push(failure.to_string());
        let mut back = NetBack::new(&self.platform, &self.bridge, report);
        let serve = async {
            let device = Device::open(&self.client, "backend/vif/7/0").await.unwrap();
            run(&device, &mut back, &self.platform, LIMIT).await
        };
        let (ended, ()) = self.xenstored.run(&self.client, join(serve, script));
        assert_eq!(ended, Ended::Removed);
        assert_eq!(self.platform.channels(), 0);
        *self.traffic.lock().unwrap() = back.traffic();
    }

    /// A port with a network behind it, which the test is.
    pub(crate) fn network(&self) -> Port<'_> {
        self.bridge.attach(Source::Any, 1500).unwrap()
    }

    /// Serves one connected frontend while `script` runs.
    pub(crate) fn serve_one<F: Future<Output = ()>>(&self, script: impl FnOnce(Front) -> F) {
        self.serve_with(ALL, script);
    }

    /// The same with a frontend that writes these keys as 1.
    pub(crate) fn serve_with<F: Future<Output = ()>>(&self, keys: &[&str], script: impl FnOnce(Front) -> F) {
        self.serve(async {
            let front = Front::connect(self, keys).await;
            script(front).await;
            self.be(State::Closed);
            self.until(State::Closed).await;
            self.detach();
        });
    }
}

/// Lets everybody else go on, for long enough.
pub(crate) async fn a_while() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// What Linux's frontend writes.
pub(crate) const ALL: &[&str] = &[
    "request-rx-copy",
    "feature-rx-notify",
    "feature-sg",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-ipv6-csum-offload",
];

/// What it has to write at least.
pub(crate) const NONE: &[&str] = &["request-rx-copy"];

/// A frontend that is connected.
pub(crate) struct Front {
    pub(crate) peer: Peer,
    pub(crate) transmit: FrontRing,
    pub(crate) receive: FrontRing,
    pub(crate) far: FarEnd,
    pub(crate) far_receive: FarEnd,
    /// Responses to what was transmitted that were taken.
    answered: Cell<u32>,
    /// Responses to pages to receive into that were taken.
    received: Cell<u32>,
    /// Pages to receive into, by index modulo the ring's size.
    pages: RefCell<Vec<Option<PeerPage>>>,
}

/// A packet that a frontend received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) gso: Option<(u16, u16)>,
    pub(crate) failed: bool,
}

/// Ports that were used: each connection has others.
static PORTS: AtomicU32 = AtomicU32::new(1);

impl Front {
    /// Rings and event channels of the only queue, and keys that tell of them, and these as 1.
    pub(crate) fn make(host: &Host, keys: &[&str]) -> Self {
        let front = Self::queue(host, "");
        keys.iter().for_each(|key| host.front(key, "1"));
        front
    }

    /// The rings and event channels of a queue, whose keys begin with `prefix`.
    pub(crate) fn queue(host: &Host, prefix: &str) -> Self {
        let peer = host.platform.peer(DOMAIN);
        let transmit = FrontRing::make(&peer, 1, size_of::<netif_tx_request>());
        let receive = FrontRing::make(&peer, 1, size_of::<netif_rx_request>());
        let ports = [(); 2].map(|()| PORTS.fetch_add(1, Ordering::Relaxed));
        let [far, far_receive] = ports.map(|port| host.platform.open_port(DOMAIN, port));
        host.front(&format!("{prefix}tx-ring-ref"), transmit.references()[0].to_string());
        host.front(&format!("{prefix}rx-ring-ref"), receive.references()[0].to_string());
        host.front(&format!("{prefix}event-channel-tx"), ports[0].to_string());
        host.front(&format!("{prefix}event-channel-rx"), ports[1].to_string());
        let pages = (0..receive.capacity()).map(|_| None).collect();
        Self {
            peer,
            transmit,
            receive,
            far,
            far_receive,
            answered: Cell::new(0),
            received: Cell::new(0),
            pages: RefCell::new(pages),
        }
    }

    /// A frontend of Linux's with so many queues, each of which is one here.
    pub(crate) fn make_several(host: &Host, count: usize) -> Vec<Self> {
        ALL.iter().for_each(|key| host.front(key, "1"));
        host.front("multi-queue-num-queues", count.to_string());
        (0..count).map(|queue| Self::queue(host, &format!("queue-{queue}/"))).collect()
    }

    /// A frontend that connects.
    pub(crate) async fn connect(host: &Host, keys: &[&str]) -> Self {
        host.be(State::Initialising);
        host.until(State::InitWait).await;
        let front = Self::make(host, keys);
        host.be(State::Connected);
        host.until(State::Connected).await;
        front
    }

    /// A page with this content, granted for reading.
    pub(crate) fn page(&self, content: &[u8]) -> u32 {
        self.peer.offer_to_read(content).number()
    }

    /// Makes entries of the ring to transmit, all at once.
    pub(crate) fn push(&self, entries: &[[u8; 12]]) {
        let mut index = self.transmit.requests();
        for entry in entries {
            self.transmit.request(index, *entry);
            index = index.wrapping_add(1);
        }
        if self.transmit.publish(index) {
            self.far.notify();
        }
    }

    /// Sends `bytes` in requests of so many bytes each, with these flags and extra information; returns how
    /// many entries that took.
    pub(crate) fn send(
        &self,
        bytes: &[u8],
        each: usize,
        flags: u16,
        extra: Option<netif_extra_info>,
    ) -> usize {
        let count = bytes.chunks(each).count();
        let mut entries = Vec::new();
        for (index, part) in bytes.chunks(each).enumerate() {
            // Each part lies elsewhere in its page.
            let offset = (index * 8).min(4096 - part.len());
            let gref = self.page(&[&vec![0xee; offset][..], part].concat());
            let size = if index == 0 { bytes.len() } else { part.len() } as u16;
            let mut all = if index == 0 { flags } else { 0 };
            all |= if index + 1 < count { NETTXF_more_data } else { 0 };
            all |= if index == 0 && extra.is_some() { NETTXF_extra_info } else { 0 };
            entries.push(request(gref, offset as u16, all, index as u16, size));
            entries.extend(extra.filter(|_| index == 0).map(of_extra));
        }
        self.push(&entries);
        entries.len()
    }

    /// Takes the responses that are there to what was transmitted.
    pub(crate) fn responses(&self) -> Vec<(u16, i16)> {
        // No more than fit: the test may have forged how many there are.
        let there = self.transmit.responses().wrapping_sub(self.answered.get()).min(self.transmit.capacity());
        let first = self.answered.get();
        self.answered.set(first.wrapping_add(there));
        self.transmit.listen(self.answered.get().wrapping_add(1));
        let response = |index| {
            let netif_tx_response { id, status } = self.transmit.response(first.wrapping_add(index));
            (id, status)
        };
        (0..there).map(response).collect()
    }

    /// Waits for so many responses.
    pub(crate) async fn answers(&self, count: usize) -> Vec<(u16, i16)> {
        let mut responses = Vec::new();
        for _ in 0..20_000 {
            responses.extend(self.responses());
            if responses.len() >= count {
                return responses;
            }
            yield_now().await;
        }
        panic!("{} of {count} responses: {responses:?}", responses.len());
    }

    /// Offers so many pages to receive into.
    pub(crate) fn offer(&self, count: u32) {
        let mut index = self.receive.requests();
        for _ in 0..count {
            let slot = index % self.receive.capacity();
            let page = self.peer.page(self.peer.offer_to_write(&[]));
            let gref = page.reference().number();
            self.receive.request(index, netif_rx_request { id: slot as u16, pad: 0, gref });
            self.pages.borrow_mut()[slot as usize] = Some(page);
            index = index.wrapping_add(1);
        }
        if self.receive.publish(index) {
            self.far_receive.notify();
        }
    }

    /// The next packet that is there.
    pub(crate) fn take(&self) -> Option<Received> {
        let mut packet = Received { bytes: Vec::new(), flags: 0, gso: None, failed: false };
        let mut is_first = true;
        while self.received.get() != self.receive.responses() {
            let index = self.received.get();
            let netif_rx_response { id, offset, flags, status } = self.receive.response(index);
            self.received.set(index.wrapping_add(1));
            assert_eq!(u32::from(id), index % self.receive.capacity(), "responses are in order");
            let page = self.pages.borrow_mut()[usize::from(id)].take().unwrap();
            let data: [u8; 4096] = page.read(0);
            if std::mem::take(&mut is_first) {
                packet.flags = flags & !NETRXF_more_data;
                if flags & NETRXF_extra_info != 0 {
                    let extra: netif_extra_info = self.receive.response(self.received.get());
                    let slot = self.received.get() % self.receive.capacity();
                    self.received.set(self.received.get().wrapping_add(1));
                    assert_eq!((extra.r#type, extra.flags), (XEN_NETIF_EXTRA_TYPE_GSO, 0));
                    packet.gso = Some((extra.u[0], extra.u[1]));
                    let unused = self.pages.borrow_mut()[slot as usize].take().unwrap();
                    assert_eq!(unused.read::<4096>(0), [0; 4096]);
                    assert!(self.peer.withdraw(unused.reference()));
                }
            }
            match usize::try_from(status) {
                Ok(length) => packet.bytes.extend(&data[usize::from(offset)..usize::from(offset) + length]),
                Err(_) => packet.failed = true,
            }
            self.peer.withdraw(page.reference());
            if flags & NETRXF_more_data == 0 {
                return Some(packet);
            }
        }
        assert!(is_first, "a packet is published as a whole");
        None
    }

    /// Waits for the next packet.
    pub(crate) async fn receive(&self) -> Received {
        for _ in 0..20_000 {
            if let Some(packet) = self.take() {
                return packet;
            }
            yield_now().await;
        }
        panic!("no packet arrives");
    }

    /// The same, but looks only when it got an event that it has asked for.
    pub(crate) async fn receive_by_event(&self) -> Received {
        loop {
            self.receive.listen(self.received.get().wrapping_add(1));
            if let Some(packet) = self.take() {
                return packet;
            }
            self.far_receive.wait().await;
        }
    }
}

/// The entry of a request to transmit.
pub(crate) fn request(gref: u32, offset: u16, flags: u16, id: u16, size: u16) -> [u8; 12] {
    let mut entry = [0; 12];
    entry[..4].copy_from_slice(&gref.to_ne_bytes());
    for (place, word) in [(4, offset), (6, flags), (8, id), (10, size)] {
        entry[place..place + 2].copy_from_slice(&word.to_ne_bytes());
    }
    entry
}

/// The entry of extra information.
pub(crate) fn of_extra(extra: netif_extra_info) -> [u8; 12] {
    let mut entry = [0; 12];
    (entry[0], entry[1]) = (extra.r#type, extra.flags);
    for (index, word) in extra.u.iter().enumerate() {
        entry[2 + index * 2..4 + index * 2].copy_from_slice(&word.to_ne_bytes());
    }
    entry
}

/// Extra information about segments of so many bytes.
pub(crate) fn gso(size: u16, kind: u8) -> netif_extra_info {
    netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_GSO, flags: 0, u: [size, kind.into(), 0] }
}

/// A frame of a protocol without checksums.
pub(crate) fn frame(to: Mac, from: Mac, length: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[0x88, 0xb5]].concat();
    let start = frame.len();
    frame.extend((start..length).map(|index| (index / 251 * 7 + index) as u8));
    frame
}

/// TCP segments, without a checksum, of so many bytes of payload.
pub(crate) fn tcp(to: Mac, from: Mac, payload: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[8, 0, 0x45, 0]].concat();
    frame.extend((40 + payload as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0, 80, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    frame.extend((0..payload).map(|index| (index / 251 * 7 + index) as u8));
    frame
}

/// Sends a TCP segment without payload from that port of the network's to the guest.
pub(crate) fn deliver_from(network: &Port<'_>, port: u16) -> Vec<u8> {
    let mut bytes = tcp(GUEST, OTHER, 0);
    bytes[34..36].copy_from_slice(&port.to_be_bytes());
    let packet = Packet::new(bytes, Checksum::Blank, None).unwrap();
    let bytes = packet.bytes().into();
    network.send(packet, 0);
    bytes
}

/// Sends a frame of no protocol from the network to the guest.
pub(crate) fn deliver(network: &Port<'_>, length: usize) -> Vec<u8> {
    let bytes = frame(GUEST, OTHER, length);
    network.send(Packet::new(bytes.clone(), Checksum::Unverified, None).unwrap(), 0);
    bytes
}

/// Waits for a packet on the network.
pub(crate) async fn arrives(network: &Port<'_>) -> Arc<Packet> {
    for _ in 0..20_000 {
        if let Some(packet) = network.take() {
            return packet;
        }
        yield_now().await;
    }
    panic!("no packet arrives on the network");
}
