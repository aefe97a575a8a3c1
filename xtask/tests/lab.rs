// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the rest relies on, tried on the lab itself. Ignored by default: it needs the lab, which is
//! built by the first test if need be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use prism_runner::env::{Env, Place};
use prism_runner::guest::{Ending, Job, Outcome, schedule};
use prism_runner::image::Image;
use prism_runner::lab::machine::{Lent, Machine, Role};
use prism_runner::project::Project;
use prism_runner::scratch::Scratch;
use prism_runner::verdict::Verdict;

/// Time after which a guest counts as hung: it has come to its loop by then, also where several machines
/// share the host.
const HANG: Duration = Duration::from_secs(30);

/// The same behind firmware, in an emulated processor that runs a hypervisor.
const HANG_BEHIND_FIRMWARE: Duration = Duration::from_secs(120);

/// Time that whoever starts a guest may take to refuse it.
const REFUSED: Duration = Duration::from_secs(120);

fn machine(role: Role, disks: &[PathBuf]) -> Result<Machine> {
    let lab = Project::find()?.lab();
    Machine::load(&lab, &lab.ensure(role)?, Lent { disks, cable: None })
}

/// Bytes that do not repeat soon.
fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
#[ignore = "needs the lab"]
fn a_file_travels_unchanged_to_each_machine_and_back() -> Result<()> {
    for role in Role::USUAL {
        let mut machine = machine(role, &[])?;
        let content = noise(3_000_000);
        machine.agent.put("/tmp/file", &content)?;
        assert!(machine.agent.get("/tmp/file")? == content, "changed on the way to {role:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_command_reports_its_output_and_status() -> Result<()> {
    let mut machine = machine(Role::Xen, &[])?;
    let output = machine.agent.sh("echo out; echo err >&2; exit 7", REFUSED)?;
    assert_eq!((output.text().as_str(), output.status), ("out\nerr\n", 7));
    assert!(machine.agent.sh("sleep 30", Duration::from_secs(1)).is_err());
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn what_a_job_does_is_not_seen_by_the_next() -> Result<()> {
    let mut first = machine(Role::Xen, &[])?;
    first.agent.check("touch /mark && sync")?;
    // At the same time, and afterwards.
    let mut second = machine(Role::Xen, &[])?;
    second.agent.check("[ ! -e /mark ]")?;
    drop(first);
    machine(Role::Xen, &[])?.agent.check("[ ! -e /mark ]").map(drop)
}

#[test]
#[ignore = "needs the lab"]
fn lent_disks_are_read_and_written_in_their_order() -> Result<()> {
    let scratch = Scratch::new()?;
    let disks = ["first, with a comma", "second"].map(|name| scratch.path().join(name));
    fs::write(&disks[0], vec![b'1'; 1 << 20])?;
    fs::write(&disks[1], vec![b'2'; 3 << 20])?;
    for role in Role::USUAL {
        let mut machine = machine(role, &disks)?;
        assert_eq!(machine.agent.check("head -c 1 /dev/vda; head -c 1 /dev/vdb")?, "12");
        assert_eq!(machine.agent.check("blockdev --getsize64 /dev/vda /dev/vdb")?, "1048576\n3145728\n");
        let mark = role.name();
        machine
            .agent
            .check(&format!("printf {mark} | dd of=/dev/vdb bs=512 seek=2 oflag=direct conv=sync"))?;
        drop(machine);
        let content = fs::read(&disks[1])?;
        assert!(content[1024..].starts_with(mark.as_bytes()), "{role:?} did not write through");
    }
    Ok(())
}

/// One of each machine that tells where. A guest in an endless loop takes a processor of this machine for
/// all of its time.
#[test]
#[ignore = "needs the lab"]
fn a_guest_that_hangs_is_a_crash_and_shows_where() -> Result<()> {
    hangs(&[Env::Pv, Env::Kvm, Env::QemuXen])
}

#[test]
#[ignore = "needs the lab, and minutes"]
fn every_environment_shows_where_a_guest_hangs() -> Result<()> {
    hangs(&Env::ALL)
}

fn hangs(envs: &[Env]) -> Result<()> {
    let scratch = Scratch::new()?;
    let image = scratch.path().join("hang.elf");
    fs::write(&image, endless_loop())?;
    let limit = |env: Env| match env.place() {
        Place::XenLab if env.has_bios() => HANG_BEHIND_FIRMWARE,
        _ => HANG,
    };
    for outcome in boot(&image, envs, limit)? {
        assert_eq!((&outcome.ending, outcome.verdict), (&Ending::Hang, Verdict::Crash), "{outcome:?}");
        assert!(outcome.machine.contains("00100040"), "no register shows the loop: {outcome:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_file_that_is_no_image_is_refused_with_a_reason() -> Result<()> {
    let scratch = Scratch::new()?;
    let image = scratch.path().join("nothing.elf");
    fs::write(&image, "nothing")?;
    for outcome in boot(&image, &[Env::Pv, Env::Kvm, Env::Fv], |_| REFUSED)? {
        assert!(matches!(&outcome.ending, Ending::NotStarted(reason) if !reason.is_empty()), "{outcome:?}");
    }
    Ok(())
}

fn boot(image: &Path, envs: &[Env], limit: impl Fn(Env) -> Duration) -> Result<Vec<Outcome>> {
    let job = |&env: &Env| Job {
        memory: 32,
        limit: limit(env),
        ..Job::new(env, Image { name: "image".to_owned(), file: image.to_owned(), debug: None })
    };
    let jobs: Vec<Job> = envs.iter().map(job).collect();
    let mut outcomes = Vec::new();
    schedule::run(&Project::find()?.lab(), &jobs, Vec::new(), |_, outcome| outcomes.push(outcome))?;
    Ok(outcomes)
}

/// The smallest image: PV and PVH notes, and at 0x100040 a jump to itself, in any mode.
fn endless_loop() -> Vec<u8> {
    const BASE: u64 = 0x10_0000;
    const ENTRY: u64 = BASE + 0x40;
    const NOTES: u64 = 0x100;
    let notes = [
        note(1, &ENTRY.to_le_bytes()),
        note(3, &0_u64.to_le_bytes()),
        note(4, &0_u64.to_le_bytes()),
        note(5, b"xen-3.0\0"),
        note(6, b"loop\0\0\0\0"),
        note(8, b"generic\0"),
        note(18, &(ENTRY as u32).to_le_bytes()),
    ]
    .concat();
    let segments = [
        program_header(1, 5, [0x1000, BASE, 0x1000, 0x1000]),
        program_header(4, 4, [NOTES, BASE + NOTES, notes.len() as u64, 4]),
    ]
    .concat();
    let mut image = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for value in [ENTRY, 64, 0] {
        image.extend_from_slice(&value.to_le_bytes());
    }
    for value in [0, 0, 64, 56, 2, 64, 0, 0_u16] {
        image.extend_from_slice(&value.to_le_bytes());
    }
    image.extend_from_slice(&segments);
    image.resize(NOTES as usize, 0);
    image.extend_from_slice(&notes);
    image.resize(0x1040, 0);
    image.extend_from_slice(&[0xeb, 0xfe]);
    image.resize(0x2000, 0);
    image
}

fn program_header(kind: u32, flags: u32, [offset, address, size, align]: [u64; 4]) -> Vec<u8> {
    let mut header = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
    for value in [offset, address, address, size, size, align] {
        header.extend_from_slice(&value.to_le_bytes());
    }
    header
}

fn note(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut note = [4, content.len() as u32, kind].map(u32::to_le_bytes).concat();
    note.extend_from_slice(b"Xen\0");
    note.extend_from_slice(content);
    note
}

#[test]
#[ignore = "needs the lab"]
fn every_command_of_the_documents_works() -> Result<()> {
    run_commands(20, |command| !is_benchmark(command))
}

#[test]
#[ignore = "needs the lab"]
fn every_benchmark_of_the_documents_works() -> Result<()> {
    run_commands(3, is_benchmark)
}

fn is_benchmark(command: &str) -> bool {
    command.starts_with("scripts/bench ")
}

/// Runs the commands of the documents that are meant, at least so many.
fn run_commands(least: usize, is_meant: fn(&str) -> bool) -> Result<()> {
    let project = Project::find()?;
    let documents = documents(&project)?;
    let mut commands = commands(documents.iter().flat_map(|text| text.lines()));
    commands.retain(|(command, _)| is_meant(command));
    assert!(commands.len() >= least, "only these were found: {commands:?}");
    let (scripts, scratch) = (project.root().join("scripts"), Scratch::new()?);
    for (command, status) in commands {
        let here = command.replacen("scripts/", &format!("{}/", scripts.display()), 1);
        let mut shell = Command::new("sh");
        shell.args(["-c", &here]).stdin(Stdio::null()).current_dir(scratch.path());
        if command.contains(" ./") {
            // An application that is made here is built with what has been built for others.
            shell.env("CARGO_TARGET_DIR", project.root().join("target"));
        }
        let output = shell.output()?;
        assert_eq!(
            output.status.code(),
            Some(status),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The texts that show commands, the README first: the others use files that it makes.
fn documents(project: &Project) -> Result<Vec<String>> {
    let mut files = vec![project.root().join("README.md"), project.root().join("docs/reference.md")];
    let mut guide: Vec<PathBuf> = fs::read_dir(project.root().join("docs/guide"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    guide.sort();
    files.extend(guide);
    files.into_iter().map(|file| Ok(fs::read_to_string(file)?)).collect()
}

/// The commands of this project that lines show, each once, with the status that they say it ends with; but
/// the test command, which is what runs this, and those that run until Ctrl-C, or somebody types, as tests of
/// applications do.
fn commands<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(&'a str, i32)> {
    let mut commands: Vec<(&str, i32)> = Vec::new();
    for line in lines {
        let in_table = line.strip_prefix("| `").and_then(|line| line.split('`').next());
        let (shown, comment) = line.split_once(" #").unwrap_or((line, ""));
        let command = in_table.unwrap_or(shown).trim();
        let status = comment.split_once("exit status ").and_then(|(_, number)| number.trim().parse().ok());
        let name = command.split(' ').next().unwrap_or_default();
        let is_command = name == "truncate" || name.len() > "scripts/".len() && name.starts_with("scripts/");
        let is_test = name == "scripts/test" && !command.ends_with("list");
        let is_example = command.ends_with("NAME")
            || ["--publish", "--interactive"].iter().any(|option| command.contains(option));
        if is_command && !is_test && !is_example && commands.iter().all(|(seen, _)| *seen != command) {
            commands.push((command, status.unwrap_or_default()));
        }
    }
    commands
}
