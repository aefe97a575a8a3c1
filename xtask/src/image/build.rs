// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building an application and finishing its image.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::elf::Elf;
use super::{Image, cargo, config, finish};
use crate::project::{App, Project};

/// Builds the application or guest test of this name.
///
/// # Errors
/// If there is none, or it cannot be built.
pub fn build_by_name(project: &Project, name: &str) -> Result<Image> {
    build(&project.app(name)?)
}

/// Builds applications at a time, as many as there are processors, so that building each of them afterwards
/// costs little. What cannot be built is for that to tell.
///
/// # Errors
/// If cargo does not know its workspace, or cannot be run.
pub fn prepare(project: &Project, names: &BTreeSet<&str>) -> Result<()> {
    let apps = project.apps()?.into_iter().filter(|app| names.contains(app.name.as_str()));
    let packages = apps.flat_map(|app| ["--package".to_owned(), app.package]);
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "--keep-going"]).args(packages).current_dir(project.root());
    cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().context("cannot run cargo").map(drop)
}

/// The same for all of them.
///
/// # Errors
/// Those of [`prepare`].
pub fn prepare_all(project: &Project) -> Result<()> {
    let apps = project.apps()?;
    prepare(project, &apps.iter().map(|app| app.name.as_str()).collect())
}

/// Builds an application's image, finishes it, and puts an `xl` configuration beside it.
///
/// # Errors
/// If cargo fails, which explains itself, or the link output is not as the linker script wants it.
pub fn build(app: &App) -> Result<Image> {
    let target = app.images.parent().unwrap_or(&app.images);
    finished(&app.name, &executable_of(&app.workspace, target, &app.package)?, &app.images)
}

/// What cargo has linked already, finished as [`build`] does; `None` if it is no such file, but perhaps a
/// finished image.
///
/// # Errors
/// If the link output is not as the linker script wants it.
pub fn of_linked(linked: &Path) -> Result<Option<Image>> {
    let bytes = fs::read(linked).with_context(|| format!("cannot read {}", linked.display()))?;
    if !Elf::parse(&bytes).is_ok_and(|elf| finish::is_linked(&elf)) {
        return Ok(None);
    }
    let name = linked.file_name().unwrap_or_default().to_string_lossy();
    let images = linked.parent().unwrap_or(Path::new(".")).join("images");
    finished(&name, linked, &images).map(Some)
}

/// Finishes a link output, and puts it into the folder `images` with all that belongs to it.
fn finished(name: &str, linked: &Path, images: &Path) -> Result<Image> {
    let bytes = fs::read(linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let image = finish::finish(&bytes).with_context(|| format!("cannot finish the image of {name}"))?;
    fs::create_dir_all(images).with_context(|| format!("cannot make {}", images.display()))?;
    let place = |extension: &str| images.join(name).with_added_extension(extension);
    let finished = Image { name: name.to_owned(), file: place("elf"), debug: Some(place("debug")) };
    write(&place("debug"), &bytes)?;
    write(&finished.file, &image)?;
    write(&place("cfg"), config::xl(&finished).as_bytes())?;
    Ok(finished)
}

/// Replaces a file only if its content changes, and then at once: another run may be reading it.
fn write(path: &PathBuf, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let fresh = path.with_added_extension(std::process::id().to_string());
    fs::write(&fresh, content).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Builds the program that plays the other side, `tests/dom0-peer`, and gives its path.
///
/// # Errors
/// If cargo fails, which explains itself.
pub fn build_peer(project: &Project) -> Result<PathBuf> {
    host_program(project, "tests/dom0-peer", "prism-peer")
}

/// Builds the program that Linux is measured by, and gives its executable.
///
/// # Errors
/// If it cannot be built.
pub fn build_linux_baseline(project: &Project) -> Result<PathBuf> {
    host_program(project, "tests/linux-baseline", "prism-linux-baseline")
}

/// Builds the program that draws pictures as PNG, and gives its executable.
///
/// # Errors
/// If it cannot be built.
pub fn build_png(project: &Project) -> Result<PathBuf> {
    host_program(project, "xtask/png", "prism-png")
}

/// Builds a program of Linux's, which has a workspace of its own.
fn host_program(project: &Project, folder: &str, package: &str) -> Result<PathBuf> {
    let folder = project.root().join(folder);
    executable_of(&folder, &folder.join("target"), package)
}

/// Builds a package of the workspace in `folder`, in the folder `target`, and gives its executable.
fn executable_of(folder: &Path, target: &Path, package: &str) -> Result<PathBuf> {
    let messages = cargo::build(folder, target, package)?;
    let executable = cargo::executable(&messages, package).map(PathBuf::from);
    executable.with_context(|| format!("cargo made no executable for {package}"))
}
