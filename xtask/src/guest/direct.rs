// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that are a QEMU process of their own on this machine: the image as dom0 of a Xen, the
//! image on an emulated PC, and where this machine has a usable KVM, the image on it.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::beside::Companion;
use super::shared_console::{self, Voices};
use super::watching::Screen;
use super::{Ending, Job, Outcome, Typed, Typing, kvm, registers};
use crate::env::Env;
use crate::lab::machine::bound_to_this_thread;
use crate::lab::qmp::Qmp;
use crate::lab::{Lab, qemu};
use crate::scratch::Scratch;
use crate::socket;
use crate::terminal::{self, AtEnd};

/// How often the console is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Keys that make Xen listen to its console, and then dump the registers of dom0.
const DUMP_DOM0: &[u8] = b"\x01\x01\x010";

/// What the dump ends with, and how long it may take to come through the serial port.
const DUMPED: &str = "cs: ";
const DUMP_LIMIT: Duration = Duration::from_secs(20);

/// How long QEMU may take to open its sockets.
const CONSOLE_LIMIT: Duration = Duration::from_secs(60);

/// Name under which the image is seen by QEMU: its own path may hold blanks and commas.
const IMAGE: &str = "image";

/// Where the characters of a PC's screen are, the file that they are saved to, and how many are in a row.
const SCREEN_MEMORY: Range<u64> = 0xb_8000..0xc_0000;
const SCREEN: &str = "screen";
const COLUMNS: usize = 80;

/// What the hypervisor says when its dom0 is no more; it does not turn the machine off then.
const XEN_ENDINGS: [(&str, Ending); 5] = [
    ("Hardware Dom0 crashed", Ending::Crash),
    ("Panic on CPU", Ending::Crash),
    ("Hardware Dom0 halted", Ending::Poweroff),
    ("Hardware Dom0 shutdown: rebooting", Ending::Reboot),
    ("Hardware Dom0 shutdown: watchdog", Ending::Crash),
];

/// Runs the job to its end.
///
/// # Errors
/// If QEMU cannot be started.
pub fn run(lab: &Lab, job: &Job) -> Result<Outcome> {
    let mut process = Process::start(lab, job, Wait::No)?;
    let mut screen = Screen::default();
    let ending = process.wait(job, &mut screen)?;
    let registers = if ending == Ending::Hang { process.registers(job.env)? } else { String::new() };
    let mut outcome = outcome(ending, &text(&process.serial()), job.env);
    outcome.machine.push_str(&registers);
    outcome.shown = screen.into_shown();
    outcome.companion = process.screen.take().map(|output| Companion {
        started: true,
        status: Some(0),
        output,
        took: Duration::ZERO,
    });
    Ok(outcome)
}

/// Runs the job on this process's terminal.
///
/// # Errors
/// If QEMU cannot be started.
pub fn interact(lab: &Lab, job: &Job) -> Result<Outcome> {
    let process = Process::start(lab, job, Wait::ForTerminal)?;
    let stream = process.console()?;
    let closed =
        terminal::connect(&stream, AtEnd::Silence, |bytes| (bytes.len(), xen_ending(bytes).is_some()))?;
    let ending = if closed.escaped { Ending::Left } else { Ending::Poweroff };
    Ok(outcome(ending, &text(&closed.bytes), job.env))
}

/// Whether a guest starts before anybody is connected to its console.
#[derive(Clone, Copy, Debug)]
enum Wait {
    No,
    ForTerminal,
}

/// A running QEMU, killed when dropped. In its directory are the first serial port, `console` - a pipe to
/// type into, or a socket if a terminal is to be there - the socket `control`, and the file `serial`: all
/// that came from the serial port.
struct Process {
    child: Child,
    scratch: Scratch,
    /// The pipe's end to type into. QEMU has the other one, where what it does not take at once remains.
    keys: Option<File>,
    /// What was on its screen when the keyboard was used.
    screen: Option<String>,
}

