// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a command, told in a line before anything is built.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::env::{Env, Place};
use crate::guest::direct::XEN_MEMORY;
use crate::guest::publish::Publish;
use crate::host;
use crate::image::elf::{Elf, Segment};
use crate::image::{Image, finish};
use crate::lab::machine::{self, LOANS};

/// The least memory of a guest in MiB with which images are tested.
pub const LEAST_MEMORY: u32 = 8;

/// Memory of a lab machine that is not for guests, in MiB: dom0's, and that of Xen or Linux.
const TAKEN: u64 = 1536;

/// Bytes of a disk's sector.
const SECTOR: u64 = 512;

/// Makes the folder that a report is written into.
///
/// # Errors
/// If it cannot be made, or is a file.
pub fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the folder {} of --report", path.display()))
}

/// The disks that a guest is to be lent, by absolute paths.
///
/// # Errors
/// If there are too many, one twice, or one that is no file which can be read and written.
pub fn disks(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    ensure!(files.len() <= LOANS, "a guest can have {LOANS} disks at most, not {}", files.len());
    let disks = files.iter().map(|file| disk(file)).collect::<Result<Vec<_>>>()?;
    let twice =
        files.iter().zip(&disks).find(|(_, disk)| disks.iter().filter(|other| other == disk).count() > 1);
    if let Some((file, _)) = twice {
        bail!("--disk {} is given twice: a disk can only be written by one", file.display());
    }
    Ok(disks)
}

fn disk(file: &Path) -> Result<PathBuf> {
    let name = file.display();
    let path = file.canonicalize().with_context(|| format!("cannot find the disk {name}"))?;
    let data = fs::metadata(&path).with_context(|| format!("cannot look at the disk {name}"))?;
    ensure!(!data.is_dir(), "--disk {name} is a folder: give a file, the disk byte by byte");
    let kind = data.file_type();
    ensure!(
        kind.is_file() || kind.is_block_device(),
        "--disk {name} is no file: give one, the disk byte by byte"
    );
    if kind.is_file() {
        ensure!(data.len() > 0, "--disk {name} is empty: truncate -s 64M {name} gives it a size");
        ensure!(
            data.len() % SECTOR == 0,
            "--disk {name} has {} bytes: a disk has whole sectors of {SECTOR}",
            data.len()
        );
    }
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    opened.with_context(|| format!("--disk {name} has to be readable and writable"))?;
    Ok(path)
}

/// Whether these ports of this machine can be had.
///
/// # Errors
/// If one is in use, or given twice.
pub fn ports(ports: &[Publish]) -> Result<()> {
    for (index, port) in ports.iter().enumerate() {
        let is_given = ports[..index].iter().any(|other| other.host == port.host);
        ensure!(!is_given, "--publish has port {} of this machine lead to two ports", port.host);
    }
    ports.iter().try_for_each(|port| port.require_free())
}

/// Whether files that a loader is to hand over are there.
///
/// # Errors
/// If one is not, or is no file.
pub fn modules(files: &[PathBuf]) -> Result<()> {
    for file in files {
        ensure!(file.is_file(), "--module {} is no file", file.display());
    }
    Ok(())
}

/// Whether the machines in which these environments are started have so much memory, in MiB, for a guest.
///
/// # Errors
/// If one has not.
pub fn memory(wanted: u32, envs: &[Env]) -> Result<()> {
    for env in envs {
        let (place, most) = match env.place() {
            Place::Direct => ("this machine", host::memory().saturating_sub(XEN_MEMORY)),
            Place::XenLab | Place::KvmLab => ("the lab", machine::memory().saturating_sub(TAKEN)),
        };
        ensure!(
            u64::from(wanted) <= most,
            "--memory {wanted} is too much for {}: {place} has {most} MiB for a guest",
            env.name()
        );
    }
    Ok(())
}

/// Whether these words can be handed to a kernel by whatever starts it.
///
/// # Errors
/// If they are no line of text.
pub fn command_line(words: &str) -> Result<()> {
    ensure!(
        !words.contains(char::is_control),
        "--cmdline has a line end or another control character: give words in one line"
    );
    Ok(())
}

