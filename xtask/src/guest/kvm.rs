// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests of a QEMU, as a rule of the one in the KVM machine, whose standard output is their console.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::beside::{Files, Launch};
use super::board::{Board, Console};
use super::emulation::QUIET_PROCESSOR;
use super::registers;
use super::session::Session;
use super::spent::{Part, Spent};
use super::watching::Watching;
use super::{Boot, Ending, Job, Outcome, emulation, neighbour};
use crate::env::Env;
use crate::lab::agent::quoted;
use crate::lab::qemu;
use crate::terminal::AtEnd;

/// Time beyond a guest's own that the machine has to report its end.
const GRACE: Duration = Duration::from_secs(60);

/// Where the machine keeps what a guest writes to its console.
const CONSOLE: &str = "/tmp/console";

/// What QEMU's monitor reads: a FIFO while QEMU is there.
const MONITOR: &str = "/tmp/monitor.in";

/// What is there if the guest was told to shut down, and QEMU had to quit nevertheless.
const ENDED: &str = "/tmp/ended";

/// Has QEMU end with its guest.
const QUIT: &str = "echo quit >/tmp/monitor.in";

/// How often, with a second in between, a guest's power button is pressed before it is ended: one that boots
/// does not see the first presses, and an application has ten seconds to return.
const PRESSES: u32 = 15;

/// Exit status of the wrapper around a QEMU that had to be ended.
const TIMED_OUT: i32 = 124;

/// Runs the job to its end; again if the emulated processor failed it.
///
/// # Errors
/// If the machine no longer answers.
pub fn run(session: &mut Session, job: &Job) -> Result<Outcome> {
    emulation::outlast(|| run_once(session, job))
}

fn run_once(session: &mut Session, job: &Job) -> Result<Outcome> {
    let (begun, mut spent) = (Instant::now(), Spent::default());
    let image = session.push_image(job)?;
    let qemu = command(job, &image, &session.disk_names(job));
    prepare_network(session, job)?;
    let name = session.guest_name();
    let launch = Launch::prepare(
        session,
        job,
        &Files { name: &name, consoles: CONSOLE, made: "", end: QUIT, prelude: "" },
    )?;
    // What is done beside the guest must not wait for what the one before it said.
    session.agent().check(&format!("rm -f {CONSOLE} {MONITOR} {ENDED}"))?;
    let start = launch.as_ref().map(Launch::prefix).unwrap_or_default() + &with_limit(&qemu, job.limit);
    let begun = spent.until_now(Part::Bring, begun);
    let mut watching = Watching::new(job, CONSOLE, shut_down(PRESSES), launch.as_ref());
    let output = watching.run(session.agent(), &start, GRACE)?;
    let lived = begun.elapsed();
    let begun = Instant::now();
    let console = String::from_utf8_lossy(&session.agent().get(CONSOLE)?).replace('\r', "");
    let errors = session.agent().check("cat /tmp/errors")?;
    let registers = registers::concise(&session.agent().check("cat /tmp/monitor.out")?);
    let was_ended = session.agent().sh(&format!("[ -e {ENDED} ]"), GRACE)?.status == 0;
    let ending = match output.status {
        TIMED_OUT => Ending::Hang,
        1 if console.is_empty() && !errors.trim().is_empty() => Ending::NotStarted(errors.trim().to_owned()),
        _ if was_ended => Ending::Left,
        _ if job.beside.is_some_and(|beside| beside.ends_guest) => Ending::Destroyed,
        _ => Ending::Poweroff,
    };
    let companion = launch.map(|launch| launch.collect(session.agent())).transpose()?;
    spent.until_now(Part::Clear, begun);
    let beside = companion.as_ref().map_or(Duration::ZERO, |companion| companion.took);
    spent.add(Part::Beside, beside);
    spent.add(Part::Run, lived.saturating_sub(beside));
    let shown = watching.into_shown();
    Ok(Outcome { spent, shown, ..Outcome::new(ending, console, errors + &registers).beside(companion) })
}

/// Makes the network, if the guest is to have one.
fn prepare_network(session: &mut Session, job: &Job) -> Result<()> {
    if job.network {
        neighbour::prepare(session.agent())?;
        neighbour::prepare_tap(session.agent())?;
        session.publish(job)?;
    }
    Ok(())
}

/// A command that has the guest shut down by its power button, or ends it if that takes long. Fails while
/// there is no QEMU.
fn shut_down(presses: u32) -> String {
    // Opened for both ways: without a reader that does not wait for one.
    format!(
        "[ -p {MONITOR} ] || exit 1; (i=0; while [ $i -lt {presses} ]; do echo system_powerdown 1<>{MONITOR}; \
         sleep 1; i=$((i + 1)); [ -p {MONITOR} ] || exit; done; : >{ENDED}; echo quit 1<>{MONITOR}) </dev/null &"
    )
}

