// SPDX-License-Identifier: MIT OR Apache-2.0
//! I/O ports, for drivers.

use prism_arch::cpu;
use prism_drivers::hal::Ports;

/// The I/O ports. Not for PV domains, which have none.
pub(crate) struct CpuPorts;

impl Ports for CpuPorts {
    fn read_u8(&self, port: u16) -> u8 {
        cpu::read_port_u8(port)
    }
    fn read_u16(&self, port: u16) -> u16 {
        cpu::read_port_u16(port)
    }
    fn read_u32(&self, port: u16) -> u32 {
        cpu::read_port_u32(port)
    }
    fn read_u16s(&self, port: u16, data: &mut [u8]) {
        cpu::read_port_u16s(port, data);
    }
    fn write_u16s(&self, port: u16, data: &[u8]) {
        cpu::write_port_u16s(port, data);
    }
    fn write_u8(&self, port: u16, value: u8) {
        cpu::write_port_u8(port, value);
    }
    fn write_u16(&self, port: u16, value: u16) {
        cpu::write_port_u16(port, value);
    }
    fn write_u32(&self, port: u16, value: u32) {
        cpu::write_port_u32(port, value);
    }
}
