// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that are a QEMU process of their own on this machine: the image as dom0 of a Xen, and
//! the image on an emulated PC.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Ending, Job, Outcome};
use crate::env::Env;
use crate::lab::machine::bound_to_this_thread;
use crate::lab::{Lab, qemu};
use crate::scratch::Scratch;

/// How often the console is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Name under which the image is seen by QEMU: its own path may hold blanks and commas.
const IMAGE: &str = "image";

/// What the hypervisor says when its dom0 is no more; it does not turn the machine off then.
const XEN_ENDINGS: [(&str, Ending); 5] = [
    ("Hardware Dom0 crashed", Ending::Crash),
    ("Panic on CPU", Ending::Crash),
    ("Hardware Dom0 halted", Ending::Poweroff),
    ("Hardware Dom0 shutdown: rebooting", Ending::Reboot),
    ("Hardware Dom0 shutdown: watchdog", Ending::Crash),
];

/// Runs the job to its end.
///
/// # Errors
/// If QEMU cannot be started.
pub fn run(lab: &Lab, job: &Job) -> Result<Outcome> {
    let scratch = Scratch::new()?;
    symlink(&job.image.file, scratch.path().join(IMAGE)).context("cannot link the image")?;
    let errors = fs::File::create(scratch.path().join("errors")).context("cannot make a log file")?;
    let mut child = bound_to_this_thread(&command(lab, job))
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .context("cannot start QEMU")?;
    let ending = wait(&mut child, scratch.path(), job);
    let _ = child.kill();
    let _ = child.wait();
    Ok(outcome(ending?, scratch.path(), job.env))
}

/// The QEMU command of the job, to be run in a directory that holds the image; the first serial
/// port goes to the file `serial`.
fn command(lab: &Lab, job: &Job) -> Command {
    let mut command = machine(lab, job);
    command.args(["-chardev", "file,id=serial,path=serial", "-serial", "chardev:serial"]);
    command
}

/// The QEMU command of the job without its serial port.
pub fn machine(lab: &Lab, job: &Job) -> Command {
    let mut command = qemu::command(&lab.root());
    command.args(qemu::TCG).args(["-smp", &job.vcpus.to_string()]);
    match job.env {
        Env::Dom0Pv => dom0(lab, job, "", &mut command),
        Env::Dom0Pvh => dom0(lab, job, "dom0=pvh dom0-iommu=none", &mut command),
        _ => personal_computer(job, &mut command),
    }
    command
}

/// Memory of the machine beneath a dom0 that Xen keeps for itself, in MiB.
const XEN_MEMORY: u32 = 256;

fn dom0(lab: &Lab, job: &Job, words: &str, command: &mut Command) {
    let memory = job.memory;
    command
        .args(["-m", &format!("{}M", memory + XEN_MEMORY), "-kernel"])
        .arg(lab.xen())
        .arg("-append")
        .arg(format!(
            "console=com1 com1=115200,8n1 dom0_mem={memory}M,max:{memory}M dom0_max_vcpus={} loglvl=all \
             guest_loglvl=all noreboot bootscrub=0 {words}",
            job.vcpus
        ))
        .arg("-initrd")
        .arg(format!("{IMAGE} {}", qemu::escaped(&job.command_line)));
}

fn personal_computer(job: &Job, command: &mut Command) {
    command
        .args(["-m", &format!("{}M", job.memory), "-kernel", IMAGE, "-append", &job.command_line])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-netdev", "hubport,hubid=0,id=net", "-device", "e1000,netdev=net,romfile="]);
    if job.disks.is_empty() {
        // Something to find on the IDE bus.
        command.args(["-drive", "driver=null-co,read-zeroes=on,size=1M,if=none,id=disk0", "-device"]);
        command.arg("ide-hd,drive=disk0");
    }
    for (index, disk) in job.disks.iter().enumerate() {
        let file = qemu::escaped(&disk.display().to_string());
        command.args(["-drive", &format!("file={file},format=raw,if=ide,index={index}")]);
    }
}

fn wait(child: &mut Child, scratch: &Path, job: &Job) -> Result<Ending> {
    let deadline = Instant::now() + job.limit;
    loop {
        let status = child.try_wait().context("cannot look after QEMU")?;
        let serial = serial(scratch);
        if let Some((_, ending)) = XEN_ENDINGS.iter().find(|(text, _)| serial.contains(text)) {
            return Ok(ending.clone());
        }
        if let Some(status) = status {
            let errors = fs::read_to_string(scratch.join("errors")).unwrap_or_default();
            // isa-debug-exit and a reset both end QEMU; only a QEMU that said why has failed.
            let failed = status.code() == Some(1) && serial.is_empty() && !errors.trim().is_empty();
            return Ok(if failed { Ending::NotStarted(errors.trim().to_owned()) } else { Ending::Poweroff });
        }
        if Instant::now() > deadline {
            return Ok(Ending::Hang);
        }
        thread::sleep(POLL);
    }
}

fn serial(scratch: &Path) -> String {
    let bytes = fs::read(scratch.join("serial")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

fn outcome(ending: Ending, scratch: &Path, env: Env) -> Outcome {
    let serial = serial(scratch);
    if env == Env::Fv {
        return Outcome::new(ending, serial, String::new());
    }
    let (machine, console): (Vec<&str>, Vec<&str>) = serial.lines().partition(|line| is_xens(line));
    Outcome::new(ending, text(&console), text(&machine))
}

/// Whether a line of the shared console is the hypervisor's own.
fn is_xens(line: &str) -> bool {
    line.starts_with("(XEN) ") || line.starts_with(" Xen ")
}

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{}\n", line.strip_prefix("(d0) ").unwrap_or(line))).collect()
}
