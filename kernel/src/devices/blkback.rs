// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks for other domains: the kernel's side of `prism_drivers`' blkback.

use prism_drivers::block::blkback::{BlkBack, Budget, Export, Exports};
use spin::Once;
use xen::xenbus::backend::{Device, Ended, run};

use super::XenPlatform;
use super::backends::{BackendDriver, STEP_LIMIT, ServeError, report, serve_class};
use crate::app::Context;
use crate::devices::{disks, start_disks};
use crate::hypervisor::grant::OwnPage;
use crate::hypervisor::xenstore;
use crate::memory;

/// Memory for the data of all requests: a part of what is free, in bytes and as a divisor.
const LEAST: usize = 1 << 20;
const MOST: usize = 16 << 20;
const SHARE: usize = 4;

/// Queues of a device. They share its task.
const QUEUES: u32 = 1;

/// The driver that serves this domain's disks.
pub(crate) struct BlkbackDriver {
    platform: &'static XenPlatform,
    budget: Budget,
}

/// Serves this domain's disks to others, for ever, or until that is not possible.
pub(crate) async fn serve(context: &Context) -> ServeError {
    static DRIVER: Once<BlkbackDriver> = Once::new();
    let (Some(store), Some(platform)) = (xenstore::client(), XenPlatform::get()) else {
        return ServeError::NoXen;
    };
    start_disks(context);
    let driver = DRIVER.call_once(|| {
        let bytes = (memory::usage().free as usize / SHARE).clamp(LEAST, MOST);
        BlkbackDriver { platform, budget: Budget::new(bytes / prism_boot::PAGE_SIZE as usize) }
    });
    serve_class(driver, store).await
}

impl BackendDriver for BlkbackDriver {
    const CLASS: &'static str = "vbd";

    async fn serve(&self, device: &Device) -> Ended {
        let mut backend = BlkBack::new(self.platform, &LocalDisks, &self.budget, QUEUES, report(device));
        run(device, &mut backend, self.platform, STEP_LIMIT).await
    }
}

/// The disks of this domain, by the names that applications have for them, too.
struct LocalDisks;

impl Exports<OwnPage> for LocalDisks {
    async fn find(&self, name: &str) -> Option<Export<OwnPage>> {
        let (disk, partition) = disks::find(name).await?;
        let Some(number) = partition else { return Some(Export::whole(disk)) };
        let sector_size = disk.geometry().sector_size;
        let partitions = disks::partitions(&disks::bytes(disk.clone()), sector_size).await.ok()?;
        let found = partitions.into_iter().find(|partition| partition.number == number)?;
        Some(Export::part(disk, found))
    }
}
