// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of a disk as a site.

use prism::println;
use prism_fs::Volume;
use prism_servers::http::{File, ReadError, Site};

/// A site on a disk.
pub(crate) struct DiskSite(pub(crate) Volume);

impl Site for DiskSite {
    type File = DiskFile;

    async fn open(&self, path: &str) -> Result<Option<DiskFile>, ReadError> {
        Ok(self.0.open(path).await.map_err(|error| told(&error))?.map(DiskFile))
    }
}

/// An open file of a site on a disk.
pub(crate) struct DiskFile(prism_fs::File);

impl File for DiskFile {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn tag(&self) -> u64 {
        self.0.tag()
    }

    async fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        self.0.read(offset, into).await.map_err(|error| told(&error))
    }
}

fn told(error: &prism_fs::ReadError) -> ReadError {
    println!("{error}");
    ReadError
}