/// Whether this file is an image of this project, finished or just linked.
///
/// # Errors
/// Says what to give instead.
pub fn is_image(file: &Path) -> Result<()> {
    let name = file.display();
    ensure!(
        file.is_file(),
        "{name} is no file: name an application (scripts/run --list), its folder, or an image"
    );
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let is_ours = Elf::parse(&bytes).is_ok_and(|elf| finish::is_ours(&elf));
    ensure!(
        is_ours,
        "{name} is no Prism image: name an application (scripts/run --list), its folder, or an ELF file that \
         scripts/image made"
    );
    Ok(())
}

/// Whether an image has room in so many MiB of memory.
///
/// # Errors
/// Says how much it takes.
pub fn fits(image: &Image, memory: u32) -> Result<()> {
    let bytes = fs::read(&image.file).with_context(|| format!("cannot read {}", image.file.display()))?;
    let loaded = Elf::parse(&bytes)?.segments().into_iter().filter(Segment::is_load);
    let end = loaded.map(|segment| segment.end()).max().unwrap_or(0);
    let needed = end.div_ceil(1 << 20);
    ensure!(
        needed < u64::from(memory),
        "--memory {memory} is too little for {}: the image alone takes {needed} MiB",
        image.name
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn a_disk_is_a_file_of_sectors() {
        let scratch = Scratch::new().unwrap();
        let file = |name: &str, length: u64| {
            let path = scratch.path().join(name);
            fs::File::create(&path).unwrap().set_len(length).unwrap();
            path
        };
        let good = file("good", 1024);
        assert_eq!(disks(std::slice::from_ref(&good)).unwrap(), [good.canonicalize().unwrap()]);
        let one = |path: &Path| refusal(disks(&[path.to_owned()]));
        assert!(one(scratch.path()).contains("is a folder: give a file"));
        assert!(one(&scratch.path().join("none")).starts_with("cannot find the disk"));
        assert!(one(&file("empty", 0)).contains("is empty: truncate -s 64M"));
        assert!(one(&file("odd", 1000)).contains("has 1000 bytes"));
        assert!(one(Path::new("/dev/null")).contains("is no file"));
        assert!(refusal(disks(&[good.clone(), good])).contains("is given twice"));
    }

    #[test]
    fn a_port_leads_to_one_place() {
        let port = |host, guest| Publish { host, guest };
        assert!(refusal(ports(&[port(1, 80), port(1, 81)])).contains("port 1 of this machine lead to two"));
        assert!(ports(&[]).is_ok());
    }

    #[test]
    fn memory_has_to_be_in_the_machine() {
        let much = u32::try_from(machine::memory()).unwrap();
        assert!(refusal(memory(much, &[Env::Pvh])).contains("is too much for pvh: the lab has"));
        for (env, name) in [(Env::Dom0Pv, "dom0-pv"), (Env::Fv, "fv")] {
            let told = refusal(memory(u32::MAX, &[env]));
            assert!(told.contains(&format!("is too much for {name}: this machine has")), "{told}");
        }
        assert!(memory(LEAST_MEMORY, &Env::ALL).is_ok());
    }

    #[test]
    fn a_command_line_is_a_line() {
        assert!(command_line("name=\"Wörld of Xen\" x").is_ok());
        for words in ["a\nb", "a\n\nb", "a\tb", "a\0"] {
            assert!(refusal(command_line(words)).starts_with("--cmdline has a line end or"), "{words:?}");
        }
    }

    #[test]
    fn an_image_has_to_fit_into_memory() {
        // Any ELF file will do: this test's segments end behind its first MiB.
        let file = std::env::current_exe().unwrap();
        let image = Image { name: "shop".to_owned(), file, debug: None };
        assert!(
            refusal(fits(&image, 1)).starts_with("--memory 1 is too little for shop: the image alone takes")
        );
        assert!(fits(&image, 1 << 10).is_ok());
    }

    #[test]
    fn what_is_no_image_of_ours_is_told_from_one() {
        assert!(
            refusal(is_image(Path::new("/proc/self/exe"))).contains("is no Prism image: name an application")
        );
        assert!(refusal(is_image(Path::new("/etc/passwd"))).contains("is no Prism image"));
        assert!(refusal(is_image(Path::new("/nowhere.elf"))).contains("is no file: name an application"));
    }
}
