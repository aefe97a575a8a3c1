// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting one guest in one environment, and what came of it.

pub mod beside;
pub mod board;
pub mod direct;
pub mod driver_domains;
pub mod emulation;
pub mod hotplug;
pub mod kvm;
pub mod neighbour;
pub mod places;
pub mod publish;
pub mod registers;
pub mod schedule;
pub mod session;
pub mod shared_console;
pub mod shown;
pub mod spent;
mod watching;
pub mod xl;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Result;
use beside::{Beside, Companion};
use board::Board;
use hotplug::Hotplug;
use publish::Publish;
use sha2::{Digest, Sha256};
use shown::Shown;
use spent::{Part, Spent};

use crate::env::Env;
use crate::image::Image;
use crate::image::disk::{self, Content, Format};
use crate::lab::stage::hex;
use crate::verdict::Verdict;

/// How an image gets into a machine that leaves the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Boot {
    /// The hypervisor puts it into memory.
    #[default]
    Direct,
    /// A BIOS finds it on a disk, the guest's first.
    Disk,
    /// A BIOS finds it on a CD.
    Cd,
    /// A UEFI finds it on a disk, the guest's first.
    Uefi,
}

impl Boot {
    /// The disks of a guest that is started so: if it boots from one, that is made in `dir`, and
    /// comes first.
    ///
    /// # Errors
    /// If the disk cannot be made.
    pub fn with_boot_disk(
        self,
        image: &Image,
        command_line: &str,
        disks: Vec<PathBuf>,
        dir: &Path,
    ) -> Result<Vec<PathBuf>> {
        if self == Self::Direct {
            return Ok(disks);
        }
        let content = Content { image: &image.file, command_line, modules: &[] };
        // One for each command line.
        let file = dir.join(format!("boot{}.img", hex(&Sha256::digest(command_line))));
        if !file.exists() {
            disk::make(content, Format::Raw, &file)?;
        }
        Ok(std::iter::once(file).chain(disks).collect())
    }
}

/// A guest to start.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where.
    pub env: Env,
    /// What.
    pub image: Image,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of virtual CPUs.
    pub vcpus: u32,
    /// Words for the kernel; may be empty.
    pub command_line: String,
    /// How the image gets into the machine.
    pub boot: Boot,
    /// A file of the machine's that the loader hands over beside the image, if it hands over any. In
    /// an HVM domain the image is then a Linux.
    pub ramdisk: Option<&'static str>,
    /// Disk images of the host, written to by the guest. The first is the one it boots from, if it
    /// does.
    pub disks: Vec<PathBuf>,
    /// Who serves them to a guest of `xl`.
    pub backend: Backend,
    /// Whether it has a network interface.
    pub network: bool,
    /// Whether emulated machines without a disk or NIC of the job's have an empty one, for a grid that tells
    /// how they are provided.
    pub stand_ins: bool,
    /// Whose scripts connect these devices of a guest of `xl`.
    pub hotplug: Hotplug,
    /// What is typed on its console.
    pub typed: Option<Typed>,
    /// What its machine does beside it.
    pub beside: Option<Beside>,
    /// Whether somebody watches its console, and what the command beside it writes.
    pub watched: bool,
    /// Ports of this machine that lead to its own.
    pub publish: Vec<Publish>,
    /// Set when it is to end, if it is watched.
    pub stop: Option<Arc<AtomicBool>>,
    /// The program of `tests/dom0-peer`, if what is done beside it uses that.
    pub peer: Option<PathBuf>,
    /// The image of another guest that is started beside it.
    pub other: Option<PathBuf>,
    /// More lines for its `xl` configuration.
    pub settings: &'static [&'static str],
    /// More options for its QEMU, where it is a guest of one.
    pub qemu: &'static [&'static str],
    /// Its board, if it is a QEMU's.
    pub board: Board,
    /// Time after which the guest counts as hung.
    pub limit: Duration,
}

impl Job {
    /// Starting `image` in `env` with 64 MiB, one vCPU, a minute, and nothing else.
    pub fn new(env: Env, image: Image) -> Self {
        Self {
            env,
            image,
            memory: 64,
            vcpus: 1,
            command_line: String::new(),
            boot: Boot::Direct,
            ramdisk: None,
            disks: Vec::new(),
            backend: Backend::Kernel,
            network: false,
            stand_ins: true,
            hotplug: Hotplug::Distribution,
            typed: None,
            beside: None,
            watched: false,
            publish: Vec::new(),
            stop: None,
            peer: None,
            other: None,
            settings: &[],
            qemu: &[],
            board: Board::USUAL,
            limit: Duration::from_secs(60),
        }
    }
}

