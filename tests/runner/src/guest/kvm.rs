// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests of the KVM machine: started by the QEMU in it, whose standard output is their console.

use std::time::Duration;

use anyhow::Result;

use super::session::Session;
use super::{Ending, Job, Outcome};
use crate::env::Env;
use crate::lab::agent::quoted;
use crate::terminal::AtEnd;

/// Time beyond a guest's own that the machine has to report its end.
const GRACE: Duration = Duration::from_secs(30);

/// Exit status of `timeout` when it had to end the command.
const TIMED_OUT: i32 = 124;

/// Runs the job to its end.
///
/// # Errors
/// If the machine no longer answers.
pub fn run(session: &mut Session, job: &Job) -> Result<Outcome> {
    let image = session.push_image(job)?;
    let qemu = command_line(job, &image, &session.disk_names(job));
    let command = format!("timeout {} {qemu} 2>/tmp/errors", job.limit.as_secs());
    let output = session.agent().sh(&command, job.limit + GRACE)?;
    let console = output.text();
    let errors = session.agent().check("cat /tmp/errors")?;
    let ending = match output.status {
        TIMED_OUT => Ending::Hang,
        1 if console.is_empty() && !errors.trim().is_empty() => Ending::NotStarted(errors.trim().to_owned()),
        _ => Ending::Poweroff,
    };
    Ok(Outcome::new(ending, console, errors))
}

/// Runs the job on this process's terminal.
///
/// # Errors
/// If the machine no longer answers.
pub fn interact(session: &mut Session, job: &Job) -> Result<Outcome> {
    let image = session.push_image(job)?;
    let qemu = command_line(job, &image, &session.disk_names(job));
    let closed = session.agent().interact(&format!("{qemu} 2>/tmp/errors"), AtEnd::Silence)?;
    let ending = if closed.escaped { Ending::Left } else { Ending::Poweroff };
    let console = String::from_utf8_lossy(&closed.bytes).replace('\r', "");
    Ok(Outcome::new(ending, console, String::new()))
}

/// The QEMU command of the job, with the guest's console on standard input and output.
pub fn command_line(job: &Job, image: &str, disks: &[String]) -> String {
    let mut words = vec![
        "qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -cpu host".to_owned(),
        format!("-smp {} -m {}M -kernel {image} -append {}", job.vcpus, job.memory, quoted(&job.command_line)),
        "-chardev stdio,id=console,signal=off".to_owned(),
    ];
    match job.env {
        Env::QemuXen => words.extend(emulated_xen(disks)),
        _ => words.extend(plain_kvm(disks)),
    }
    words.join(" ")
}

fn emulated_xen(disks: &[String]) -> Vec<String> {
    let mut words = vec![
        "-accel kvm,xen-version=0x40011,kernel-irqchip=split".to_owned(),
        "-device xen-console,chardev=console".to_owned(),
    ];
    for (index, disk) in disks.iter().enumerate() {
        words.push(format!("-drive file={disk},format=raw,if=none,id=disk{index}"));
        words.push(format!("-device xen-disk,drive=disk{index},vdev=xvd{}", char::from(b'a' + index as u8)));
    }
    words
}

fn plain_kvm(disks: &[String]) -> Vec<String> {
    let mut words = vec![
        "-accel kvm -serial chardev:console -device isa-debug-exit,iobase=0xf4,iosize=0x04".to_owned(),
        "-netdev user,restrict=on,id=net -device virtio-net-pci,netdev=net,romfile=".to_owned(),
    ];
    if disks.is_empty() {
        // Something to find on the PCI bus.
        words.push("-drive driver=null-co,read-zeroes=on,size=1M,if=none,id=disk0".to_owned());
        words.push("-device virtio-blk-pci,drive=disk0".to_owned());
    }
    for (index, disk) in disks.iter().enumerate() {
        words.push(format!("-drive file={disk},format=raw,if=none,id=disk{index}"));
        words.push(format!("-device virtio-blk-pci,drive=disk{index}"));
    }
    words
}
