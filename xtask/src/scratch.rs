// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories for the files of one run: sockets, logs, links. They have short names without
//! blanks, which QEMU's options and Unix sockets need, and go when the run ends.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Start of the names of all directories; the process and a number follow.
const PREFIX: &str = "prism-";

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
        if count == 0 {
            remove_leftovers();
        }
        let path = env::temp_dir().join(format!("{PREFIX}{}-{count}", process::id()));
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

/// Removes the directories of processes that were killed.
fn remove_leftovers() {
    let entries = fs::read_dir(env::temp_dir()).into_iter().flatten().flatten();
    let is_left_over = |name: &str| owner(name).is_some_and(|pid| !Path::new("/proc").join(pid).exists());
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_left_over)) {
        // Somebody else's, perhaps: then it stays.
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// The process whose directory has this name.
fn owner(name: &str) -> Option<&str> {
    let (pid, count) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let are_numbers = pid.parse::<u32>().is_ok() && count.parse::<u32>().is_ok();
    are_numbers.then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_when_it_is_dropped() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn only_our_own_names_have_an_owner() {
        assert_eq!(owner("prism-12-0"), Some("12"));
        assert_eq!(owner("prism-notes-0"), None);
        assert_eq!(owner("prism-12"), None);
    }
}
