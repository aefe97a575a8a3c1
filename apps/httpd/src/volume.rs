// SPDX-License-Identifier: MIT OR Apache-2.0
//! Serves the files of a disk.
//!
//! File systems block. So one body with a stack of its own does all requests to the volume, one after the
//! other, and keeps the open files.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

use prism::blocking::{self, wait};
use prism::disks::{self, ByteRange, Disk};
use prism::embassy_time::{Duration, Instant, TimeoutError, with_deadline};
use prism::sync::blocking_mutex::raw::NoopRawMutex;
use prism::sync::channel::Channel;
use prism::sync::signal::Signal;
use prism::{Context, println};
use prism_fs::OpenFile;
use prism_servers::buffer::zeroed;
use prism_servers::http::{File, ReadError, Site};

/// Bytes that are read from a file at once, and kept for its connection.
pub(crate) const WINDOW: usize = 64 << 10;

/// Instead of a disk's name: the first that has a file system.
const ANY: &str = "disk";

/// Time for disks to be read as far as it takes to know their file systems: those whose backends never
/// answer must not keep others from being served, which have a second each by then.
const LONGEST_MOUNT: Duration = Duration::from_secs(60);

/// Requests that wait; more wait to be put there.
const REQUESTS: usize = 4;

/// A volume.
#[derive(Clone)]
pub(crate) struct Volume(Rc<Shared>);

struct Shared {
    requests: Channel<NoopRawMutex, Request, REQUESTS>,
    /// The numbers of files that nobody reads any more.
    closed: RefCell<Vec<u64>>,
}

enum Request {
    Open(String, Answer<Result<Option<Opened>, ReadError>>),
    /// Of a file by its number, from an offset on.
    Read(u64, u64, Answer<Result<Vec<u8>, ReadError>>),
}

/// Where an answer is put.
type Answer<T> = Rc<Signal<NoopRawMutex, T>>;

/// A file that is open until this is dropped: whoever asked may have gone before it was.
struct Opened {
    shared: Rc<Shared>,
    number: u64,
    length: u64,
    tag: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.closed.borrow_mut().push(self.number);
    }
}

impl Volume {
    /// The volume that `root` names: a disk, or a disk and the number of a partition.
    pub(crate) async fn mount(context: &Context, root: &str) -> prism::Result<Self> {
        if let Some(number) = any(root) {
            let none = || format!("root={root}: no disk has a file system there");
            return Self::mount_any(context, number).await?.ok_or_else(|| none().into());
        }
        let missing = || {
            format!("root={root}: there is no such disk; give builtin, ramdisk, disk, or a name such as xvda")
        };
        let (disk, number) = context.disk_or_partition(root).await.ok_or_else(missing)?;
        let number = number.and_then(|number| number.try_into().ok());
        let end = Instant::now() + LONGEST_MOUNT;
        let mounted = Self::mount_disk(context, disk, number, end).await?;
        Ok(mounted.map_err(|error| format!("root={root}: {error}"))?)
    }

    /// The volume of the first disk that has one, as a whole or in the partition of this number; `None` if
    /// none has.
    pub(crate) async fn mount_any(context: &Context, number: Option<usize>) -> prism::Result<Option<Self>> {
        let disks = context.disks().await;
        let end = Instant::now() + LONGEST_MOUNT;
        for disk in disks {
            match Self::mount_disk(context, Arc::clone(&disk), number, end).await? {
                Ok(volume) => {
                    println!("httpd: the files are those of {}", disk.name());
                    return Ok(Some(volume));
                }
                Err(error) => println!("httpd: no files of {}: {error}", disk.name()),
            }
        }
        Ok(None)
    }

