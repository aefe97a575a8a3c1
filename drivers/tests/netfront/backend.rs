// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network backend, which does what a test tells it, lies included.

use std::cell::{Cell, RefCell};

use prism_drivers::net::MAX_FRAME;
use prism_drivers::net::netfront::{BackendFeatures, QueuePair, RingPages};
use prism_drivers::net::{ETHERNET_HEADER, Error};
use prism_drivers::sim::{Clock, SimPlatform};
use xen::DomainId;
use xen::fake::{BackRing, Peer, PeerMapping};
use xen::grant::Reference;
use xen_sys::io::netif::*;

pub(crate) const DOMAIN: DomainId = DomainId(3);

/// What Linux's backend offers.
pub(crate) const FEATURES: BackendFeatures = BackendFeatures {
    rx_copy: true,
    scatter_gather: true,
    checksum_ipv4: true,
    checksum_ipv6: true,
    gso_ipv4: true,
    gso_ipv6: true,
    multicast_control: true,
    split_channels: true,
    queues: 1,
};

pub(crate) const PAGES: RingPages = RingPages { receive: 32, transmit: 16 };

pub(crate) fn platform() -> SimPlatform {
    SimPlatform::new(Clock::Stopped)
}

/// The frontend's rings and the backend at their other end.
pub(crate) fn connected(
    platform: &SimPlatform,
    features: BackendFeatures,
) -> (QueuePair<'_, SimPlatform>, Backend) {
    connected_with(platform, features, PAGES, MAX_FRAME - ETHERNET_HEADER)
}

/// The same with other numbers of pages, on a network of `mtu`.
pub(crate) fn connected_with(
    platform: &SimPlatform,
    features: BackendFeatures,
    pages: RingPages,
    mtu: usize,
) -> (QueuePair<'_, SimPlatform>, Backend) {
    let mut pair = QueuePair::new(platform, DOMAIN, features, pages, mtu).unwrap();
    assert!(pair.publish().receive, "a backend that waits is told of the pages to receive into");
    let [transmit, receive] = pair.references().map(Option::unwrap);
    let backend = Backend::new(platform.peer(DOMAIN), transmit, receive);
    (pair, backend)
}

/// A packet that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) ids: Vec<u16>,
    pub(crate) extra: Option<netif_extra_info>,
}

pub(crate) struct Backend {
    peer: Peer,
    transmit: BackRing,
    receive: BackRing,
    sent: Cell<u32>,
    received: Cell<u32>,
}

impl Backend {
    pub(crate) fn new(peer: Peer, transmit: Reference, receive: Reference) -> Self {
        let ring = |reference, entry| BackRing::map_references(&peer, [reference].into_iter(), entry);
        let transmit = ring(transmit, size_of::<netif_tx_request>());
        let receive = ring(receive, size_of::<netif_rx_request>());
        Self { peer, transmit, receive, sent: Cell::new(0), received: Cell::new(0) }
    }

    /// Pages that it may receive into.
    pub(crate) fn room(&self) -> u32 {
        self.receive.requests().wrapping_sub(self.received.get())
    }

    /// The request whose turn it is to be answered.
    pub(crate) fn asked(&self) -> netif_rx_request {
        self.receive.request(self.received.get())
    }

    /// Maps all pages that it may receive into.
    pub(crate) fn keep_pages(&self) -> Vec<PeerMapping> {
        let requests = self.received.get()..self.receive.requests();
        let grant = |index| Reference::new(self.receive.request::<netif_rx_request>(index).gref).unwrap();
        requests.map(|index| self.peer.map_to_write(grant(index)).unwrap()).collect()
    }

    /// Writes `bytes` at `offset` of the next page, and answers by `answer`, which is made of what
    /// an honest one would be. The frontend sees it after [`publish`](Self::publish).
    pub(crate) fn part(&self, offset: u16, bytes: &[u8], answer: impl FnOnce(&mut netif_rx_response)) {
        let request = self.asked();
        let page = self.peer.map_to_write(Reference::new(request.gref).unwrap()).unwrap();
        page.write(offset.into(), bytes);
        let mut response = netif_rx_response { id: request.id, offset, flags: 0, status: bytes.len() as i16 };
        answer(&mut response);
        self.receive.respond(self.received.get(), response);
        self.received.set(self.received.get() + 1);
    }

