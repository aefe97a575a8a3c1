// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where environments are started on this very machine: a usable KVM makes the lab's needless.

use std::fs::{self, OpenOptions};
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

/// Whether guests run under this accelerator. That the device can be opened is not enough: it may belong to a
/// machine that does not let this accelerator start, or to a KVM that emulates the kernels of its guests
/// instruction by instruction, as PVM does, but for those that are written for it.
fn is_usable(lab: &Lab, accelerator: &str) -> bool {
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    device.is_ok()
        && virtualizes(&processors)
        && starts(qemu::command(&lab.root()).args(["-accel", accelerator, "-cpu", "host"]))
}

/// Whether the CPUs that Linux lists so help with virtual machines.
fn virtualizes(processors: &str) -> bool {
    let flags = processors.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| matches!(flag, "vmx" | "svm")))
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

#[cfg(test)]
mod tests {
    use super::virtualizes;

    #[test]
    fn only_processors_that_help_virtualize() {
        assert!(virtualizes("processor\t: 0\nflags\t\t: fpu vmx de\n"));
        assert!(virtualizes("processor\t: 0\nflags\t\t: fpu de svm\nprocessor\t: 1\n"));
        assert!(!virtualizes("processor\t: 0\nflags\t\t: fpu de svml\nvmx flags\t: vnmi\n"));
        assert!(!virtualizes(""));
    }
}
