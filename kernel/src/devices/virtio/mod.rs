// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices on PCI (Virtual I/O Device 1.2), as KVM's and others' machines have them. Queues and
//! transport are the `virtio-drivers` crate's.

mod disk;
mod hal;
pub(super) mod network;
mod root;

use alloc::format;
use core::fmt;

use log::warn;
use prism_drivers::intx;
use prism_drivers::pci::{self, Function, Place};
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
    let disks = pci::functions(&CpuPorts).filter(|function| function.is_virtio() && function.class >> 8 == 1);
    for (number, function) in (0..MOST_DISKS).zip(disks) {
        let name = format!("vd{}", char::from(b'a' + number));
        disks::begin_search();
        let task = async move {
            match open(&function) {
                Ok((transport, line)) => disk::drive(name, number, transport, line).await,
                Err(error) => {
                    warn!("{name} at {} is not driven: {error}", function.place);
                    disks::end_search();
                }
            }
        };
        if exec::spawn(task).is_err() {
            disks::end_search();
        }
    }
}

/// Why a device cannot be reached.
enum Unreachable {
    Transport(VirtioPciError),
    NoLine,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::NoLine => f.write_str("firmware gave it no interrupt line"),
        }
    }
}

/// The device's registers and its interrupt line.
fn open(function: &Function) -> Result<(PciTransport, Line), Unreachable> {
    let Place { bus, device, function: number } = function.place;
    let place = DeviceFunction { bus, device, function: number };
    let mut root = PciRoot::new(Configuration);
    let (_, command) = root.get_status_command(place);
    root.set_command(place, command | Command::MEMORY_SPACE | Command::BUS_MASTER);
    let transport = PciTransport::new::<KernelHal, _>(&mut root, place).map_err(Unreachable::Transport)?;
    let line = intx::line(&CpuPorts, function).and_then(Line::open).ok_or(Unreachable::NoLine)?;
    Ok((transport, line))
}
