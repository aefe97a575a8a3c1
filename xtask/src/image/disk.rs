// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks and CDs that boot an image: GRUB for a BIOS and, where its package is there, for UEFI, and
//! the unchanged ELF beside it.
//!
//! One hybrid image serves as CD and as disk; the formats differ in their wrapping only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::host;
use crate::scratch::Scratch;

/// What the file is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A disk for QEMU that takes no more room than it needs.
    Qcow2,
    /// A disk, byte by byte.
    Raw,
    /// A CD; the same bytes as the raw disk.
    Iso,
}

impl Format {
    /// The usual end of such a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "img",
            Self::Iso => "iso",
        }
    }
}

/// What is put on a disk.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The ELF file.
    pub image: &'a Path,
    /// Words for the kernel.
    pub command_line: &'a str,
    /// Files for the application.
    pub modules: &'a [PathBuf],
}

/// What makes bootable disks, and the packages that bring it.
const TOOLS: [(&str, &str); 5] = [
    ("/usr/bin/grub-mkrescue", "grub-common"),
    ("/usr/lib/grub/i386-pc/multiboot2.mod", "grub-pc-bin"),
    ("/usr/lib/grub/x86_64-efi/multiboot2.mod", "grub-efi-amd64-bin"),
    ("/usr/bin/xorriso", "xorriso"),
    ("/usr/bin/mcopy", "mtools"),
];

/// The parts of GRUB that go on the disk: those that the rescue image's own start file asks for, and
/// the one that loads our kernel.
const PARTS: &str = "multiboot2 normal configfile search part_acorn part_amiga part_apple part_bsd part_dfly \
                     part_dvh part_gpt part_msdos part_plan part_sun part_sunpc iso9660";

/// Makes the disk `output`.
///
/// # Errors
/// If a tool is missing or fails, or the command line cannot be given to GRUB.
pub fn make(content: Content<'_>, format: Format, output: &Path) -> Result<()> {
    for (file, package) in TOOLS {
        host::require_file(file, package)?;
    }
    let menu = menu(content.command_line, content.modules)?;
    let scratch = Scratch::new()?;
    let tree = scratch.path().join("disk");
    lay_out(&tree, content, &menu)?;
    let plain = scratch.path().join("plain");
    let mut grub = Command::new("grub-mkrescue");
    grub.arg("-o").args([&plain, &tree]).args(["--locales=", "--fonts=", "--themes="]);
    run(grub.arg(format!("--install-modules={PARTS}")))?;
    match format {
        Format::Iso | Format::Raw => fs::copy(&plain, output).map(drop).with_context(|| write_error(output)),
        Format::Qcow2 => {
            host::require_file("/usr/bin/qemu-img", "qemu-utils")?;
            let mut convert = Command::new("qemu-img");
            run(convert.args(["convert", "-f", "raw", "-O", "qcow2"]).args([&plain, output]))
        }
    }
}

fn write_error(output: &Path) -> String {
    format!("cannot write {}", output.display())
}

/// Puts the files where GRUB looks for them.
fn lay_out(tree: &Path, content: Content<'_>, menu: &str) -> Result<()> {
    let boot = tree.join("boot");
    fs::create_dir_all(boot.join("grub")).context("cannot make the disk's tree")?;
    fs::write(boot.join("grub/grub.cfg"), menu).context("cannot write GRUB's menu")?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, boot.join(name)).map(drop).with_context(|| format!("cannot read {}", from.display()))
    };
    copy(content.image, "prism.elf")?;
    content.modules.iter().enumerate().try_for_each(|(index, file)| copy(file, &format!("module{index}")))
}

/// GRUB's menu: it asks nothing, and boots.
fn menu(command_line: &str, modules: &[PathBuf]) -> Result<String> {
    let mut menu = "set timeout=0\nset timeout_style=hidden\nmultiboot2 /boot/prism.elf".to_owned();
    for word in words(command_line) {
        menu.push(' ');
        menu.push_str(&quoted(&word)?);
    }
    for (index, file) in modules.iter().enumerate() {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        menu.push_str(&format!("\nmodule2 /boot/module{index} {}", quoted(&name)?));
    }
    menu.push_str("\nboot\n");
    Ok(menu)
}

/// The words of a command line without their quotes, as the kernel takes them apart.
fn words(command_line: &str) -> Vec<String> {
    let mut is_quoted = false;
    let pieces = command_line.split(|character: char| {
        is_quoted ^= character == '"';
        character.is_whitespace() && !is_quoted
    });
    pieces.map(|word| word.replace('"', "")).filter(|word| !word.is_empty()).collect()
}

/// A word as GRUB's shell takes it literally. GRUB hands one with blanks over in double quotes.
fn quoted(word: &str) -> Result<String> {
    ensure!(
        !word.contains(['\'', '\\', '"']),
        "GRUB would change {word}: no quotes and backslashes within a word, please"
    );
    Ok(format!("'{word}'"))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_grub_one_by_one() {
        let menu = menu("loglevel=debug  name=\"a b\" $x", &["/tmp/some file".into()]).unwrap();
        assert!(menu.contains("multiboot2 /boot/prism.elf 'loglevel=debug' 'name=a b' '$x'\n"), "{menu}");
        assert!(menu.contains("module2 /boot/module0 'some file'\n"), "{menu}");
    }

    #[test]
    fn a_word_that_grub_would_change_is_refused() {
        assert!(menu("path=C:\\x", &[]).is_err());
        assert!(menu("name=O'Neill", &[]).is_err());
    }
}
