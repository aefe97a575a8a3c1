// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which PCI functions have drivers.

use crate::block::{ahci, nvme};
use crate::net::{e1000, rtl8139};
use crate::pci::Function;
use crate::virtio::Kind;

/// What a function is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A virtio device.
    Virtio(Kind),
    /// An AHCI controller.
    Ahci,
    /// An IDE controller.
    Ide,
    /// An NVMe controller.
    Nvme,
    /// A disk controller for which there is no driver.
    OtherStorage,
    /// One of Intel's e1000 NICs.
    E1000,
    /// Realtek's RTL8139 NIC.
    Rtl8139,
    /// A NIC for which there is no driver.
    OtherNetwork,
}

impl Known {
    /// What `function` is; `None` if it is nothing that is of use.
    pub fn of(function: &Function) -> Option<Self> {
        if let Some(kind) = function.virtio_kind() {
            return Some(Self::Virtio(kind));
        }
        match function.class >> 8 {
            0x01 if ahci::matches(function) => Some(Self::Ahci),
            0x01 if function.is_ide() => Some(Self::Ide),
            0x01 if nvme::matches(function) => Some(Self::Nvme),
            0x01 => Some(Self::OtherStorage),
            0x02 if e1000::matches(function) => Some(Self::E1000),
            0x02 if rtl8139::matches(function) => Some(Self::Rtl8139),
            0x02 => Some(Self::OtherNetwork),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;

    fn known(vendor: u16, device: u16, class: u16) -> Option<Known> {
        programmed(vendor, device, class, 0)
    }

    fn programmed(vendor: u16, device: u16, class: u16, interface: u8) -> Option<Known> {
        let address = PciAddress { bus: 0, device: 3, function: 0 };
        Known::of(&Function { address, vendor, device, class, interface })
    }

    #[test]
    fn controllers_are_known_by_their_class() {
        let classes =
            [0x0106, 0x0101, 0x0100, 0x0108, 0x0600, 0x0300, 0xff00].map(|class| known(1, 2, class));
        let storage = Some(Known::OtherStorage);
        assert_eq!(classes, [Some(Known::Ahci), Some(Known::Ide), storage, storage, None, None, None]);
    }

    #[test]
    fn an_nvme_controller_is_one_if_it_is_programmed_as_one() {
        let known = [0x01, 0x02, 0x03].map(|interface| programmed(0x1b36, 0x0010, 0x0108, interface));
        let other = Some(Known::OtherStorage);
        assert_eq!(known, [other, Some(Known::Nvme), other]);
    }

    #[test]
    fn nics_are_known_by_vendor_and_device_if_their_class_says_so() {
        assert_eq!(known(0x8086, 0x100e, 0x0200), Some(Known::E1000));
        assert_eq!(known(0x10ec, 0x8139, 0x0200), Some(Known::Rtl8139));
        assert_eq!(known(0x8086, 0x10d3, 0x0200), Some(Known::E1000));
        assert_eq!(known(0x8086, 0x1521, 0x0200), Some(Known::OtherNetwork));
        assert_eq!([known(0x8086, 0x100e, 0x0300), known(0x10ec, 0x8139, 0x0c03)], [None, None]);
    }

    #[test]
    fn a_virtio_device_is_one_whatever_its_class() {
        for class in [0x0100, 0x0106, 0x0200, 0xff00] {
            assert_eq!(known(0x1af4, 0x1042, class), Some(Known::Virtio(Kind::Block)));
            assert_eq!(known(0x1af4, 0x1000, class), Some(Known::Virtio(Kind::Network)));
        }
    }
}
