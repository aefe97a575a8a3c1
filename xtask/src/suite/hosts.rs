// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that work - they serve, have a disk checked, store - while they are saved, restored and migrated:
//! on one host, or between two, each a lab machine, to which a network and the guests' disks are common.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::LabTest;
use super::guests::{make_site, site_file};
use super::shared::Shared;
use crate::env::Env;
use crate::guest::hotplug::Hotplug;
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::build;
use crate::lab::machine::{Cable, Lent, Role};
use crate::lab::stage::hex;
use crate::project::Project;
use crate::scratch::Scratch;

/// A test of guests that are moved.
#[derive(Clone, Copy, Debug)]
pub struct HostsTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    moves: Moves,
}

/// How guests are moved.
#[derive(Clone, Copy, Debug)]
enum Moves {
    /// To another host, and back.
    Between,
    /// They stay, and are moved so often by a function of the script's.
    Within { how: &'static str, times: u32 },
}

const RESTORES: Moves = Moves::Within { how: "save_and_restore", times: 20 };
const MIGRATIONS: Moves = Moves::Within { how: "migrate", times: 10 };

/// All of them. PV guests cannot migrate while they run.
pub const TESTS: [HostsTest; 7] = [
    HostsTest {
        name: "three_guests_migrate_five_times_between_two_hosts/pvh",
        env: Env::Pvh,
        moves: Moves::Between,
    },
    HostsTest {
        name: "three_guests_migrate_five_times_between_two_hosts/pvhvm",
        env: Env::Pvhvm,
        moves: Moves::Between,
    },
    HostsTest {
        name: "three_guests_are_restored_twenty_times_and_nothing_leaks/pv",
        env: Env::Pv,
        moves: RESTORES,
    },
    HostsTest {
        name: "three_guests_are_restored_twenty_times_and_nothing_leaks/pvh",
        env: Env::Pvh,
        moves: RESTORES,
    },
    HostsTest {
        name: "three_guests_are_restored_twenty_times_and_nothing_leaks/pvhvm",
        env: Env::Pvhvm,
        moves: RESTORES,
    },
    HostsTest {
        name: "three_guests_migrate_ten_times_to_their_own_host_and_nothing_leaks/pvh",
        env: Env::Pvh,
        moves: MIGRATIONS,
    },
    HostsTest {
        name: "three_guests_migrate_ten_times_to_their_own_host_and_nothing_leaks/pvhvm",
        env: Env::Pvhvm,
        moves: MIGRATIONS,
    },
];

/// What each guest does, with which words and disk: it serves a file, has its disk checked, stores, and looks
/// at what was stored.
const GUESTS: [(&str, &str, usize); 4] = [
    ("httpd", "", 0),
    ("disk", "mix=xvda,9,10000000", 1),
    ("kv", "disk=xvda check stress=1000000", 2),
    ("kv", "disk=xvda check", 2),
];

/// Bytes of the disks that guests write to.
const DISK: usize = 16 << 20;

/// How long all moves and the checks may take.
const LIMIT: Duration = Duration::from_secs(10_000);

/// How a command is run on the other host, its input and output here, as `xl migrate -s` wants it.
const WIRE: &str = include_str!("hosts/wire.py");

/// What is done on the first host: what all have in common, and then their own.
const WORK: &str = include_str!("hosts/work.sh");
const BETWEEN: &str = include_str!("hosts/migrate.sh");
const WITHIN: &str = include_str!("hosts/stay.sh");

impl LabTest for HostsTest {
    fn name(&self) -> &str {
        self.name
    }

    /// It takes many minutes.
    fn is_long(&self) -> bool {
        true
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        let project = shared.project;
        let scratch = Scratch::new()?;
        let disks = make_disks(scratch.path())?;
        match self.moves {
            Moves::Between => self.move_between(project, scratch.path(), &disks),
            Moves::Within { how, times } => {
                let mut host = open(project, Lent { disks: &disks, cable: None })?;
                let names = self.bring(project, &mut host, &disks)?;
                work(&mut host, &names, &format!("how={how} times={times}\n{WITHIN}"))
            }
        }
    }
}

impl HostsTest {
    fn move_between(&self, project: &Project, dir: &Path, disks: &[PathBuf]) -> Result<()> {
        let [one, other] = ["first", "second"].map(|end| dir.join(end));
        let lent = |ends| Lent { disks, cable: Some(Cable { ends }) };
        let mut first = open(project, lent([&one, &other]))?;
        let mut second = open(project, lent([&other, &one]))?;
        let names = self.bring(project, &mut first, disks)?;
        connect(&mut first, 1)?;
        connect(&mut second, 2)?;
        work(&mut first, &names, BETWEEN)
    }

    /// Brings the guests to the host, and gives their names.
    fn bring(&self, project: &Project, host: &mut Session, disks: &[PathBuf]) -> Result<Vec<String>> {
        let bring = |(app, words, disk): (&str, &str, usize)| {
            let job = Job {
                command_line: words.to_owned(),
                disks: vec![disks[disk].clone()],
                network: app == "httpd",
                hotplug: Hotplug::Lab,
                ..Job::new(self.env, build::build_by_name(project, app)?)
            };
            xl::bring(host, &job)
        };
        GUESTS.into_iter().map(bring).collect()
    }
}

/// A host.
fn open(project: &Project, lent: Lent<'_>) -> Result<Session> {
    let lab = project.lab();
    Session::open_lent(&lab, &lab.ensure(Role::Xen)?, lent)
}

/// Has the guests of these names work, and runs this script on their host.
fn work(host: &mut Session, names: &[String], script: &str) -> Result<()> {
    let agent = host.agent();
    agent.put("/tmp/moves.sh", format!("{WORK}\n{script}").as_bytes())?;
    let sum = hex(&Sha256::digest(site_file()));
    let output = agent.sh(&format!("sh /tmp/moves.sh {} {sum} 2>&1", names.join(" ")), LIMIT)?;
    ensure!(output.status == 0, "{}", output.text());
    Ok(())
}

/// The guests' disks.
fn make_disks(dir: &Path) -> Result<Vec<PathBuf>> {
    let disks = ["site", "mixed", "store"].map(|name| dir.join(name));
    make_site(&disks[0])?;
    for disk in &disks[1..] {
        fs::write(disk, vec![0; DISK]).context("cannot write a disk")?;
    }
    Ok(disks.to_vec())
}

/// Has the cable end in the machine's bridge, and commands come by it. The address is from RFC 5737.
fn connect(session: &mut Session, host: u8) -> Result<()> {
    let agent = session.agent();
    agent.put("/tmp/wire", WIRE.as_bytes())?;
    agent
        .check(&format!(
            "chmod +x /tmp/wire; modprobe virtio_net; cd /sys/bus/virtio/drivers/virtio_net/virtio*/net/*; \
             cable=$(basename $(pwd)); ip link set $cable address 52:54:00:00:00:0{host}; \
             ip link set $cable master xenbr0 up; ip address add 198.51.100.{host}/24 dev xenbr0; \
             /tmp/wire </dev/null >/tmp/wire.log 2>&1 &"
        ))
        .map(drop)
}
