// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands `run`, `image` and `lab`.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, stdin};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::cli;
use crate::env::{Env, Place};
use crate::guest::beside::{Beside, READY, When};
use crate::guest::neighbour::GUEST;
use crate::guest::places::Places;
use crate::guest::publish::Publish;
use crate::guest::schedule::InOrder;
use crate::guest::session::Session;
use crate::guest::{Backend, Boot, Ending, Job, direct, schedule};
use crate::image::disk::{self, Content};
use crate::image::{Image, build};
use crate::lab::Lab;
use crate::lab::agent::quoted;
use crate::lab::machine::{Lent, Machine, Role};
use crate::nearest;
use crate::preflight;
use crate::project::{App, Project};
use crate::report::{Detail, Report};
use crate::scratch::Scratch;
use crate::terminal::AtEnd;
use crate::verdict::Verdict;

/// The application that is booted when none is named; its grid is judged too.
pub const SHOWPIECE: &str = "spectrum";

/// Boots an application in each environment asked for.
///
/// # Errors
/// If the options make no sense, the image cannot be built or the lab fails.
pub fn run(project: &Project, options: &cli::Run) -> Result<u8> {
    if options.list {
        list(project)?;
        return Ok(0);
    }
    let name = options.app.as_deref().unwrap_or(SHOWPIECE);
    let network = options.has_network() || is_server(project, name);
    let envs = envs(options, network)?;
    ensure!(!options.interactive || envs.len() == 1, "--interactive connects to one guest: name one --env");
    ensure!(options.publish.is_empty() || envs.len() == 1, "--publish leads to one guest: name one --env");
    preflight::command_line(&options.cmdline)?;
    preflight::ports(&options.publish)?;
    let disks = preflight::disks(&options.disks)?;
    preflight::memory(options.memory, &envs)?;
    options.report.as_deref().map(preflight::folder).transpose()?;
    project.lab().require_makeable(&roles(&envs))?;
    let image = find_image(project, name)?;
    preflight::fits(&image, options.memory)?;
    println!("image  {}", image.file.display());
    println!("sha256 {}", image.sha256()?);
    if network && options.publish.is_empty() {
        println!(
            "network: the guest is {GUEST} there; --visit COMMAND runs a command beside it, --publish 8080:80 has \
             it reached from this machine"
        );
    }
    let stop = if options.publish.is_empty() { None } else { Some(interrupt()?) };
    for Publish { host, guest } in &options.publish {
        println!("127.0.0.1:{host} of this machine is port {guest} of the guest; Ctrl-C ends it");
    }
    let detail = if options.app.is_none() { Detail::Grid } else { Detail::Console };
    // Of guests that run at the same time, lines would be mixed.
    let watched = envs.len() == 1 && detail == Detail::Console;
    let scratch = Scratch::new()?;
    let jobs = envs
        .iter()
        .map(|&env| {
            let words = env.command_line(&options.cmdline);
            let disks = options.boot.with_boot_disk(&image, &words, disks.clone(), scratch.path())?;
            Ok(Job { network, watched, stop: stop.clone(), ..job(env, &image, &disks, options) })
        })
        .collect::<Result<Vec<Job>>>()?;
    if options.interactive {
        return interact(project, &jobs[0]);
    }
    let judged_by_grid = image.debug.is_some() && image.name == SHOWPIECE;
    let mut report = Report::new(&image, detail, judged_by_grid);
    jobs.iter().filter(|job| job.watched).for_each(|job| report.head(job.env));
    let mut order = InOrder::new();
    schedule::run(&project.lab(), &jobs, Vec::new(), |index, outcome| {
        order.add(index, outcome, |index, outcome| report.add(&jobs[index], &outcome));
    })?;
    if let Some(folder) = &options.report {
        report.write(project, folder, &image)?;
    }
    Ok(report.finish().exit_status())
}

/// What cargo has its runner run that is no image: an application's test, which is a program of the host.
pub fn host_program(mut words: impl Iterator<Item = OsString>) -> Option<Command> {
    let is_cargos = env::var_os("CARGO_MANIFEST_DIR").is_some();
    let is_run = is_cargos && words.nth(1).is_some_and(|word| word == "run");
    let file = words.next().filter(|_| is_run).map(PathBuf::from)?;
    let is_program = file.is_absolute() && file.is_file() && preflight::is_image(&file).is_err();
    is_program.then(|| {
        let mut command = Command::new(file);
        command.args(words);
        command
    })
}

