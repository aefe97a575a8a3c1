// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work with disks: the guest's own, which must do what it is asked to, and others, which may do anything.

use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::fmt;

use prism::disks::{Disk, Error, buffer};
use prism::embassy_time::{Duration, Timer, with_timeout};
use prism::{Context, println};

use crate::Counter;

/// Bytes of a request to the own disk.
const LENGTH: usize = 8192;
/// How far apart they are, and how many places there are.
const PLACES: u64 = 16;

/// Writes, reads and compares, for as long as the guest runs.
pub(crate) async fn keep_up(disk: Arc<Disk>, rounds: Counter) {
    for round in 0_u64.. {
        if let Err(fault) = one_round(&*disk, round).await {
            println!("its own disk, round {round}: {fault}");
            return rounds.fail();
        }
        rounds.add();
        Timer::after(Duration::from_millis(5)).await;
    }
}

async fn one_round(disk: &Disk, round: u64) -> Result<(), &'static str> {
    let offset = round % PLACES * LENGTH as u64;
    let content = [round as u8; LENGTH];
    let mut data = buffer(LENGTH).ok_or("there is no memory")?;
    data.copy_from(&content);
    let data = disk.write(offset, data).await.map_err(|_| "it cannot be written")?;
    disk.flush().await.map_err(|_| "it cannot be flushed")?;
    let data = disk.read(offset, data).await.map_err(|_| "it cannot be read")?;
    let mut read = [0; LENGTH];
    data.copy_to(&mut read);
    if read == content { Ok(()) } else { Err("something else was read") }
}

/// Tasks for each of the other disks.
const TASKS: usize = 3;

/// How long a task waits for a disk's answer. Then it leaves the request to the disk, and makes another one.
const PATIENCE: Duration = Duration::from_millis(200);

/// What has come of the other disks.
#[derive(Default)]
pub(crate) struct Others(Rc<Shared>);

#[derive(Default)]
struct Shared {
    used: RefCell<BTreeSet<String>>,
    seen: Cell<u64>,
    done: Cell<u64>,
    failed: Cell<u64>,
    late: Cell<u64>,
}

impl Others {
    /// Has tasks use each disk that none does.
    pub(crate) async fn use_all(&mut self, context: &Context, own: &Arc<Disk>) -> prism::Result {
        for disk in context.disks().await {
            if Arc::ptr_eq(&disk, own) || !self.0.used.borrow_mut().insert(disk.name().to_string()) {
                continue;
            }
            self.0.seen.set(self.0.seen.get() + 1);
            for number in 0..TASKS {
                let (shared, disk) = (Rc::clone(&self.0), Arc::clone(&disk));
                context.spawn(async move {
                    shared.use_disk(&*disk, number).await;
                    shared.used.borrow_mut().remove(disk.name());
                })?;
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Makes requests until the disk is gone.
    async fn use_disk(&self, disk: &Disk, number: usize) {
        for turn in 0_u64.. {
            let offset = turn % 8 * 4096;
            let request = async {
                match (number, turn % 8) {
                    (0, _) => self.read(disk, offset, 4096).await,
                    (1, 0) => disk.flush().await,
                    (1, _) => self.write(disk, offset, 512).await,
                    (_, 0) => self.write(disk, offset, 53248).await,
                    (_, 1) => self.read(disk, offset, 65536).await,
                    _ => self.write(disk, offset, 8192).await,
                }
            };
            match with_timeout(PATIENCE, request).await {
                Ok(Ok(())) => self.done.set(self.done.get() + 1),
                Ok(Err(Error::Gone)) => return,
                Ok(Err(_)) => {
                    self.failed.set(self.failed.get() + 1);
                    Timer::after(Duration::from_millis(10)).await;
                }
                Err(_) => self.late.set(self.late.get() + 1),
            }
        }
    }

    async fn read(&self, disk: &Disk, offset: u64, length: usize) -> Result<(), Error> {
        let data = buffer(length).ok_or(Error::NoMemory)?;
        disk.read(offset, data).await.map(drop).map_err(|failed| failed.error)
    }

    async fn write(&self, disk: &Disk, offset: u64, length: usize) -> Result<(), Error> {
        let data = buffer(length).ok_or(Error::NoMemory)?;
        disk.write(offset, data).await.map(drop).map_err(|failed| failed.error)
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { seen, done, failed, late, .. } = &*self.0;
        write!(
            f,
            "{} used, {} requests done, {} failed, {} not answered in time",
            seen.get(),
            done.get(),
            failed.get(),
            late.get()
        )
    }
}
