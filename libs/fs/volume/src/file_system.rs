// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a volume can do, whatever is on it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;

/// What a volume can do. Paths may begin with a slash.
pub trait FileSystem {
    /// The names in a directory; those of directories end with a slash.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn list(&self, path: &str) -> Result<Vec<String>>;

    /// A file's contents.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn read(&self, path: &str) -> Result<Vec<u8>>;

    /// Makes a file with these contents.
    ///
    /// # Errors
    ///
    /// What the file system says: some can only be read.
    fn write(&self, path: &str, bytes: &[u8]) -> Result;

    /// Opens a file to read parts of it; `None` if there is no file of that name.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn open(&self, path: &str) -> Result<Option<Box<dyn OpenFile + '_>>>;
}

/// A file to read parts of.
pub trait OpenFile {
    /// Bytes.
    fn length(&self) -> u64;

    /// A number that is another one when the file was changed, as well as the file system tells.
    fn tag(&self) -> u64;

    /// Reads from `offset` on, and returns how many bytes: all that there is room for, but at the end of
    /// the file. It is quickest from where the last read ended.
    ///
    /// # Errors
    ///
    /// What the file system says.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<usize>;
}