/// What the first Ctrl-C sets, which is told at once. The next one ends this process.
fn interrupt() -> Result<Arc<AtomicBool>> {
    /// The exit status of a command that was interrupted, as shells have it.
    const INTERRUPTED: i32 = 130;
    let stop = Arc::new(AtomicBool::new(false));
    let (mut told, teller) = UnixStream::pair().context("cannot wait for Ctrl-C")?;
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .and_then(|_| pipe::register(signal, teller.try_clone()?))
            .context("cannot wait for Ctrl-C")?;
    }
    thread::spawn(move || {
        if told.read_exact(&mut [0]).is_ok() {
            println!("the guest is asked to end as soon as it runs; Ctrl-C again ends it at once");
        }
    });
    Ok(stop)
}

fn interact(project: &Project, job: &Job) -> Result<u8> {
    if stdin().is_terminal() {
        println!("Ctrl-] leaves");
    }
    let lab = project.lab();
    lab.ensure_root()?;
    let outcome = match schedule::place(&mut Places::new(&lab), job) {
        Place::Direct => direct::interact(&lab, job),
        Place::XenLab => Session::open(&lab, &lab.ensure(Role::Xen)?, &job.disks)?.interact(job),
        Place::KvmLab => Session::open(&lab, &lab.ensure(Role::Kvm)?, &job.disks)?.interact(job),
    }?;
    println!("\n{} {}", outcome.verdict, outcome.reason());
    let left = outcome.ending == Ending::Left && outcome.verdict == Verdict::Crash;
    Ok(if left { 0 } else { outcome.verdict.exit_status() })
}

/// Builds an application and prints the path of its image, or of the disk made around it.
///
/// # Errors
/// If there is no such application, or it cannot be built or put on a disk.
pub fn image(project: &Project, options: &cli::Image) -> Result<u8> {
    preflight::command_line(&options.cmdline)?;
    preflight::modules(&options.modules)?;
    let image = find_image(project, &options.app)?;
    let Some(format) = options.format else {
        println!("{}", image.file.display());
        return Ok(0);
    };
    let beside = image.file.with_extension(format.extension());
    let output = options.output.as_ref().unwrap_or(&beside);
    let content = Content { image: &image.file, command_line: &options.cmdline, modules: &options.modules };
    disk::make(content, format, output)?;
    println!("{}", output.display());
    Ok(0)
}

/// Does something with the lab.
///
/// # Errors
/// If it cannot be done.
pub fn lab(project: &Project, action: &cli::Lab) -> Result<u8> {
    let lab = project.lab();
    match action {
        cli::Lab::Build => Role::USUAL.into_iter().try_for_each(|role| lab.ensure(role).map(drop))?,
        cli::Lab::Clean => lab.clean()?,
        cli::Lab::Status => lab.status().iter().for_each(|line| println!("{line}")),
        cli::Lab::Shell { kvm: true, .. } => shell(&lab, Role::Kvm)?,
        cli::Lab::Shell { oxenstored: true, .. } => shell(&lab, Role::Oxenstored)?,
        cli::Lab::Shell { .. } => shell(&lab, Role::Xen)?,
    }
    Ok(0)
}

fn shell(lab: &Lab, role: Role) -> Result<()> {
    let mut machine = Machine::load(lab, &lab.ensure(role)?, Lent::default())?;
    if stdin().is_terminal() {
        println!("exit or Ctrl-] leaves; nothing done here is kept");
    }
    machine.agent.interact("cd; exec bash -i", AtEnd::Tell).map(drop)
}

fn list(project: &Project) -> Result<()> {
    println!("environments:");
    for env in Env::ALL {
        println!("  {:14} {}", env.name(), env.about());
    }
    println!("applications and guest tests:");
    for app in project.apps()? {
        println!("  {:10} {}", app.name, app.about);
    }
    Ok(())
}

/// Whether an application serves a network, and is given one unasked. Of a file that `cargo run` has linked,
/// cargo tells where its manifest is.
fn is_server(project: &Project, name: &str) -> bool {
    let linked_by = env::var_os("CARGO_MANIFEST_DIR").filter(|_| Path::new(name).is_file());
    let app = match linked_by {
        Some(folder) => project.app_in(Path::new(&folder)),
        None => find_app(project, name),
    };
    app.is_ok_and(|app| app.network)
}

/// An application by its name, or by its folder.
fn find_app(project: &Project, name: &str) -> Result<App> {
    let folder = Path::new(name);
    let is_folder = folder.join("Cargo.toml").is_file();
    match project.app(name) {
        Err(_) if is_folder => project.app_in(folder),
        found => found,
    }
}

