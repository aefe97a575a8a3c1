// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two hosts, each a lab machine: a network and the guests' disks are common to both, and guests migrate
//! from one to the other while they work.

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

/// A test of guests that migrate.
#[derive(Clone, Copy, Debug)]
pub struct HostsTest {
    /// A sentence.
    name: &'static str,
    env: Env,
}

/// All of them.
pub const TESTS: [HostsTest; 2] = [
    HostsTest { name: "three_guests_migrate_five_times_between_two_hosts/pvh", env: Env::Pvh },
    HostsTest { name: "three_guests_migrate_five_times_between_two_hosts/pvhvm", env: Env::Pvhvm },
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

/// How long the migrations and the checks may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// How a command is run on the other host, its input and output here, as `xl migrate -s` wants it.
const WIRE: &str = include_str!("hosts/wire.py");

/// What is done on the first host.
const SCRIPT: &str = include_str!("hosts/migrate.sh");

impl LabTest for HostsTest {
    fn name(&self) -> &str {
        self.name
    }

    /// It loads two machines.
    fn is_long(&self) -> bool {
        true
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        self.migrate(shared.project)
    }
}

impl HostsTest {
    fn migrate(&self, project: &Project) -> Result<()> {
        let scratch = Scratch::new()?;
        let disks = make_disks(scratch.path())?;
        let lab = project.lab();
        let snapshot = lab.ensure(Role::Xen)?;
        let [one, other] = ["first", "second"].map(|end| scratch.path().join(end));
        let lent = |ends| Lent { disks: &disks, cable: Some(Cable { ends }) };
        let mut first = Session::open_lent(&lab, &snapshot, lent([&one, &other]))?;
        let mut second = Session::open_lent(&lab, &snapshot, lent([&other, &one]))?;
        let mut names = Vec::new();
        for (app, words, disk) in GUESTS {
            let job = Job {
                command_line: words.to_owned(),
                disks: vec![disks[disk].clone()],
                network: app == "httpd",
                hotplug: Hotplug::Lab,
                ..Job::new(self.env, build::build_by_name(project, app)?)
            };
            names.push(xl::bring(&mut first, &job)?);
        }
        connect(&mut first, 1)?;
        connect(&mut second, 2)?;
        let agent = first.agent();
        agent.put("/tmp/migrate.sh", SCRIPT.as_bytes())?;
        let sum = hex(&Sha256::digest(site_file()));
        let output = agent.sh(&format!("sh /tmp/migrate.sh {} {sum} 2>&1", names.join(" ")), LIMIT)?;
        ensure!(output.status == 0, "{}", output.text());
        Ok(())
    }
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
