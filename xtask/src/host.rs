// SPDX-License-Identifier: MIT OR Apache-2.0
//! This machine: its rights, disk space, memory and tools.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::progress::Step;

/// A program of the host that may be missing.
#[derive(Clone, Copy, Debug)]
pub enum Tool {
    /// Makes Debian trees.
    Mmdebstrap,
    /// Makes ext4 images without mounting.
    Mke2fs,
    /// Disassembles images for their checks.
    Objdump,
}

impl Tool {
    const fn program(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::Mke2fs => "mke2fs",
            Self::Objdump => "objdump",
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::Mke2fs => "e2fsprogs",
            Self::Objdump => "binutils",
        }
    }
}

/// The path of a tool, which is installed if it is missing and that can be done.
///
/// # Errors
/// Names the package if the tool is missing.
pub fn require(tool: Tool) -> Result<PathBuf> {
    if let Some(path) = find(tool.program()) {
        return Ok(path);
    }
    let package = tool.package();
    if !can_install() {
        bail!("{} is missing: install the package {package}", tool.program());
    }
    install(package)?;
    find(tool.program()).with_context(|| format!("{package} brought no {}", tool.program()))
}

/// Makes an ext4 file system of a size such as `16M` in `file`, from byte `start` on, with what is in `tree`.
///
/// # Errors
/// If `mke2fs` is missing or fails.
pub fn make_ext4(tree: &Path, file: &Path, start: u64, label: &str, size: &str) -> Result<()> {
    let output = Command::new(require(Tool::Mke2fs)?)
        .args(["-q", "-t", "ext4", "-L", label, "-E", &format!("offset={start}"), "-d"])
        .arg(tree)
        .arg(file)
        .arg(size)
        .output()
        .context("cannot run mke2fs")?;
    if !output.status.success() {
        bail!("mke2fs failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// Makes sure that `file` is there, which `package` brings.
///
/// # Errors
/// Names the package if it is not.
pub fn require_file(file: &str, package: &str) -> Result<()> {
    if !Path::new(file).exists() {
        if !can_install() {
            bail!("{file} is missing: install the package {package}");
        }
        install(package)?;
    }
    Ok(())
}

fn can_install() -> bool {
    is_root() && find("apt-get").is_some()
}

fn install(package: &str) -> Result<()> {
    // One at a time: apt-get does not wait for another one.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let step = Step::begin(&format!("sure that {package} is installed"));
    // A fresh machine has no package lists yet.
    for arguments in [&["install", "-y", package][..], &["update"], &["install", "-y", package]] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run apt-get")?;
        if status.success() && arguments.contains(&"install") {
            step.done();
            return Ok(());
        }
    }
    bail!("apt-get cannot install {package}: install it by hand");
}

/// A program in `PATH` or where the administrator's programs are, which `PATH` may lack.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(program)).find(|candidate| candidate.is_file())
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails unless this process is root's; `work` says what needs it.
///
/// # Errors
/// Says what to do.
pub fn require_root(work: &str) -> Result<()> {
    if !is_root() {
        bail!("{work} needs root: run this command with sudo once; later runs need no rights");
    }
    Ok(())
}

/// Fails unless the file system of `dir` has `bytes` free for `what`.
///
/// # Errors
/// Says how much there is and how much is needed.
pub fn require_space(dir: &Path, bytes: u64, what: &str) -> Result<()> {
    // The folder may have to be made yet.
    let dir = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    let state = rustix::fs::statvfs(dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    let free = state.f_bavail.saturating_mul(state.f_frsize);
    if free < bytes {
        bail!(
            "{what} needs {} MiB of disk space, but {} has {} MiB: free some and run again",
            bytes >> 20,
            dir.display(),
            free >> 20
        );
    }
    Ok(())
}

/// Memory that programs could get now, in MiB.
pub fn available_memory() -> u64 {
    mebibytes("MemAvailable:").unwrap_or(0)
}

/// All memory of this machine, in MiB; without bounds if Linux does not tell.
pub fn memory() -> u64 {
    mebibytes("MemTotal:").unwrap_or(u64::MAX)
}

/// What Linux tells of its memory under this name.
fn mebibytes(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = rest.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_told_in_mebibytes() {
        let error = require_space(Path::new("/"), u64::MAX, "the lab").unwrap_err().to_string();
        assert!(error.starts_with("the lab needs 17592186044415 MiB of disk space, but / has "), "{error}");
        assert!(require_space(Path::new("/"), 1, "the lab").is_ok());
        assert!(require_space(Path::new("/not/made/yet"), 1, "the lab").is_ok());
    }

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
