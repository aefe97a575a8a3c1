// SPDX-License-Identifier: MIT OR Apache-2.0
//! The board that QEMU gives a guest, where that is not its usual one.

/// What differs from QEMU's usual board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Which board it is, and its properties; empty for the usual one.
    machine: &'static str,
    /// Properties of its processors.
    processor: &'static [&'static str],
    /// What its console is.
    console: Console,
    /// More options of QEMU's.
    options: &'static [&'static str],
    /// Whether each device is behind a root port of its own.
    root_ports: bool,
    /// The model of its NIC; the environment's if there is none.
    card: Option<&'static str>,
    /// The bus of its disks; the environment's if there is none.
    disks: Option<Bus>,
}

/// How a disk is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// By an NVMe controller of its own.
    Nvme,
    /// By a virtio SCSI controller of its own.
    VirtioScsi,
}

impl Bus {
    /// The values of `-device` options for the `index`th disk, whose content is the drive `disk` of that
    /// number.
    pub fn devices(self, index: usize) -> Vec<String> {
        match self {
            Self::Nvme => vec![format!("nvme,serial=disk{index},drive=disk{index}")],
            Self::VirtioScsi => vec![
                format!("virtio-scsi-pci,id=scsi{index}"),
                format!("scsi-hd,drive=disk{index},bus=scsi{index}.0"),
            ],
        }
    }
}

/// The device behind a guest's console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// The board's own: a serial port, or Xen's console.
    #[default]
    Own,
    /// A virtio device. Nobody reads a serial port then.
    Virtio,
}

impl Board {
    /// The usual one.
    pub const USUAL: Self = Self {
        machine: "",
        processor: &[],
        console: Console::Own,
        options: &[],
        root_ports: false,
        card: None,
        disks: None,
    };

    /// One of this kind, with these properties.
    pub const fn of(machine: &'static str) -> Self {
        Self { machine, ..Self::USUAL }
    }

    /// The same, but its processors have these properties, such as `-apic`.
    pub const fn with_processor(self, processor: &'static [&'static str]) -> Self {
        Self { processor, ..self }
    }

    /// The same, but its console is this one.
    pub const fn with_console(self, console: Console) -> Self {
        Self { console, ..self }
    }

    /// What its console is.
    pub const fn console(&self) -> Console {
        self.console
    }

    /// The same with these options of QEMU's.
    pub const fn with_options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// The same, but each device is behind a root port of PCI Express, as libvirt places them.
    pub const fn behind_root_ports(self) -> Self {
        Self { root_ports: true, ..self }
    }

    /// The same, but its NIC is of this model.
    pub const fn with_card(self, model: &'static str) -> Self {
        Self { card: Some(model), ..self }
    }

    /// The model of its NIC, where the environment's is `usual`.
    pub fn card(&self, usual: &'static str) -> &'static str {
        self.card.unwrap_or(usual)
    }

    /// The same, but its disks are on this bus.
    pub const fn with_disks(self, bus: Bus) -> Self {
        Self { disks: Some(bus), ..self }
    }

    /// The bus of its disks, if it is not the environment's.
    pub const fn disks(&self) -> Option<Bus> {
        self.disks
    }

    /// The values of `-device` options that put `device` in its place, the `number`th of the guest.
    pub fn placed(&self, number: usize, device: &str) -> Vec<String> {
        let is_express = ["virtio-", "e1000e", "nvme"].iter().any(|kind| device.starts_with(kind));
        if !self.root_ports || !is_express {
            return vec![device.to_owned()];
        }
        let port = format!("pcie-root-port,id=port{number},chassis={number}");
        vec![port, format!("{device},bus=port{number}")]
    }

    /// Whether it is one without PCI, whose devices have their registers in memory.
    pub fn is_micro(&self) -> bool {
        self.machine.starts_with("microvm")
    }

    /// QEMU's words for its processors, which are of this model but for their properties.
    pub fn processor(&self, model: &str) -> String {
        [&[model], self.processor].concat().join(",")
    }

    /// QEMU's words for the board itself.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let machine = (!self.machine.is_empty()).then_some(["-M", self.machine]);
        machine.into_iter().flatten().chain(self.options.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_board_takes_no_words() {
        assert_eq!(Board::USUAL.words().count(), 0);
        assert!(!Board::USUAL.is_micro());
        assert_eq!(Board::USUAL.processor("host"), "host");
    }

    #[test]
    fn devices_of_pci_express_are_put_behind_ports() {
        let board = Board::of("q35").behind_root_ports();
        let placed = ["pcie-root-port,id=port3,chassis=3", "virtio-blk-pci,drive=a,bus=port3"];
        assert_eq!(board.placed(3, "virtio-blk-pci,drive=a"), placed);
        assert_eq!(board.placed(3, "isa-debug-exit"), ["isa-debug-exit"]);
        assert_eq!(Board::USUAL.placed(3, "virtio-blk-pci"), ["virtio-blk-pci"]);
        assert_eq!(board.with_card("e1000e").card("e1000"), "e1000e");
    }

    #[test]
    fn properties_and_options_are_passed_on() {
        let board = Board::of("microvm,acpi=off").with_options(&["-global", "a.b=c"]);
        assert_eq!(board.words().collect::<Vec<_>>(), ["-M", "microvm,acpi=off", "-global", "a.b=c"]);
        assert!(board.is_micro());
        let board = board.with_processor(&["-apic", "xen-vapic=on"]);
        assert_eq!(board.processor("host"), "host,-apic,xen-vapic=on");
    }
}
