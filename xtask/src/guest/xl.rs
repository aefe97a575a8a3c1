// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests of the lab's Xen, started by `xl` in its dom0.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::beside::{Files, Launch, When, uptime};
use super::emulation::QUIET_PROCESSOR;
use super::session::Session;
use super::shared_console;
use super::spent::{Part, Spent};
use super::watching::Watching;
use super::{Backend, Boot, Ending, Job, Outcome, Typed, Typing, driver_domains, emulation, neighbour};
use crate::env::Env;
use crate::image::command_line;
use crate::lab::agent::{Agent, quoted};
use crate::lab::machine::PROCESSORS;
use crate::terminal::AtEnd;
use crate::verdict::Verdict;

/// Time beyond a guest's own that dom0 has to create and destroy it.
const GRACE: Duration = Duration::from_secs(60);
/// Time to count what was traced.
const SUMMARY_LIMIT: Duration = Duration::from_secs(300);

/// Exit status of `timeout` when it had to end the command.
const TIMED_OUT: i32 = 124;

/// What becomes of a guest that has ended by itself.
#[derive(Clone, Copy, Debug)]
enum AfterLife {
    /// It is kept until its consoles are read.
    Preserve,
    /// It goes, so that whoever is connected to its console notices.
    Destroy,
}

impl AfterLife {
    const fn word(self) -> &'static str {
        match self {
            Self::Preserve => "preserve",
            Self::Destroy => "destroy",
        }
    }
}

/// Brings what the job's guest needs into the machine, and gives its name: its configuration is then
/// `/tmp/NAME.cfg`.
///
/// # Errors
/// If dom0 no longer answers.
pub fn bring(session: &mut Session, job: &Job) -> Result<String> {
    Ok(Guest::prepare(session, job, AfterLife::Preserve)?.name)
}

/// Runs the job on this process's terminal.
///
/// # Errors
/// If dom0 no longer answers.
pub fn interact(session: &mut Session, job: &Job) -> Result<Outcome> {
    let guest = Guest::prepare(session, job, AfterLife::Destroy)?;
    let console = if job.env == Env::Hvm { "serial" } else { "pv" };
    let agent = session.agent();
    // The guest starts once the console listens; it may be over within a tenth of a second.
    let create = format!(
        "xl create -q -p /tmp/{0}.cfg && {{ (sleep 0.5; xl unpause {0}) & xl console -t {console} {0}; }}",
        guest.name
    );
    let closed = agent.interact(&create, AtEnd::Silence)?;
    if closed.escaped {
        return Ok(Outcome::new(Ending::Left, text(&closed.bytes), String::new()));
    }
    let consoles = guest.consoles(agent, job, &Ending::Poweroff)?;
    let (console, xen) = told_apart(consoles, &guest.destroy(agent)?);
    let console = best_console([console, text(&closed.bytes), String::new()]);
    Ok(Outcome::new(Ending::Poweroff, console, xen))
}

/// Runs the job to its end and cleans up after it; again if the emulated processor failed it.
///
/// # Errors
/// If dom0 no longer answers.
pub fn run(session: &mut Session, job: &Job) -> Result<Outcome> {
    emulation::outlast(|| run_once(session, job))
}

