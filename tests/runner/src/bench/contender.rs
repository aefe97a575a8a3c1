// SPDX-License-Identifier: MIT OR Apache-2.0
//! Those that are compared, and a run of one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::trace::{self, Cost};
use super::workload;
use crate::env::Env;
use crate::guest::beside::{Beside, When};
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::{Image, build};
use crate::project::Project;
use crate::verdict::Verdict;

/// One of those that are compared.
pub(super) struct Contender {
    image: Image,
    ramdisk: Option<&'static str>,
    /// Its own words for its kernel.
    words: &'static str,
}

/// What it did.
pub(super) struct Run {
    /// Nanoseconds of each workload.
    pub(super) durations: [u64; workload::ALL.len()],
    /// What Xen counted in each workload.
    pub(super) costs: [Cost; workload::ALL.len()],
}

/// A disk that answers at once: what is measured is the way there and back. Readings of the
/// time-stamp counter do not trap.
const SETTINGS: &[&str] = &["tsc_mode = \"native\"", "disk = [ \"/dev/nullb0,raw,xvda,w\" ]"];

/// Time that a run may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Where the lab machine keeps Linux's initial file system.
const RAMDISK: &str = "/tmp/rival.img";

/// What makes it, and its first process.
const MAKE_RAMDISK: &str = include_str!("../../../rival/ramdisk.sh");
const INIT: &str = include_str!("../../../rival/init.sh");

impl Contender {
    /// Prism's application `disk`.
    pub(super) fn ours(project: &Project) -> Result<Self> {
        Ok(Self { image: build::build_by_name(project, "disk")?, ramdisk: None, words: "" })
    }

    /// The lab's own Linux, with the program of `tests/rival`.
    pub(super) fn linux(project: &Project, session: &mut Session) -> Result<Self> {
        let program = session.push_program(&build::build_rival(project)?)?;
        let agent = session.agent();
        agent.put("/tmp/rival.init", INIT.as_bytes())?;
        agent.put("/tmp/rival.sh", MAKE_RAMDISK.as_bytes())?;
        agent.check(&format!("modprobe null_blk && sh /tmp/rival.sh {RAMDISK} /tmp/rival.init {program}"))?;
        let kernel = project.lab().root().join("vmlinuz").canonicalize().context("the lab has no Linux")?;
        Ok(Self {
            image: Image { name: "linux".to_owned(), file: kernel, debug: None },
            ramdisk: Some(RAMDISK),
            words: "console=hvc0 quiet ",
        })
    }

    /// One run of all workloads.
    pub(super) fn run(&self, session: &mut Session, env: Env, divisor: u64) -> Result<Run> {
        let job = Job {
            command_line: format!("{}{}", self.words, workload::words(divisor)),
            memory: 256,
            ramdisk: self.ramdisk,
            settings: SETTINGS,
            beside: Some(Beside {
                when: When::Said("mark begin"),
                command: trace::COMMAND,
                ends_guest: false,
            }),
            limit: LIMIT,
            ..Job::new(env, self.image.clone())
        };
        let outcome = xl::run(session, &job)?;
        ensure!(
            outcome.verdict == Verdict::Success,
            "{} failed ({:?}):\n{}{}",
            self.image.name,
            outcome.ending,
            outcome.console,
            outcome.machine
        );
        Ok(Run {
            durations: workload::durations(&outcome.console)
                .with_context(|| format!("a duration is missing:\n{}", outcome.console))?,
            costs: trace::collect(session.agent())?,
        })
    }
}