    /// The volume of a disk, or what is wrong with it, which is known at `end`.
    async fn mount_disk(
        context: &Context,
        disk: Arc<Disk>,
        number: Option<usize>,
        end: Instant,
    ) -> prism::Result<prism::Result<Self>> {
        let sector_size = disk.geometry().sector_size as usize;
        let disk = Arc::new(disks::bytes(disk));
        let volume = Self(Rc::new(Shared { requests: Channel::new(), closed: RefCell::default() }));
        let (shared, mounted) = (Rc::clone(&volume.0), Answer::default());
        let (told, failed) = (Rc::clone(&mounted), Rc::clone(&mounted));
        context.spawn(async move {
            let served = blocking::run(move || match mount(disk, sector_size, number) {
                Ok(volume) => {
                    mounted.signal(Ok(()));
                    serve(&*volume, &shared)
                }
                Err(error) => mounted.signal(Err(error)),
            });
            if let Err(error) = served.await {
                failed.signal(Err(format!("{error}").into()));
            }
        })?;
        let end = end.max(Instant::now() + Duration::from_secs(1));
        let silent = |TimeoutError| Err("it does not answer; look at its backend".into());
        Ok(with_deadline(end, told.wait()).await.unwrap_or_else(silent).map(|()| volume))
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> T {
        let answer = Answer::default();
        self.0.requests.send(request(Rc::clone(&answer))).await;
        answer.wait().await
    }
}

/// The number of a partition on whichever disk, or of none, if `root` leaves it open which disk that is.
fn any(root: &str) -> Option<Option<usize>> {
    match root.strip_prefix(ANY)? {
        "" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

fn mount(
    disk: Arc<ByteRange>,
    sector_size: usize,
    number: Option<usize>,
) -> prism::Result<Box<dyn prism_fs::FileSystem>> {
    let place = match number {
        Some(number) => prism_fs::partition(&disk, sector_size, number)?,
        None => disk,
    };
    prism_fs::mount(&place)
}

/// Does what is asked for, for ever.
fn serve(volume: &dyn prism_fs::FileSystem, shared: &Rc<Shared>) {
    let mut files: BTreeMap<u64, Box<dyn OpenFile + '_>> = BTreeMap::new();
    for number in 0.. {
        let request = wait(shared.requests.receive());
        for closed in shared.closed.take() {
            files.remove(&closed);
        }
        match request {
            // Nobody waits for it any more.
            Request::Open(_, answer) if Rc::strong_count(&answer) == 1 => {}
            Request::Read(_, _, answer) if Rc::strong_count(&answer) == 1 => {}
            Request::Open(path, answer) => answer.signal(match volume.open(&path) {
                Ok(None) => Ok(None),
                Ok(Some(file)) => {
                    let shared = Rc::clone(shared);
                    let opened = Opened { shared, number, length: file.length(), tag: file.tag() };
                    files.insert(number, file);
                    Ok(Some(opened))
                }
                Err(error) => Err(failed(&path, &error)),
            }),
            Request::Read(number, offset, answer) => {
                answer.signal(
                    files.get_mut(&number).ok_or(ReadError).and_then(|file| read(&mut **file, offset)),
                );
            }
        }
    }
}

fn read(file: &mut dyn OpenFile, offset: u64) -> Result<Vec<u8>, ReadError> {
    let rest = usize::try_from(file.length().saturating_sub(offset)).unwrap_or(WINDOW);
    let mut window = zeroed(rest.min(WINDOW)).ok_or(ReadError)?;
    let count = file.read(offset, &mut window).map_err(|error| failed("a file", &error))?;
    window.truncate(count);
    Ok(window)
}

fn failed(what: &str, error: &prism::Error) -> ReadError {
    println!("{what:?} cannot be read: {error}");
    ReadError
}

impl Site for Volume {
    type File = VolumeFile;

    async fn open(&self, path: &str) -> Result<Option<VolumeFile>, ReadError> {
        let opened = self.ask(|answer| Request::Open(path.into(), answer)).await?;
        Ok(opened.map(|opened| VolumeFile {
            volume: self.clone(),
            opened,
            window: RefCell::new((0, Vec::new())),
        }))
    }
}

/// An open file of a volume.
pub(crate) struct VolumeFile {
    volume: Volume,
    opened: Opened,
    /// What was read last, and where it is in the file.
    window: RefCell<(u64, Vec<u8>)>,
}

impl VolumeFile {
    /// Copies what the window has from `offset` on, and returns how much.
    fn copy(&self, offset: u64, into: &mut [u8]) -> usize {
        let window = self.window.borrow();
        let (start, bytes) = &*window;
        let skipped = offset.checked_sub(*start).and_then(|skipped| usize::try_from(skipped).ok());
        let rest = skipped.and_then(|skipped| bytes.get(skipped..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        if let (Some(from), Some(into)) = (rest.get(..length), into.get_mut(..length)) {
            into.copy_from_slice(from);
        }
        length
    }
}

impl File for VolumeFile {
    fn length(&self) -> u64 {
        self.opened.length
    }

    fn tag(&self) -> u64 {
        self.opened.tag
    }

    async fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        match self.copy(offset, into) {
            0 if offset < self.opened.length => {
                let bytes =
                    self.volume.ask(|answer| Request::Read(self.opened.number, offset, answer)).await?;
                self.window.replace((offset, bytes));
                Ok(self.copy(offset, into))
            }
            length => Ok(length),
        }
    }
}
