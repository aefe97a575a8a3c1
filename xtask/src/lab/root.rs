// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lab's Debian tree, made by `mmdebstrap` from the distribution's own mirror.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Lab;
use super::stage::Stage;
use crate::host::{self, Tool};

const RELEASE: &str = "trixie";

/// The packages of the tree, beside the essential ones.
const PACKAGES: [&str; 23] = [
    "xen-hypervisor-4.20-amd64",
    "xen-utils-4.20",
    "xen-utils-common",
    "xenstore-utils",
    "linux-image-amd64",
    "qemu-system-xen",
    "qemu-system-x86",
    "qemu-utils",
    "iproute2",
    "kmod",
    "procps",
    "busybox",
    "fio",
    "iperf3",
    "iputils-ping",
    "curl",
    "wrk",
    "nginx",
    "ovmf",
    "tcpdump",
    "dnsmasq-base",
    "dosfstools",
    "e2fsprogs",
];

/// The stage that makes the tree.
pub fn stage(lab: &Lab) -> Stage {
    Stage::new("the lab's Debian with Xen (about 2 minutes)", lab.root(), &[RELEASE, &PACKAGES.join(",")])
}

/// Whether the tree and the hypervisor are made.
pub(super) fn is_done(lab: &Lab) -> bool {
    stage(lab).is_done() && hypervisor(lab).is_done()
}

/// Makes the tree and the hypervisor beside it.
pub(super) fn ensure(lab: &Lab) -> Result<()> {
    stage(lab).ensure(|| debootstrap(lab))?;
    hypervisor(lab).ensure(|| unpack_xen(lab))
}

fn hypervisor(lab: &Lab) -> Stage {
    Stage::new("the hypervisor", lab.xen(), &[stage(lab).stamp()])
}

fn debootstrap(lab: &Lab) -> Result<()> {
    lab.require_space()?;
    host::require(Tool::Mmdebstrap)?;
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--quiet"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(RELEASE)
        .arg(lab.root())
        .stdin(Stdio::null())
        .output()
        .context("cannot run mmdebstrap")?;
    if !output.status.success() {
        bail!("mmdebstrap failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

fn unpack_xen(lab: &Lab) -> Result<()> {
    let packed = lab.root().join("boot/xen-4.20-amd64.gz");
    let output = Command::new("gzip").arg("-dc").arg(&packed).output().context("cannot run gzip")?;
    if !output.status.success() {
        bail!("cannot unpack {}", packed.display());
    }
    fs::write(lab.xen(), output.stdout).context("cannot write the hypervisor")
}
