// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file that a boot loader put into memory, as a disk.

use alloc::boxed::Box;
use alloc::string::String;
use core::future::ready;

use crate::hal::Page;

use crate::block::{Disk, Error, Geometry, Request, Submission};

/// Bytes of a sector.
const SECTOR: u32 = 512;

/// A disk that can only be read. What makes no whole sector at the file's end is not on it.
pub struct RomDisk {
    name: String,
    contents: &'static [u8],
}

impl RomDisk {
    /// The disk with these contents.
    pub fn new(name: String, contents: &'static [u8]) -> Self {
        Self { name, contents }
    }
}

impl<P: Page + 'static> Disk<P> for RomDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &'static str {
        "memory"
    }

    fn geometry(&self) -> Geometry {
        let bytes = self.contents.len() as u64;
        Geometry {
            bytes: bytes - bytes % u64::from(SECTOR),
            sector_size: SECTOR,
            read_only: true,
            removable: false,
            optical: false,
            discards: false,
        }
    }

    fn submit(&self, request: Request<P>) -> Submission<'_, P> {
        let geometry = Disk::<P>::geometry(self);
        let done = match request.checked(&geometry) {
            Ok(Request::Read { offset, mut buffer }) => {
                buffer.copy_from(self.contents.get(offset as usize..).unwrap_or_default());
                Ok(buffer)
            }
            Ok(Request::Flush) => Ok(crate::block::Buffer::empty()),
            Ok(request) => Err(request.failed(Error::ReadOnly)),
            Err(failed) => Err(failed),
        };
        Box::pin(ready(done))
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use xen::fake::{FakePage, FakeXen};

    use super::*;
    use crate::block::Buffer;

    #[test]
    fn a_file_is_read_sector_by_sector_and_cannot_be_written() {
        let xen = FakeXen::new();
        let buffer = || Buffer::new(512, || Some(xen.page())).unwrap();
        let contents: &[u8] = Box::leak((0..1300_u32).map(|byte| (byte / 512) as u8).collect());
        let disk = RomDisk::new("ram0".into(), contents);
        let disk: &dyn Disk<FakePage> = &disk;
        assert_eq!(disk.geometry().bytes, 1024);
        let read = block_on(disk.read(512, buffer())).unwrap();
        assert!(read.pieces().all(|piece| piece.iter().all(|&byte| byte == 1)));
        assert_eq!(block_on(disk.read(1024, buffer())).unwrap_err().error, Error::OutOfRange { bytes: 1024 });
        assert_eq!(block_on(disk.write(0, buffer())).unwrap_err().error, Error::ReadOnly);
    }
}
