// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory as a disk: what a boot loader put there, or nothing yet.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::ready;

use crate::hal::Page;
use spin::Mutex;

use crate::block::{Buffer, Disk, Error, Failed, Geometry, Request, Submission};

/// A disk whose contents are in memory, and gone when the guest is.
pub struct RamDisk {
    name: String,
    geometry: Geometry,
    contents: Mutex<Vec<u8>>,
}

impl RamDisk {
    /// A disk of `contents`, without the bytes at its end that make no whole sector.
    pub fn new(name: String, mut contents: Vec<u8>, sector_size: u32) -> Self {
        let sector = sector_size.max(1) as usize;
        contents.truncate(contents.len() - contents.len() % sector);
        let geometry = Geometry {
            bytes: contents.len() as u64,
            sector_size,
            read_only: false,
            removable: false,
            optical: false,
            discards: false,
        };
        Self { name, geometry, contents: Mutex::new(contents) }
    }

    fn read<P: Page>(&self, offset: u64, mut buffer: Buffer<P>) -> Result<Buffer<P>, Failed<P>> {
        let contents = self.contents.lock();
        let from = contents.get(offset as usize..).unwrap_or_default();
        buffer.copy_from(from);
        Ok(buffer)
    }

    fn write<P: Page>(&self, offset: u64, buffer: Buffer<P>) -> Result<Buffer<P>, Failed<P>> {
        let mut contents = self.contents.lock();
        let to = contents.get_mut(offset as usize..).and_then(|to| to.get_mut(..buffer.length()));
        buffer.copy_to(to.unwrap_or_default());
        Ok(buffer)
    }
}

impl<P: Page + 'static> Disk<P> for RamDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &'static str {
        "memory"
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: Request<P>) -> Submission<'_, P> {
        let done = match request.checked(&self.geometry) {
            Ok(Request::Read { offset, buffer }) => self.read(offset, buffer),
            Ok(Request::Write { offset, buffer }) => self.write(offset, buffer),
            Ok(Request::Flush) => Ok(Buffer::empty()),
            Ok(request @ Request::Discard { .. }) => Err(request.failed(Error::Unsupported)),
            Err(failed) => Err(failed),
        };
        Box::pin(ready(done))
    }
}