fn run_once(session: &mut Session, job: &Job) -> Result<Outcome> {
    let (begun, mut spent) = (Instant::now(), Spent::default());
    let guest = Guest::prepare(session, job, AfterLife::Preserve)?;
    let launch = guest.launch(session, job)?;
    let agent = session.agent();
    let paused = if job.beside.is_some_and(|beside| beside.when == When::Paused) { "-p" } else { "" };
    let create = format!(
        "{}{} {{ echo; timeout -k 5 {} xl create -F {paused} /tmp/{3}.cfg 2>&1; echo \"{STATUS}$?\"; }} | \
         while IFS= read -r line; do read -r now rest </proc/uptime; echo \"$now $line\"; done >/tmp/{3}.xl; \
         cat /tmp/{3}.xl",
        launch.as_ref().map(Launch::prefix).unwrap_or_default(),
        guest.typist(job),
        job.limit.as_secs(),
        guest.name
    );
    let begun = spent.until_now(Part::Bring, begun);
    let file = guest.console(job.env);
    let mut watching = Watching::new(job, &file, guest.end_when_made(), launch.as_ref());
    let life = Life::of(&watching.run(agent, &create, GRACE)?.text());
    let lived = begun.elapsed();
    let begun = Instant::now();
    let ending = match ending(life.status, &life.text) {
        _ if suspended(&life.text) => guest.follow(agent, job, &mut watching)?,
        Ending::Destroyed | Ending::NotStarted(_) if watching.was_asked() => Ending::Left,
        ending => ending,
    };
    let registers = match ending {
        Ending::Hang => guest.registers(agent)?,
        _ => String::new(),
    };
    let consoles = guest.consoles(agent, job, &ending)?;
    let companion = launch.map(|launch| launch.collect(agent)).transpose()?;
    let (console, xen) = told_apart(consoles, &guest.destroy(agent)?);
    if session.has_driver_domains() {
        driver_domains::give_back(session.agent())?;
    }
    spent.until_now(Part::Clear, begun);
    let beside = companion.as_ref().map_or(Duration::ZERO, |companion| companion.took);
    spent.add(Part::Create, life.made.min(lived));
    spent.add(Part::Beside, beside);
    spent.add(Part::Run, lived.saturating_sub(life.made).saturating_sub(beside));
    let shown = watching.into_shown();
    Ok(Outcome { spent, shown, ..Outcome::new(ending, console, xen + &registers).beside(companion) })
}

/// What `xl`'s exit status is told by.
const STATUS: &str = "xl ended with status ";

/// What `xl create -F` said.
#[derive(Debug, PartialEq, Eq)]
struct Life {
    /// Its lines.
    text: String,
    /// Its exit status.
    status: i32,
    /// How long it took to make the domain.
    made: Duration,
}

impl Life {
    /// From its lines, each with the time at which it came in front.
    fn of(told: &str) -> Self {
        let lines: Vec<(&str, &str)> = told.lines().filter_map(|line| line.split_once(' ')).collect();
        let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        let status = text.lines().find_map(|line| line.strip_prefix(STATUS)?.parse().ok());
        let time = |line: Option<&(&str, &str)>| line.and_then(|(time, _)| uptime(time)).unwrap_or_default();
        let made = lines.iter().find(|(_, line)| line.contains(MADE)).or(lines.last());
        Self { status: status.unwrap_or(-1), made: time(made).saturating_sub(time(lines.first())), text }
    }
}

/// Runs the job to its end while Xen traces, and gives `xenalyze`'s summary of the trace too.
///
/// # Errors
/// If dom0 no longer answers.
pub fn run_traced(session: &mut Session, job: &Job) -> Result<(Outcome, String)> {
    begin_trace(session, TRACED)?;
    let outcome = run(session, job)?;
    end_trace(session)?;
    let summary =
        session.agent().sh(&format!("xenalyze -s {TRACE} 2>/dev/null; rm -f {TRACE}"), SUMMARY_LIMIT)?;
    Ok((outcome, summary.text()))
}

/// The same with the events of `traced`, as `xentrace` has written them.
///
/// # Errors
/// Those of [`run_traced`].
pub fn run_recorded(session: &mut Session, job: &Job, traced: &str) -> Result<(Outcome, Vec<u8>)> {
    begin_trace(session, traced)?;
    let outcome = run(session, job)?;
    end_trace(session)?;
    let trace = session.agent().get(TRACE)?;
    session.agent().check(&format!("rm -f {TRACE}"))?;
    Ok((outcome, trace))
}

