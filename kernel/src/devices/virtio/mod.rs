// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices (Virtual I/O Device 1.2) on PCI and MMIO. This module finds them and gives them memory,
//! time and interrupts; the drivers are in `prism_drivers::virtio`.

mod disk;
pub(crate) mod mmio;
pub(super) mod network;
mod scsi;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use core::fmt;
use core::time::Duration;

use log::{info, warn};
use prism_arch::cpu;
use prism_boot::PAGE_SIZE;
use prism_boot::capabilities::Devices;
use prism_boot::firmware::virtio_mmio::Slot;
use prism_drivers::pci::intx;
use prism_drivers::pci::{ANSWER_MEMORY, Configuration, Function, NO_INTERRUPT, USE_MEMORY};
use prism_drivers::virtio::console;
use prism_drivers::virtio::pci::{self, Layout, Missing, Region};
use prism_drivers::virtio::{Kind, Registers, queue, transport};

use crate::devices::{disks, pci_functions};
use crate::irq::Irq;
use crate::memory::dma::Pages;
use crate::memory::registers::{self, MappedRegisters};
use crate::ports::CpuPorts;
use crate::task::executor;
use crate::time::Deadline;

/// A console's first port.
pub(crate) type ConsolePort = console::ConsolePort<Pages>;

/// How long a reset may take.
const RESET_LIMIT: Duration = Duration::from_secs(1);

/// Maximum number of disks: each has a letter.
const MAX_DISKS: u8 = 26;

/// Finds all virtio disks, those behind SCSI controllers too, and spawns their tasks. Not for PV domains,
/// which have no ports.
pub(crate) fn spawn_disks() {
    scsi::spawn_all();
    for (number, device) in (0..).zip(devices(Kind::Block)) {
        if number == MAX_DISKS {
            warn!("virtio disk at {device} and those after it not used: too many");
            break;
        }
        let name = format!("vd{}", char::from(b'a' + number));
        let place = device.to_string();
        disks::begin_scan();
        let task = async move {
            match device.open() {
                Ok((transport, irq)) => disk::drive(name, number, transport, irq).await,
                Err(error) => {
                    warn!("{name} at {device} not used: {error}");
                    disks::end_scan();
                }
            }
        };
        if executor::spawn(task).is_err() {
            warn!("virtio disk at {place} not used: out of memory");
            disks::end_scan();
        }
    }
}

/// Opens the first virtio console that works. Not for PV domains, which have no ports.
pub(crate) fn open_console() -> Option<ConsolePort> {
    devices(Kind::Console).find_map(|device| {
        // Without its interrupt: an interrupt that no one acknowledges would block others on its line.
        let transport = device.registers(NO_INTERRUPT);
        transport
            .and_then(|transport| open_port(transport).map_err(Unreachable::Device))
            .inspect(|_| info!("console at {device}: virtio"))
            .inspect_err(|error| warn!("virtio console at {device} not used: {error}"))
            .ok()
    })
}

fn open_port(transport: Registers) -> Result<ConsolePort, transport::Error> {
    ConsolePort::open(transport, [0; 2].map(|_| Pages::new(queue::MEMORY)), &mut moments())
}

/// Waits for a reset in moments, until the timeout.
fn moments() -> impl FnMut() -> bool {
    let mut deadline = Deadline::after(RESET_LIMIT);
    move || {
        cpu::relax();
        !deadline.passed()
    }
}

/// All devices of a kind.
fn devices(kind: Kind) -> impl Iterator<Item = Device> {
    let on_pci = pci_functions::all().filter(move |function| function.virtio_kind() == Some(kind));
    on_pci.map(Device::OnPci).chain(mmio::devices(kind).map(Device::InMemory))
}

/// Counts a device of `kind`.
pub(crate) fn count(devices: &mut Devices, kind: Kind) {
    let counter = match kind {
        Kind::Block => &mut devices.virtio_block,
        Kind::Scsi => &mut devices.virtio_scsi,
        Kind::Network => &mut devices.virtio_net,
        Kind::Console | Kind::Other(_) => &mut devices.virtio_other,
    };
    *counter += 1;
}

/// The virtio NICs on MMIO.
pub(super) fn nics_in_memory() -> impl Iterator<Item = Device> {
    mmio::devices(Kind::Network).map(Device::InMemory)
}

/// Where a device's registers are.
pub(super) enum Device {
    /// It is this function.
    OnPci(Function),
    /// Its registers are here.
    InMemory(Slot),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnPci(function) => function.address.fmt(f),
            Self::InMemory(slot) => write!(f, "{:#x}", slot.range.start()),
        }
    }
}

/// Why a device cannot be used.
enum Unreachable {
    Pci(Missing),
    NoRegisters(registers::Error),
    /// It cannot be used.
    Device(transport::Error),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(error) => error.fmt(f),
            Self::NoRegisters(error) => error.fmt(f),
            Self::Device(error) => error.fmt(f),
        }
    }
}

impl Device {
    /// The device's registers and its interrupt.
    fn open(&self) -> Result<(Registers, Irq), Unreachable> {
        let transport = self.registers(0)?;
        let irq = match self {
            Self::OnPci(function) => intx::line(&CpuPorts, function).and_then(Irq::of_function),
            Self::InMemory(slot) => Irq::open(slot.line, slot.signal),
        };
        let irq = irq.unwrap_or_else(|| {
            warn!("virtio device at {self}: IRQ not routed; polling");
            Irq::none()
        });
        Ok((transport, irq))
    }

    /// The device's registers. A PCI function is enabled, with `more` bits of its command register.
    fn registers(&self, more: u32) -> Result<Registers, Unreachable> {
        Ok(match self {
            Self::OnPci(function) => {
                let configuration = Configuration::new(&CpuPorts, function.address);
                let layout = Layout::read(&configuration).map_err(Unreachable::Pci)?;
                let device = pci::Device::open(layout, map).map_err(Unreachable::NoRegisters)?;
                configuration.command(ANSWER_MEMORY | USE_MEMORY | more);
                Box::new(device)
            }
            Self::InMemory(slot) => Box::new(mmio::open(slot)?),
        })
    }
}

/// Maps registers, wherever they begin.
fn map(region: Region) -> Result<MappedRegisters, registers::Error> {
    let before = region.address % PAGE_SIZE;
    let mapped = registers::map(region.address - before, before + region.length)?;
    mapped.0.after(before as usize).map(MappedRegisters).ok_or(registers::Error::NoPlace)
}
