// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks that read files of a file system that blocks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;

use futures::executor::block_on;
use futures::future::{Either, FutureExt, join, select};
use prism_volume::{FileSystem, OpenFile, Requests, Result, Volume, WINDOW};

/// Files in memory; those whose names have a `!` cannot be opened, those with a `?` cannot be read.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    open: Rc<Cell<usize>>,
    /// What was done.
    log: RefCell<Vec<String>>,
}

impl Memory {
    fn with(files: &[(&str, usize)]) -> Self {
        let bytes = |length: usize| (0..length).map(|index| (index * 7 % 251) as u8).collect();
        let files = files.iter().map(|(name, length)| ((*name).to_owned(), bytes(*length))).collect();
        Self { files, ..Self::default() }
    }
}

struct MemoryFile<'m> {
    memory: &'m Memory,
    name: String,
}

impl Drop for MemoryFile<'_> {
    fn drop(&mut self) {
        self.memory.open.set(self.memory.open.get() - 1);
    }
}

impl OpenFile for MemoryFile<'_> {
    fn length(&self) -> u64 {
        self.memory.files[&self.name].len() as u64
    }

    fn tag(&self) -> u64 {
        7
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.memory.log.borrow_mut().push(format!("read {} at {offset}", self.name));
        if self.name.contains('?') {
            return Err("a bad sector".into());
        }
        let rest = &self.memory.files[&self.name][offset as usize..];
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl FileSystem for Memory {
    fn list(&self, _: &str) -> Result<Vec<String>> {
        unimplemented!("not asked for")
    }

    fn read(&self, _: &str) -> Result<Vec<u8>> {
        unimplemented!("not asked for")
    }

    fn write(&self, _: &str, _: &[u8]) -> Result {
        unimplemented!("not asked for")
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn OpenFile + '_>>> {
        self.log.borrow_mut().push(format!("open {path}"));
        if path.contains('!') {
            return Err("a damaged directory".into());
        }
        if !self.files.contains_key(path) {
            return Ok(None);
        }
        self.open.set(self.open.get() + 1);
        Ok(Some(Box::new(MemoryFile { memory: self, name: path.to_owned() })))
    }
}

async fn serve(memory: &Memory, requests: &Requests) {
    let mut server = requests.server(memory);
    loop {
        server.answer(requests.next().await);
    }
}

/// What `client` returns, while its volume is served.
fn served<T>(memory: &Memory, client: impl AsyncFnOnce(Volume) -> T) -> T {
    let (volume, requests) = Volume::new();
    match block_on(select(pin!(client(volume)), pin!(serve(memory, &requests)))) {
        Either::Left((result, _)) => result,
        Either::Right(_) => unreachable!("it serves for ever"),
    }
}

#[test]
fn a_file_is_read_in_windows_whatever_pieces_are_asked_for() {
    let memory = Memory::with(&[("a", WINDOW * 2 + 100)]);
    let read = served(&memory, async |volume| {
        let file = volume.open("a").await.unwrap().unwrap();
        let (mut read, mut piece) = (Vec::new(), [0; 1000]);
        loop {
            match file.read(read.len() as u64, &mut piece).await.unwrap() {
                0 => return (read, file.length(), file.tag()),
                length => read.extend_from_slice(&piece[..length]),
            }
        }
    });
    assert_eq!(read, (memory.files["a"].clone(), WINDOW as u64 * 2 + 100, 7));
    let reads = memory.log.borrow().iter().filter(|line| line.starts_with("read")).count();
    assert_eq!(reads, 3);
}

#[test]
fn a_file_that_is_not_there_is_none_and_one_that_cannot_be_told_of_an_error() {
    let memory = Memory::with(&[]);
    served(&memory, async |volume| {
        assert!(volume.open("a").await.unwrap().is_none());
        let error = volume.open("!").await.err().unwrap();
        assert_eq!(error.to_string(), "\"!\" cannot be read: a damaged directory");
    });
}

#[test]
fn a_file_that_cannot_be_read_keeps_nobody_from_another_one() {
    let memory = Memory::with(&[("a?", 10), ("b", 10)]);
    served(&memory, async |volume| {
        let bad = async {
            let file = volume.open("a?").await.unwrap().unwrap();
            file.read(0, &mut [0; 10]).await
        };
        let good = async {
            let file = volume.open("b").await.unwrap().unwrap();
            file.read(0, &mut [0; 20]).await
        };
        let (bad, good) = join(bad, good).await;
        assert!(bad.unwrap_err().to_string().contains("a bad sector"));
        assert_eq!(good, Ok(10));
    });
}

#[test]
fn a_file_is_closed_when_nobody_has_it_any_more() {
    let memory = Memory::with(&[("a", 10)]);
    let open = Rc::clone(&memory.open);
    served(&memory, async |volume| {
        for _ in 0..3 {
            drop(volume.open("a").await.unwrap());
        }
        let _last = volume.open("a").await.unwrap();
        assert_eq!(open.get(), 1);
    });
}

#[test]
fn nothing_is_done_for_who_has_gone() {
    let memory = Memory::with(&[("a", 10), ("b", 10)]);
    let (volume, requests) = Volume::new();
    // It asks, and goes before the answer.
    assert!(volume.open("a").now_or_never().is_none());
    let later = async { volume.open("b").await.unwrap().is_some() };
    match block_on(select(pin!(later), pin!(serve(&memory, &requests)))) {
        Either::Left((found, _)) => assert!(found),
        Either::Right(_) => unreachable!("it serves for ever"),
    }
    assert_eq!(*memory.log.borrow(), ["open b"]);
}
