// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lab machine: QEMU emulating a PC with AMD's virtualization, running either Xen with a Debian
//! dom0 or a plain Debian with KVM.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::agent::Agent;
use super::contention::ProcessorTime;
use super::qmp::Qmp;
use super::snapshot::Snapshot;
use super::{Lab, disk, qemu};
use crate::host;
use crate::scratch::Scratch;
use crate::socket;

/// What a lab machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Xen with a Debian dom0.
    Xen,
    /// The same, whose xenstored is the one in OCaml.
    Oxenstored,
    /// Debian with KVM.
    Kvm,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Xen, Self::Oxenstored, Self::Kvm];

    /// Those that nearly every run needs, whose snapshots are made ahead.
    pub const USUAL: [Self; 2] = [Self::Xen, Self::Kvm];

    /// The role's name in file names and on the kernel command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xen => "xen",
            Self::Oxenstored => "xen-oxenstored",
            Self::Kvm => "kvm",
        }
    }

    /// Whether guests of it are started by `xl`.
    pub const fn has_xen(self) -> bool {
        matches!(self, Self::Xen | Self::Oxenstored)
    }
}

/// Processors of a machine.
pub const PROCESSORS: u32 = 2;

/// Disks of the host that a machine can be lent.
pub const LOANS: usize = 4;

/// Memory of a lab machine in MiB. Only what is touched is taken from the host, but a test may
/// touch all of it.
pub fn memory() -> u64 {
    // Looked at once: what the first machine takes must not make the second one smaller.
    static MEMORY: OnceLock<u64> = OnceLock::new();
    *MEMORY.get_or_init(|| if host::available_memory() >= 8 << 10 { 6 << 10 } else { 3 << 10 })
}

/// How long a loaded snapshot may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How a machine comes to be.
#[derive(Debug)]
pub enum Start<'a> {
    /// From its boot loader, writing to the disk overlay at this path.
    Boot(&'a Path),
    /// From a snapshot, whose files stay as they are.
    Load(&'a Snapshot, Lent<'a>),
}

/// What a loaded machine is lent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lent<'a> {
    /// Disks of the host, given by absolute paths.
    pub disks: &'a [PathBuf],
    /// A cable to another machine, which is then lent the same disks: storage that two hosts share.
    pub cable: Option<Cable<'a>>,
}

/// A cable between the NICs of two machines.
#[derive(Clone, Copy, Debug)]
pub struct Cable<'a> {
    /// The sockets that are its ends: this machine's, and the other's.
    pub ends: [&'a Path; 2],
}

/// A running lab machine. It is killed when dropped, or when the thread that started it ends.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    /// The runner's console in it.
    pub agent: Agent,
    scratch: Scratch,
}

