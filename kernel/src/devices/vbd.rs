// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use embassy_futures::select::{Either, select};
use log::{info, warn};
use prism_drivers::blkfront::{Error, Front, Vbd};
use prism_drivers::block::{self, Disk};
use spin::Mutex;
use xen::xenbus::{self, Device, Ended};
use xen::xenstore::Delay;

use super::{Class, XenPlatform, emulated};
use crate::disks;

/// Time that each step of the handshake may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The class of paravirtual disks.
pub(crate) struct Vbds {
    platform: &'static XenPlatform,
    /// How long to look for answers before sleeping.
    poll: Duration,
    known: Mutex<BTreeMap<u32, Arc<Vbd<'static, XenPlatform>>>>,
    searched: AtomicBool,
}

impl Vbds {
    /// The class; applications that ask for disks wait for it from now on.
    pub(crate) fn new(platform: &'static XenPlatform, poll: Duration) -> Self {
        disks::begin_search();
        Self { platform, poll, known: Mutex::new(BTreeMap::new()), searched: AtomicBool::new(false) }
    }

    fn vbd(&self, number: u32) -> Arc<Vbd<'static, XenPlatform>> {
        let mut known = self.known.lock();
        Arc::clone(known.entry(number).or_insert_with(|| Arc::new(Vbd::new(self.platform, number))))
    }
}

impl Class for Vbds {
    const DIRECTORY: &'static str = "vbd";

    type Error = Error;

    fn found(&self, devices: &[u32]) {
        if !self.searched.swap(true, Ordering::Relaxed) {
            emulated::decide_about_disks(devices.len());
            devices.iter().for_each(|number| disks::announce(*number));
            disks::end_search();
        }
    }

    async fn drive(&self, number: u32, device: Device) -> Ended<Error> {
        let vbd = self.vbd(number);
        let mut front = Front::new(&vbd, self.poll);
        let present = async {
            match select(vbd.settled(), self.platform.delay(LIMIT)).await {
                Either::First(()) => {
                    info!("disk {}: {}", vbd.name(), vbd.geometry());
                    disks::add(number, Arc::clone(&vbd) as Arc<disks::Disk>);
                }
                Either::Second(()) => {
                    warn!("disk {}: its backend does not connect; it is used when it does", vbd.name());
                    disks::remove(number);
                    vbd.settled().await;
                    disks::add(number, Arc::clone(&vbd) as Arc<disks::Disk>);
                }
            }
            core::future::pending().await
        };
        let run = xenbus::run(&device, &mut front, self.platform, LIMIT);
        let ended = match select(run, present).await {
            Either::First(ended) | Either::Second(ended) => ended,
        };
        disks::remove(number);
        vbd.fail(block::Error::Gone);
        ended
    }

    fn gone(&self, number: u32) {
        self.known.lock().remove(&number);
    }
}
