// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain that serves a disk, and a frontend, honest unless it is told otherwise.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Lets everybody else go on.
pub(crate) use embassy_futures::yield_now;
use futures::future::join;
use prism_drivers::block::blkback::{BlkBack, Budget, Error, Export, Exports};
use prism_drivers::block::partition::Partition;
use prism_drivers::block::ramdisk::RamDisk;
use prism_drivers::block::{Buffer, Disk, Geometry, Request, Submission};
use prism_drivers::sim::{Clock, FarEnd, SimPlatform};
use xen::DomainId;
use xen::fake::{FakePage, FrontRing, Peer, PeerPage};
use xen::ring::Entry;
use xen::xenbus::State;
use xen::xenbus::backend::{Device, Ended, Failure, run};
use xen::xenstore::Client;
use xen::xenstore::fake::{Xenstored, page};
use xen_sys::io::blkif::*;

pub(crate) const DOMAIN: DomainId = DomainId(7);
pub(crate) const BACKEND: &str = "/local/domain/1/backend/vbd/7/51712";
pub(crate) const FRONTEND: &str = "/local/domain/7/device/vbd/51712";
const LIMIT: Duration = Duration::from_secs(10);

/// Disks by their names.
pub(crate) struct Disks(Vec<Arc<dyn Disk<FakePage>>>);

impl Exports<FakePage> for Disks {
    async fn find(&self, name: &str) -> Option<Export<FakePage>> {
        let whole = name.trim_end_matches('1');
        let disk = Arc::clone(self.0.iter().find(|disk| disk.name() == whole)?);
        let part = Partition { number: 1, start: 4096, length: 8192 };
        Some(if name == whole { Export::whole(disk) } else { Export::part(disk, part) })
    }
}

/// A disk that does nothing while it is shut, and notes what it is asked for.
pub(crate) struct Gate {
    disk: RamDisk,
    pub(crate) shut: AtomicBool,
    /// Bytes that it has more than it seems.
    pub(crate) hidden: AtomicUsize,
    pub(crate) begun: AtomicUsize,
    pub(crate) log: Mutex<Vec<&'static str>>,
}

impl Disk<FakePage> for Gate {
    fn name(&self) -> &str {
        "gate"
    }

    fn driver(&self) -> &'static str {
        "test"
    }

    fn geometry(&self) -> Geometry {
        let whole = Disk::<FakePage>::geometry(&self.disk);
        let bytes = whole.bytes - self.hidden.load(Ordering::Relaxed) as u64;
        Geometry { bytes, discards: true, ..whole }
    }

    fn submit(&self, request: Request<FakePage>) -> Submission<'_, FakePage> {
        let what = match &request {
            Request::Read { .. } => "read",
            Request::Write { .. } => "write",
            Request::Flush => "flush",
            Request::Discard { .. } => "discard",
        };
        self.log.lock().unwrap().push(what);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            while self.shut.load(Ordering::Relaxed) {
                yield_now().await;
            }
            if what == "discard" { Ok(Buffer::empty()) } else { self.disk.submit(request).await }
        })
    }
}

/// The domain that serves, and what the toolstack wrote for it.
pub(crate) struct Host {
    pub(crate) xenstored: Xenstored,
    pub(crate) client: Client,
    pub(crate) platform: SimPlatform,
    pub(crate) disks: Disks,
    pub(crate) gate: Arc<Gate>,
    pub(crate) budget: Budget,
    pub(crate) queues: u32,
    pub(crate) failures: Mutex<Vec<String>>,
}

