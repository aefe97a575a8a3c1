// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lab's disk: the tree as an ext4 image, made without mounting anything.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::stage::Stage;
use super::{Lab, root};
use crate::host;

const INIT: &str = include_str!("init.sh");

/// Name of the init script in the tree; its path on the kernel command line.
pub const INIT_PATH: &str = "/lab-init";

/// Label by which the kernel finds the disk: names of disks are not stable.
pub const LABEL: &str = "lab";

const SIZE: &str = "1800M";

/// The stage that makes the disk.
pub fn stage(lab: &Lab) -> Stage {
    Stage::new("the lab's disk", path(lab), &[root::stage(lab).stamp(), INIT, SIZE])
}

/// The raw disk image.
pub fn path(lab: &Lab) -> PathBuf {
    lab.dir().join("disk.img")
}

pub(super) fn ensure(lab: &Lab) -> Result<()> {
    stage(lab).ensure(|| make(lab))
}

fn make(lab: &Lab) -> Result<()> {
    lab.require_space()?;
    let init = lab.root().join(INIT_PATH.trim_start_matches('/'));
    fs::write(&init, INIT).context("cannot write the lab's init")?;
    fs::set_permissions(&init, Permissions::from_mode(0o755))
        .context("cannot make the lab's init executable")?;
    host::make_ext4(&lab.root(), &path(lab), 0, LABEL, SIZE)
}
