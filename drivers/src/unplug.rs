// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unplugging a Xen HVM domain's emulated devices, where paravirtual ones take their place
//! (`docs/misc/hvm-emulated-unplug.pandoc`).

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::hal::Ports;

/// The ports of the protocol, and what the first reads as where it is spoken.
const PORT: u16 = 0x10;
const VERSION: u16 = 0x12;
const MAGIC: u16 = 0x49d2;

/// Product number of drivers that have none of their own.
const PRODUCT: u16 = 0xffff;
const BUILD: u32 = 1;

/// What is unplugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulated {
    /// All IDE, SCSI and NVMe disks; CD-ROMs stay.
    Disks,
    /// All NICs.
    Nics,
}

impl Emulated {
    const fn bit(self) -> u16 {
        match self {
            // NVMe disks are a bit of their own, which older hosts ignore (QEMU, `hw/xen/xen_platform.c`).
            Self::Disks => 1 << 0 | 1 << 3,
            Self::Nics => 1 << 1,
        }
    }
}

/// Why nothing was unplugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody speaks the protocol here.
    NotOffered,
    /// The host does not want these drivers to be used.
    Blacklisted,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered => "the host does not offer it",
            Self::Blacklisted => "the host refuses it",
        })
    }
}

impl core::error::Error for Refused {}

/// What becomes of emulated devices beside paravirtual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// They are used.
    Use,
    /// They are taken away.
    Unplug,
}

/// Emulated devices that nothing has been decided about. Each kind is decided about once.
#[derive(Debug, Default)]
pub struct Undecided {
    disks: AtomicBool,
    cards: AtomicBool,
}

impl Undecided {
    /// There are none.
    pub const fn new() -> Self {
        Self { disks: AtomicBool::new(false), cards: AtomicBool::new(false) }
    }

    /// There is an emulated platform beside Xen's devices.
    pub fn begin(&self) {
        self.disks.store(true, Ordering::Relaxed);
        self.cards.store(true, Ordering::Relaxed);
    }

    /// Decides about the disks, once it is known how many paravirtual ones there are: they are the same.
    pub fn disks(&self, paravirtual: usize) -> Option<Choice> {
        let choice = if paravirtual == 0 { Choice::Use } else { Choice::Unplug };
        self.disks.swap(false, Ordering::Relaxed).then_some(choice)
    }

    /// Decides about the NICs, once it is known how many paravirtual interfaces there are. If there
    /// are any, the NICs stay until [one of those works](Self::interface_works).
    pub fn cards(&self, paravirtual: usize) -> Option<Choice> {
        (paravirtual == 0 && self.cards.swap(false, Ordering::Relaxed)).then_some(Choice::Use)
    }

    /// A paravirtual interface works: the NICs are not needed.
    pub fn interface_works(&self) -> Option<Choice> {
        self.cards.swap(false, Ordering::Relaxed).then_some(Choice::Unplug)
    }
}

/// Takes the devices away for good: until the machine is reset.
///
/// # Errors
///
/// [`Refused`]; then they are still there.
pub fn unplug<P: Ports + ?Sized>(ports: &P, devices: Emulated) -> Result<(), Refused> {
    if ports.read_u16(PORT) != MAGIC {
        return Err(Refused::NotOffered);
    }
    // From version 1 on the host is told who asks, and may say no.
    if ports.read_u8(VERSION) != 0 {
        ports.write_u16(VERSION, PRODUCT);
        ports.write_u32(PORT, BUILD);
        if ports.read_u16(PORT) != MAGIC {
            return Err(Refused::Blacklisted);
        }
    }
    ports.write_u16(PORT, devices.bit());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A host that speaks `version`, and perhaps refuses who tells its name.
    struct FakeHost {
        version: u8,
        refuses: bool,
        magic: Cell<u16>,
        written: RefCell<Vec<(u16, u32)>>,
    }

    impl FakeHost {
        fn new(version: u8, refuses: bool) -> Self {
            Self { version, refuses, magic: Cell::new(MAGIC), written: RefCell::default() }
        }
    }

    impl Ports for FakeHost {
        fn read_u8(&self, port: u16) -> u8 {
            if port == VERSION { self.version } else { 0xff }
        }
        fn read_u16(&self, port: u16) -> u16 {
            if port == PORT { self.magic.get() } else { 0xffff }
        }
        fn read_u32(&self, _port: u16) -> u32 {
            !0
        }
        fn write_u8(&self, _port: u16, _value: u8) {}
        fn write_u16(&self, port: u16, value: u16) {
            self.written.borrow_mut().push((port, value.into()));
        }
        fn write_u32(&self, port: u16, value: u32) {
            self.written.borrow_mut().push((port, value));
            if self.refuses {
                self.magic.set(0);
            }
        }
    }

    #[test]
    fn without_an_emulated_platform_there_is_nothing_to_decide() {
        let undecided = Undecided::new();
        assert_eq!((undecided.disks(0), undecided.cards(0), undecided.interface_works()), (None, None, None));
    }

    #[test]
    fn disks_are_used_or_unplugged_once() {
        for (paravirtual, choice) in [(0, Choice::Use), (1, Choice::Unplug)] {
            let undecided = Undecided::new();
            undecided.begin();
            assert_eq!(undecided.disks(paravirtual), Some(choice));
            assert_eq!((undecided.disks(0), undecided.disks(1)), (None, None));
            assert_eq!(undecided.cards(0), Some(Choice::Use), "each kind by itself");
        }
    }

    #[test]
    fn nics_stay_until_a_paravirtual_interface_works() {
        let undecided = Undecided::new();
        undecided.begin();
        assert_eq!(undecided.cards(2), None);
        assert_eq!(undecided.interface_works(), Some(Choice::Unplug));
        assert_eq!((undecided.interface_works(), undecided.cards(0)), (None, None));
    }

    #[test]
    fn nics_in_use_are_not_unplugged_later() {
        let undecided = Undecided::new();
        undecided.begin();
        assert_eq!(undecided.cards(0), Some(Choice::Use));
        assert_eq!((undecided.cards(0), undecided.interface_works()), (None, None));
    }

    #[test]
    fn a_host_of_version_1_is_told_who_asks() {
        let host = FakeHost::new(1, false);
        assert_eq!(unplug(&host, Emulated::Disks), Ok(()));
        assert_eq!(*host.written.borrow(), [(0x12, 0xffff), (0x10, 1), (0x10, 9)]);
    }

    #[test]
    fn a_host_of_version_0_is_not() {
        let host = FakeHost::new(0, false);
        assert_eq!(unplug(&host, Emulated::Nics), Ok(()));
        assert_eq!(*host.written.borrow(), [(0x10, 2)]);
    }

    #[test]
    fn a_host_that_refuses_keeps_its_devices() {
        let host = FakeHost::new(1, true);
        assert_eq!(unplug(&host, Emulated::Disks), Err(Refused::Blacklisted));
        assert_eq!(host.written.borrow().len(), 2);
    }

    #[test]
    fn a_machine_without_the_protocol_is_left_alone() {
        let ports = crate::pci::tests::FakePorts::default();
        assert_eq!(unplug(&ports, Emulated::Disks), Err(Refused::NotOffered));
        assert!(ports.written.borrow().is_empty());
    }
}
