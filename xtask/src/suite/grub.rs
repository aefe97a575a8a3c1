// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Multiboot entries: GRUB, started by a BIOS from a CD, loads the image.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::LabTest;
use super::shared::Shared;
use crate::host;
use crate::image::build;
use crate::lab::qemu;
use crate::project::Project;
use crate::scratch::Scratch;
use crate::verdict::Verdict;

/// A test of one of GRUB's ways to load a kernel.
#[derive(Clone, Copy, Debug)]
pub struct GrubTest {
    /// A sentence.
    name: &'static str,
    /// GRUB's command.
    command: &'static str,
    /// What the image says of its protocol.
    protocol: &'static str,
}

/// All of them.
pub const TESTS: [GrubTest; 2] = [
    GrubTest { name: "grub_boots_the_image_by_multiboot", command: "multiboot", protocol: "Multiboot" },
    GrubTest { name: "grub_boots_the_image_by_multiboot2", command: "multiboot2", protocol: "Multiboot2" },
];

/// What makes a bootable CD, and the packages that bring it.
const FILES: [(&str, &str); 4] = [
    ("/usr/bin/grub-mkrescue", "grub-common"),
    ("/usr/lib/grub/i386-pc/multiboot2.mod", "grub-pc-bin"),
    ("/usr/bin/xorriso", "xorriso"),
    ("/usr/bin/mcopy", "mtools"),
];

/// Seconds for BIOS, GRUB and guest together; they take about five.
const LIMIT: &str = "120";

impl LabTest for GrubTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        false
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        self.boot(shared.project)
    }
}

impl GrubTest {
    fn boot(&self, project: &Project) -> Result<()> {
        for (file, package) in FILES {
            host::require_file(file, package)?;
        }
        let image = build::build_by_name(project, "smoke")?;
        let lab = project.lab();
        lab.ensure_root()?;
        let scratch = Scratch::new()?;
        let disc = scratch.path().join("boot.iso");
        self.make_disc(&image.file, &scratch.path().join("disc"), &disc)?;
        let console = start(&lab.root(), &disc)?;
        ensure!(Verdict::of_console(&console) == Verdict::Success, "no SUCCESS on the console:\n{console}");
        let sentence = format!("entered by {}\n", self.protocol);
        ensure!(console.contains(&sentence), "it does not tell: {sentence}{console}");
        Ok(())
    }

    fn make_disc(&self, image: &Path, tree: &Path, disc: &Path) -> Result<()> {
        let grub = tree.join("boot/grub");
        fs::create_dir_all(&grub).context("cannot make the disc's tree")?;
        fs::copy(image, tree.join("boot/prism.elf")).context("cannot copy the image")?;
        let menu = format!("set timeout=0\n{} /boot/prism.elf loglevel=info\nboot\n", self.command);
        fs::write(grub.join("grub.cfg"), menu).context("cannot write GRUB's menu")?;
        let made = Command::new("grub-mkrescue")
            .arg("-o")
            .args([disc, tree])
            .stdin(Stdio::null())
            .output()
            .context("cannot run grub-mkrescue")?;
        if !made.status.success() {
            bail!("grub-mkrescue failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(())
    }
}

/// Boots an emulated PC from the disc, and gives what came from its serial port.
fn start(root: &Path, disc: &Path) -> Result<String> {
    let machine = qemu::command(root);
    let mut command = Command::new("timeout");
    command.arg(LIMIT).arg(machine.get_program()).args(machine.get_args());
    command.envs(machine.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(qemu::TCG).args(["-m", "64M", "-serial", "stdio", "-boot", "d", "-cdrom"]).arg(disc);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    let output = command.stdin(Stdio::null()).output().context("cannot start QEMU")?;
    Ok(String::from_utf8_lossy(&output.stdout).replace('\r', ""))
}