fn envs(options: &cli::Run, network: bool) -> Result<Vec<Env>> {
    let boots_there = |env: &Env| options.boot == Boot::Direct || env.has_bios();
    let has_all = |env: &Env| env.has_devices() || !network && options.disks.is_empty();
    if options.envs.is_empty() {
        return Ok(Env::ALL.into_iter().filter(|env| boots_there(env) && has_all(env)).collect());
    }
    let mut envs = options.envs.iter().map(|name| env(name)).collect::<Result<Vec<_>>>()?;
    if let Some(env) = envs.iter().find(|env| !boots_there(env)) {
        bail!("{} has no BIOS: it can only be booted directly", env.name());
    }
    if let Some(env) = envs.iter().find(|env| !has_all(env)) {
        bail!("{} has neither disks nor a network: a dom0's devices are hardware", env.name());
    }
    envs.sort();
    envs.dedup();
    Ok(envs)
}

/// The lab's machines that are needed for sure: a usable KVM may make the other one needless.
fn roles(envs: &[Env]) -> Vec<Role> {
    let needs_xen = envs.iter().any(|env| env.place() == Place::XenLab);
    if needs_xen { vec![Role::Xen] } else { Vec::new() }
}

fn env(name: &str) -> Result<Env> {
    Env::by_name(name).with_context(|| nearest::unknown("environment", name, Env::ALL.map(Env::name)))
}

fn find_image(project: &Project, name: &str) -> Result<Image> {
    let path = Path::new(name);
    if path.is_dir() && !path.join("Cargo.toml").is_file() && name.contains('/') {
        bail!("{name} has no Cargo.toml: name an application's folder; scripts/new makes one");
    }
    let is_file = name.contains('/') || path.extension().is_some_and(|extension| extension == "elf");
    if is_file && !path.join("Cargo.toml").is_file() {
        preflight::is_image(path)?;
        let file = path.canonicalize().with_context(|| format!("cannot find {name}"))?;
        if let Some(image) = build::of_linked(&file)? {
            return Ok(image);
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(Image { name, file, debug: None });
    }
    build::build(&find_app(project, name)?)
}

/// A single word is a whole shell command; of several each stays one word, whatever is in it.
fn shell_command(words: &[String]) -> String {
    match words {
        [command] => command.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

/// A command for the guest's neighbour, as long as this process lives.
fn visit(command: &str) -> Beside {
    Beside { when: When::Said(READY), command: command.to_owned().leak(), ends_guest: true }
}

fn job(env: Env, image: &Image, disks: &[PathBuf], options: &cli::Run) -> Job {
    Job {
        memory: options.memory,
        vcpus: options.vcpus,
        command_line: env.command_line(&options.cmdline),
        boot: options.boot,
        disks: disks.to_vec(),
        beside: (!options.visit.is_empty()).then(|| visit(&shell_command(&options.visit))),
        backend: Backend::Kernel,
        stand_ins: image.name == SHOWPIECE,
        publish: options.publish.clone(),
        limit: options.limit(),
        ..Job::new(env, image.clone())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn envs_of(words: &[&str], network: bool) -> Result<Vec<Env>> {
        let words = ["runner", "run", "httpd"].iter().chain(words);
        match cli::Cli::parse_from(words).command {
            cli::Command::Run(options) => envs(&options, network),
            other => bail!("{other:?} is not run"),
        }
    }

    #[test]
    fn words_of_a_visit_stay_words() {
        let command =
            |words: &[&str]| shell_command(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(command(&["sh", "-c", "a; b"]), "'sh' '-c' 'a; b'");
        assert_eq!(command(&["curl x | sha256sum"]), "curl x | sha256sum");
    }

    #[test]
    fn cargos_tests_are_programs_of_the_host_and_images_are_not() {
        let program = |words: &[&str]| host_program(words.iter().map(OsString::from));
        // As cargo runs this very test.
        let test = env::current_exe().unwrap();
        let test = test.to_str().unwrap();
        let command = program(&["runner", "run", test, "--exact", "name"]).unwrap();
        assert_eq!((command.get_program(), command.get_args().count()), (test.as_ref(), 2));
        assert!(program(&["runner", "run", "hello"]).is_none());
        assert!(program(&["runner", "test", test]).is_none());
        assert!(program(&["runner", "run"]).is_none());
    }

    #[test]
    fn a_dom0_is_left_out_where_devices_are_wanted_and_refused_where_it_is_named() {
        let count = |words: &[&str], network| envs_of(words, network).unwrap().len();
        assert_eq!(count(&[], false), Env::ALL.len());
        assert_eq!(count(&[], true), Env::ALL.len() - 2);
        assert_eq!(count(&["--disk", "f"], false), Env::ALL.len() - 2);
        assert!(envs_of(&["--env", "dom0-pv"], true).is_err());
        assert!(envs_of(&["--env", "dom0-pv"], false).is_ok());
    }
}