fn begin_trace(session: &mut Session, traced: &str) -> Result<()> {
    session
        .agent()
        .check(&format!("xentrace -D -S 1024 -e {traced} {TRACE} & echo $! >/tmp/tracer"))
        .map(drop)
}

fn end_trace(session: &mut Session) -> Result<()> {
    let end =
        "kill -INT $(cat /tmp/tracer); while kill -0 $(cat /tmp/tracer) 2>/dev/null; do sleep 0.1; done";
    session.agent().check(end).map(drop)
}

/// Where dom0 keeps a trace.
const TRACE: &str = "/tmp/trace";

/// What is traced: all but the most frequent events of the scheduler's inside.
const TRACED: &str = "0x0ffff000";

/// What `xl` says when it has made a domain.
pub(super) const MADE: &str = "Waiting for domain";

/// How `xl create -F` says the guest ended.
fn ending(status: i32, text: &str) -> Ending {
    let reason = text.lines().find_map(|line| line.split_once("has shut down, reason code "));
    let code = reason.and_then(|(_, rest)| rest.split_whitespace().next());
    match code {
        Some("0") => Ending::Poweroff,
        Some("1") => Ending::Reboot,
        Some(_) => Ending::Crash,
        None if status == TIMED_OUT => Ending::Hang,
        None if text.contains("has been destroyed") => Ending::Destroyed,
        None => Ending::NotStarted(complaint(text).to_owned()),
    }
}

/// Whether `xl create -F` says that the guest was suspended, which is the end of its watch, but not the
/// guest's.
fn suspended(text: &str) -> bool {
    text.contains("has shut down, reason code 2 ")
}

/// A text as the shell's `printf` takes it: keys that are no letters are control characters.
fn for_printf(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b' '..=b'~' if !matches!(byte, b'%' | b'\\' | b'\'') => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    text.bytes().map(escape).collect()
}

/// How a guest has ended whose reason `xl list -v` tells.
fn ending_by_list(reason: &str) -> Ending {
    match reason.trim() {
        "" => Ending::Hang,
        reason => ending(0, &format!("it has shut down, reason code {reason}")),
    }
}

/// The line of `xl`'s many that says why it could not start a guest: the domain builder's last
/// word if there is one, else the first error.
fn complaint(text: &str) -> &str {
    let line = |word: &str| text.lines().find(|line| line.contains(word));
    line("panic: ").or_else(|| line("rror")).unwrap_or(text).trim()
}

/// A guest's name and the files it has in dom0.
struct Guest {
    name: String,
}

impl Guest {
    fn prepare(session: &mut Session, job: &Job, after: AfterLife) -> Result<Self> {
        let guest = Self { name: session.guest_name() };
        let image = match (is_hvm(job.env), job.boot) {
            (true, Boot::Disk | Boot::Cd | Boot::Uefi) => String::new(),
            (true, Boot::Direct) if !job.command_line.is_empty() && job.ramdisk.is_none() => {
                let image = session.push_image(job)?;
                guest.image_with_command_line(session.agent(), job, &image)?
            }
            _ => session.push_image(job)?,
        };
        if has_stand_in(job) {
            // Another guest may have written on it.
            session.agent().check("rm -f /tmp/empty.img; truncate -s 1M /tmp/empty.img")?;
        }
        if job.network {
            neighbour::prepare(session.agent())?;
            session.publish(job)?;
        }
        let served = session.has_driver_domains();
        let config = config(job, &guest.name, &image, &session.disk_names(job), after, served);
        session.agent().put(&format!("/tmp/{}.cfg", guest.name), config.as_bytes())?;
        Ok(guest)
    }

    /// libxl hands no command line to a guest started by `firmware_override`; a copy of the image
    /// carries it instead.
    fn image_with_command_line(&self, agent: &mut Agent, job: &Job, image: &str) -> Result<String> {
        let patch = command_line::patch(&job.image.file, &job.command_line)?;
        let copy = format!("/tmp/{}.elf", self.name);
        let words = format!("/tmp/{}.words", self.name);
        agent.put(&words, &patch.bytes)?;
        agent.check(&format!(
            "cp {image} {copy} && dd if={words} of={copy} bs=1 seek={} conv=notrunc status=none",
            patch.offset
        ))?;
        Ok(copy)
    }

