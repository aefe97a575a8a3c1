// SPDX-License-Identifier: MIT OR Apache-2.0
//! Volumes of files on disks, for tasks.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::sync::Arc;

use prism::blocking::{self, wait};
use prism::disks::{self, ByteRange, Disk};
use prism::embassy_time::{Duration, Instant, TimeoutError, with_deadline};
use prism::sync::blocking_mutex::raw::NoopRawMutex;
use prism::sync::signal::Signal;
use prism::{Context, log};
use prism_volume::{FileSystem, Volume};

/// Instead of a disk's name: the first that has a file system.
const ANY: &str = "disk";

/// Time for disks to be read as far as it takes to know their file systems: those whose backends never
/// answer must not keep others from being served, which have a second each by then.
const LONGEST_MOUNT: Duration = Duration::from_secs(60);

/// The files of the volume that `name` names: `xvda` is that disk, `xvda1` a partition of it, `disk` the
/// first disk that has a file system, `disk1` the first that has one in that partition.
///
/// # Errors
///
/// If there is no such disk, or nothing on it that is known.
pub async fn volume(context: &Context, name: &str) -> prism::Result<Volume> {
    if let Some(partition) = any(name) {
        let none = || format!("{name}: no disk has a file system there");
        return first_volume(context, partition).await?.ok_or_else(|| none().into());
    }
    let missing = || format!("{name}: there is no such disk; give disk, or a name such as xvda");
    let (disk, partition) = context.disk_or_partition(name).await.ok_or_else(missing)?;
    let partition = partition.and_then(|number| number.try_into().ok());
    let end = Instant::now() + LONGEST_MOUNT;
    let mounted = mount_disk(context, disk, partition, end).await?;
    Ok(mounted.map_err(|error| format!("{name}: {error}"))?)
}

/// The files of the first disk that has some, as a whole or in the partition of this number; `None` if none
/// has. The log tells which disk that is, and what is wrong with those before it.
///
/// # Errors
///
/// If there is no memory for a task.
pub async fn first_volume(context: &Context, partition: Option<usize>) -> prism::Result<Option<Volume>> {
    let disks = context.disks().await;
    let end = Instant::now() + LONGEST_MOUNT;
    for disk in disks {
        match mount_disk(context, Arc::clone(&disk), partition, end).await? {
            Ok(volume) => {
                log::info!("the files are those of {}", disk.name());
                return Ok(Some(volume));
            }
            Err(error) => log::info!("no files of {}: {error}", disk.name()),
        }
    }
    Ok(None)
}

/// The volume of a disk, or what is wrong with it, which is known at `end`.
async fn mount_disk(
    context: &Context,
    disk: Arc<Disk>,
    partition: Option<usize>,
    end: Instant,
) -> prism::Result<prism::Result<Volume>> {
    let sector_size = disk.geometry().sector_size as usize;
    let disk = Arc::new(disks::bytes(disk));
    let (volume, requests) = Volume::new();
    let told: Rc<Signal<NoopRawMutex, prism::Result>> = Rc::default();
    let (mounted, failed) = (Rc::clone(&told), Rc::clone(&told));
    context.spawn(async move {
        let served = blocking::run(move || match mount(disk, sector_size, partition) {
            Ok(file_system) => {
                mounted.signal(Ok(()));
                let mut server = requests.server(&*file_system);
                loop {
                    server.answer(wait(requests.next()));
                }
            }
            Err(error) => mounted.signal(Err(error)),
        });
        if let Err(error) = served.await {
            failed.signal(Err(error.into()));
        }
    })?;
    let end = end.max(Instant::now() + Duration::from_secs(1));
    let silent = |TimeoutError| Err("it does not answer; look at its backend".into());
    Ok(with_deadline(end, told.wait()).await.unwrap_or_else(silent).map(|()| volume))
}

/// The number of a partition on whichever disk, or of none, if `name` leaves it open which disk that is.
fn any(name: &str) -> Option<Option<usize>> {
    match name.strip_prefix(ANY)? {
        "" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

fn mount(
    disk: Arc<ByteRange>,
    sector_size: usize,
    partition: Option<usize>,
) -> prism::Result<Box<dyn FileSystem>> {
    let place = match partition {
        Some(number) => crate::partition(&disk, sector_size, number)?,
        None => disk,
    };
    crate::mount(&place)
}
