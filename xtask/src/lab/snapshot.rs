// SPDX-License-Identifier: MIT OR Apache-2.0
//! Snapshots of lab machines taken right after boot: a job starts in two seconds, not in twenty.
//!
//! A snapshot is the machine's state as QEMU's migration writes it, and the disk overlay as it was
//! at that moment. Jobs read both and write to neither, so any number may run at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine::{self, Machine, Role, Start};
use super::stage::Stage;
use super::{Lab, disk, qemu};

/// How long a lab machine may take from power on to its agent's greeting.
const BOOT_LIMIT: Duration = Duration::from_secs(300);

/// A machine as it was right after boot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the machine runs.
    pub role: Role,
    /// The machine's memory in MiB.
    pub memory: u64,
    /// The machine's state.
    pub state: PathBuf,
    /// The disk as it was then, an overlay of the lab's disk.
    pub overlay: PathBuf,
}

impl Snapshot {
    /// Where the snapshot of such a machine is, made or not.
    pub(super) fn of(lab: &Lab, role: Role, memory: u64) -> Self {
        let base = lab.dir().join(format!("{}-{memory}M", role.name()));
        let file = |extension: &str| base.with_added_extension(extension);
        Self { role, memory, state: file("state"), overlay: file("qcow2") }
    }

    pub(super) fn is_done(&self, lab: &Lab) -> bool {
        stage(lab, self.role, self.memory).is_done()
    }
}

/// The stage that makes the snapshot of a machine with `memory` MiB.
pub fn stage(lab: &Lab, role: Role, memory: u64) -> Stage {
    let title = match role {
        Role::Xen => "the snapshot of the Xen machine (about 30 s)",
        Role::Oxenstored => "the snapshot of the machine with oxenstored (about 30 s)",
        Role::Kvm => "the snapshot of the KVM machine (about 30 s)",
    };
    let disk = disk::stage(lab);
    let machine = machine::recipe(lab, role, memory);
    Stage::new(title, Snapshot::of(lab, role, memory).state, &[disk.stamp(), &machine, &warm_up(role)])
}

pub(super) fn ensure(lab: &Lab, snapshot: &Snapshot) -> Result<()> {
    stage(lab, snapshot.role, snapshot.memory).ensure(|| make(lab, snapshot))
}

fn make(lab: &Lab, snapshot: &Snapshot) -> Result<()> {
    make_overlay(lab, snapshot)?;
    let mut machine = Machine::start(lab, snapshot.role, snapshot.memory, &Start::Boot(&snapshot.overlay))?;
    let booted = machine.agent.wait_ready(BOOT_LIMIT);
    booted.with_context(|| format!("its console ends with:\n{}", tail(&machine.serial_log(), 20)))?;
    machine.agent.check(&warm_up(snapshot.role))?;
    let mut control = machine.qmp()?;
    control.save(&snapshot.state)?;
    control.quit()?;
    machine.wait()?;
    // QEMU lets only the owner read what may hold secrets; this holds none.
    fs::set_permissions(&snapshot.state, Permissions::from_mode(0o644))
        .context("cannot open the snapshot to all")
}

/// Brings the programs that every job needs into the machine's page cache, and looks whether it is what it is
/// to be.
fn warm_up(role: Role) -> String {
    let with_xen = |xenstored: &str| {
        format!(
            "pgrep -x {xenstored} && xl list && xl info >/dev/null && \
             /usr/libexec/xen-qemu-system-i386 --version && sync"
        )
    };
    match role {
        Role::Xen => with_xen("xenstored"),
        Role::Oxenstored => with_xen("oxenstored"),
        Role::Kvm => "qemu-system-x86_64 --version && sync".to_owned(),
    }
}

fn make_overlay(lab: &Lab, snapshot: &Snapshot) -> Result<()> {
    let _ = fs::remove_file(&snapshot.overlay);
    let output = qemu::program(&lab.root(), "qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(disk::path(lab))
        .arg(&snapshot.overlay)
        .output()
        .context("cannot run qemu-img")?;
    if !output.status.success() {
        bail!("qemu-img failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// The last `count` lines of a text.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
