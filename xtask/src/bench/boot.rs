// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it costs to boot, from the first instruction until a disk and an interface work and the address is
//! there, by what it is for; beside a Linux with the same devices.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::baseline::Baseline;
use super::cost::Cost;
use super::ratio::median;
use super::{ENVS, again, chosen, page};
use crate::cli::Bench;
use crate::env::Env;
use crate::guest::beside::{Beside, READY, When};
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::{Image, build};
use crate::lab::machine::Role;
use crate::project::Project;
use crate::scratch::Scratch;
use crate::verdict::Verdict;

/// The benchmark's name.
const NAME: &str = "boot";

/// Bytes of the guests' disk.
const DISK_SIZE: usize = 16 << 20;

/// Time that a guest may take: Linux makes everything itself that it serves with.
const LIMIT: Duration = Duration::from_secs(240);

/// Readings of the time-stamp counter do not trap.
const SETTINGS: &[&str] = &["tsc_mode = \"native\""];

/// Has xenstored note down what it is asked, from now on.
const NOTE: &str = "rm -f /tmp/asked; xenstore-control logfile /tmp/asked >/dev/null; \
     xenstore-control log on >/dev/null";

/// Ends both traces, once the guest is ready, and tells what the guest has asked xenstored, by kind.
const TELL: &str = "kill -INT $(cat /tmp/tracer); xenstore-control log off >/dev/null; \
     awk -v from=\"(d$DOMID)\" '/^io: IN / && $4 == from { n[$7]++ } END { for (k in n) print \"asked\", k, n[k] }' \
     /tmp/asked; rm -f /tmp/asked";

/// What is counted in all.
const ENTRIES: &str = "entries";
const REQUESTS: &str = "requests to xenstored";

/// What the kinds of entries are for. Those of no consequence are not here, and are told in sum.
const PURPOSES: [(&str, &str); 25] = [
    ("sched_op", "PV: sleeping until something happens"),
    ("evtchn_op", "ports for xenstore, console, timer, devices; notifications"),
    ("grant_table_op", "the grant table is made, in versions and frames"),
    ("memory_op", "the memory map; shared pages are placed"),
    ("mmu_update", "PV: page tables, many entries at a time"),
    ("mmuext_op", "PV: page tables are pinned, translations flushed"),
    ("update_va_mapping", "PV: one page is mapped otherwise"),
    ("multicall", "PV: several calls at once"),
    ("vcpu_op", "vCPU information is placed; the timer is set"),
    ("set_timer_op", "the timer is set"),
    ("hvm_op", "parameters: rings of xenstore and console, the callback"),
    ("xen_version", "version and features"),
    ("physdev_op", "PV: rights to ports; interrupts"),
    ("console_io", "text for Xen's own console"),
    ("set_trap_table", "PV: exceptions"),
    ("set_callbacks", "PV: where events enter"),
    ("stack_switch", "PV: the stack of exceptions"),
    ("set_segment_base", "PV: FS and GS"),
    ("iret", "PV: return from an event or an exception"),
    ("VMEXIT_HLT", "sleeping until something happens"),
    ("VMEXIT_CPUID", "who is beneath, and what the processor can"),
    ("VMEXIT_MSR", "registers of the processor and the APIC"),
    ("VMEXIT_IOIO", "ports of an emulated platform"),
    ("VMEXIT_NPF", "memory that is touched first, or emulated registers"),
    ("VMEXIT_EXCEPTION", "exceptions that Xen looks at"),
];

/// What a boot cost, by name.
type Counts = BTreeMap<String, u64>;

/// Whom is counted.
struct Guest {
    image: Image,
    ramdisk: Option<&'static str>,
    words: String,
}

/// Counts, and prints the table, or writes it into `docs/`.
///
/// # Errors
/// If the lab fails, or a guest.
pub(super) fn run(project: &Project, options: &Bench) -> Result<u8> {
    let (envs, rounds) = chosen(options, &ENVS)?;
    let scratch = Scratch::new()?;
    let disk = scratch.path().join("disk");
    fs::write(&disk, vec![0; DISK_SIZE]).context("cannot write a disk")?;
    let lab = project.lab();
    let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, std::slice::from_ref(&disk))?;
    let ours = Guest {
        image: build::build_by_name(project, "cost")?,
        ramdisk: None,
        words: "ip=192.0.2.2/24 serve".to_owned(),
    };
    let Baseline { image, ramdisk, words } = Baseline::make(project, &mut session)?;
    let linux = Guest { image, ramdisk: Some(ramdisk), words: format!("{words}serve") };
    // The first guest of a machine meets a toolstack that is not warm yet.
    ours.count(&mut session, &disk, envs[0])?;
    let mut columns = Vec::new();
    for env in envs {
        for (name, guest) in [("Prism", &ours), ("Linux", &linux)] {
            let mut runs = Vec::new();
            for round in 1..=rounds {
                eprintln!("{}, {name}: round {round} of {rounds}", env.name());
                runs.push(again(|| guest.count(&mut session, &disk, env))?);
            }
            columns.push((format!("{}, {name}", env.name()), medians(&runs)));
        }
    }
    let table = format!("{}\nRuns of each, of which these are the medians: {rounds}.\n", table(&columns));
    println!("{table}");
    if options.is_whole() {
        page::write(project, NAME, &table)?;
    }
    Ok(0)
}

