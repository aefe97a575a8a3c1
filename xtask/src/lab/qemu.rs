// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree's own QEMU, run from outside it through its own dynamic linker: the same version on
//! every host, and none to install.

use std::path::Path;
use std::process::Command;

/// The machine every lab and every emulated PC runs on. With RDTSCP, QEMU reports an intercepted RDTSCP as
/// RDTSC, and Xen kills the guest that used it. Without ERMS and FSRM, Linux and Xen copy by words: where a
/// processor is fast at `rep movsb`, which is what the two bits say, an emulated one takes each byte by
/// itself.
pub const TCG: [&str; 4] = ["-accel", "tcg,thread=multi", "-cpu", "max,-rdtscp,-erms,-fsrm"];

/// No device but those asked for, and an end instead of a reset.
pub const BARE: [&str; 5] = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];

/// A command that starts the QEMU of the tree at `root`, without any device of its choosing.
pub fn command(root: &Path) -> Command {
    let mut command = program(root, "qemu-system-x86_64");
    command
        .env("QEMU_MODULE_DIR", root.join(LIBRARIES).join("qemu"))
        .arg("-L")
        .arg(root.join("usr/share/qemu"))
        .arg("-L")
        .arg(root.join("usr/share/seabios"))
        .args(BARE);
    command
}

/// A command that starts any program of the tree at `root`.
pub fn program(root: &Path, name: &str) -> Command {
    let mut command = Command::new(root.join("lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(root.join(LIBRARIES)).arg(root.join("usr/bin").join(name));
    command
}

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// `text` as one value of a comma-separated QEMU option: commas are doubled.
pub fn escaped(text: &str) -> String {
    text.replace(',', ",,")
}