    /// The file that has what the guest writes to its main console.
    fn console(&self, env: Env) -> String {
        match env {
            Env::Hvm => format!("/tmp/{}.serial", self.name),
            _ => format!("/var/log/xen/guest-{}.log", self.name),
        }
    }

    /// The guest's console and its serial port, as soon as one of them holds a verdict or a report of a
    /// crash, or time has passed: the daemon that drains the ring may lag behind the guest's end. Who is
    /// not ended from outside has written one of them, mostly.
    fn consoles(&self, agent: &mut Agent, job: &Job, ending: &Ending) -> Result<[String; 2]> {
        let last = if *ending == Ending::Crash { CRASHED } else { JUDGED };
        let is_judged = matches!(ending, Ending::Crash | Ending::Poweroff | Ending::Reboot)
            && !job.beside.is_some_and(|beside| beside.ends_guest);
        let looks = if is_judged { 100 } else { 10 };
        agent.check(&format!(
            "i=0; until grep -qs '{last}' /var/log/xen/guest-{0}.log /tmp/{0}.serial || \
             [ $i -ge {looks} ]; do sleep 0.03; i=$((i + 1)); done",
            self.name
        ))?;
        let ring = text(&agent.get(&format!("/var/log/xen/guest-{}.log", self.name))?);
        let serial = text(&agent.get(&format!("/tmp/{}.serial", self.name))?);
        Ok([ring, serial])
    }

    /// Waits until the guest ends that was suspended, and goes on by itself, under another number, or when
    /// the command beside it restores it.
    fn follow(&self, agent: &mut Agent, job: &Job, watching: &mut Watching<'_>) -> Result<Ending> {
        let name = &self.name;
        // While it is saved its reason is 2, and in between it is not there, until the command has ended; a
        // migrated one's console begins anew.
        let wait = format!(
            "now() {{ cut -d. -f1 /proc/uptime; }}; end=$(($(now) + {0})); \
             while [ $(now) -lt $end ]; do set -- $(xl list -v {name} 2>/dev/null | tail -n 1); \
             case $8 in 0|1|3|4|5) echo $8; break;; '') [ -e /tmp/{name}.beside.status ] && break;; esac; \
             sleep 0.1; done; \
             cd /var/log/xen; mv guest-{name}--incoming.log /tmp/{name}.in 2>/dev/null && \
             cat /tmp/{name}.in >>guest-{name}.log",
            job.limit.as_secs(),
        );
        let reason = watching.run(agent, &wait, job.limit + GRACE)?.text();
        Ok(ending_by_list(&reason))
    }

    /// A command in the background that types on the PV console when the guest asks for it. `xl
    /// console` would not: it reads nothing but terminals.
    fn typist(&self, job: &Job) -> String {
        let Some(Typed { on: Typing::Console, after, text }) = job.typed else { return String::new() };
        format!(
            "(i=0; until grep -q '{after}' /var/log/xen/guest-{0}.log 2>/dev/null || [ $i -ge {2}0 ]; do sleep 0.1; \
             i=$((i + 1)); done; (printf '{1}'; sleep 1) | xenconsole --interactive --type pv $(xl domid {0})) \
             >/dev/null 2>&1 &",
            self.name,
            for_printf(text),
            job.limit.as_secs()
        )
    }

    /// The command beside the guest, if the job has one.
    fn launch(&self, session: &mut Session, job: &Job) -> Result<Option<Launch>> {
        let name = &self.name;
        let consoles = format!("/var/log/xen/guest-{name}.log /tmp/{name}.serial");
        let (made, end) = (self.told(), self.end());
        let prelude = if session.has_driver_domains() { driver_domains::ATTACHING } else { "" };
        Launch::prepare(session, job, &Files { name, consoles: &consoles, made: &made, end: &end, prelude })
    }

