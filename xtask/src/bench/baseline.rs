// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Linux that Prism is compared with: the lab's own, with what is in `tests/linux-baseline`.

use anyhow::{Context, Result};

use crate::guest::session::Session;
use crate::image::{Image, build};
use crate::project::Project;

/// A Linux that can be started.
pub(super) struct Baseline {
    pub(super) image: Image,
    /// Its initial file system, a file of the lab machine's.
    pub(super) ramdisk: &'static str,
    /// The first words for its kernel.
    pub(super) words: &'static str,
}

/// Where the lab machine keeps the initial file system.
const RAMDISK: &str = "/tmp/linux-baseline.img";

/// What goes into it, and what makes it.
const FILES: [(&str, &str); 6] = [
    ("init.sh", include_str!("../../../tests/linux-baseline/init.sh")),
    ("backend.sh", include_str!("../../../tests/linux-baseline/backend.sh")),
    ("end.sh", include_str!("../../../tests/linux-baseline/end.sh")),
    ("nginx.conf", include_str!("../../../tests/linux-baseline/nginx.conf")),
    ("index.html", include_str!("../../../apps/httpd/site/index.html")),
    ("ramdisk.sh", include_str!("../../../tests/linux-baseline/ramdisk.sh")),
];

impl Baseline {
    /// Makes one in the lab machine.
    pub(super) fn make(project: &Project, session: &mut Session) -> Result<Self> {
        let program = session.push_program(&build::build_linux_baseline(project)?)?;
        let agent = session.agent();
        agent.check("mkdir -p /tmp/linux-baseline")?;
        for (name, content) in FILES {
            agent.put(&format!("/tmp/linux-baseline/{name}"), content.as_bytes())?;
        }
        agent.check(&format!("sh /tmp/linux-baseline/ramdisk.sh {RAMDISK} /tmp/linux-baseline {program}"))?;
        let kernel = project.lab().root().join("vmlinuz").canonicalize().context("the lab has no Linux")?;
        Ok(Self {
            image: Image { name: "linux".to_owned(), file: kernel, debug: None },
            ramdisk: RAMDISK,
            words: "console=hvc0 quiet ",
        })
    }
}
