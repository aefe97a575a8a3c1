// SPDX-License-Identifier: MIT OR Apache-2.0

use std::time::Duration;

use arbitrary::Arbitrary;
use futures::FutureExt;
use futures::future::join;
use prism_drivers::block::blkfront::{BlkFront, Vbd};
use prism_drivers::block::{Buffer, Discard, Disk, Error, Request, Submission};
use prism_drivers::hal::Platform;
use prism_drivers::sim::{Clock, FarEnd, SimPlatform};
use prism_fuzz::fuzz_target;
use xen::DomainId;
use xen::fake::{BackRing, FakePage, PeerMapping};
use xen::grant::Reference;
use xen::xenbus::{self, Device, State, StepLimit};
use xen::xenstore::Client;
use xen::xenstore::fake::{Xenstored, page};
use xen_sys::io::blkif::*;

const FRONTEND: &str = "/local/domain/1/device/vbd/51712";
const BACKEND: &str = "/local/domain/3/backend/vbd/1/51712";
const DOMAIN: DomainId = DomainId(3);
const LIMIT: Duration = Duration::from_secs(10);
const BYTES: u64 = 1 << 20;
const QUEUES: u32 = 2;

/// What the backend says of itself.
#[derive(Arbitrary, Debug)]
struct Features {
    ring_order: u8,
    persistent: bool,
    indirect: u16,
    flush: bool,
    barrier: bool,
    discard: bool,
    queues: u8,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// A vCPU asks.
    Transfer {
        write: bool,
        vcpu: u8,
        page: u8,
        pages: u8,
    },
    Flush,
    Discard {
        page: u8,
    },
    /// Whoever asked first waits no more.
    Forget,
    /// The backend answers the next request, perhaps wrongly, and perhaps keeps its pages mapped.
    Answer {
        queue: bool,
        id: Option<u64>,
        operation: Option<u8>,
        status: i16,
        keeps: bool,
    },
    /// It shows what it has answered, and perhaps more, or less.
    Show {
        queue: bool,
        lie: i8,
    },
    Notify {
        queue: bool,
    },
    /// The disk has another size.
    Resize(u16),
    /// The frontend's turn.
    Wait,
    /// The backend leaves, and comes back.
    Restart,
}

fuzz_target!(|input: (Features, Vec<Step>)| {
    let (features, steps) = input;
    let xenstored = Xenstored::new(page());
    let client = Client::new(xenstored.page());
    let platform = SimPlatform::new(Clock::ExpiresAtOnce);
    let machine = Machine { xenstored: &xenstored, platform: &platform, features: &features };
    machine.plug_in();
    {
        let vbd = Vbd::with_queues(&platform, 51712, QUEUES);
        let driver = async {
            let device = Device::open(&client, FRONTEND).await.expect("it is plugged in");
            let mut front = BlkFront::new(&vbd, Duration::ZERO).with_queues(QUEUES);
            xenbus::run(&device, &mut front, &platform, &StepLimit::new(LIMIT)).await;
            vbd.fail(Error::Gone);
            vbd.retire();
        };
        let everybody = join(join(driver, vbd.serve(1, Duration::ZERO)), machine.play(&vbd, &steps));
        let (_, asked) = xenstored.run(&client, everybody);
        for request in asked {
            // Nothing is left waiting when the disk is gone.
            let _ = request.now_or_never().expect("an answer");
        }
        assert_eq!(platform.channels(), 0);
    }
    platform.grants().retry_quarantine();
    assert!(platform.grants().report().is_idle());
});

struct Machine<'m> {
    xenstored: &'m Xenstored,
    platform: &'m SimPlatform,
    features: &'m Features,
}

/// A queue as the backend sees it.
struct Queue {
    ring: BackRing,
    channel: FarEnd,
    answered: u32,
}

