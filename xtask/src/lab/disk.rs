// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lab's disk: the tree as an ext4 image, made without mounting anything.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::stage::Stage;
use super::{Lab, root};
use crate::host;

const INIT: &str = include_str!("init.sh");
/// A command that waits for a line in a file.
const SAID: &str = include_str!("said.sh");

/// Name of the init script in the tree; its path on the kernel command line.
pub const INIT_PATH: &str = "/lab-init";

/// Label by which the kernel finds the disk: names of disks are not stable.
pub const LABEL: &str = "lab";

const SIZE: &str = "1800M";

/// The stage that makes the disk.
pub fn stage(lab: &Lab) -> Stage {
    Stage::new("the lab's disk", path(lab), &[root::stage(lab).stamp(), INIT, SAID, SIZE])
}

/// The raw disk image.
pub fn path(lab: &Lab) -> PathBuf {
    lab.dir().join("disk.img")
}

pub(super) fn ensure(lab: &Lab) -> Result<()> {
    stage(lab).ensure(|| make(lab))
}

fn make(lab: &Lab) -> Result<()> {
    lab.require_space()?;
    for (path, script) in [(INIT_PATH, INIT), ("/usr/bin/said", SAID)] {
        let file = lab.root().join(path.trim_start_matches('/'));
        fs::write(&file, script).with_context(|| format!("cannot write the lab's {path}"))?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make the lab's {path} executable"))?;
    }
    host::make_ext4(&lab.root(), &path(lab), 0, LABEL, SIZE)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::scratch::Scratch;

    fn said(scratch: &Scratch, arguments: &[&str]) -> Child {
        let script = scratch.path().join("said");
        fs::write(&script, SAID).unwrap();
        let mut command = Command::new("sh");
        command.arg(&script).args(arguments).current_dir(scratch.path());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_line_is_waited_for_in_files_that_come_later() {
        let scratch = Scratch::new().unwrap();
        let mut waits = said(&scratch, &["-t", "120", "^it is [0-9]", "first", "second"]);
        fs::write(scratch.path().join("second"), "it is what\n").unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(waits.try_wait().unwrap().is_none());
        fs::write(scratch.path().join("first"), "no\nit is 7\n").unwrap();
        assert!(waits.wait().unwrap().success());
        assert!(said(&scratch, &["it is 7", "first"]).wait().unwrap().success());
    }

    #[test]
    fn a_line_that_does_not_come_is_told_with_those_that_did() {
        let scratch = Scratch::new().unwrap();
        fs::write(scratch.path().join("file"), "something else\n").unwrap();
        let output = said(&scratch, &["-t", "1", "it is 7", "file"]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "it never said: it is 7\nsomething else\n");
    }
}