/// Bytes of the disk `ram`, which are all different from page to page.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 512 % 251 + index % 512 * 7) as u8).collect()
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
        write("mode", "w");
        write("params", "ram");
        xenstored.give(BACKEND, 1);
        xenstored.write(&format!("{FRONTEND}/state"), "1");
        let gate = Arc::new(Gate {
            disk: RamDisk::new("gate".into(), vec![0; 1 << 20], 512),
            shut: AtomicBool::new(false),
            hidden: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            log: Mutex::default(),
        });
        let disks = Disks(vec![
            Arc::new(RamDisk::new("ram".into(), content(1 << 20), 512)),
            Arc::new(RamDisk::new("large".into(), content(1 << 20), 4096)),
            Arc::clone(&gate) as Arc<dyn Disk<FakePage>>,
        ]);
        let client = Client::new(xenstored.page());
        Self {
            client,
            xenstored,
            platform: SimPlatform::new(Clock::Stopped),
            disks,
            gate,
            budget: Budget::new(1000),
            queues: 1,
            failures: Mutex::default(),
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
        let free = self.budget.free();
        let report = |failure: &Failure<Error>| self.failures.lock().unwrap().push(failure.to_string());
        let mut back = BlkBack::new(&self.platform, &self.disks, &self.budget, self.queues, report);
        let serve = async {
            let device = Device::open(&self.client, "backend/vbd/7/51712").await.unwrap();
            run(&device, &mut back, &self.platform, LIMIT).await
        };
        let (ended, ()) = self.xenstored.run(&self.client, join(serve, script));
        assert_eq!(ended, Ended::Removed);
        assert_eq!((self.budget.free(), self.budget.mapped(), self.platform.channels()), (free, 0, 0));
    }

    /// Serves one connected frontend while `script` runs.
    pub(crate) fn serve_one<F: Future<Output = ()>>(&self, script: impl FnOnce(Front) -> F) {
        self.serve(async {
            let front = Front::connect(self).await;
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

/// One queue of a frontend that is connected.
pub(crate) struct Front {
    pub(crate) peer: Peer,
    pub(crate) ring: FrontRing,
    pub(crate) far: FarEnd,
    taken: Cell<u32>,
    id: Cell<u64>,
    /// Responses by id, with their operation and status.
    pub(crate) responses: RefCell<Vec<(u64, u8, i16)>>,
}

/// Ports that were used: each connection has another one.
static PORTS: AtomicUsize = AtomicUsize::new(1);

impl Front {
    /// A ring of so many pages, and an event channel, told by keys that begin with `prefix`.
    pub(crate) fn make(host: &Host, prefix: &str, pages: usize) -> Self {
        let peer = host.platform.peer(DOMAIN);
        let ring = FrontRing::make(&peer, pages, size_of::<blkif_request>());
        let port = PORTS.fetch_add(1, Ordering::Relaxed) as u32;
        let far = host.platform.open_port(DOMAIN, port);
        match ring.references().as_slice() {
            [page] => host.front(&format!("{prefix}ring-ref"), page.to_string()),
            pages => {
                for (index, page) in pages.iter().enumerate() {
                    host.front(&format!("{prefix}ring-ref{index}"), page.to_string());
                }
                host.front("ring-page-order", pages.len().ilog2().to_string());
            }
        }
        host.front(&format!("{prefix}event-channel"), port.to_string());
        Self { peer, ring, far, taken: Cell::new(0), id: Cell::new(1), responses: RefCell::default() }
    }

    /// A frontend that connects with a ring of one page.
    pub(crate) async fn connect(host: &Host) -> Self {
        host.be(State::Initialising);
        host.until(State::InitWait).await;
        let front = Self::make(host, "", 1);
        host.be(State::Initialised);
        host.until(State::Connected).await;
        host.be(State::Connected);
        front
    }

    /// Pages with this content, granted for reading and writing.
    pub(crate) fn pages(&self, content: &[u8]) -> Vec<PeerPage> {
        let page = |bytes: &[u8]| self.peer.page(self.peer.offer_to_write(bytes));
        content.chunks(4096).map(page).collect()
    }

    /// An id that was not used before.
    pub(crate) fn id(&self) -> u64 {
        self.id.replace(self.id.get() + 1)
    }

    /// Makes a request, without a look at the responses.
    pub(crate) fn push<E: Entry>(&self, request: E) {
        if self.ring.push(request) {
            self.far.notify();
        }
    }

    /// Takes the responses that are there.
    pub(crate) fn take(&self) {
        // No more than fit: the test may have forged how many there are.
        let there = self.ring.responses().wrapping_sub(self.taken.get()).min(self.ring.capacity());
        for _ in 0..there {
            let response: blkif_response = self.ring.response(self.taken.get());
            self.taken.set(self.taken.get().wrapping_add(1));
            self.responses.borrow_mut().push((response.id, response.operation, response.status));
        }
        self.ring.listen(self.taken.get().wrapping_add(1));
    }

    /// Waits for the response to a request, and returns its operation and status.
    pub(crate) async fn response(&self, id: u64) -> (u8, i16) {
        for _ in 0..20_000 {
            self.take();
            if let Some((_, operation, status)) = self.taken_response(id) {
                return (operation, status);
            }
            yield_now().await;
        }
        panic!("request {id} is not answered");
    }

    /// The same, but looks only when it got an event that it has asked for.
    pub(crate) async fn response_by_event(&self, id: u64) -> (u8, i16) {
        loop {
            // Takes all, and asks for an event at the next one, until there is none.
            let mut before = u32::MAX;
            while before != self.ring.responses() {
                before = self.ring.responses();
                self.take();
            }
            if let Some((_, operation, status)) = self.taken_response(id) {
                return (operation, status);
            }
            self.far.wait().await;
        }
    }

    fn taken_response(&self, id: u64) -> Option<(u64, u8, i16)> {
        let mut responses = self.responses.borrow_mut();
        let place = responses.iter().position(|(known, ..)| *known == id)?;
        Some(responses.swap_remove(place))
    }

    /// Makes a request, and returns its response's status.
    pub(crate) async fn ask(&self, request: blkif_request) -> i16 {
        let id = self.id();
        self.push(blkif_request { id, ..request });
        let (operation, status) = self.response(id).await;
        assert_eq!(operation, request.operation);
        status
    }

    /// A read or write of whole pages.
    pub(crate) async fn transfer(&self, operation: u8, sector: u64, pages: &[PeerPage]) -> i16 {
        self.ask(direct(operation, sector, pages)).await
    }
}

/// A request with these segments.
pub(crate) fn request(operation: u8, sector: u64, segments: &[(u32, u8, u8)]) -> blkif_request {
    let mut request = blkif_request {
        operation,
        sector_number: sector,
        nr_segments: segments.len() as u8,
        ..Default::default()
    };
    for (segment, (gref, first_sect, last_sect)) in request.seg.iter_mut().zip(segments) {
        *segment = blkif_request_segment {
            gref: *gref,
            first_sect: *first_sect,
            last_sect: *last_sect,
            _padding: 0,
        };
    }
    request
}

/// A request of whole pages.
pub(crate) fn direct(operation: u8, sector: u64, pages: &[PeerPage]) -> blkif_request {
    let segments: Vec<_> = pages.iter().map(|page| (page.reference().number(), 0, 7)).collect();
    request(operation, sector, &segments)
}

/// An indirect request of whole pages; its segments are in the first page.
pub(crate) fn indirect(
    operation: u8,
    sector: u64,
    list: &PeerPage,
    pages: &[PeerPage],
) -> blkif_request_indirect {
    for (index, page) in pages.iter().enumerate() {
        let [a, b, c, d] = page.reference().number().to_ne_bytes();
        list.write(index * 8, &[a, b, c, d, 0, 7, 0, 0]);
    }
    let mut request = blkif_request_indirect {
        operation: BLKIF_OP_INDIRECT,
        indirect_op: operation,
        sector_number: sector,
        nr_segments: pages.len() as u16,
        ..Default::default()
    };
    request.indirect_grefs[0] = list.reference().number();
    request
}

/// What is in pages.
pub(crate) fn bytes(pages: &[PeerPage]) -> Vec<u8> {
    pages.iter().flat_map(|page| page.read::<4096>(0)).collect()
}
