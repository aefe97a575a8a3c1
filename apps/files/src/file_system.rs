// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wanted of a file system here. All of it is called in blocking code.

use alloc::string::String;
use alloc::vec::Vec;

/// A file system that is mounted.
pub(crate) trait FileSystem {
    /// The names in a directory; those of directories end with a slash.
    fn list(&self, path: &str) -> prism::Result<Vec<String>>;

    /// A file's contents.
    fn read(&self, path: &str) -> prism::Result<Vec<u8>>;

    /// Makes a file with these contents.
    fn write(&self, path: &str, bytes: &[u8]) -> prism::Result;
}
