// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person types.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::guest::Boot;
use crate::guest::publish::Publish;
use crate::image::disk::Format;
use crate::preflight::LEAST_MEMORY;

/// Builds Prism's images and its lab, boots the images in every environment and judges them.
#[derive(Debug, Parser)]
#[command(name = "prism-runner", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an application and boot it; without one, `spectrum` in every environment.
    #[command(override_usage = "scripts/run [APP] [OPTIONS]")]
    #[command(after_help = "Exit status: 0 SUCCESS, 3 SKIP, 4 ERROR, 5 FAILURE, 6 CRASH (the worst of all \
                            environments), 2 if the command or the lab is at fault.")]
    Run(Run),
    /// Build an application and print the path of its image: the ELF, or with --format a disk that
    /// boots it through a BIOS or UEFI.
    #[command(override_usage = "scripts/image APP [OPTIONS]")]
    Image(Image),
    /// Make an application: a folder that builds and runs, in apps/ or anywhere else.
    #[command(override_usage = "scripts/new NAME [--plain]")]
    New(New),
    /// Build, enter or remove the lab.
    #[command(override_usage = "scripts/lab build|shell|clean|status")]
    Lab {
        /// What to do with it.
        #[command(subcommand)]
        action: Lab,
    },
    /// Measure Prism against Linux, as guests of the same Xen, or what each environment costs, or how large
    /// images are, and write the result into docs/; or check that what is there still holds.
    #[command(
        override_usage = "scripts/bench blk|net|spectrum|primitives|boot|suspend|backends|size|check [--quick]"
    )]
    Bench(Bench),
    /// Run the tests: `quick` = those of this machine alone; `long` = those that take very long; `list`; or
    /// those whose name contains one of the words, or ends with it if it has a slash; all but the long ones
    /// by default.
    #[command(override_usage = "scripts/test [quick|long|list|WORD...]")]
    Test {
        /// `quick`, `long`, `list`, or words of the names of tests.
        filters: Vec<String>,
    },
}

/// Options of `new`.
#[derive(Args, Debug)]
pub struct New {
    /// The folder to make; its last part is the application's name. A bare name is a folder of apps/ when the
    /// current folder is in this project, else one in the current folder.
    #[arg(value_name = "NAME")]
    pub folder: PathBuf,
    /// Without a network: the application only says hello.
    #[arg(long)]
    pub plain: bool,
}

/// Options of `image`.
#[derive(Args, Debug)]
pub struct Image {
    /// An application of apps/, a guest test of tests/guest/, the folder of an application that is elsewhere,
    /// or the path of an ELF file.
    pub app: String,
    /// Make a bootable disk or CD around the ELF.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Command line for the kernel; needs --format.
    #[arg(long, default_value = "", value_name = "S", requires = "format")]
    pub cmdline: String,
    /// A file that the boot loader hands to the application; may be repeated; needs --format.
    #[arg(long = "module", value_name = "FILE", requires = "format")]
    pub modules: Vec<PathBuf>,
    /// Where the disk is put, instead of beside the ELF; needs --format.
    #[arg(short, long, value_name = "FILE", requires = "format")]
    pub output: Option<PathBuf>,
}

/// Seconds after which a guest counts as hung, unless the command says otherwise.
const USUAL_TIMEOUT: u64 = 120;

/// Seconds that nobody waits: a year.
const FOREVER: u64 = 365 * 24 * 60 * 60;

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// An application of apps/, a guest test of tests/guest/, the folder of an application that is elsewhere,
    /// or the path of an ELF file.
    pub app: Option<String>,
    /// Environments to boot in, all by default; may be repeated or separated by commas.
    #[arg(long = "env", value_delimiter = ',', value_name = "ENV")]
    pub envs: Vec<String>,
    /// Memory of the guest in MiB.
    #[arg(long, default_value_t = 64, value_name = "MB", value_parser = memory)]
    pub memory: u32,
    /// Virtual CPUs of the guest.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=128))]
    pub vcpus: u32,
    /// Command line for the kernel.
    #[arg(long, default_value = "", value_name = "S")]
    pub cmdline: String,
    /// How the image gets into the machine, where there is a choice.
    #[arg(long, value_enum, default_value_t = Boot::Direct, value_name = "HOW")]
    pub boot: Boot,
    /// A raw disk image for the guest, which may write to it; may be repeated.
    #[arg(long = "disk", value_name = "FILE")]
    pub disks: Vec<PathBuf>,
    /// A network interface for the guest, on a bridge where DHCP gives it the address 192.0.2.2 and
    /// the lab machine has 192.0.2.1. Servers have one anyway.
    #[arg(long)]
    pub net: bool,
    /// A command, to the end of the line, for the lab machine on the guest's network: run once the guest
    /// says that it is ready; its status counts. The guest is ended after it. A single word is a whole
    /// shell command: 'curl -s http://192.0.2.2/ | wc -c'. Implies --net.
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, conflicts_with = "interactive")]
    pub visit: Vec<String>,
    /// Have a TCP port of this machine, on 127.0.0.1, lead to one of the guest, as 8080:80; may be repeated.
    /// The guest runs until Ctrl-C, which has it shut down; one in a QEMU that does not within 15 seconds is
    /// ended. Implies --net; needs one --env.
    #[arg(long, value_name = "HOST:GUEST", conflicts_with_all = ["interactive", "visit"])]
    pub publish: Vec<Publish>,
    /// Connect this terminal to the guest's console; needs one --env.
    #[arg(long)]
    pub interactive: bool,
    /// Write what came of it into this folder, too, which is made if need be: report.md, report.json, each
    /// console, and the picture of the spectrum of guests that print their grid.
    #[arg(long, value_name = "DIR", conflicts_with = "interactive")]
    pub report: Option<PathBuf>,
    /// Seconds after which a guest counts as hung: 120 by default, without end with --publish.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=FOREVER))]
    pub timeout: Option<u64>,
    /// List environments and applications.
    #[arg(long)]
    pub list: bool,
}

