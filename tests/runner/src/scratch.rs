// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories for the files of one run: sockets, logs, links. They have short names without
//! blanks, which QEMU's options and Unix sockets need, and go when the run ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a fresh directory.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn new() -> Result<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("prism-{}-{count}", process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing to be done about a file that will not go: it is in the temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}