/// Who serves a guest's disks in dom0, unless [driver domains](driver_domains) serve all guests of the
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Linux's driver `xen-blkback`.
    Kernel,
    /// QEMU: `backendtype=qdisk`.
    Qemu,
}

/// Something typed for a guest once the guest has asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Typed {
    /// Where.
    pub on: Typing,
    /// What the guest writes when it is ready.
    pub after: &'static str,
    /// What is typed then.
    pub text: &'static str,
}

/// Where something is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// On the console whose output is the guest's.
    Console,
    /// On the keyboard of an emulated PC ([`Env::Fv`]). What is on its screen then is noted.
    Keyboard,
    /// The power button of a QEMU on this machine ([`Env::Fv`]), pressed twice.
    PowerButton,
}

/// How a guest's life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It turned itself off.
    Poweroff,
    /// It asked for a reboot, or the machine reset it.
    Reboot,
    /// Xen saw it crash, or it said so itself.
    Crash,
    /// It was still running at the end of its time.
    Hang,
    /// The command beside it had it ended, as it cannot be asked to.
    Destroyed,
    /// The person at its console left it, or had it ended.
    Left,
    /// It never ran; why.
    NotStarted(String),
}

/// What came of a guest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The guest's own verdict; a crash if it gave none.
    pub verdict: Verdict,
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to its console.
    pub console: String,
    /// What of that was shown while it ran.
    pub shown: Shown,
    /// What the machine beneath said about it: Xen's console, register dumps.
    pub machine: String,
    /// What came of the command beside it, if it had one.
    pub companion: Option<Companion>,
    /// How often it was run before this, and the lab's emulated processor failed it.
    pub lab_faults: u32,
    /// Why the machine of the guests before it did not serve it, so that it was run in a fresh one.
    pub lost_machine: Option<String>,
    /// How long all that took, cleaning up included.
    pub took: Duration,
    /// What of that went where.
    pub spent: Spent,
}

impl Outcome {
    /// Judges a console.
    pub fn new(ending: Ending, console: String, machine: String) -> Self {
        Self {
            verdict: Verdict::of_console(&console),
            ending,
            console,
            shown: Shown::default(),
            machine,
            companion: None,
            lab_faults: 0,
            lost_machine: None,
            took: Duration::ZERO,
            spent: Spent::default(),
        }
    }

    /// The same of a guest about which no more is known than that it ran so long.
    #[must_use]
    pub fn that_ran_for(mut self, time: Duration) -> Self {
        self.spent.add(Part::Run, time);
        self
    }

    /// The same with what came of the command beside it. One that ended its guest, which had no chance to
    /// give a verdict, gives its own.
    #[must_use]
    pub fn beside(self, companion: Option<Companion>) -> Self {
        let succeeded = companion.as_ref().is_some_and(|companion| companion.status == Some(0));
        let was_ended = self.ending == Ending::Destroyed;
        let verdict = match self.verdict {
            Verdict::Crash if succeeded && was_ended => Verdict::Success,
            verdict => verdict,
        };
        Self { companion, verdict, ..self }
    }

    /// The outcome of a guest that never ran.
    pub fn not_started(reason: String) -> Self {
        Self::new(Ending::NotStarted(reason), String::new(), String::new())
    }

    /// Why it took more than one try, if it did.
    pub fn second_try(&self) -> Option<String> {
        let lost = self
            .lost_machine
            .as_ref()
            .map(|why| format!("its machine was lost, {}", why.replace('\n', " ").trim_end()));
        let faults = self.lab_faults;
        lost.or_else(|| {
            (faults > 0).then(|| format!("the lab's emulated processor failed it {faults} times"))
        })
    }

    /// Why there is no verdict, in a few words; empty if there is one.
    pub fn reason(&self) -> String {
        match (&self.ending, self.verdict) {
            (Ending::NotStarted(reason), _) => format!("not started: {reason}"),
            (Ending::Left, _) => "left".to_owned(),
            (Ending::Hang, Verdict::Crash) => "still running at its time limit".to_owned(),
            (Ending::Hang, _) => "gave its verdict but did not power off".to_owned(),
            (Ending::Crash, Verdict::Crash) => "crashed".to_owned(),
            (Ending::Poweroff | Ending::Reboot | Ending::Destroyed, Verdict::Crash) => {
                "ended without a verdict".to_owned()
            }
            _ => String::new(),
        }
    }
}
