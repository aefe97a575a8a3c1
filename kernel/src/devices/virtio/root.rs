// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCI configuration space, as the `virtio-drivers` crate asks for it.

use prism_drivers::pci::{self, Place};
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

use crate::ports::CpuPorts;

/// Configuration space by the machine's ports.
pub(super) struct Configuration;

impl ConfigurationAccess for Configuration {
    fn read_word(&self, place: DeviceFunction, register: u8) -> u32 {
        pci::Configuration::new(&CpuPorts, convert(place)).read(register)
    }

    fn write_word(&mut self, place: DeviceFunction, register: u8, data: u32) {
        pci::Configuration::new(&CpuPorts, convert(place)).write(register, data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

const fn convert(place: DeviceFunction) -> Place {
    Place { bus: place.bus, device: place.device, function: place.function }
}
