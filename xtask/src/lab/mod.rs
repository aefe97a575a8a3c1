// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lab: a Debian with Xen and QEMU in a directory, the same on a disk, and machines
//! snapshotted right after boot: with Xen and its dom0, the same with oxenstored, and with KVM.
//!
//! Each stage is cached under `target/lab` with a stamp of everything that went into it, so that
//! a changed recipe or an interrupted build is never mistaken for a finished one.

pub mod agent;
pub mod contention;
pub mod disk;
pub mod machine;
pub mod qemu;
pub mod qmp;
pub mod root;
pub mod snapshot;
pub mod stage;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{host, progress};
use machine::Role;
use snapshot::Snapshot;

/// Disk space that building the lab may take, in bytes.
const SPACE_NEEDED: u64 = 4 << 30;

/// What needs root.
const WORK: &str = "building the lab";

/// The lab's cache directory.
#[derive(Clone, Debug)]
pub struct Lab {
    dir: PathBuf,
}

impl Lab {
    /// The lab cached in `dir`, built or not.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The cache directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The Debian tree, whose QEMU and Xen are used from outside too.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The uncompressed hypervisor, which QEMU's `-kernel` takes.
    pub fn xen(&self) -> PathBuf {
        self.dir.join("xen")
    }

    /// Makes what a QEMU of this machine needs: the tree and the hypervisor.
    ///
    /// # Errors
    /// If the machine lacks rights, space or tools, or the build fails.
    pub fn ensure_root(&self) -> Result<()> {
        if root::is_done(self) {
            return Ok(());
        }
        let _lock = self.lock()?;
        root::ensure(self)
    }

    /// Makes all that a machine of this role needs, and gives its snapshot.
    ///
    /// # Errors
    /// If the machine lacks rights, space or tools, or the build fails.
    pub fn ensure(&self, role: Role) -> Result<Snapshot> {
        let snapshot = Snapshot::of(self, role, machine::memory());
        if root::is_done(self) && snapshot.is_done(self) {
            return Ok(snapshot);
        }
        let _lock = self.lock()?;
        root::ensure(self)?;
        disk::ensure(self)?;
        snapshot::ensure(self, &snapshot)?;
        Ok(snapshot)
    }

    /// Whether a part of it was made here before.
    pub fn is_begun(&self) -> bool {
        root::is_done(self)
    }

    /// Whether what these roles lack can be made here, to be found out before anything that takes long.
    ///
    /// # Errors
    /// If the machine lacks rights or space.
    pub fn require_makeable(&self, roles: &[Role]) -> Result<()> {
        let is_made = |role: &Role| Snapshot::of(self, *role, machine::memory()).is_done(self);
        if root::is_done(self) && roles.iter().all(is_made) {
            return Ok(());
        }
        host::require_root(WORK)?;
        if root::is_done(self) { Ok(()) } else { self.require_space() }
    }

    /// Removes the cache.
    ///
    /// # Errors
    /// If files cannot be removed.
    pub fn clean(&self) -> Result<()> {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))?;
        }
        Ok(())
    }

    /// One line for each stage: made or not, and its size.
    pub fn status(&self) -> Vec<String> {
        let stages = [root::stage(self), disk::stage(self)];
        let snapshots = Role::ALL.map(|role| snapshot::stage(self, role, machine::memory()));
        stages.iter().chain(&snapshots).map(stage::Stage::status).collect()
    }

    fn lock(&self) -> Result<File> {
        host::require_root(WORK)?;
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let path = self.dir.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if file.try_lock().is_err() {
            progress::wait_for("another run, which builds the lab");
            file.lock().context("cannot lock the lab")?;
        }
        Ok(file)
    }

    fn require_space(&self) -> Result<()> {
        host::require_space(&self.dir, SPACE_NEEDED, "the lab")
    }
}