/// A command that runs QEMU until its time is over, and then has its monitor write the registers
/// to a file before it ends.
fn with_limit(qemu: &str, limit: Duration) -> String {
    format!(
        "rm -f /tmp/monitor.* /tmp/hung; mkfifo {MONITOR}; exec 3<>{MONITOR}; \
         (sleep {}; touch /tmp/hung; echo 'info registers -a' >&3; sleep 1; echo quit >&3) >/dev/null & \
         {qemu} -chardev file,id=monitor,path=/tmp/monitor.out,input-path={MONITOR} -mon chardev=monitor \
         >{CONSOLE} 2>/tmp/errors 3>&-; status=$?; kill $! 2>/dev/null; [ ! -e /tmp/hung ] || exit {TIMED_OUT}; exit $status",
        limit.as_secs()
    )
}

/// Runs the job on this process's terminal.
///
/// # Errors
/// If the machine no longer answers.
pub fn interact(session: &mut Session, job: &Job) -> Result<Outcome> {
    let image = session.push_image(job)?;
    prepare_network(session, job)?;
    let qemu = command(job, &image, &session.disk_names(job));
    let closed = session.agent().interact(&format!("{qemu} 2>/tmp/errors"), AtEnd::Silence)?;
    let ending = if closed.escaped { Ending::Left } else { Ending::Poweroff };
    let console = String::from_utf8_lossy(&closed.bytes).replace('\r', "");
    Ok(Outcome::new(ending, console, String::new()))
}

/// The options of a QEMU for the job, whose console is the character device `console`.
pub fn options(job: &Job, image: &str, console: &str, disks: &[String]) -> Vec<String> {
    let processor: &[&str] = if job.env == Env::Fv { &qemu::TCG } else { &["-cpu", "host"] };
    let mut words: Vec<String> = processor.iter().map(|&word| word.to_owned()).collect();
    // The processor's model is the last of these words.
    words.last_mut().into_iter().for_each(|model| *model = job.board.processor(model));
    words.extend(job.board.words().map(str::to_owned));
    if job.boot == Boot::Direct {
        words.extend(["-kernel", image, "-append", &job.command_line].map(str::to_owned));
    }
    if job.boot == Boot::Uefi {
        words.extend(["-bios", UEFI].map(str::to_owned));
    }
    words.extend(["-smp".to_owned(), job.vcpus.to_string(), "-m".to_owned(), format!("{}M", job.memory)]);
    words.extend(["-chardev".to_owned(), format!("{console},id=console")]);
    let devices = match job.env {
        Env::QemuXen => emulated_xen(job, disks),
        _ if job.board.is_micro() => micro(job, disks),
        Env::Fv => personal_computer(job, disks),
        _ => plain_kvm(job, disks),
    };
    for (number, (option, value)) in devices.iter().enumerate() {
        let values = if *option == "-device" { job.board.placed(number, value) } else { vec![value.clone()] };
        words.extend(values.into_iter().flat_map(|value| [(*option).to_owned(), value]));
    }
    words.extend(job.qemu.iter().map(|&word| word.to_owned()));
    words
}

/// The firmware, seen from where QEMU has its own files.
const UEFI: &str = "../ovmf/OVMF.fd";

