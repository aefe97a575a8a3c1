// SPDX-License-Identifier: MIT OR Apache-2.0
//! A block backend, honest unless it is told otherwise, and the guest that it serves.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;

use crate::failing;
/// Lets everybody else go on.
pub(crate) use embassy_futures::yield_now;
use futures::future::{Either, join, select};
use prism_drivers::block::blkfront::{BlkFront, Error, Vbd};
use prism_drivers::block::{Buffer, Disk};
use prism_drivers::hal::Platform;
use prism_drivers::sim::{Clock, FarEnd, SimPlatform};
use xen::DomainId;
use xen::fake::{BackRing, FakePage, Peer, PeerMapping};
use xen::grant::Reference;
use xen::xenbus::{self, Device, Ended, State, StepLimit};
use xen::xenstore::Client;
use xen::xenstore::fake::{Xenstored, page};
use xen_sys::io::blkif::*;

pub(crate) const FRONTEND: &str = "/local/domain/1/device/vbd/51712";
pub(crate) const BACKEND: &str = "/local/domain/3/backend/vbd/1/51712";
pub(crate) const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
pub(crate) const DOMAIN: DomainId = DomainId(3);

/// A dishonesty.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Answers with another id.
    Id(fn(u64) -> u64),
    /// Answers with the id of the request before.
    StaleId,
    /// Answers with another operation.
    Operation(u8),
    /// Answers with this status, having done nothing.
    Status(i16),
    /// Claims this many answers more than there are.
    Jump(u32),
    /// Answers, and keeps the pages mapped.
    KeepPages,
    /// Changes the answer after it was published.
    Mutate,
    /// Never answers.
    NoResponse,
}

