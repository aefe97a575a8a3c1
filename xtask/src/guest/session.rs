// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lab machine in which guests are run one after another.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Job, Outcome, driver_domains, hotplug, kvm, neighbour, publish, xl};
use crate::env::Env;
use crate::image::Image;
use crate::lab::Lab;
use crate::lab::agent::Agent;
use crate::lab::contention::ProcessorTime;
use crate::lab::machine::{Lent, Machine, Role};
use crate::lab::qmp::Qmp;
use crate::lab::snapshot::Snapshot;

/// A running lab machine and what was brought into it.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    role: Role,
    disks: Vec<PathBuf>,
    images: HashMap<PathBuf, String>,
    programs: HashMap<PathBuf, String>,
    guests: u32,
    /// Whether ports of this machine lead to its guest's already.
    is_published: bool,
    /// Whether guests have their disks and interfaces from driver domains.
    has_driver_domains: bool,
}

impl Session {
    /// Loads a machine and lends it these disks of the host.
    ///
    /// # Errors
    /// If the machine does not start.
    pub fn open(lab: &Lab, snapshot: &Snapshot, disks: &[PathBuf]) -> Result<Self> {
        Self::open_lent(lab, snapshot, Lent { disks, cable: None })
    }

    /// Loads a machine and lends it all this.
    ///
    /// # Errors
    /// If the machine does not start.
    pub fn open_lent(lab: &Lab, snapshot: &Snapshot, lent: Lent<'_>) -> Result<Self> {
        let mut machine = Machine::load(lab, snapshot, lent)?;
        if snapshot.role.has_xen() {
            // What Xen says from now on is about guests.
            machine.agent.check("xl dmesg -c >/dev/null")?;
            hotplug::prepare(&mut machine.agent)?;
        }
        Ok(Self {
            machine,
            role: snapshot.role,
            disks: lent.disks.to_vec(),
            images: HashMap::new(),
            programs: HashMap::new(),
            guests: 0,
            is_published: false,
            has_driver_domains: false,
        })
    }

    /// Has driver domains serve all guests from now on, which are of `env`'s kind: with the images of
    /// `storage` and of `router`.
    ///
    /// # Errors
    /// If the machine no longer answers, or one of them does not start.
    pub fn start_driver_domains(&mut self, env: Env, images: [&Image; 2]) -> Result<()> {
        neighbour::prepare(self.agent())?;
        let [storage, router] = images.map(|image| self.push_program(&image.file));
        let paths = [storage?, router?];
        let [storage, router] = [(images[0], paths[0].as_str()), (images[1], paths[1].as_str())];
        let disks = self.disks.len();
        driver_domains::start(self.agent(), env, [storage, router], disks)?;
        self.has_driver_domains = true;
        Ok(())
    }

    /// Has the driver domains end, and gives what they have written.
    ///
    /// # Errors
    /// If the machine no longer answers, or one of them does not end well.
    pub fn end_driver_domains(&mut self) -> Result<String> {
        self.has_driver_domains = false;
        driver_domains::end(self.agent())
    }

    /// Whether guests have their disks and interfaces from driver domains.
    pub(super) fn has_driver_domains(&self) -> bool {
        self.has_driver_domains
    }

    /// Whether the machine was lent the job's disks.
    pub fn has_disks_of(&self, job: &Job) -> bool {
        job.disks.iter().all(|disk| self.disks.contains(disk))
    }

    /// Runs a job to its end.
    ///
    /// # Errors
    /// If the machine no longer answers; it is then of no further use.
    pub fn run(&mut self, job: &Job) -> Result<Outcome> {
        match self.role {
            Role::Xen | Role::Oxenstored => xl::run(self, job),
            Role::Kvm => kvm::run(self, job),
        }
    }

    /// Runs a job on this process's terminal.
    ///
    /// # Errors
    /// If the machine no longer answers.
    pub fn interact(&mut self, job: &Job) -> Result<Outcome> {
        match self.role {
            Role::Xen | Role::Oxenstored => xl::interact(self, job),
            Role::Kvm => kvm::interact(self, job),
        }
    }

    /// What the machine had of the processors since it was started.
    pub fn processor_time(&self) -> ProcessorTime {
        self.machine.processor_time()
    }

    /// What the machine's QEMU said of its own accord, such as why it ended.
    pub fn last_words(&self) -> String {
        self.machine.errors()
    }

    /// The machine's agent.
    pub fn agent(&mut self) -> &mut Agent {
        &mut self.machine.agent
    }

    /// The control connection of the machine's QEMU.
    pub(super) fn qmp(&self) -> Result<Qmp> {
        self.machine.qmp()
    }

    /// Has ports of this machine lead to the job's guest, if any are to: once, also if the guest runs again.
    pub(super) fn publish(&mut self, job: &Job) -> Result<()> {
        if !job.publish.is_empty() && !self.is_published {
            self.is_published = true;
            publish::open(self, &job.publish)?;
        }
        Ok(())
    }

    /// A name that no guest of this machine had before.
    pub(super) fn guest_name(&mut self) -> String {
        self.guests += 1;
        format!("prism{}", self.guests)
    }

    /// The path of the job's image in the machine, where it is brought once.
    pub(super) fn push_image(&mut self, job: &Job) -> Result<String> {
        let file = &job.image.file;
        if let Some(path) = self.images.get(file) {
            return Ok(path.clone());
        }
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let path = format!("/tmp/image{}.elf", self.images.len());
        self.machine.agent.put(&path, &content)?;
        self.images.insert(file.clone(), path.clone());
        Ok(path)
    }

    /// The path of a program of the host's in the machine, where it is brought once.
    pub(crate) fn push_program(&mut self, file: &Path) -> Result<String> {
        if let Some(path) = self.programs.get(file) {
            return Ok(path.clone());
        }
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let path = format!("/tmp/program{}", self.programs.len());
        self.machine.agent.put(&path, &content)?;
        self.machine.agent.check(&format!("chmod +x {path}"))?;
        self.programs.insert(file.to_owned(), path.clone());
        Ok(path)
    }

    /// The names in the machine of the job's disks.
    pub(super) fn disk_names(&self, job: &Job) -> Vec<String> {
        let index = |disk: &PathBuf| self.disks.iter().position(|lent| lent == disk);
        let name = |index: usize| format!("/dev/vd{}", char::from(b'a' + index as u8));
        job.disks.iter().filter_map(index).map(name).collect()
    }
}