/// An option and its value.
type Device = (&'static str, String);

/// The accelerator that emulates Xen's hypercalls; 4.17 is what QEMU knows.
pub const XEN_ACCELERATOR: &str = "kvm,xen-version=0x40011,kernel-irqchip=split";

fn emulated_xen(job: &Job, disks: &[String]) -> Vec<Device> {
    let mut devices =
        vec![("-accel", XEN_ACCELERATOR.to_owned()), ("-device", "xen-console,chardev=console".to_owned())];
    for (index, (disk, letter)) in disks.iter().zip('a'..).enumerate() {
        devices.push(("-drive", format!("file={disk},format=raw,if=none,id=disk{index}")));
        devices.push(("-device", format!("xen-disk,drive=disk{index},vdev=xvd{letter}")));
    }
    if job.network {
        devices.extend(nic(job, "xen-net-device"));
    }
    devices
}

/// The guest's NIC, of this model, if it has one: connected to the neighbour, or a stand-in on nothing.
fn nic(job: &Job, model: &str) -> Vec<Device> {
    let tap = neighbour::TAP;
    let end = match (job.network, job.stand_ins) {
        (true, _) => format!("tap,id=net,ifname={tap},script=no,downscript=no"),
        (false, true) => "user,restrict=on,id=net".to_owned(),
        (false, false) => return Vec::new(),
    };
    vec![("-netdev", end), ("-device", format!("{model},netdev=net,mac={}", neighbour::MAC))]
}

/// What the guest's console is connected to, and by which bus if it is a virtio device.
fn console(board: &Board) -> Vec<Device> {
    let bus = if board.is_micro() { "virtio-serial-device" } else { "virtio-serial-pci" };
    match board.console() {
        Console::Own => vec![("-serial", "chardev:console".to_owned())],
        Console::Virtio => {
            vec![("-device", bus.to_owned()), ("-device", "virtconsole,chardev=console".to_owned())]
        }
    }
}

fn plain_kvm(job: &Job, disks: &[String]) -> Vec<Device> {
    let mut devices = console(&job.board);
    devices.extend([
        ("-accel", "kvm".to_owned()),
        ("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04".to_owned()),
    ]);
    devices.extend(nic(job, job.board.card("virtio-net-pci,romfile=")));
    if disks.is_empty() && job.stand_ins {
        // Something to find on the PCI bus.
        devices.push(("-drive", "driver=null-co,read-zeroes=on,size=1M,if=none,id=disk".to_owned()));
        devices.push(("-device", "virtio-blk-pci,drive=disk".to_owned()));
    }
    for (index, disk) in disks.iter().enumerate() {
        let usual = || vec![format!("virtio-blk-pci,drive=disk{index}")];
        let values = job.board.disks().map_or_else(usual, |bus| bus.devices(index));
        devices.push(("-drive", format!("file={disk},format=raw,if=none,id=disk{index}")));
        devices.extend(values.into_iter().map(|value| ("-device", value)));
    }
    devices
}

/// The devices of a board without PCI.
fn micro(job: &Job, disks: &[String]) -> Vec<Device> {
    let mut devices = console(&job.board);
    devices.push(("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04".to_owned()));
    devices.extend(nic(job, "virtio-net-device"));
    if job.env != Env::Fv {
        devices.push(("-accel", "kvm".to_owned()));
    }
    for (index, disk) in disks.iter().enumerate() {
        devices.push(("-drive", format!("file={disk},format=raw,if=none,id=disk{index}")));
        devices.push(("-device", format!("virtio-blk-device,drive=disk{index}")));
    }
    devices
}

fn personal_computer(job: &Job, disks: &[String]) -> Vec<Device> {
    let mut devices = console(&job.board);
    devices.extend([
        ("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04".to_owned()),
        ("-vga", "std".to_owned()),
    ]);
    devices.extend(nic(job, job.board.card("e1000,romfile=")));
    if disks.is_empty() && job.stand_ins {
        // Something to find on the IDE bus.
        devices.push(("-drive", "driver=null-co,read-zeroes=on,size=1M,if=none,id=disk0".to_owned()));
        devices.push(("-device", "ide-hd,drive=disk0,bus=ide.0".to_owned()));
    }
    for (index, disk) in disks.iter().enumerate() {
        if let Some(bus) = job.board.disks() {
            devices.push(("-drive", format!("file={disk},format=raw,if=none,id=disk{index}")));
            devices.extend(bus.devices(index).into_iter().map(|value| ("-device", value)));
            continue;
        }
        let media = if index == 0 && job.boot == Boot::Cd { "cdrom" } else { "disk" };
        devices.push(("-drive", format!("file={disk},format=raw,if=ide,index={index},media={media}")));
    }
    devices
}

/// The shell command that runs the job's QEMU in the machine, with the guest's console on standard
/// input and output.
fn command(job: &Job, image: &str, disks: &[String]) -> String {
    let words = options(job, image, "stdio,signal=off", disks);
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("taskset -c {QUIET_PROCESSOR} qemu-system-x86_64 {} {}", qemu::BARE.join(" "), words.join(" "))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{BufRead, BufReader};
    use std::process::Command;

    use super::*;
    use crate::image::Image;
    use crate::scratch::Scratch;

    #[test]
    fn a_guest_is_shut_down_once_there_is_a_qemu_and_ended_if_that_does_not_help() {
        let scratch = Scratch::new().unwrap();
        let (dir, monitor) = (scratch.path().display().to_string(), scratch.path().join("monitor.in"));
        let ask = || {
            let command = shut_down(2).replace("/tmp", &dir);
            Command::new("sh").args(["-c", &command]).status().unwrap().success()
        };
        assert!(!ask() && !monitor.exists());
        assert!(Command::new("mkfifo").arg(&monitor).status().unwrap().success());
        let reader = OpenOptions::new().read(true).write(true).open(&monitor).unwrap();
        assert!(ask());
        let said: Vec<String> = BufReader::new(reader).lines().take(3).map(Result::unwrap).collect();
        assert_eq!(said, ["system_powerdown", "system_powerdown", "quit"]);
        assert!(scratch.path().join("ended").exists());
    }

    #[test]
    fn only_who_shows_a_grid_finds_devices_that_nobody_asked_for() {
        let image = Image { name: "i".to_owned(), file: "i".into(), debug: None };
        for env in [Env::Kvm, Env::QemuXen, Env::Fv] {
            let words = |job: &Job| options(job, "i", "stdio", &[]).join(" ");
            let job = Job::new(env, image.clone());
            let bare = words(&Job { stand_ins: false, ..job.clone() });
            assert!(!bare.contains("-netdev") && !bare.contains("-drive"), "{bare}");
            let showing = words(&job);
            assert_eq!(
                showing.contains("-netdev") && showing.contains("null-co"),
                env != Env::QemuXen,
                "{showing}"
            );
        }
    }
}
