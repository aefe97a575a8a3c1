// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks of several queues, each for a vCPU.

use std::time::Duration;

use futures::future::{Either, join, join_all, select};
use prism_drivers::block::blkfront::{BlkFront, Vbd};
use prism_drivers::block::{Disk, Error, Request};
use prism_drivers::sim::FarEnd;
use xen::fake::{BackRing, FakePage};
use xen::grant::Reference;
use xen::xenbus::{self, Device, State, StepLimit};
use xen_sys::io::blkif::*;

use crate::backend::{BACKEND, DOMAIN, FRONTEND, Guest, LIMIT, yield_now};

/// Queues that the guest serves.
const QUEUES: u32 = 3;

type Queue = (BackRing, FarEnd);

/// Plays a backend that offers so many queues, until both sides are connected.
async fn connect(guest: &Guest, offered: u32) -> Vec<Queue> {
    guest.until(State::Initialising).await;
    let write = |key: &str, value: &str| guest.xenstored.write(&format!("{BACKEND}/{key}"), value);
    write("sectors", "2048");
    write("multi-queue-max-queues", &offered.to_string());
    guest.be(State::InitWait);
    guest.until(State::Initialised).await;
    let number = |key: String| guest.read(&key).unwrap().parse().unwrap();
    let queue = |prefix: &str| {
        let reference = Reference::new(number(format!("{prefix}ring-ref"))).unwrap();
        let peer = guest.platform.peer(DOMAIN);
        let ring = BackRing::map_references(&peer, [reference].into_iter(), 112);
        (ring, guest.platform.far_end(number(format!("{prefix}event-channel"))))
    };
    let queues = match guest.read("multi-queue-num-queues") {
        None => vec![queue("")],
        Some(count) => {
            let count: u32 = count.parse().unwrap();
            (0..count).map(|number| queue(&format!("queue-{number}/"))).collect()
        }
    };
    guest.be(State::Connected);
    guest.until(State::Connected).await;
    queues
}

/// Answers what is there, having done nothing; how many requests that were.
fn answer((ring, channel): &Queue) -> u32 {
    let (first, end) = (ring.responses(), ring.requests());
    for index in 0..end.wrapping_sub(first) {
        let request: blkif_request = ring.request(first.wrapping_add(index));
        let response = blkif_response { id: request.id, operation: request.operation, ..Default::default() };
        ring.respond(first.wrapping_add(index), response);
    }
    if ring.publish(end) {
        channel.notify();
    }
    end.wrapping_sub(first)
}

/// Runs a disk of three queues with `backend` until `work` is done.
fn run<T>(
    guest: &Guest,
    backend: impl Future<Output = ()>,
    work: impl AsyncFnOnce(&dyn Disk<FakePage>) -> T,
) -> T {
    let vbd = Vbd::with_queues(&guest.platform, 51712, QUEUES);
    let driver = async {
        let device = Device::open(&guest.client, FRONTEND).await.unwrap();
        let mut front = BlkFront::new(&vbd, Duration::ZERO).with_queues(QUEUES);
        xenbus::run(&device, &mut front, &guest.platform, &StepLimit::new(LIMIT)).await;
    };
    let servers = join_all((1..QUEUES as usize).map(|queue| vbd.serve(queue, Duration::ZERO)));
    let everybody = Box::pin(join(join(driver, servers), backend));
    let main = async {
        vbd.probed().await;
        work(&vbd).await
    };
    guest.xenstored.run(&guest.client, async {
        match select(Box::pin(main), everybody).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => panic!("the driver ended"),
        }
    })
}

/// A read of vCPU `vcpu`'s.
async fn read(guest: &Guest, disk: &dyn Disk<FakePage>, vcpu: u32) {
    guest.platform.be_vcpu(vcpu);
    let read = disk.submit(Request::Read { offset: 0, buffer: guest.buffer(512, 0) });
    guest.platform.be_vcpu(0);
    read.await.unwrap();
}

#[test]
fn a_request_goes_over_the_queue_of_the_vcpu_that_asks() {
    let guest = Guest::new(1 << 20, &[]);
    let backend = async {
        let queues = connect(&guest, 16).await;
        assert_eq!(queues.len(), 3);
        for asked in [0, 1, 2, 1] {
            let mut answered = vec![0; queues.len()];
            while answered.iter().sum::<u32>() == 0 {
                yield_now().await;
                answered = queues.iter().map(answer).collect();
            }
            assert_eq!(answered.iter().position(|&count| count == 1), Some(asked));
        }
        std::future::pending().await
    };
    run(&guest, backend, async |disk| {
        // The last one is of a vCPU without a queue of its own.
        for vcpu in [0, 1, 2, 4] {
            read(&guest, disk, vcpu).await;
        }
    });
    assert_eq!(guest.platform.channels(), 0);
}

#[test]
fn what_waits_in_a_queue_that_the_next_backend_lacks_goes_over_another() {
    let guest = Guest::new(1 << 20, &[]);
    let backend = async {
        let queues = connect(&guest, 16).await;
        while queues.iter().map(|(ring, _)| ring.requests()).sum::<u32>() < 3 {
            yield_now().await;
        }
        drop(queues);
        guest.be(State::Closed);
        let queues = connect(&guest, 1).await;
        assert_eq!(queues.len(), 1);
        loop {
            queues.iter().map(answer).for_each(|_| {});
            yield_now().await;
        }
    };
    run(&guest, backend, async |disk| {
        join_all((0..3).map(|vcpu| read(&guest, disk, vcpu))).await;
    });
}

#[test]
fn a_protocol_violation_on_any_queue_ends_the_connection() {
    let guest = Guest::new(1 << 20, &[]);
    let backend = async {
        let queues = connect(&guest, 16).await;
        let (ring, channel) = &queues[2];
        while ring.requests() == 0 {
            yield_now().await;
        }
        ring.respond(0, blkif_response { id: 77, ..Default::default() });
        ring.publish(1);
        channel.notify();
        guest.until(State::Closing).await;
        drop(queues);
        guest.be(State::Closed);
        std::future::pending().await
    };
    run(&guest, backend, async |disk| {
        guest.platform.be_vcpu(2);
        let failed = disk.read(0, guest.buffer(512, 0)).await;
        assert_eq!(failed.unwrap_err().error, Error::Broken);
    });
}