impl Process {
    fn start(lab: &Lab, job: &Job, wait: Wait) -> Result<Self> {
        let scratch = Scratch::new()?;
        symlink(&job.image.file, scratch.path().join(IMAGE)).context("cannot link the image")?;
        let (console, keys) = match wait {
            // QEMU writes a byte twice into a socket's log file that the socket did not take at first.
            Wait::No => ("file,path=serial,input-path=console", Some(pipe(&scratch.path().join("console"))?)),
            Wait::ForTerminal => ("socket,path=console,server=on,wait=on,logfile=serial", None),
        };
        let child = start_alone(&machine(lab, job, console), scratch.path())?;
        Ok(Self { child, scratch, keys, screen: None })
    }

    fn wait(&mut self, job: &Job, screen: &mut Screen) -> Result<Ending> {
        let deadline = Instant::now() + job.limit;
        let (mut to_type, mut seen) = (job.typed, 0);
        loop {
            let status = self.child.try_wait().context("cannot look after QEMU")?;
            let bytes = self.serial();
            if job.watched {
                screen.show_console(bytes.get(seen..).unwrap_or_default())?;
            }
            seen = bytes.len();
            let serial = text(&bytes);
            if let Some(typed) = to_type.take_if(|typed| serial.contains(typed.after)) {
                self.type_on(typed)?;
            }
            if let Some(ending) = xen_ending(serial.as_bytes()) {
                return Ok(ending);
            }
            if status.is_some() {
                return Ok(self.exit(&serial));
            }
            if Instant::now() > deadline {
                return Ok(Ending::Hang);
            }
            thread::sleep(POLL);
        }
    }

    fn type_on(&mut self, typed: Typed) -> Result<()> {
        if typed.on == Typing::Console {
            return self.type_text(typed.text.as_bytes());
        }
        let mut qmp = self.control()?;
        if typed.on == Typing::PowerButton {
            // A guest that obeys the first press may be gone, and QEMU with it, before either is answered;
            // one that does not is there at its time limit.
            let _ = qmp.power_down().and_then(|()| qmp.power_down());
            return Ok(());
        }
        qmp.save_memory(SCREEN_MEMORY, SCREEN)?;
        let cells = fs::read(self.scratch.path().join(SCREEN)).context("cannot read the screen's memory")?;
        self.screen = Some(rows(&cells));
        typed.text.chars().try_for_each(|character| qmp.press(character))
    }

    fn control(&self) -> Result<Qmp> {
        Qmp::connect(&self.scratch.path().join("control"))
    }

    /// Why QEMU ended: both isa-debug-exit and a reset do it, with any status; a QEMU that had
    /// words of its own and none of the guest's has failed.
    fn exit(&self, serial: &str) -> Ending {
        let errors = fs::read_to_string(self.scratch.path().join("errors")).unwrap_or_default();
        if serial.is_empty() && !errors.trim().is_empty() {
            return Ending::NotStarted(errors.trim().to_owned());
        }
        Ending::Poweroff
    }

    /// Types on the console of a guest without a terminal: less than a pipe takes, 64 KiB.
    fn type_text(&mut self, text: &[u8]) -> Result<()> {
        let keys = self.keys.as_mut().context("there is a terminal to type on")?;
        keys.write_all(text).context("cannot type on the console")
    }

    fn console(&self) -> Result<UnixStream> {
        socket::connect(&self.scratch.path().join("console"), CONSOLE_LIMIT, || true)
    }

    /// The registers of a guest that hangs: a dom0's from its Xen, any other's from QEMU. What Xen
    /// says comes with the rest of the serial port.
    fn registers(&mut self, env: Env) -> Result<String> {
        if !is_dom0(env) {
            let dump = self.control()?.registers()?;
            return Ok(registers::concise(&dump));
        }
        let before = self.serial().len();
        self.type_text(DUMP_DOM0)?;
        let begun = Instant::now();
        let is_here = |serial: &[u8]| String::from_utf8_lossy(&serial[before..]).contains(DUMPED);
        while !is_here(&self.serial()) && begun.elapsed() < DUMP_LIMIT {
            thread::sleep(POLL);
        }
        Ok(String::new())
    }

