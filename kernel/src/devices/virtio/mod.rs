// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices (Virtual I/O Device 1.2) on PCI, as KVM's and others' machines have them, and with their
//! registers in memory, as smaller machines have. Queues and transports are the `virtio-drivers` crate's.

mod disk;
mod hal;
pub(crate) mod mmio;
pub(super) mod network;
mod root;

use alloc::format;
use core::fmt;

use log::warn;
use prism_boot::virtio_mmio::Slot;
use prism_drivers::intx;
use prism_drivers::pci::{self, Function, Place};
use prism_drivers::virtio_mmio::Kind;
use virtio_drivers::transport::SomeTransport;
use virtio_drivers::transport::mmio::MmioError;
use virtio_drivers::transport::pci::bus::{Command, DeviceFunction, PciRoot};
use virtio_drivers::transport::pci::{PciTransport, VirtioPciError};

use crate::line::Line;
use crate::ports::CpuPorts;
use crate::{disks, exec};
use hal::KernelHal;
use root::Configuration;

/// Disks that are looked for: they have a letter each.
const MOST_DISKS: u8 = 26;

/// Finds and drives all virtio disks. Not for PV domains, which have no ports.
pub(crate) fn begin() {
    let on_pci =
        pci::functions(&CpuPorts).filter(|function| function.is_virtio() && function.class >> 8 == 1);
    let in_memory = mmio::devices(Kind::Block).map(Device::InMemory);
    for (number, device) in (0..MOST_DISKS).zip(on_pci.map(Device::OnPci).chain(in_memory)) {
        let name = format!("vd{}", char::from(b'a' + number));
        disks::begin_search();
        let task = async move {
            match device.open() {
                Ok((transport, line)) => disk::drive(name, number, transport, line).await,
                Err(error) => {
                    warn!("{name} at {device} is not driven: {error}");
                    disks::end_search();
                }
            }
        };
        if exec::spawn(task).is_err() {
            disks::end_search();
        }
    }
}

/// The virtio network cards whose registers are in memory.
pub(super) fn cards_in_memory() -> impl Iterator<Item = Device> {
    mmio::devices(Kind::Network).map(Device::InMemory)
}

/// Where a device is.
pub(super) enum Device {
    /// It is this function.
    OnPci(Function),
    /// Its registers are here.
    InMemory(Slot),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnPci(function) => function.place.fmt(f),
            Self::InMemory(slot) => write!(f, "{:#x}", slot.range.start()),
        }
    }
}

/// Why a device cannot be reached.
enum Unreachable {
    Pci(VirtioPciError),
    Registers(MmioError),
    NoRegisters,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(error) => error.fmt(f),
            Self::Registers(error) => error.fmt(f),
            Self::NoRegisters => f.write_str("its registers cannot be mapped"),
        }
    }
}

impl Device {
    /// The device's registers and its interrupt line.
    fn open(&self) -> Result<(SomeTransport<'static>, Line), Unreachable> {
        let (transport, line) = match self {
            Self::OnPci(function) => {
                (open(function)?.into(), intx::line(&CpuPorts, function).and_then(Line::of_function))
            }
            Self::InMemory(slot) => (mmio::open(slot)?.into(), Line::open(slot.line, slot.signal)),
        };
        let line = line.unwrap_or_else(|| {
            warn!("virtio device at {self}: its interrupts do not arrive; it is looked at now and then");
            Line::silent()
        });
        Ok((transport, line))
    }
}

fn open(function: &Function) -> Result<PciTransport, Unreachable> {
    let Place { bus, device, function: number } = function.place;
    let place = DeviceFunction { bus, device, function: number };
    let mut root = PciRoot::new(Configuration);
    let (_, command) = root.get_status_command(place);
    root.set_command(place, command | Command::MEMORY_SPACE | Command::BUS_MASTER);
    PciTransport::new::<KernelHal, _>(&mut root, place).map_err(Unreachable::Pci)
}