    /// The file that has what `xl` says.
    fn told(&self) -> String {
        format!("/tmp/{}.xl", self.name)
    }

    /// Has it shut down, or destroyed if it cannot be asked. By its name, as a restored one has another
    /// number.
    fn end(&self) -> String {
        format!("xl shutdown {0} || xl destroy {0}", self.name)
    }

    /// The same, but fails while it is not made.
    fn end_when_made(&self) -> String {
        format!("grep -qs '{MADE}' {} && {{ {}; }}", self.told(), self.end())
    }

    fn registers(&self, agent: &mut Agent) -> Result<String> {
        Ok(agent.sh(&format!("xenctx -C $(xl domid {}) 2>&1", self.name), GRACE)?.text())
    }

    /// Destroys the guest, and gives what Xen has said since the one before it was destroyed.
    fn destroy(&self, agent: &mut Agent) -> Result<String> {
        // The guest may be gone already; that is as good.
        let command = format!(
            "xl destroy {0} >/dev/null 2>&1; rm -f /tmp/{0}.* /var/log/xen/guest-{0}.log; xl dmesg -c",
            self.name
        );
        Ok(agent.sh(&command, GRACE)?.text())
    }
}

/// What a guest says last of all, a pattern of `grep`: one that ends by itself, and one that crashes.
const JUDGED: &str = "^Test result: ";
const CRASHED: &str = "^Test result: \\|--- end of report ---";

/// What the guest said and what Xen did, given the guest's consoles and Xen's.
fn told_apart([ring, serial]: [String; 2], xen: &str) -> (String, String) {
    let xen = shared_console::split(xen);
    // A shim speaks on its guest's console.
    let console = shared_console::split(&best_console([ring, serial, xen.guest]));
    (console.guest, console.hypervisor + &xen.hypervisor)
}

const fn is_hvm(env: Env) -> bool {
    matches!(env, Env::Pvhvm | Env::HvmPvDrivers | Env::Hvm)
}

/// The `xl` configuration of a job.
fn config(job: &Job, name: &str, image: &str, disks: &[String], after: AfterLife, served: bool) -> String {
    let mut lines = vec![
        format!("name = \"{name}\""),
        format!("memory = {}", job.memory),
        format!("vcpus = {}", job.vcpus),
    ];
    lines.push(pinned(job));
    let after_life = |event| format!("on_{event} = \"{}\"", after.word());
    lines.extend(["poweroff", "reboot", "watchdog", "crash"].map(after_life));
    if is_hvm(job.env) {
        lines.push("type = \"hvm\"".to_owned());
        lines.push(match job.boot {
            Boot::Direct if job.ramdisk.is_some() => kernel(job, image),
            Boot::Direct => format!("firmware_override = \"{image}\""),
            Boot::Disk => "boot = \"c\"".to_owned(),
            Boot::Cd => "boot = \"d\"".to_owned(),
            Boot::Uefi => "bios = \"ovmf\"".to_owned(),
        });
        lines.push(format!("serial = \"{}\"\nvga = \"none\"", serial(job.env, name, after)));
        lines.push(format!("xen_platform_pci = {}", u8::from(job.env != Env::Hvm)));
    } else {
        let kind = if job.env == Env::Pv { "pv" } else { "pvh" };
        lines.push(format!("type = \"{kind}\"\n{}", kernel(job, image)));
    }
    if job.env == Env::PvShim {
        lines.push("pvshim = 1".to_owned());
    }
    lines.extend(job.settings.iter().map(ToString::to_string));
    if job.network {
        let (mac, bridge) = (neighbour::MAC, neighbour::BRIDGE);
        // An HVM guest has an emulated NIC beside the paravirtual interface, an RTL8139 by default.
        let kind = match job.env {
            Env::Pvhvm | Env::HvmPvDrivers => ",model=e1000",
            _ => "",
        };
        let script = job.hotplug.of_network();
        lines.push(match served {
            true => format!("vif = [ \"mac={mac},backend={}\" ]", driver_domains::ROUTER),
            false => format!("vif = [ \"mac={mac},bridge={bridge}{kind}{script}\" ]"),
        });
    }
    let disks = if served { served_disks(disks) } else { disk_words(job, disks) };
    if !disks.is_empty() {
        lines.push(format!("disk = [ {} ]", disks.join(", ")));
    }
    lines.join("\n") + "\n"
}

