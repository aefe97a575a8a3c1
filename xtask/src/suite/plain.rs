// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain PCs: firmware boots a server off one disk, the server gives away a file of the other, and ends by
//! the power button. The disk that boots is the same one everywhere.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::LabTest;
use super::guests::{SITE_FILE, make_site, site_file};
use super::shared::Shared;
use crate::guest::board::{Board, Bus};
use crate::guest::direct::start_alone;
use crate::image::build;
use crate::image::disk::{self, Content, Format};
use crate::lab::qmp::Qmp;
use crate::lab::{Lab, qemu};
use crate::project::Project;
use crate::scratch::Scratch;
use crate::verdict::Verdict;

/// A test of one PC.
#[derive(Clone, Copy, Debug)]
pub struct PlainTest {
    /// A sentence.
    name: &'static str,
    board: Board,
    firmware: Firmware,
    /// Where the disk is that is booted from, and where the one with the file.
    disks: [Bus; 2],
    long: bool,
}

/// What finds the image on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Firmware {
    SeaBios,
    Ovmf,
}

const PC: Board = Board::of("pc");
/// One of its root ports has no device.
const Q35: Board =
    Board::of("q35").behind_root_ports().with_options(&["-device", "pcie-root-port,id=empty,chassis=99"]);

const SCSI_FIRST: [Bus; 2] = [Bus::VirtioScsi, Bus::Nvme];
const NVME_FIRST: [Bus; 2] = [Bus::Nvme, Bus::VirtioScsi];

impl PlainTest {
    const fn new(name: &'static str, board: Board, firmware: Firmware, disks: [Bus; 2]) -> Self {
        Self { name, board, firmware, disks, long: false }
    }

    const fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

/// All of them.
pub const TESTS: [PlainTest; 4] = [
    PlainTest::new(
        "a_plain_q35_boots_by_seabios_serves_and_ends_by_its_power_button/fv",
        Q35,
        Firmware::SeaBios,
        NVME_FIRST,
    ),
    PlainTest::new(
        "a_plain_q35_boots_by_ovmf_serves_and_ends_by_its_power_button/fv",
        Q35,
        Firmware::Ovmf,
        SCSI_FIRST,
    ),
    PlainTest::new(
        "a_plain_pc_boots_by_seabios_serves_and_ends_by_its_power_button/fv",
        PC,
        Firmware::SeaBios,
        SCSI_FIRST,
    )
    .long(),
    PlainTest::new(
        "a_plain_pc_boots_by_ovmf_serves_and_ends_by_its_power_button/fv",
        PC,
        Firmware::Ovmf,
        NVME_FIRST,
    )
    .long(),
];

/// The firmware, in the lab's root.
const OVMF: &str = "usr/share/ovmf/OVMF.fd";

/// Time for firmware, GRUB and the guest until it serves; for its answer; and until the machine is off.
const BOOT_LIMIT: Duration = Duration::from_secs(180);
const FETCH_LIMIT: Duration = Duration::from_secs(60);
const OFF_LIMIT: Duration = Duration::from_secs(120);

/// How often the machine is looked at.
const POLL: Duration = Duration::from_millis(50);

impl LabTest for PlainTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        self.serve(shared.project)
    }
}

impl PlainTest {
    fn serve(&self, project: &Project) -> Result<()> {
        let image = build::build_by_name(project, "httpd")?;
        let lab = project.lab();
        lab.ensure_root()?;
        let scratch = Scratch::new()?;
        let content = Content { image: &image.file, command_line: "root=disk", modules: &[] };
        disk::make(content, Format::Raw, &scratch.path().join(drive(0)))?;
        make_site(&scratch.path().join(drive(1)))?;
        let port = free_port()?;
        let mut machine = Machine::start(&lab, scratch, &self.options(&lab, port))?;
        let visited = machine.visit(port);
        visited.with_context(|| format!("its console:\n{}", machine.console()))
    }