/// What there is of disk and backend.
pub(crate) struct Guest {
    pub(crate) xenstored: Xenstored,
    pub(crate) client: Client,
    pub(crate) platform: SimPlatform,
    pub(crate) disk: RefCell<Vec<u8>>,
    /// The first sector that it has the bytes of: a disk may be larger than the developer's memory.
    pub(crate) first_sector: Cell<u64>,
    /// What it says in xenstore.
    pub(crate) keys: RefCell<Vec<(&'static str, String)>>,
    /// The request of this number, counted from 0 over all connections, is answered with a fault.
    pub(crate) fault: Cell<Option<(u32, Fault)>>,
    /// Requests of this operation are answered with `BLKIF_RSP_EOPNOTSUPP`.
    pub(crate) refused: Cell<Option<u8>>,
    /// A page of a request had something in it that was not for the backend.
    pub(crate) saw_old_content: Cell<bool>,
    /// Requests that were answered.
    pub(crate) answered: Cell<u32>,
    /// Requests that it got, by their operation's number.
    pub(crate) operations: RefCell<HashMap<u8, u32>>,
    /// Events that it got.
    pub(crate) events: Cell<u64>,
    /// Its directory.
    backend: Cell<&'static str>,
    /// Rings that it keeps.
    pub(crate) kept_rings: RefCell<Vec<BackRing>>,
    /// Pages that it keeps.
    kept: RefCell<Vec<PeerMapping>>,
    /// Pages that it maps only once.
    persistent: RefCell<HashMap<u32, PeerMapping>>,
    last: Cell<u64>,
}

impl Guest {
    /// A guest with a disk of so many bytes, whose backend says `keys` besides its size.
    pub(crate) fn new(bytes: usize, keys: &[(&'static str, &str)]) -> Self {
        Self::with(SimPlatform::new(Clock::Stopped), bytes, keys)
    }

    pub(crate) fn with(platform: SimPlatform, bytes: usize, keys: &[(&'static str, &str)]) -> Self {
        let xenstored = Xenstored::new(page());
        let client = Client::new(xenstored.page());
        let mut all = vec![("sectors", (bytes / 512).to_string())];
        all.extend(keys.iter().map(|(key, value)| (*key, (*value).to_string())));
        let guest = Self {
            xenstored,
            client,
            platform,
            disk: RefCell::new(vec![0; bytes]),
            first_sector: Cell::new(0),
            keys: RefCell::new(all),
            fault: Cell::new(None),
            refused: Cell::new(None),
            saw_old_content: Cell::new(false),
            answered: Cell::new(0),
            operations: RefCell::default(),
            events: Cell::new(0),
            backend: Cell::new(BACKEND),
            kept_rings: RefCell::default(),
            kept: RefCell::default(),
            persistent: RefCell::default(),
            last: Cell::new(0),
        };
        guest.plug_in();
        guest
    }

    /// What the toolstack does for a new disk.
    pub(crate) fn plug_in(&self) {
        let write = |path: String, value: &str| self.xenstored.write(&path, value);
        let backend = self.backend.get();
        write(format!("{FRONTEND}/backend"), backend);
        write(format!("{FRONTEND}/backend-id"), "3");
        write(format!("{FRONTEND}/state"), "1");
        self.xenstored.give(FRONTEND, 1);
        self.xenstored.give(&format!("{FRONTEND}/state"), 1);
        write(format!("{backend}/online"), "1");
        self.be(State::Initialising);
    }

    /// Has the backend be in another directory.
    pub(crate) fn serve_from(&self, backend: &'static str) {
        self.backend.set(backend);
        self.plug_in();
    }

    /// The backend's state.
    pub(crate) fn be(&self, state: State) {
        self.xenstored.write(&format!("{}/state", self.backend.get()), state.number().to_string());
    }

    pub(crate) fn front_state(&self) -> Option<State> {
        let value = self.read("state")?;
        State::from_number(value.parse().unwrap())
    }

    /// A key of the frontend's.
    pub(crate) fn read(&self, key: &str) -> Option<String> {
        let value = self.xenstored.read(&format!("{FRONTEND}/{key}"))?;
        Some(String::from_utf8(value).unwrap())
    }

    /// Waits until the frontend is in this state.
    pub(crate) async fn until(&self, state: State) {
        for _ in 0..20_000 {
            if self.front_state() == Some(state) {
                return;
            }
            yield_now().await;
        }
        panic!("the frontend is {:?}, not {state:?}", self.front_state());
    }

    /// Runs the driver, with a backend as `script` plays it, for as long as `work` lasts.
    pub(crate) fn play<T>(
        &self,
        script: impl Future<Output = ()>,
        work: impl AsyncFnOnce(&dyn Disk<FakePage>) -> T,
    ) -> (T, Option<Ended<Error>>) {
        let vbd = Vbd::new(&self.platform, 51712);
        let driver = async {
            let device = Device::open(&self.client, FRONTEND).await.unwrap();
            let mut front = BlkFront::new(&vbd, std::time::Duration::ZERO);
            let limit = StepLimit::new(LIMIT);
            let ended = failing::driver(xenbus::run(&device, &mut front, &self.platform, &limit)).await;
            vbd.fail(prism_drivers::block::Error::Gone);
            ended
        };
        let main = async {
            vbd.probed().await;
            work(&vbd).await
        };
        let both = Box::pin(join(driver, script));
        let result = self.xenstored.run(&self.client, async {
            match select(both, Box::pin(main)).await {
                Either::Left(((ended, ()), main)) => (main.await, Some(ended)),
                Either::Right((result, both)) => {
                    drop(both);
                    (result, None)
                }
            }
        });
        // What the backend maps is not the driver's fault.
        self.let_go();
        result
    }

    /// Runs the driver with an honest backend until `work` is done.
    pub(crate) fn serve<T>(&self, work: impl AsyncFnOnce(&dyn Disk<FakePage>) -> T) -> T {
        self.play(self.live(), work).0
    }

    /// Lets go of all pages.
    pub(crate) fn let_go(&self) {
        self.kept.borrow_mut().clear();
        self.persistent.borrow_mut().clear();
        self.platform.grants().retry_quarantine();
    }

    /// A buffer of so many bytes, each `fill`.
    pub(crate) fn buffer(&self, length: usize, fill: u8) -> Buffer<FakePage> {
        let mut buffer = Buffer::new(length, || self.platform.page()).unwrap();
        buffer.copy_from(&vec![fill; length]);
        buffer
    }

    /// The backend's life: offers, connects, answers for ever.
    pub(crate) async fn live(&self) {
        let (ring, channel) = self.connect().await;
        self.answer(&ring, &channel, u32::MAX).await;
    }

    /// The backend's life until both sides are connected.
    pub(crate) async fn connect(&self) -> (BackRing, FarEnd) {
        self.until(State::Initialising).await;
        self.tell(|key| matches!(key, "max-ring-page-order" | "multi-queue-max-queues"));
        self.be(State::InitWait);
        self.until(State::Initialised).await;
        let reference = |key: &str| Reference::new(self.read(key)?.parse().ok()?);
        let references: Vec<_> = match self.read("ring-page-order") {
            Some(order) => {
                let pages = 1 << order.parse::<u32>().unwrap();
                (0..pages).map(|page| reference(&format!("ring-ref{page}")).unwrap()).collect()
            }
            None => vec![reference("ring-ref").unwrap()],
        };
        assert_eq!(self.read("protocol").unwrap(), "x86_64-abi");
        let ring = BackRing::map_references(&self.peer(), references.into_iter(), 112);
        let channel = self.platform.far_end(self.read("event-channel").unwrap().parse().unwrap());
        self.tell(|_| true);
        self.be(State::Connected);
        self.until(State::Connected).await;
        (ring, channel)
    }

    /// Says what there is to say about these keys. As Linux's does, the backend tells of the numbers of pages
    /// and queues before there is a ring, and of all else when it connects.
    fn tell(&self, which: impl Fn(&str) -> bool) {
        for (key, value) in self.keys.borrow().iter().filter(|(key, _)| which(key)) {
            self.xenstored.write(&format!("{}/{key}", self.backend.get()), value);
        }
    }

    /// Whether the backend keeps pages mapped.
    fn is_persistent(&self) -> bool {
        let offered = self.keys.borrow().iter().any(|key| *key == ("feature-persistent", "1".to_owned()));
        offered && self.read("feature-persistent").as_deref() == Some("1")
    }

    fn peer(&self) -> Peer {
        self.platform.peer(DOMAIN)
    }

    /// Answers so many requests.
    pub(crate) async fn answer(&self, ring: &BackRing, channel: &FarEnd, count: u32) {
        let mut next = ring.responses();
        let end = next.wrapping_add(count);
        loop {
            while next != ring.requests() {
                if next == end {
                    return;
                }
                let fault = self.fault.get().filter(|(number, _)| *number == self.answered.get());
                self.answered.set(self.answered.get() + 1);
                self.answer_one(ring, next, fault.map(|(_, fault)| fault));
                next = next.wrapping_add(1);
                let claimed = match fault {
                    Some((_, Fault::Jump(jump))) => next.wrapping_add(jump),
                    Some((_, Fault::NoResponse)) => {
                        std::future::pending::<()>().await;
                        next
                    }
                    _ => next,
                };
                if ring.publish(claimed) {
                    channel.notify();
                }
                if let Some((_, Fault::Mutate)) = fault {
                    yield_now().await;
                    ring.respond(next.wrapping_sub(1), blkif_response { id: !0, ..Default::default() });
                }
            }
            self.events.set(channel.events());
            ring.listen(next.wrapping_add(1));
            if next == ring.requests() {
                channel.wait().await;
            }
        }
    }

    /// Begins to read what the first request, which is to write, says, and does not answer.
    pub(crate) async fn begin_a_write(&self, ring: &BackRing) {
        while ring.requests() == 0 {
            yield_now().await;
        }
        let reference = Reference::new(ring.request::<blkif_request>(0).seg[0].gref).unwrap();
        self.kept.borrow_mut().push(self.peer().map_to_read(reference).unwrap());
    }

    fn answer_one(&self, ring: &BackRing, index: u32, fault: Option<Fault>) {
        let request: blkif_request = ring.request(index);
        *self.operations.borrow_mut().entry(request.operation).or_default() += 1;
        let (id, operation, segments, sector) = match request.operation {
            BLKIF_OP_INDIRECT => {
                let indirect: blkif_request_indirect = ring.request(index);
                (indirect.id, indirect.indirect_op, self.indirect_segments(&indirect), indirect.sector_number)
            }
            BLKIF_OP_DISCARD => {
                let discard: blkif_request_discard = ring.request(index);
                let range = discard.sector_number as usize * 512..;
                self.disk.borrow_mut()[range][..discard.nr_sectors as usize * 512].fill(0);
                (discard.id, discard.operation, Vec::new(), 0)
            }
            operation => {
                let count = usize::from(request.nr_segments);
                (request.id, operation, request.seg[..count].to_vec(), request.sector_number)
            }
        };
        let status = match fault {
            Some(Fault::Status(status)) => status,
            _ if self.refused.get() == Some(request.operation) => BLKIF_RSP_EOPNOTSUPP,
            _ => self.transfer(operation, &segments, sector, matches!(fault, Some(Fault::KeepPages))),
        };
        let mut response = blkif_response { id, operation, status, ..Default::default() };
        match fault {
            Some(Fault::Id(other)) => response.id = other(id),
            Some(Fault::StaleId) => response.id = self.last.get(),
            Some(Fault::Operation(operation)) => response.operation = operation,
            _ => {}
        }
        self.last.set(id);
        ring.respond(index, response);
    }

    fn indirect_segments(&self, request: &blkif_request_indirect) -> Vec<blkif_request_segment> {
        let page = self.peer().map_to_read(Reference::new(request.indirect_grefs[0]).unwrap()).unwrap();
        let segment = |index: usize| {
            let bytes: [u8; 8] = page.read(index * 8);
            blkif_request_segment {
                gref: u32::from_ne_bytes(bytes[..4].try_into().unwrap()),
                first_sect: bytes[4],
                last_sect: bytes[5],
                _padding: 0,
            }
        };
        (0..usize::from(request.nr_segments)).map(segment).collect()
    }

    fn transfer(&self, operation: u8, segments: &[blkif_request_segment], sector: u64, keep: bool) -> i16 {
        let mut disk = self.disk.borrow_mut();
        let Some(sector) = sector.checked_sub(self.first_sector.get()) else { return BLKIF_RSP_ERROR };
        let mut at = sector as usize * 512;
        let persistent = self.is_persistent();
        for segment in segments {
            assert!(segment.first_sect <= segment.last_sect && segment.last_sect < 8);
            let start = usize::from(segment.first_sect) * 512;
            let length = (usize::from(segment.last_sect - segment.first_sect) + 1) * 512;
            let Some(bytes) = disk.get_mut(at..at + length) else { return BLKIF_RSP_ERROR };
            let reference = Reference::new(segment.gref).unwrap();
            let write = operation == BLKIF_OP_READ || persistent;
            let map = || {
                let mapped = if write {
                    self.peer().map_to_write(reference)
                } else {
                    self.peer().map_to_read(reference)
                };
                mapped.expect("the page of a request can be mapped")
            };
            let mut pages = self.persistent.borrow_mut();
            let fresh;
            let page = if persistent {
                pages.entry(segment.gref).or_insert_with(map)
            } else {
                fresh = map();
                &fresh
            };
            if !persistent {
                let start = if operation == BLKIF_OP_READ { 0 } else { start + length };
                let seen = (start..4096).step_by(512).any(|at| page.read::<512>(at) != [0; 512]);
                self.saw_old_content.set(self.saw_old_content.get() | seen);
            }
            for (offset, sector) in bytes.chunks_mut(512).enumerate() {
                match operation {
                    BLKIF_OP_READ => page.write(start + offset * 512, sector),
                    BLKIF_OP_WRITE => sector.copy_from_slice(&page.read::<512>(start + offset * 512)),
                    _ => panic!("operation {operation} with segments"),
                }
            }
            if keep {
                self.kept.borrow_mut().push(map());
            }
            at += length;
        }
        BLKIF_RSP_OKAY
    }
}
