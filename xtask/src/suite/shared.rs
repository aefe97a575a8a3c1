// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine with Xen that tests share which run their guests one after another: it is loaded once, and its
//! toolstack is warm.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::traced::Cost;
use crate::env::Env;
use crate::guest::Job;
use crate::guest::session::Session;
use crate::image::build;
use crate::lab::machine::Role;
use crate::project::Project;
use crate::scratch::Scratch;

/// Bytes of the disk that the machine is lent.
const DISK: usize = 16 << 20;

/// The machine, once a test has asked for it. It is loaded anew after a test that failed.
#[derive(Debug)]
pub struct Shared<'p> {
    /// Where all is.
    pub project: &'p Project,
    machine: Option<Machine>,
    /// What guests cost that several tests compare with, by what was asked of them.
    known: HashMap<String, Cost>,
}

#[derive(Debug)]
struct Machine {
    session: Session,
    disk: PathBuf,
    /// Holds the disk.
    _scratch: Scratch,
}

impl<'p> Shared<'p> {
    /// None is loaded yet.
    pub fn new(project: &'p Project) -> Self {
        Self { project, machine: None, known: HashMap::new() }
    }

    /// The machine.
    ///
    /// # Errors
    /// If it does not start.
    pub fn session(&mut self) -> Result<&mut Session> {
        self.machine().map(|machine| &mut machine.session)
    }

    /// The path of a disk that the machine was lent, of zeros at first.
    ///
    /// # Errors
    /// If the machine does not start.
    pub fn disk(&mut self) -> Result<PathBuf> {
        self.machine().map(|machine| machine.disk.clone())
    }

    /// What the job costs, which is run once for all that ask.
    ///
    /// # Errors
    /// If the guest fails.
    pub(super) fn cost(&mut self, job: &Job) -> Result<Cost> {
        let asked = format!("{:?} {} {}", job.env, job.image.file.display(), job.command_line);
        if let Some(known) = self.known.get(&asked) {
            return Ok(*known);
        }
        let cost = Cost::of_run(self.session()?, job)?;
        self.known.insert(asked, cost);
        Ok(cost)
    }

    /// The machine is not to be trusted any more.
    pub fn forget(&mut self) {
        self.machine = None;
    }

    fn machine(&mut self) -> Result<&mut Machine> {
        if self.machine.is_none() {
            self.machine = Some(Machine::warm(self.project)?);
        }
        self.machine.as_mut().context("there is no machine")
    }
}

impl Machine {
    fn warm(project: &Project) -> Result<Self> {
        let scratch = Scratch::new()?;
        let disk = scratch.path().join("disk");
        fs::write(&disk, vec![0; DISK]).context("cannot write a disk")?;
        let lab = project.lab();
        let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, std::slice::from_ref(&disk))?;
        // The first guest of a machine meets a toolstack, an xenstored and backends that are not warm yet.
        let first = Job {
            command_line: "seconds=1".to_owned(),
            disks: vec![disk.clone()],
            network: true,
            ..Job::new(Env::Pv, build::build_by_name(project, "idle")?)
        };
        session.run(&first)?;
        Ok(Self { session, disk, _scratch: scratch })
    }
}