    /// QEMU's options; the guest's port 80 is this machine's `port`.
    fn options(&self, lab: &Lab, port: u16) -> Vec<String> {
        let mut options: Vec<String> = qemu::TCG.map(str::to_owned).to_vec();
        options.extend(self.board.words().map(str::to_owned));
        options.extend(["-m", "256M", "-serial", "file:console"].map(str::to_owned));
        options.extend(["-qmp", "unix:control,server=on,wait=off"].map(str::to_owned));
        if self.firmware == Firmware::Ovmf {
            options.extend(["-bios".to_owned(), lab.root().join(OVMF).display().to_string()]);
        }
        let forward = format!("user,restrict=on,id=net,hostfwd=tcp:{}:{port}-:80", Ipv4Addr::LOCALHOST);
        options.extend(["-netdev".to_owned(), forward]);
        let mut devices = vec!["e1000e,romfile=,netdev=net".to_owned()];
        for (index, bus) in self.disks.iter().enumerate() {
            let drive = format!("file={},format=raw,if=none,id=disk{index}", drive(index));
            options.extend(["-drive".to_owned(), drive]);
            devices.extend(bus.devices(index));
            if index == 0 {
                devices.last_mut().into_iter().for_each(|disk| disk.push_str(",bootindex=0"));
            }
        }
        let placed =
            devices.iter().enumerate().flat_map(|(number, device)| self.board.placed(number, device));
        options.extend(placed.flat_map(|device| ["-device".to_owned(), device]));
        options
    }
}

/// The file that a disk is.
fn drive(index: usize) -> String {
    format!("drive{index}")
}

/// A port of this machine's that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr().context("a port has no number")?.port())
}

/// A running QEMU, killed when dropped.
struct Machine {
    child: Child,
    scratch: Scratch,
}

impl Machine {
    fn start(lab: &Lab, scratch: Scratch, options: &[String]) -> Result<Self> {
        let mut command = qemu::command(&lab.root());
        command.args(options);
        let child = start_alone(&command, scratch.path())?;
        Ok(Self { child, scratch })
    }

    fn console(&self) -> String {
        let text = |file| fs::read(self.scratch.path().join(file)).unwrap_or_default();
        let all = [text("console"), text("errors")].concat();
        String::from_utf8_lossy(&all).replace('\r', "")
    }

    /// Fetches the file once the guest serves, presses the power button, and waits for the end.
    fn visit(&mut self, port: u16) -> Result<()> {
        self.until(BOOT_LIMIT, "it does not serve", |machine, ended| {
            ensure!(ended.is_none(), "it ended before it served");
            Ok(machine.console().contains("httpd: ready").then_some(()))
        })?;
        ensure!(fetch(port)? == site_file(), "the file is not the one that is on the disk");
        Qmp::connect(&self.scratch.path().join("control"))?.power_down()?;
        let ended = self.until(OFF_LIMIT, "it does not switch itself off", |_, ended| Ok(ended))?;
        ensure!(ended.success(), "QEMU ended with {ended}");
        let console = self.console();
        ensure!(Verdict::of_console(&console) == Verdict::Success, "there is no SUCCESS");
        ensure!(console.contains("the power button was pressed"), "it was not the power button");
        Ok(())
    }

    /// Looks until something is found; it is told how QEMU ended, if it has.
    fn until<T>(
        &mut self,
        limit: Duration,
        failure: &str,
        look: impl Fn(&Self, Option<ExitStatus>) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait().context("cannot look after QEMU")?;
            if let Some(found) = look(self, ended)? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("{failure} within {} s", limit.as_secs());
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file of the site, as a server at `port` gives it away.
fn fetch(port: u16) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect")?;
    stream.set_read_timeout(Some(FETCH_LIMIT)).context("cannot set a limit")?;
    let request = format!("GET /{SITE_FILE} HTTP/1.1\r\nHost: guest.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("cannot ask for the file")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the answer does not end")?;
    body(&answer).map(<[u8]>::to_vec).context("that is no answer with a file")
}

/// The body of a response that has one.
fn body(answer: &[u8]) -> Option<&[u8]> {
    const END: &[u8] = b"\r\n\r\n";
    let head = answer.windows(END.len()).position(|part| part == END)?;
    answer.starts_with(b"HTTP/1.1 200 ").then(|| &answer[head + END.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_follows_an_empty_line_of_a_response_that_is_good() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nc\r\n\r\nd"), Some(&b"c\r\n\r\nd"[..]));
        assert_eq!(body(b"HTTP/1.1 404 Not Found\r\n\r\nc"), None);
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn devices_of_a_q35_are_behind_ports_and_the_first_disk_is_booted_from() {
        let lab = Lab::new("/lab".into());
        let options = TESTS[0].options(&lab, 7).join(" ");
        assert!(options.contains("nvme,serial=disk0,drive=disk0,bootindex=0,bus=port1"), "{options}");
        assert!(options.contains("virtio-scsi-pci,id=scsi1,bus=port2"), "{options}");
        assert!(options.contains("e1000e,romfile=,netdev=net,bus=port0"), "{options}");
        let options = TESTS[3].options(&lab, 7).join(" ");
        assert!(!options.contains("bus=port") && options.contains("-bios /lab/"), "{options}");
    }
}