    fn serial(&self) -> Vec<u8> {
        fs::read(self.scratch.path().join("serial")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a named pipe, and opens both of its ends, so that QEMU waits for nobody when it opens its own, and
/// sees no end.
fn pipe(path: &Path) -> Result<File> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).context("cannot make a pipe")?;
    File::options().read(true).write(true).open(path).context("cannot open a pipe")
}

/// Starts a QEMU in a directory, where the file `errors` gets what it complains of. It ends with this thread.
///
/// # Errors
/// If it cannot be started.
pub fn start_alone(command: &Command, dir: &Path) -> Result<Child> {
    let errors = File::create(dir.join("errors")).context("cannot make a log file")?;
    bound_to_this_thread(command)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .context("cannot start QEMU")
}

/// The job's QEMU, whose console is the character device `console`.
fn machine(lab: &Lab, job: &Job, console: &str) -> Command {
    let mut command = qemu::command(&lab.root());
    command.args(["-qmp", "unix:control,server=on,wait=off"]);
    match job.env {
        Env::Dom0Pv => dom0(lab, job, "", console, &mut command),
        Env::Dom0Pvh => dom0(lab, job, "dom0=pvh dom0-iommu=none", console, &mut command),
        _ => drop(command.args(kvm::options(job, IMAGE, console, &disk_files(job)))),
    }
    command
}

fn disk_files(job: &Job) -> Vec<String> {
    job.disks.iter().map(|disk| qemu::escaped(&disk.display().to_string())).collect()
}

const fn is_dom0(env: Env) -> bool {
    matches!(env, Env::Dom0Pv | Env::Dom0Pvh)
}

/// Memory of the machine beneath a dom0 that Xen keeps for itself, in MiB.
pub const XEN_MEMORY: u64 = 256;

fn dom0(lab: &Lab, job: &Job, words: &str, console: &str, command: &mut Command) {
    command.args(qemu::TCG).args(["-smp", &job.vcpus.to_string()]);
    command.args(["-chardev", &format!("{console},id=console"), "-serial", "chardev:console"]);
    let memory = job.memory;
    command
        .args(["-m", &format!("{}M", u64::from(memory) + XEN_MEMORY), "-kernel"])
        .arg(lab.xen())
        .arg("-append")
        .arg(format!(
            "console=com1 com1=115200,8n1 dom0_mem={memory}M,max:{memory}M dom0_max_vcpus={} loglvl=all \
             guest_loglvl=all noreboot bootscrub=0 {words}",
            job.vcpus
        ))
        .arg("-initrd")
        .arg(format!("{IMAGE} {}", qemu::escaped(&job.command_line)));
}

/// How a hypervisor's console says that its dom0 ended.
fn xen_ending(console: &[u8]) -> Option<Ending> {
    let contains = |text: &str| console.windows(text.len()).any(|window| window == text.as_bytes());
    XEN_ENDINGS.iter().find(|(text, _)| contains(text)).map(|(_, ending)| ending.clone())
}

fn outcome(ending: Ending, serial: &str, env: Env) -> Outcome {
    if !is_dom0(env) {
        return Outcome::new(ending, serial.to_owned(), String::new());
    }
    let Voices { guest, hypervisor } = shared_console::split(serial);
    Outcome::new(ending, guest, hypervisor)
}

/// The rows that a screen's memory holds, but for empty ones: a character and its colours are two bytes.
fn rows(cells: &[u8]) -> String {
    let characters: Vec<u8> = cells.iter().step_by(2).copied().collect();
    let rows = characters
        .chunks(COLUMNS)
        .map(|row| String::from_utf8_lossy(row).trim_end_matches(['\0', ' ']).to_owned());
    rows.filter(|row| !row.is_empty()).map(|row| format!("screen: {row}\n")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}