/// The line that keeps each vCPU on one of the machine's processors. An HVM or PVH guest's get the
/// [quiet one](emulation). So it is PV guests whose vCPUs run at the same time.
pub(super) fn pinned(job: &Job) -> String {
    let place = |vcpu| if job.env == Env::Pv && job.vcpus > 1 { vcpu % PROCESSORS } else { QUIET_PROCESSOR };
    let places: Vec<String> = (0..job.vcpus).map(|vcpu| format!("\"{}\"", place(vcpu))).collect();
    format!("cpus = [ {} ]", places.join(", "))
}

/// The lines for a kernel that is put into memory.
fn kernel(job: &Job, image: &str) -> String {
    let words = job.command_line.replace('\\', "\\\\").replace('"', "\\\"");
    let ramdisk = job.ramdisk.map(|file| format!("\nramdisk = \"{file}\"")).unwrap_or_default();
    format!("kernel = \"{image}\"\ncmdline = \"{words}\"{ramdisk}")
}

/// Where the emulated serial port leads: to the terminal if it is the guest's only console.
fn serial(env: Env, name: &str, after: AfterLife) -> String {
    match (env, after) {
        (Env::Hvm, AfterLife::Destroy) => "pty".to_owned(),
        _ => format!("file:/tmp/{name}.serial"),
    }
}

/// Whether there is an empty disk on the emulated IDE bus, for want of another one.
fn has_stand_in(job: &Job) -> bool {
    job.env == Env::Hvm && job.disks.is_empty() && job.stand_ins
}

/// The machine's disks, by the driver domain that has them.
fn served_disks(disks: &[String]) -> Vec<String> {
    let letters = 'a'..='d';
    let names = disks.iter().map(|disk| disk.replace("/dev/", "x")).zip(letters);
    let words = |(name, letter)| {
        quoted(&format!("format=raw,vdev=xvd{letter},backend={},target={name}", driver_domains::STORAGE))
    };
    names.map(words).collect()
}

fn disk_words(job: &Job, disks: &[String]) -> Vec<String> {
    if has_stand_in(job) {
        return vec![quoted("/tmp/empty.img,raw,hda,rw")];
    }
    let prefix = if job.env == Env::Hvm { "hd" } else { "xvd" };
    let backend = match job.backend {
        // A device model opens the disk by itself.
        Backend::Kernel if is_hvm(job.env) => String::new(),
        Backend::Kernel => job.hotplug.of_disk(),
        Backend::Qemu => ",backendtype=qdisk".to_owned(),
    };
    let letters = 'a'..='d';
    disks
        .iter()
        .zip(letters)
        .map(|(disk, letter)| match (job.boot, letter) {
            (Boot::Cd, 'a') => quoted(&format!("{disk},raw,{prefix}a,cdrom")),
            _ => quoted(&format!("{disk},raw,{prefix}{letter},rw{backend}")),
        })
        .collect()
}

