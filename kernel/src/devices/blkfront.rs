// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks: the kernel's side of `prism_drivers`' blkfront.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::pending;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use embassy_futures::select::{Either, Either3, select, select3};
use log::{info, warn};
use prism_drivers::block::blkfront::{BlkFront, Error, Vbd, is_empty_drive, spread};
use prism_drivers::block::{self, Disk};
use spin::Mutex;
use xen::xenbus::{self, Device, Ended};

use super::xenbus::{STEP_LIMIT, Scan, XenbusDriver};
use super::{Vbds, XenPlatform, emulated};
use crate::devices::disks;
use crate::task::executor;

/// Maximum number of queues of a disk. Each has a task, a ring and an event channel.
const MAX_QUEUES: usize = 8;

/// A disk, and how many of its queues have a task.
type Known = (Arc<Vbd<'static, XenPlatform>>, u32);

/// The driver of paravirtual disks.
pub(crate) struct BlkfrontDriver {
    platform: &'static XenPlatform,
    /// How long to poll for responses before sleeping.
    poll: Duration,
    known: Mutex<BTreeMap<u32, Known>>,
    /// Whether requests are kept from backends.
    held: AtomicBool,
}

impl BlkfrontDriver {
    /// The driver. Applications that ask for disks wait for its first scan from now on.
    pub(crate) fn new(platform: &'static XenPlatform, poll: Duration) -> Self {
        disks::begin_scan();
        Self { platform, poll, known: Mutex::new(BTreeMap::new()), held: AtomicBool::new(false) }
    }

    fn vbd(&self, number: u32) -> Known {
        let mut known = self.known.lock();
        let (vbd, served) = known.entry(number).or_insert_with(|| self.begin(number));
        (Arc::clone(vbd), *served)
    }

    /// Spawns the tasks of a disk's queues, except the first one. Each runs on the vCPU whose requests it
    /// takes.
    fn begin(&self, number: u32) -> Known {
        let vcpus: Vec<u32> = executor::running().take(MAX_QUEUES).collect();
        let vbd = Arc::new(Vbd::with_queues(self.platform, number, vcpus.len() as u32));
        vbd.hold(self.held.load(Ordering::Relaxed));
        let serve = |vcpu: u32| executor::spawn_on(vcpu, serve_queue(Arc::clone(&vbd), vcpu, self.poll));
        let served = spread(&vcpus, |vcpu| serve(vcpu).is_ok());
        (vbd, served)
    }
}

/// Works on the queue that vCPU `number` puts its requests into, on that vCPU; on the boot vCPU once that one
/// is asked to leave.
async fn serve_queue(vbd: Arc<Vbd<'static, XenPlatform>>, number: u32, poll: Duration) {
    // What is to be remembered of a queue is in the disk: its worker may be dropped wherever it waits.
    if let Either::First(()) = select(vbd.serve(number as usize, poll), executor::leaving()).await {
        return;
    }
    let moved = Arc::clone(&vbd);
    let elsewhere = async move { moved.serve(number as usize, poll).await };
    if executor::spawn_on(0, elsewhere).is_err() {
        // There is no memory for another task: the vCPU cannot leave.
        vbd.serve(number as usize, poll).await;
    }
}

impl Vbds for BlkfrontDriver {
    fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
        self.known.lock().values().for_each(|(vbd, _)| vbd.hold(held));
    }

    fn for_each(&self, tell: &mut dyn FnMut(&str, usize)) {
        let known: Vec<_> = self.known.lock().values().map(|(vbd, _)| Arc::clone(vbd)).collect();
        known.iter().for_each(|vbd| tell(vbd.name(), vbd.in_flight()));
    }
}

impl XenbusDriver for BlkfrontDriver {
    const DIRECTORY: &'static str = "vbd";

    type Error = Error;

    fn scanned(&self, devices: &[u32], scan: Scan) {
        if scan == Scan::First {
            emulated::decide_about_disks(devices.len());
            devices.iter().for_each(|number| disks::announce(*number));
            disks::end_scan();
        }
    }

    async fn drive(&self, number: u32, device: Device) -> Ended<Error> {
        let (vbd, queues) = self.vbd(number);
        let mut front = BlkFront::new(&vbd, self.poll).with_queues(queues);
        let present = async {
            let empty = async {
                if !is_empty_drive(&device).await {
                    pending().await
                }
            };
            match select3(vbd.probed(), STEP_LIMIT.passed(self.platform), empty).await {
                Either3::First(()) => info!("disk {}: {}", vbd.name(), vbd.geometry()),
                Either3::Second(()) => {
                    warn!(
                        "disk {}: backend not connected, going on without; the disk appears when it connects",
                        vbd.name()
                    );
                    disks::remove(number);
                    vbd.probed().await;
                }
                Either3::Third(()) => {
                    info!("disk {}: no medium; the disk appears when there is one", vbd.name());
                    disks::remove(number);
                    vbd.probed().await;
                }
            }
            disks::add(number, Arc::clone(&vbd) as Arc<disks::Disk>);
            pending().await
        };
        let run = xenbus::run(&device, &mut front, self.platform, &STEP_LIMIT);
        let ended = match select(run, present).await {
            Either::First(ended) | Either::Second(ended) => ended,
        };
        if ended == Ended::Restored {
            // The disk stays, and its requests wait for the backend that the toolstack has made for it.
            return ended;
        }
        disks::remove(number);
        vbd.fail(block::Error::Gone);
        ended
    }

    fn unusable(&self, number: u32) {
        disks::remove(number);
        let known = self.known.lock().get(&number).cloned();
        if let Some((vbd, _)) = known {
            vbd.fail(block::Error::Gone);
        }
    }

    fn removed(&self, number: u32) {
        self.unusable(number);
        let known = self.known.lock().remove(&number);
        if let Some((vbd, _)) = known {
            vbd.retire();
        }
    }
}
