// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grid: the position on the paravirtualization spectrum, in four rows.

use core::fmt::{self, Write};

use arrayvec::ArrayString;

use crate::BootProtocol;
use crate::capabilities::{Capabilities, CpuVendor, Devices, Hypervisor, MachineKind};
use crate::services::{DeviceBus, Services, Upcall};

/// How something is virtualized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Emulated by software.
    Software,
    /// By the hardware.
    Hardware,
    /// Paravirtualized.
    Paravirtualized,
    /// There is none of it.
    Absent,
}

impl Level {
    /// The letter in the grid: `S`, `H`, `P` or `-`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Software => 'S',
            Self::Hardware => 'H',
            Self::Paravirtualized => 'P',
            Self::Absent => '-',
        }
    }
}

/// A row of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub label: &'static str,
    /// How that is virtualized.
    pub level: Level,
    /// By which mechanism, in words.
    pub mechanism: Mechanism,
}

/// Words that say by which mechanism something works.
pub type Mechanism = ArrayString<96>;

impl Row {
    /// Words that do not fit are cut off.
    fn new(label: &'static str, level: Level, mechanism: fmt::Arguments<'_>) -> Self {
        let mut row = Self { label, level, mechanism: Mechanism::new_const() };
        let _cut_off = row.mechanism.write_fmt(mechanism);
        row
    }
}

/// The four rows, in the order of the grid.
///
/// Printed, it is a line `Spectrum:` and one line for each row: two blanks, the label, two or more
/// blanks, the letter, two blanks, the mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Disk and network; interrupts and timers; platform and boot; privileged instructions and page
    /// tables.
    pub rows: [Row; 4],
}

impl Grid {
    /// The grid of a machine where `found` was probed and `services` chosen.
    #[must_use]
    pub fn new(found: &Capabilities, services: &Services) -> Self {
        Self {
            rows: [devices(found, services), interrupts(found, services), platform(found), privileged(found)],
        }
    }

    /// The rows' letters, in a line: `P P S H`.
    #[must_use]
    pub const fn letters(&self) -> Letters<'_> {
        Letters(self)
    }
}

/// A grid's letters, to be printed.
#[derive(Clone, Copy, Debug)]
pub struct Letters<'a>(&'a Grid);

impl fmt::Display for Letters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0.rows.map(|row| row.level.letter());
        write!(f, "{first}")?;
        rest.iter().try_for_each(|letter| write!(f, " {letter}"))
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Spectrum:")?;
        for Row { label, level, mechanism } in &self.rows {
            writeln!(f, "  {label:<29}{}  {mechanism}", level.letter())?;
        }
        Ok(())
    }
}

fn devices(found: &Capabilities, services: &Services) -> Row {
    const LABEL: &str = "disk, network";
    let (disk, network) = (services.disk.chosen, services.network.chosen);
    let either = |bus| disk == bus || network == bus;
    if either(DeviceBus::Xenbus) {
        Row::new(LABEL, Level::Paravirtualized, format_args!("xenbus (blkfront, netfront)"))
    } else if either(DeviceBus::Virtio) {
        let Devices { virtio_block, virtio_scsi, virtio_net, .. } = found.devices;
        let count = virtio_block.saturating_add(virtio_scsi).saturating_add(virtio_net);
        let plural = if count == 1 { "" } else { "s" };
        Row::new(LABEL, Level::Paravirtualized, format_args!("virtio ({count} device{plural})"))
    } else if either(DeviceBus::Emulated) {
        Row::new(LABEL, Level::Software, format_args!("emulated ({})", Emulated(found.devices)))
    } else if found.is_initial_domain() {
        Row::new(LABEL, Level::Absent, format_args!("none; initial domain"))
    } else {
        Row::new(LABEL, Level::Absent, format_args!("none"))
    }
}

/// The kinds of emulated devices, in a few words.
struct Emulated(Devices);

impl fmt::Display for Emulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Devices { nvme, ahci, ide, e1000, rtl8139, .. } = self.0;
        let disk = match (nvme, ahci) {
            (0, 0) => ("IDE", ide),
            (0, _) => ("AHCI", ahci),
            _ => ("NVMe", nvme),
        };
        let kinds = [disk, ("e1000", e1000), ("RTL8139", rtl8139)];
        for (index, (name, _)) in kinds.into_iter().filter(|(_, count)| *count != 0).enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

fn interrupts(found: &Capabilities, services: &Services) -> Row {
    const LABEL: &str = "interrupts, timers";
    let (upcall, timer, clock) = (services.upcall.chosen, services.timer.chosen, services.clock.chosen);
    match upcall {
        Upcall::Callback | Upcall::Vector | Upcall::PerCpuVector => {
            Row::new(LABEL, Level::Paravirtualized, format_args!("{upcall}; {timer}"))
        }
        Upcall::Intx | Upcall::Polling => Row::new(LABEL, Level::Software, format_args!("{upcall}; {timer}")),
        Upcall::None => {
            let controller = if found.platform.local_apic { "local APIC" } else { "PIC" };
            Row::new(LABEL, Level::Software, format_args!("{controller}; {timer}, {clock}"))
        }
    }
}

fn platform(found: &Capabilities) -> Row {
    const LABEL: &str = "platform, boot";
    let protocol = found.protocol;
    match protocol {
        BootProtocol::Pv | BootProtocol::Pvh if !found.has_emulated_platform() => {
            Row::new(LABEL, Level::Paravirtualized, format_args!("none; {protocol} entry"))
        }
        BootProtocol::Pv => Row::new(LABEL, Level::Software, format_args!("PC, entered by PV")),
        BootProtocol::Pvh => Row::new(LABEL, Level::Software, format_args!("PC, entered by PVH note")),
        BootProtocol::Multiboot1 | BootProtocol::Multiboot2 => {
            Row::new(LABEL, Level::Software, format_args!("PC, entered by {protocol}"))
        }
    }
}

fn privileged(found: &Capabilities) -> Row {
    const LABEL: &str = "privileged, page tables";
    let in_container = found.xen.is_some_and(|xen| xen.in_container);
    match (found.machine, found.hypervisor) {
        (MachineKind::Pv, _) if in_container => {
            Row::new(LABEL, Level::Paravirtualized, format_args!("hypercalls, in a PVH container"))
        }
        (MachineKind::Pv, _) => {
            Row::new(LABEL, Level::Paravirtualized, format_args!("hypercalls, direct paging"))
        }
        (MachineKind::Hvm, Hypervisor::Tcg) => {
            Row::new(LABEL, Level::Software, format_args!("emulated (TCG)"))
        }
        (MachineKind::Hvm, Hypervisor::None) => {
            Row::new(LABEL, Level::Software, format_args!("emulated, by a hypervisor that does not tell"))
        }
        (MachineKind::Hvm, _) => {
            let extension = match found.vendor {
                CpuVendor::Amd => " (SVM)",
                CpuVendor::Intel => " (VT-x)",
                CpuVendor::Other => "",
            };
            Row::new(LABEL, Level::Hardware, format_args!("hardware{extension}, the guest's own page tables"))
        }
    }
}