impl Machine {
    /// Starts a machine and connects to its agent, which may not be ready yet.
    ///
    /// # Errors
    /// If QEMU does not start; its own words are then part of the error.
    pub fn start(lab: &Lab, role: Role, memory: u64, start: &Start<'_>) -> Result<Self> {
        let scratch = Scratch::new()?;
        symlink(lab.root(), scratch.path().join(ROOT)).context("cannot link the lab's root")?;
        let errors = fs::File::create(scratch.path().join("errors")).context("cannot make a log file")?;
        let mut child = bound_to_this_thread(&qemu_command(lab, role, memory, start))
            .current_dir(scratch.path())
            // What a person types for the runner is not for it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("cannot start the lab's QEMU")?;
        match connect(&mut child, scratch.path()) {
            Ok(stream) => Ok(Self { child, agent: Agent::new(stream), scratch }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// A machine from its snapshot, ready for commands, with the lent disks as
    /// `/dev/vda`, `/dev/vdb` and so on.
    ///
    /// # Errors
    /// If QEMU does not start or the machine does not answer.
    pub fn load(lab: &Lab, snapshot: &Snapshot, lent: Lent<'_>) -> Result<Self> {
        let count = lent.disks.len();
        if count > LOANS {
            bail!("a guest of the lab can have at most {LOANS} disks, not {count}");
        }
        let mut machine = Self::start(lab, snapshot.role, snapshot.memory, &Start::Load(snapshot, lent))?;
        let answered = machine.agent.sh("true", START_LIMIT);
        answered.with_context(|| format!("QEMU said: {}", machine.errors().trim_end()))?;
        for _ in lent.disks {
            machine.agent.check(BIND_NEXT_DISK)?;
        }
        Ok(machine)
    }

    /// QEMU's control connection.
    ///
    /// # Errors
    /// If QEMU is gone.
    pub fn qmp(&self) -> Result<Qmp> {
        Qmp::connect(&self.scratch.path().join("control"))
    }

    /// What it had of the processors since it was started.
    pub fn processor_time(&self) -> ProcessorTime {
        ProcessorTime::of(self.child.id())
    }

    /// What QEMU said of its own accord.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.scratch.path().join("errors")).unwrap_or_default()
    }

    /// What the first serial port said: Xen's console, or the plain kernel's.
    pub fn serial_log(&self) -> String {
        let bytes = fs::read(self.scratch.path().join("serial")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Waits for QEMU to end by itself.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(mut self) -> Result<()> {
        self.child.wait().context("cannot wait for QEMU").map(drop)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that decides what a snapshot of such a machine holds, as text.
pub fn recipe(lab: &Lab, role: Role, memory: u64) -> String {
    format!("{:?}", qemu_command(lab, role, memory, &Start::Boot(Path::new("overlay"))))
}

/// Binds the driver to the first virtio disk that has none: the next lent one.
const BIND_NEXT_DISK: &str = "for d in /sys/bus/virtio/devices/*; do \
     [ \"$(cat $d/device)\" = 0x0002 ] && [ ! -e $d/driver ] || continue; \
     basename $d >/sys/bus/virtio/drivers/virtio_blk/bind; exit; done; exit 1";

fn qemu_command(lab: &Lab, role: Role, memory: u64, start: &Start<'_>) -> Command {
    let mut command = qemu::command(&lab.root());
    command.args(qemu::TCG).args(["-smp", &PROCESSORS.to_string(), "-m", &format!("{memory}M")]);
    match role {
        Role::Xen | Role::Oxenstored => xen_kernel(lab, role, &mut command),
        Role::Kvm => kvm_kernel(&mut command),
    }
    // An AHCI disk works in a PV dom0 as it is; virtio works there if it goes through the DMA API.
    let root = match start {
        Start::Boot(overlay) => drive(overlay, "qcow2", "root", "off"),
        Start::Load(snapshot, _) => drive(&snapshot.overlay, "qcow2", "root", "on"),
    };
    command.args([
        "-drive",
        &root,
        "-device",
        "ahci,id=ahci,addr=0x8",
        "-device",
        "ide-hd,drive=root,bus=ahci.0",
    ]);
    command.args(["-chardev", "file,id=serial,path=serial", "-serial", "chardev:serial"]);
    command.args(["-chardev", "socket,id=agent,path=agent,server=on,wait=off"]);
    command.args(["-device", "virtio-serial-pci,disable-legacy=on,iommu_platform=on,addr=0x9"]);
    command.args(["-device", "virtconsole,chardev=agent", "-qmp", "unix:control,server=on,wait=off"]);
    let lent = match start {
        Start::Boot(_) => Lent::default(),
        Start::Load(snapshot, lent) => {
            command.arg("-incoming").arg(format!("file:{}", snapshot.state.display()));
            *lent
        }
    };
    lend(&mut command, lent);
    command
}

/// The tree, seen from the directory that QEMU runs in: a path without blanks and commas, which
/// would end the name of a Multiboot module.
const ROOT: &str = "root";

fn xen_kernel(lab: &Lab, role: Role, command: &mut Command) {
    let words = qemu::escaped(&kernel_words("console=hvc0", role));
    command.arg("-kernel").arg(lab.xen()).args(["-append", XEN_WORDS, "-initrd"]);
    command.arg(format!("{ROOT}/vmlinuz {words},{ROOT}/initrd.img"));
}

/// Xen's command line. Memory is not scrubbed: only what guests touch is to be taken from the host. The FPU's
/// registers are switched with vCPUs, not when they are used first, as Xen does on such a processor: QEMU's
/// XSAVE and XRSTOR do not fault while CR0.TS is set, so that a Linux would save and load what is another
/// guest's.
const XEN_WORDS: &str = "console=com1 com1=115200,8n1 dom0_mem=1G,max:1G dom0_max_vcpus=1 loglvl=all \
                         guest_loglvl=all noreboot bootscrub=0 conring_size=512k spec-ctrl=eager-fpu";

fn kvm_kernel(command: &mut Command) {
    let [kernel, initrd] = ["vmlinuz", "initrd.img"].map(|file| format!("{ROOT}/{file}"));
    command.args([
        "-kernel",
        &kernel,
        "-initrd",
        &initrd,
        "-append",
        &kernel_words("console=ttyS0", Role::Kvm),
    ]);
}

fn kernel_words(console: &str, role: Role) -> String {
    format!(
        "{console} root=LABEL={} rw init={} prism.lab={} quiet",
        disk::LABEL,
        disk::INIT_PATH,
        role.name()
    )
}

fn drive(file: &Path, format: &str, id: &str, snapshot: &str) -> String {
    let file = qemu::escaped(&file.display().to_string());
    format!("file={file},format={format},if=none,id={id},snapshot={snapshot}")
}

/// The same devices always, as a snapshot demands; behind those not needed there is nothing.
fn lend(command: &mut Command, lent: Lent<'_>) {
    for index in 0..LOANS {
        let id = format!("loan{index}");
        let backend = match lent.disks.get(index) {
            // The two machines' disks are one file, whose content this machine caches once.
            Some(file) if lent.cable.is_some() => drive(file, "raw", &id, "off") + ",file.locking=off",
            Some(file) => drive(file, "raw", &id, "off"),
            None => format!("driver=null-co,size=1M,if=none,id={id}"),
        };
        let device =
            format!("virtio-blk-pci,drive={id},disable-legacy=on,iommu_platform=on,addr={:#x}", 0x10 + index);
        command.args(["-drive", &backend, "-device", &device]);
    }
    // Without a cable nobody is at the other end. A `stream` would crash QEMU 10 if it loads a snapshot
    // before the other end is there.
    let [own, other] = lent.cable.map_or([Path::new("cable"), Path::new("nobody")], |cable| cable.ends);
    let wire = format!(
        "dgram,id=cable,local.type=unix,local.path={},remote.type=unix,remote.path={}",
        qemu::escaped(&own.display().to_string()),
        qemu::escaped(&other.display().to_string())
    );
    let nic = "virtio-net-pci,netdev=cable,mac=52:54:00:00:00:01,romfile=,disable-legacy=on,\
               iommu_platform=on,addr=0xa";
    command.args(["-netdev", &wire, "-device", nic]);
}

/// The same command, killed by the kernel when the calling thread ends, however that comes.
pub fn bound_to_this_thread(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bound.env(name, value);
        }
    }
    bound
}

fn connect(child: &mut Child, scratch: &Path) -> Result<UnixStream> {
    let result =
        socket::connect(&scratch.join("agent"), START_LIMIT, || child.try_wait().is_ok_and(|s| s.is_none()));
    result.with_context(|| {
        let errors = fs::read_to_string(scratch.join("errors")).unwrap_or_default();
        format!("the lab's QEMU did not start: {}", errors.trim_end())
    })
}
