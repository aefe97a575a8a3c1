// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where environments are started on this very machine: a usable KVM makes the lab's needless.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::env::{Env, Place};
use crate::guest::kvm::XEN_ACCELERATOR;
use crate::lab::{Lab, qemu};

/// What was found out about this machine so far.
#[derive(Debug)]
pub struct Places<'a> {
    lab: &'a Lab,
    kvm: Option<bool>,
    xen: Option<bool>,
}

impl<'a> Places<'a> {
    /// Nothing is known yet.
    pub fn new(lab: &'a Lab) -> Self {
        Self { lab, kvm: None, xen: None }
    }

    /// Where `env` is started here. The lab's root must have been made.
    pub fn of(&mut self, env: Env) -> Place {
        let usable = match env {
            Env::Kvm => *self.kvm.get_or_insert_with(|| is_usable(self.lab, "kvm")),
            Env::QemuXen => *self.xen.get_or_insert_with(|| is_usable(self.lab, XEN_ACCELERATOR)),
            _ => false,
        };
        if usable { Place::Direct } else { env.place() }
    }
}

/// Whether a QEMU with this accelerator starts. That the device can be opened is not enough: it
/// may belong to a machine without hardware virtualization.
fn is_usable(lab: &Lab, accelerator: &str) -> bool {
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    device.is_ok() && starts(qemu::command(&lab.root()).args(["-accel", accelerator, "-cpu", "host"]))
}

/// Whether QEMU gets so far that its monitor obeys.
fn starts(command: &mut Command) -> bool {
    let child = command
        .args(["-m", "16M", "-S", "-monitor", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.is_ok_and(quits)
}

fn quits(mut child: Child) -> bool {
    // A QEMU that has failed already does not read this; its status tells.
    let _ = child.stdin.take().map(|mut monitor| monitor.write_all(b"quit\n"));
    child.wait().is_ok_and(|status| status.success())
}