impl Run {
    /// Whether the guest has a network interface for sure; servers have one anyway.
    pub fn has_network(&self) -> bool {
        self.net || !self.visit.is_empty() || !self.publish.is_empty()
    }

    /// Time after which a guest counts as hung.
    pub fn limit(&self) -> Duration {
        let usual = if self.publish.is_empty() { USUAL_TIMEOUT } else { FOREVER };
        Duration::from_secs(self.timeout.unwrap_or(usual))
    }
}

/// A guest's memory in MiB.
fn memory(word: &str) -> Result<u32, String> {
    let memory: u32 = word.parse().map_err(|_| "give a number of MiB".to_owned())?;
    if memory < LEAST_MEMORY {
        return Err(format!("an image needs {LEAST_MEMORY} MiB at least"));
    }
    Ok(memory)
}

/// What is wrong with a command, in a line.
#[must_use]
pub fn refusal(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    let first = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "error: a word is missing that says what to do".to_owned()
    } else {
        paragraphs.next().unwrap_or_default()
    };
    let tip = paragraphs.find(|paragraph| paragraph.starts_with("tip: a similar"));
    let tip = tip.map(|tip| format!("; {}", tip.trim_start_matches("tip: "))).unwrap_or_default();
    format!("{first}{tip} (--help tells more)")
}

/// Options of `bench`.
#[derive(Args, Debug)]
pub struct Bench {
    /// What is measured.
    #[arg(value_enum)]
    pub what: Benchmark,
    /// Environments, pv, pvh and pvhvm by default, for spectrum and primitives all; may be repeated or
    /// separated by commas. With them the table is printed, and nothing written.
    #[arg(long = "env", value_delimiter = ',', value_name = "ENV")]
    pub envs: Vec<String>,
    /// Runs of each, of which the median is taken.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Only one short run of each, in pv by default; prints the table, and writes nothing.
    #[arg(long)]
    pub quick: bool,
    /// Measure nothing: draw the picture of spectrum anew, from the table in docs/.
    #[arg(long, conflicts_with_all = ["envs", "quick"])]
    pub draw: bool,
}

impl Bench {
    /// Whether the table and the picture in `docs/` are to be written: not of a part.
    pub fn is_whole(&self) -> bool {
        !self.quick && self.envs.is_empty()
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Benchmark {
    /// Disks.
    Blk,
    /// Network interfaces.
    Net,
    /// What each environment costs.
    Spectrum,
    /// What each environment costs for a hypercall, an event, a clock read, a page-table update and the like.
    Primitives,
    /// Being saved and restored, in pv and pvh.
    Suspend,
    /// Driver domains, in pv and pvh.
    Backends,
    /// What a boot is made of, until a disk and an interface work.
    Boot,
    /// What is in images, by bytes.
    Size,
    /// Nothing new: whether sizes, and what pv and pvh cost, are still as the documents have them.
    Check,
}

impl Benchmark {
    /// As it is typed, and as its picture is named.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blk => "blk",
            Self::Net => "net",
            Self::Spectrum => "spectrum",
            Self::Primitives => "primitives",
            Self::Suspend => "suspend",
            Self::Backends => "backends",
            Self::Boot => "boot",
            Self::Size => "size",
            Self::Check => "check",
        }
    }
}

/// What to do with the lab.
#[derive(Debug, Subcommand)]
pub enum Lab {
    /// Make whatever is missing of what nearly every run needs.
    Build,
    /// A shell in the Xen machine's dom0.
    Shell {
        /// In the KVM machine instead.
        #[arg(long)]
        kvm: bool,
        /// In the dom0 whose xenstored is oxenstored instead.
        #[arg(long, conflicts_with = "kvm")]
        oxenstored: bool,
    },
    /// Remove it all.
    Clean,
    /// Show what is made.
    Status,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_command_is_a_line_that_says_what_to_give() {
        for (words, told) in [
            ("image", "the following required arguments were not provided: <APP>"),
            (
                "run hello --boot dsk",
                "[possible values: direct, disk, cd, uefi]; a similar value exists: 'disk'",
            ),
            (
                "run hello --memry 7",
                "unexpected argument '--memry' found; a similar argument exists: '--memory'",
            ),
            ("run hello --memory 4", "invalid value '4' for '--memory <MB>': an image needs 8 MiB at least"),
            ("run hello --memory much", "give a number of MiB"),
            ("run hello --disk", "a value is required for '--disk <FILE>'"),
            ("run hello --visit", "a value is required for '--visit <COMMAND>...'"),
            ("run hello --publish 80", "give a port of this machine and one of the guest, as in 8080:80"),
            ("run hello --publish 1:2 --visit true", "'--publish <HOST:GUEST>' cannot be used with"),
            ("lab", "a word is missing that says what to do"),
            (
                "bench disk",
                "[possible values: blk, net, spectrum, primitives, suspend, backends, boot, size, check]",
            ),
        ] {
            let words = std::iter::once("scripts").chain(words.split(' '));
            let text = refusal(&Cli::try_parse_from(words).unwrap_err());
            assert!(text.contains(told) && text.starts_with("error: ") && !text.contains('\n'), "{text}");
        }
    }
}