impl Guest {
    fn count(&self, session: &mut Session, disk: &Path, env: Env) -> Result<Counts> {
        let job = Job {
            command_line: self.words.clone(),
            memory: 256,
            ramdisk: self.ramdisk,
            disks: vec![disk.to_owned()],
            network: true,
            settings: SETTINGS,
            beside: Some(Beside { when: When::Said(READY), command: TELL, ends_guest: true }),
            limit: LIMIT,
            ..Job::new(env, self.image.clone())
        };
        session.agent().check(NOTE)?;
        let (outcome, summary) = xl::run_traced(session, &job)?;
        let told = outcome.companion.as_ref().map(|companion| companion.output.as_str()).unwrap_or_default();
        ensure!(
            outcome.verdict == Verdict::Success,
            "{} failed ({:?}):\n{}{}{told}",
            self.image.name,
            outcome.ending,
            outcome.console,
            outcome.machine
        );
        counts(&summary, told).with_context(|| format!("a trace is missing:\n{summary}{told}"))
    }
}

/// From `xenalyze`'s summary, and what the script told of xenstored.
fn counts(summary: &str, told: &str) -> Option<Counts> {
    let cost = Cost::of_summary(summary)?;
    let asked = told.lines().filter_map(|line| line.strip_prefix("asked ")?.split_once(' '));
    let asked = asked.map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<Option<u64>>()?;
    let mut counts: Counts =
        Cost::kinds(summary).into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    counts.insert(ENTRIES.to_owned(), cost.entries);
    counts.insert(REQUESTS.to_owned(), asked);
    (asked > 0).then_some(counts)
}

fn medians(runs: &[Counts]) -> Counts {
    let names = runs.iter().flatten().map(|(name, _)| name.clone());
    let of = |name: &String| {
        median(runs.iter().map(|run| run.get(name).copied().unwrap_or(0) as f64).collect()) as u64
    };
    names.map(|name| (name.clone(), of(&name))).collect()
}

/// The table: what is counted in all, and each kind of entries that anyone has, by what it is for.
fn table(columns: &[(String, Counts)]) -> String {
    let count = |counts: &Counts, name: &str| counts.get(name).copied().unwrap_or(0);
    let row = |name: &str, purpose: &str| {
        let cells = columns.iter().map(|(_, counts)| count(counts, name).to_string());
        format!("| {name} | {purpose} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" | ");
    let mut text = format!("| | what for | {names} |\n|---|---{}|\n", "|---:".repeat(columns.len()));
    text += &row(ENTRIES, "hypercalls of a PV guest, exits of any other");
    text += &row(REQUESTS, "configuration; the handshakes of console, disk and interface");
    let is_there = |name: &str| columns.iter().any(|(_, counts)| count(counts, name) > 0);
    for (name, purpose) in PURPOSES.into_iter().filter(|(name, _)| is_there(name)) {
        text += &row(name, purpose);
    }
    // Of entries that are listed within others, a trace tells twice.
    let others = columns.iter().map(|(_, counts)| {
        let told: u64 = PURPOSES.iter().map(|(name, _)| count(counts, name)).sum();
        count(counts, ENTRIES).saturating_sub(told).to_string()
    });
    text + &format!("| others | | {} |\n", others.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "|-- Domain 0 --|\n  hypercall  8355\n|-- Domain 2 --|\n-- v0 --\n   running:  9  0.01s \
                           3762699 {1|2|3}\n   hypercall  118\n     sched_op   [29]:  4\n    evtchn_op   [32]:  40\n    \
                           strange_op   [55]:  3\n";

    #[test]
    fn kinds_stand_in_the_table_with_what_they_are_for_and_the_rest_in_sum() {
        let counts = counts(SUMMARY, "asked READ 30\nasked WRITE 7\n").unwrap();
        let table = table(&[("pv, Prism".to_owned(), counts)]);
        for line in [
            "| entries | hypercalls of a PV guest, exits of any other | 118 |",
            "| requests to xenstored | configuration; the handshakes of console, disk and interface | 37 |",
            "| sched_op | PV: sleeping until something happens | 4 |",
            "| others | | 74 |",
        ] {
            assert!(table.lines().any(|other| other == line), "{line}: {table}");
        }
        assert!(super::counts(SUMMARY, "").is_none());
    }

    #[test]
    fn a_kind_that_one_run_lacks_counts_as_none_there() {
        let run = |count| Counts::from([("sched_op".to_owned(), count)]);
        assert_eq!(medians(&[run(5), Counts::new(), run(3)])["sched_op"], 3);
    }
}