    /// Uses the next page's turn for extra information.
    pub(crate) fn extra(&self, extra: netif_extra_info) {
        self.receive.respond(self.received.get(), extra);
        self.received.set(self.received.get() + 1);
    }

    /// Shows the frontend what was received; whether it wants an event.
    pub(crate) fn publish(&self) -> bool {
        self.receive.publish(self.received.get())
    }

    /// Receives a frame that lies in one page, of which nothing is known.
    pub(crate) fn deliver(&self, frame: &[u8]) {
        self.part(0, frame, |_| ());
        self.publish();
    }

    /// Claims `count` more responses than there are.
    pub(crate) fn claim(&self, count: u32) {
        self.receive.publish(self.received.get().wrapping_add(count));
    }

    /// Wants an event when the next page is offered, or the next packet sent.
    pub(crate) fn request_event(&self) {
        self.receive.listen(self.receive.requests().wrapping_add(1));
        self.transmit.listen(self.transmit.requests().wrapping_add(1));
    }

    /// The next packet that was sent, if there is one; it is not answered.
    pub(crate) fn take(&self) -> Option<Sent> {
        let mut sent = Sent { bytes: Vec::new(), flags: 0, ids: Vec::new(), extra: None };
        let mut total = 0;
        while self.transmit.requests() != self.sent.get() {
            let request: netif_tx_request = self.transmit.request(self.sent.get());
            let page = self.peer.map_to_read(Reference::new(request.gref).unwrap()).unwrap();
            assert!(usize::from(request.offset) + usize::from(request.size.min(4096)) <= 4096);
            if sent.ids.is_empty() {
                (sent.flags, total) = (request.flags & !NETTXF_more_data, usize::from(request.size));
            }
            // The first request's size is the whole packet's.
            let more = request.flags & NETTXF_more_data != 0;
            let size = if sent.ids.is_empty() && more { 4096 } else { request.size.into() };
            sent.bytes
                .extend((0..size).map(|offset| page.read::<1>(usize::from(request.offset) + offset)[0]));
            sent.ids.push(request.id);
            self.sent.set(self.sent.get() + 1);
            if request.flags & NETTXF_extra_info != 0 {
                assert_eq!(sent.ids.len(), 1, "extra information belongs to the first request");
                sent.extra = Some(self.transmit.request(self.sent.get()));
                self.sent.set(self.sent.get() + 1);
            }
            if !more {
                assert_eq!(sent.bytes.len(), total, "the first request tells the packet's size");
                return Some(sent);
            }
        }
        assert!(sent.ids.is_empty(), "a packet was sent in part");
        None
    }

    /// Answers the sent request of index `index` by `id` and `status`, and shows it.
    pub(crate) fn answer(&self, index: u32, id: u16, status: i16) -> bool {
        self.transmit.respond(index, netif_tx_response { id, status });
        self.transmit.publish(index + 1)
    }
}

/// An IPv4 packet of UDP in an Ethernet frame, without a checksum.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((20 + length).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0, 9]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

thread_local! {
    /// Where packets are put together.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_FRAME]);
}

/// The next packet that the frontend receives; empty if its checksum is wrong.
pub(crate) fn receive(pair: &mut QueuePair<'_, SimPlatform>) -> Result<Option<Vec<u8>>, Error> {
    BUFFER.with_borrow_mut(|buffer| {
        let length = pair.receive(buffer)?;
        Ok(length.map(|length| buffer[..length].to_vec()))
    })
}

/// How the frontend is asked for the next packet: for one that is copied, or is kept.
pub(crate) type Receive = fn(&mut QueuePair<'_, SimPlatform>) -> Result<Option<Vec<u8>>, Error>;

/// Both ways.
pub(crate) const WAYS: [Receive; 2] = [receive, |pair| pair.receive_owned()];
