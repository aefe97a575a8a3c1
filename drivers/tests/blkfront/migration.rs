// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that are saved and restored while their disk is in use.

use std::time::Duration;

use futures::future::{Either, join, join_all, select};
use prism_drivers::block::Disk;
use prism_drivers::block::blkfront::{BlkFront, Vbd};
use prism_drivers::sim::{FarEnd, SimPlatform};
use xen::fake::{BackRing, FakePage};
use xen::xenbus::{self, Device, Ended, StepLimit};

use crate::backend::{FRONTEND, Guest, LIMIT, yield_now};

/// Writes of 8 KiB: more than fit into all rings together.
const WRITES: u64 = 400;

/// What a backend offers besides the disk.
type BackendFeatures = &'static [(&'static str, &'static str)];

const FEATURES: [BackendFeatures; 3] = [
    &[],
    &[("feature-persistent", "1"), ("feature-max-indirect-segments", "64")],
    &[("max-ring-page-order", "2"), ("feature-flush-cache", "1")],
];

/// What the kernel does: opens the device again whenever the guest was restored.
async fn drive(guest: &Guest, vbd: &Vbd<'_, SimPlatform>) {
    let mut front = BlkFront::new(vbd, Duration::ZERO);
    loop {
        let device = Device::open(&guest.client, FRONTEND).await.unwrap();
        let ended = xenbus::run(&device, &mut front, &guest.platform, &StepLimit::new(LIMIT)).await;
        assert_eq!(ended, Ended::Restored);
    }
}

/// Answers what is asked until something is the case.
async fn answer_until(guest: &Guest, (ring, channel): (&BackRing, &FarEnd), done: impl Fn() -> bool) {
    let until = async {
        while !done() {
            yield_now().await;
        }
    };
    select(Box::pin(guest.answer(ring, channel, u32::MAX)), Box::pin(until)).await;
}

/// Saves and restores the guest, whose disk was drained. The toolstack makes a device whose backend has
/// these features.
async fn migrate(guest: &Guest, vbd: &Vbd<'_, SimPlatform>, features: BackendFeatures) {
    assert_eq!(vbd.in_flight(), 0);
    guest.platform.migrate();
    guest.xenstored.migrate();
    let mut keys = guest.keys.borrow_mut();
    keys.truncate(1);
    keys.extend(features.iter().map(|(key, value)| (*key, (*value).to_string())));
    drop(keys);
    guest.let_go();
    guest.plug_in();
    guest.client.restore(guest.xenstored.page());
}

#[test]
fn requests_that_wait_are_done_by_the_backends_of_the_restored_guest() {
    let guest = Guest::new(4 << 20, FEATURES[0]);
    let vbd = Vbd::new(&guest.platform, 51712);
    let moves = async {
        for features in FEATURES {
            let (ring, channel) = guest.connect().await;
            guest.answer(&ring, &channel, 3).await;
            // What is in flight is answered; what is not sent waits.
            vbd.hold(true);
            answer_until(&guest, (&ring, &channel), || vbd.in_flight() == 0).await;
            assert!(guest.answered.get() < WRITES as u32, "some wait");
            drop(ring);
            migrate(&guest, &vbd, features).await;
            vbd.hold(false);
        }
        guest.live().await;
    };
    let work = async {
        vbd.probed().await;
        let disk: &dyn Disk<FakePage> = &vbd;
        let writes = (0..WRITES).map(|index| disk.write(index * 8192, guest.buffer(8192, (index + 1) as u8)));
        assert!(join_all(writes).await.iter().all(Result::is_ok));
    };
    let both = Box::pin(join(drive(&guest, &vbd), moves));
    guest.xenstored.run(&guest.client, async {
        match select(both, Box::pin(work)).await {
            Either::Left(_) => unreachable!("neither ends"),
            Either::Right(((), both)) => drop(both),
        }
    });
    let disk = guest.disk.borrow();
    for index in 0..WRITES as usize {
        assert!(
            disk[index * 8192..(index + 1) * 8192].iter().all(|byte| *byte == (index + 1) as u8),
            "{index}"
        );
    }
    drop(disk);
    guest.let_go();
}

#[test]
fn a_backend_that_is_gone_is_sent_nothing_and_a_flush_succeeds_with_the_next() {
    let guest = Guest::new(1 << 20, FEATURES[2]);
    let vbd = Vbd::new(&guest.platform, 51712);
    let moves = async {
        let (ring, channel) = guest.connect().await;
        let is_written = || guest.answered.get() == 1 && vbd.in_flight() == 0;
        answer_until(&guest, (&ring, &channel), is_written).await;
        drop(ring);
        migrate(&guest, &vbd, FEATURES[2]).await;
        guest.live().await;
    };
    let work = async {
        vbd.probed().await;
        let disk: &dyn Disk<FakePage> = &vbd;
        disk.write(0, guest.buffer(4096, 7)).await.unwrap();
        // The toolstack has taken the device away in order: the write is with the disk below.
        disk.flush().await.unwrap();
    };
    let both = Box::pin(join(drive(&guest, &vbd), moves));
    guest.xenstored.run(&guest.client, async {
        match select(both, Box::pin(work)).await {
            Either::Left(_) => unreachable!("neither ends"),
            Either::Right(((), both)) => drop(both),
        }
    });
    guest.let_go();
}