impl Machine<'_> {
    fn write(&self, key: &str, value: impl ToString) {
        self.xenstored.write(&format!("{BACKEND}/{key}"), value.to_string());
    }

    fn be(&self, state: State) {
        self.write("state", state.number());
    }

    fn plug_in(&self) {
        for (key, value) in [("backend", BACKEND), ("backend-id", "3"), ("state", "1")] {
            self.xenstored.write(&format!("{FRONTEND}/{key}"), value);
        }
        self.xenstored.give(FRONTEND, 1);
        self.xenstored.give(&format!("{FRONTEND}/state"), 1);
        self.write("online", 1);
        self.be(State::Initialising);
    }

    /// A number that the frontend has written.
    fn number(&self, key: &str) -> Option<u32> {
        let value = self.xenstored.read(&format!("{FRONTEND}/{key}"))?;
        String::from_utf8(value).ok()?.parse().ok()
    }

    /// Waits for the frontend; false if it has better things to do.
    async fn until(&self, state: State) -> bool {
        for _ in 0..2000 {
            if self.number("state") == Some(state.number()) {
                return true;
            }
            yield_now().await;
        }
        false
    }

    async fn connect(&self) -> Vec<Queue> {
        let features = self.features;
        self.write("sectors", BYTES / 512);
        self.write("max-ring-page-order", features.ring_order);
        self.write("feature-persistent", u8::from(features.persistent));
        self.write("feature-max-indirect-segments", features.indirect);
        self.write("feature-flush-cache", u8::from(features.flush));
        self.write("feature-barrier", u8::from(features.barrier));
        self.write("feature-discard", u8::from(features.discard));
        self.write("multi-queue-max-queues", features.queues);
        self.be(State::InitWait);
        if !self.until(State::Initialised).await {
            return Vec::new();
        }
        let queues = match self.number("multi-queue-num-queues") {
            None => vec![self.queue("")],
            Some(count) => (0..count).map(|number| self.queue(&format!("queue-{number}/"))).collect(),
        };
        self.be(State::Connected);
        self.until(State::Connected).await;
        queues
    }

    fn queue(&self, prefix: &str) -> Queue {
        let number = |key: &str| self.number(key).expect("it is published");
        let reference = |key: String| Reference::new(number(&format!("{prefix}{key}"))).expect("a grant");
        let references: Vec<Reference> = match self.number("ring-page-order") {
            Some(order) => (0..1 << order).map(|page| reference(format!("ring-ref{page}"))).collect(),
            None => vec![reference("ring-ref".into())],
        };
        let ring = BackRing::map_references(&self.platform.peer(DOMAIN), references.into_iter(), 112);
        let channel = self.platform.far_end(number(&format!("{prefix}event-channel")));
        Queue { ring, channel, answered: 0 }
    }

    /// Plays the backend and those who ask, and gives back what they wait for when the disk is gone.
    async fn play<'v>(&self, vbd: &'v Vbd<'_, SimPlatform>, steps: &[Step]) -> Vec<Submission<'v, FakePage>> {
        let mut queues = self.connect().await;
        let mut asked = Vec::new();
        let mut kept = Vec::new();
        for step in steps.iter().take(100) {
            match step {
                Step::Wait => {
                    for _ in 0..20 {
                        yield_now().await;
                    }
                }
                Step::Restart => {
                    self.leave(&mut queues, &mut kept).await;
                    queues = self.connect().await;
                }
                Step::Forget if !asked.is_empty() => drop(asked.remove(0)),
                Step::Resize(sectors) => self.write("sectors", sectors),
                Step::Answer { queue, id, operation, status, keeps } => {
                    if let Some(queue) = queues.get_mut(usize::from(*queue)) {
                        kept.extend(self.answer(queue, (*id, *operation), *status).filter(|_| *keeps));
                    }
                }
                Step::Show { queue, lie } => {
                    if let Some(queue) = queues.get(usize::from(*queue)) {
                        let lie = if (-100..100).contains(lie) { 0 } else { i32::from(*lie) };
                        queue.ring.publish(queue.answered.wrapping_add_signed(lie));
                    }
                }
                Step::Notify { queue } => {
                    if let Some(queue) = queues.get(usize::from(*queue)) {
                        queue.channel.notify();
                    }
                }
                step => asked.extend(self.ask(vbd, step)),
            }
        }
        self.write("online", 0);
        self.leave(&mut queues, &mut kept).await;
        asked
    }

    /// Closes, and lets go of all pages.
    async fn leave(&self, queues: &mut Vec<Queue>, kept: &mut Vec<PeerMapping>) {
        self.be(State::Closing);
        self.until(State::Closed).await;
        queues.clear();
        kept.clear();
        self.be(State::Closed);
    }

    fn ask<'v>(&self, vbd: &'v Vbd<'_, SimPlatform>, step: &Step) -> Option<Submission<'v, FakePage>> {
        let request = match step {
            Step::Transfer { write, vcpu, page, pages } => {
                self.platform.be_vcpu(u32::from(*vcpu));
                let length = usize::from(*pages % 40) * 4096;
                let buffer = Buffer::new(length, || self.platform.page())?;
                let offset = u64::from(*page) * 4096;
                if *write { Request::Write { offset, buffer } } else { Request::Read { offset, buffer } }
            }
            Step::Flush => Request::Flush,
            Step::Discard { page } => {
                Request::Discard { offset: u64::from(*page) * 4096, length: 4096, how: Discard::Normal }
            }
            _ => return None,
        };
        Some(vbd.submit(request))
    }

    /// Answers the next request, and gives its first page if it is mapped.
    fn answer(&self, queue: &mut Queue, lie: (Option<u64>, Option<u8>), status: i16) -> Option<PeerMapping> {
        let request: blkif_request = queue.ring.request(queue.answered);
        let waits = queue.ring.requests().wrapping_sub(queue.answered);
        let indirect = request.operation == BLKIF_OP_INDIRECT;
        let operation = request.operation;
        let id = if indirect {
            queue.ring.request::<blkif_request_indirect>(queue.answered).id
        } else {
            request.id
        };
        let mut page = None;
        if (1..=queue.ring.capacity()).contains(&waits)
            && matches!(operation, BLKIF_OP_READ | BLKIF_OP_WRITE)
            && request.nr_segments > 0
        {
            let reference = Reference::new(request.seg[0].gref).expect("a grant");
            // Whatever the frontend shows can be mapped.
            page = self.platform.peer(DOMAIN).map_to_read(reference).ok();
        }
        let response = blkif_response {
            id: lie.0.unwrap_or(id),
            operation: lie.1.unwrap_or(operation),
            status: status % 3,
            ..Default::default()
        };
        queue.ring.respond(queue.answered, response);
        queue.answered = queue.answered.wrapping_add(1);
        page
    }
}

/// Lets everybody else go on.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
