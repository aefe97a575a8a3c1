// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads from every vCPU, and a disk that grows.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use prism::disks::{self, Disk};
use prism::task::{Duration, sleep};
use prism::{Context, println};

use crate::pipeline::{BLOCK, Order, Reads};

/// How often others are looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads that each vCPU has on their way at once.
const DEPTH: usize = 8;

/// Reads `count` blocks on each vCPU, all at the same time.
pub(crate) async fn spread(context: &Context, disk: Arc<Disk>, count: u64) -> prism::Result<bool> {
    static GOOD: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    let mut vcpus = 0;
    for vcpu in context.vcpus() {
        let disk = Arc::clone(&disk);
        let reads = Reads { order: Order::Random, depth: DEPTH, size: BLOCK, count };
        context.spawn_on(vcpu, async move {
            match reads.run(&*disk).await {
                Ok(()) => drop(GOOD.fetch_add(1, Ordering::Relaxed)),
                Err(failed) => println!("vcpu {vcpu}: {}", failed.error),
            }
            DONE.fetch_add(1, Ordering::Relaxed);
        })?;
        vcpus += 1;
    }
    while DONE.load(Ordering::Relaxed) < vcpus {
        sleep(PAUSE).await;
    }
    println!("{vcpus} vcpus read {count} blocks each of {}", disk.name());
    Ok(GOOD.load(Ordering::Relaxed) == vcpus)
}

/// Reads again and again until the disk is larger, and then its last block.
pub(crate) async fn grow(disk: &Disk) -> prism::Result<bool> {
    let before = disk.geometry().bytes;
    println!("waiting for {} to grow", disk.name());
    let block = || disks::buffer(BLOCK).ok_or("there is no memory");
    while disk.geometry().bytes == before {
        disk.read(0, block()?).await?;
        sleep(PAUSE).await;
    }
    let after = disk.geometry().bytes;
    disk.read(after - BLOCK as u64, block()?).await?;
    println!("{} grew from {before} to {after} bytes", disk.name());
    Ok(after > before)
}
