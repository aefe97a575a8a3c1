// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each environment costs for the things that any guest does all the time: how often what is beneath is
//! entered for each. The guest does one after the other, between marks that the trace shows.

mod counter;
mod rounds;
mod table;
mod xen_trace;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::page;
use super::spectrum;
use crate::cli::Bench;
use crate::env::{Env, Place};
use crate::guest::Job;
use crate::guest::beside::{Beside, When};
use crate::guest::session::Session;
use crate::image::{Image, build};
use crate::lab::machine::Role;
use crate::project::Project;
use crate::scratch::Scratch;
use table::{Cell, Column};

/// The environments in which something can be counted.
const ENVS: [Env; 9] = Env::WITH_DEVICES;

/// Bytes of the disk that is read.
const DISK_SIZE: usize = 16 << 20;

/// How often a thing is done: where each costs the lab much, less often.
const OFTEN: u64 = 400;
const SELDOM: u64 = 40;

/// The row that takes two vCPUs.
const WAKES: &str = "another vCPU woken, 1 ms slept";

/// What QEMU's trace does not show: registers of a local APIC that is driven by model-specific registers.
const HIDDEN: [&str; 2] = ["timer of 1 ms", WAKES];

/// Counts, and prints the table, or writes it into `docs/`.
///
/// # Errors
/// If the lab fails, or a guest.
pub(super) fn run(project: &Project, options: &Bench) -> Result<u8> {
    let (envs, rounds) = super::chosen(options, &ENVS)?;
    let mut bench = Bencher::new(project)?;
    let columns = envs.into_iter().map(|env| bench.column(env, rounds)).collect::<Result<Vec<Column>>>()?;
    let table = table::table(&columns);
    println!("{table}");
    if options.is_whole() {
        page::write(project, options.what.name(), &table)?;
    }
    Ok(0)
}

/// Runs guests in the lab's machines, one after the other.
struct Bencher<'a> {
    project: &'a Project,
    image: Image,
    /// What answers a guest in dom0, and lends it a page.
    peer: PathBuf,
    disk: PathBuf,
    session: Option<(Role, Session)>,
    /// Where the disk is.
    _scratch: Scratch,
}

impl<'a> Bencher<'a> {
    fn new(project: &'a Project) -> Result<Self> {
        let scratch = Scratch::new()?;
        let disk = scratch.path().join("disk");
        fs::write(&disk, vec![0; DISK_SIZE]).context("cannot write a disk")?;
        Ok(Self {
            project,
            image: build::build_by_name(project, "spectrum")?,
            peer: build::build_peer(project)?,
            disk,
            session: None,
            _scratch: scratch,
        })
    }

    fn column(&mut self, env: Env, rounds: u32) -> Result<Column> {
        let mut column = Column::new(env, spectrum::unit(env));
        for round in 1..=rounds {
            eprintln!("{}: round {round} of {rounds}", env.name());
            let found = self.round(env).with_context(|| format!("in {}", env.name()))?;
            column.add(found);
        }
        eprintln!("{}", column.details());
        Ok(column)
    }

    /// What came of each primitive.
    fn round(&mut self, env: Env) -> Result<Vec<(String, Cell)>> {
        let mut found = self.count(env, 1, "")?;
        if env != Env::Fv {
            // With two vCPUs for nothing but this: what a second one costs is not part of the others.
            let wakes = self.count(env, 2, "wakes")?;
            for (name, cell) in &mut found {
                if let Some((_, other)) = wakes.iter().find(|(other, _)| name == other) {
                    *cell = other.clone();
                }
            }
        }
        for (name, cell) in &mut found {
            if env == Env::Fv && HIDDEN.contains(&name.as_str()) {
                *cell = Cell::Not("QEMU's trace does not show the registers of the local APIC".to_owned());
            }
        }
        Ok(found)
    }

    fn count(&mut self, env: Env, vcpus: u32, words: &str) -> Result<Vec<(String, Cell)>> {
        let helped = matches!(env, Env::Pv | Env::Pvh | Env::Pvhvm | Env::HvmPvDrivers) && vcpus == 1;
        let times = if env == Env::Hvm { SELDOM } else { OFTEN };
        let words = format!(
            "primitives rounds=1 times={times} marks={} ip=192.0.2.2/24,192.0.2.1,192.0.2.1 {}{words}",
            counter::marks(env),
            if helped { "partner " } else { "" }
        );
        let job = Job {
            command_line: env.command_line(&words),
            vcpus,
            disks: vec![self.disk.clone()],
            network: true,
            beside: helped.then_some(Beside {
                when: When::Said("primitives: ready"),
                // Once more than in the round.
                command: format!("$PEER echo $DOMID {} && $PEER lend $DOMID", times + 1).leak(),
                ends_guest: false,
            }),
            peer: helped.then(|| self.peer.clone()),
            limit: counter::LIMIT,
            ..Job::new(env, self.image.clone())
        };
        let role = match env.place() {
            Place::XenLab => Role::Xen,
            Place::KvmLab | Place::Direct => Role::Kvm,
        };
        let session = self.session(role)?;
        super::again(|| counter::count(session, &job))
    }

    /// The machine of this role, which is started if the last guest was in another.
    fn session(&mut self, role: Role) -> Result<&mut Session> {
        if self.session.as_ref().is_none_or(|(open, _)| *open != role) {
            // The disk is lent to one machine at a time.
            self.session = None;
            let lab = self.project.lab();
            let session = Session::open(&lab, &lab.ensure(role)?, std::slice::from_ref(&self.disk))?;
            self.session = Some((role, session));
        }
        match &mut self.session {
            Some((_, session)) => Ok(session),
            None => bail!("the lab's machine is gone"),
        }
    }
}