/// The console that holds a verdict, or else the one that says most.
fn best_console(consoles: [String; 3]) -> String {
    let worth = |console: &String| (Verdict::of_console(console) != Verdict::Crash, console.len());
    // The first of equals: the ring, then the serial port.
    consoles.into_iter().rev().max_by_key(worth).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn xls_words_tell_how_a_guest_ended() {
        assert_eq!(ending(0, "Domain 3 has shut down, reason code 0 0x0\n"), Ending::Poweroff);
        assert_eq!(ending(0, "Domain 3 has shut down, reason code 3 0x3\n"), Ending::Crash);
        assert_eq!(ending(0, "Domain 3 has been destroyed.\n"), Ending::Destroyed);
        assert_eq!(ending(TIMED_OUT, "Waiting for domain\n"), Ending::Hang);
        assert_eq!(ending(3, "no such kernel\n"), Ending::NotStarted("no such kernel".to_owned()));
    }

    #[test]
    fn any_text_is_typed_as_it_is() {
        let text = "one\ttwo\x1b[A\x01 100% it's \\n Zoë\n";
        let output = Command::new("sh").args(["-c", &format!("printf '{}'", for_printf(text))]).output();
        assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), text);
    }

    /// What a shell with this `xl` says to the guest's end when it is watched, and its exit status.
    fn asked(guest: &Guest, scratch: &Scratch, xl: &str) -> (String, bool) {
        let dir = scratch.path().display();
        let command = guest.end_when_made().replace("/tmp", &dir.to_string());
        let script = format!("xl() {{ echo $*; {xl}; }}; {command}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    }

    #[test]
    fn a_guest_is_asked_to_end_once_it_is_made() {
        let (guest, scratch) = (Guest { name: "g".to_owned() }, Scratch::new().unwrap());
        let told = scratch.path().join("g.xl");
        assert_eq!(asked(&guest, &scratch, "true"), (String::new(), false));
        fs::write(&told, "1.0 Parsing config\n").unwrap();
        assert_eq!(asked(&guest, &scratch, "true"), (String::new(), false));
        fs::write(&told, "1.0 Parsing config\n2.0 Waiting for domain g (domid 3) to die\n").unwrap();
        assert_eq!(asked(&guest, &scratch, "true"), ("shutdown g\n".to_owned(), true));
        // One without drivers for that.
        assert_eq!(asked(&guest, &scratch, "[ $1 = destroy ]"), ("shutdown g\ndestroy g\n".to_owned(), true));
        assert!(!asked(&guest, &scratch, "false").1);
    }

    #[test]
    fn a_suspend_is_not_the_end() {
        assert!(suspended("Domain 3 has shut down, reason code 2 0x2\nDomain has suspended.\n"));
        assert!(!suspended("Domain 3 has shut down, reason code 0 0x0\n"));
        assert_eq!(ending_by_list("0\n"), Ending::Poweroff);
        assert_eq!(ending_by_list("3\n"), Ending::Crash);
        assert_eq!(ending_by_list("\n"), Ending::Hang);
    }

    #[test]
    fn xls_lines_are_told_from_their_times() {
        let told = "5.10 \n5.20 Parsing config\n7.60 Waiting for domain g\n9.00 Domain 3\n9.10 xl ended with status 7\n";
        let life = Life::of(told);
        assert_eq!((life.status, life.made), (7, Duration::from_millis(2500)));
        assert!(life.text.contains("\nParsing config\nWaiting for domain g\n"));
        assert_eq!(Life::of("").status, -1);
    }

    #[test]
    fn of_xls_many_lines_the_one_that_tells_the_reason_is_kept() {
        let text = "Parsing config\nxc: error: panic: not enough memory\nlibxl: error: failed\n";
        assert_eq!(complaint(text), "xc: error: panic: not enough memory");
        assert_eq!(
            complaint("Parsing config\nlibxl: error: no such file\nmore\n"),
            "libxl: error: no such file"
        );
        assert_eq!(complaint("what?\n"), "what?");
    }

    #[test]
    fn a_console_with_a_verdict_is_better_than_a_longer_one() {
        let consoles = ["Test result: SKIP\n".to_owned(), "x".repeat(100), String::new()];
        assert_eq!(best_console(consoles), "Test result: SKIP\n");
    }
}
