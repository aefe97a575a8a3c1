// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options that the kernel itself understands.

use core::time::Duration;

use bitflags::bitflags;

use super::{CommandLine, ValueError};

/// An option of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelOption {
    /// What stands before the `=`.
    pub name: &'static str,
    /// The values accepted, in words.
    pub values: &'static str,
    /// What it does, in a sentence.
    pub help: &'static str,
}

const LOG_LEVEL: KernelOption = KernelOption {
    name: "loglevel",
    values: "off, error, warn, info, debug or trace",
    help: "Least important log messages that are printed; without it, info.",
};

const HYPERCALL: KernelOption = KernelOption {
    name: "hypercall",
    values: "inline or page",
    help: "Whether hypercalls use the processor's instruction in place, or the page that Xen fills in; without it, inline.",
};

const CONSOLE: KernelOption = KernelOption {
    name: "console",
    values: "a list of pv, xen, debug, serial, vga and virtio, parted by commas",
    help: "Where output goes: the PV ring, Xen's own console, port 0xE9, the 16550 serial port, the screen, a virtio console; without it, wherever somebody may read it.",
};

/// Network interfaces that the command line can speak of: more than toolstacks give.
pub const INTERFACES: usize = 16;

/// The options of interfaces' addresses, by the interface's number.
pub(super) const IP: [KernelOption; INTERFACES] = [
    interface("ip"),
    interface("ip1"),
    interface("ip2"),
    interface("ip3"),
    interface("ip4"),
    interface("ip5"),
    interface("ip6"),
    interface("ip7"),
    interface("ip8"),
    interface("ip9"),
    interface("ip10"),
    interface("ip11"),
    interface("ip12"),
    interface("ip13"),
    interface("ip14"),
    interface("ip15"),
];

const fn interface(name: &'static str) -> KernelOption {
    KernelOption {
        name,
        values: "dhcp, or ADDRESS/PREFIX[,GATEWAY[,DNS]] such as 192.0.2.2/24,192.0.2.1",
        help: "How the network interface of that number gets its address; without it, dhcp.",
    }
}

const ENTROPY: KernelOption = KernelOption {
    name: "entropy",
    values: "rdrand or jitter",
    help: "Best source of random numbers that may be used: RDRAND but not RDSEED, or neither; without it, whatever is good.",
};

const BLK_POLL: KernelOption = KernelOption {
    name: "blk.poll_us",
    values: "0 to 10000 microseconds",
    help: "How long a paravirtual disk is looked at for answers before its driver sleeps; without it, 0.",
};

const NET_POLL: KernelOption = KernelOption {
    name: "net.poll_us",
    values: "0 to 10000 microseconds",
    help: "How long a paravirtual network interface is looked at for packets before its driver sleeps; without it, 0.",
};

const EVENTS: KernelOption = KernelOption {
    name: "events",
    values: "2l or fifo",
    help: "How Xen's events are kept: bits in its shared page, or queues in pages of the guest's; without it, queues where Xen offers them.",
};

const UPCALL: KernelOption = KernelOption {
    name: "upcall",
    values: "vector, percpu, intx or poll",
    help: "How a domain other than a PV one is told of events, as if Xen refused what is better: by an interrupt vector, by one of each vCPU's local APIC, by an interrupt line, or not at all, so that it has to look; without it, the best there is.",
};

const PV_LEVEL: KernelOption = KernelOption {
    name: "pv_level",
    values: "fv, hvm, pv-drivers or pvhvm",
    help: "Highest level of paravirtualization that is used on a machine with an emulated platform: fv and hvm use nothing paravirtual, pv-drivers no interrupt vector for events; without it, the highest there is.",
};

const IRQCHIP: KernelOption = KernelOption {
    name: "irqchip",
    values: "pic or ioapic",
    help: "The only interrupt controllers that devices' interrupts may come through: the old 8259s, or the I/O APICs; without it, the 8259s for IRQs below 16 where there are any, else the I/O APICs.",
};

pub(super) const VIRTIO_MMIO: KernelOption = KernelOption {
    name: "virtio_mmio.device",
    values: "SIZE@ADDRESS:LINE such as 512@0xfeb00000:5",
    help: "Where a virtio device's registers may be, and its interrupt line; once for each. Monitors of small machines add these words themselves.",
};

/// All options of the kernel, for checking and for documentation.
pub const KERNEL_OPTIONS: &[KernelOption] = &[
    LOG_LEVEL,
    HYPERCALL,
    CONSOLE,
    ENTROPY,
    BLK_POLL,
    NET_POLL,
    EVENTS,
    UPCALL,
    PV_LEVEL,
    IRQCHIP,
    VIRTIO_MMIO,
    IP[0],
    IP[1],
    IP[2],
    IP[3],
    IP[4],
    IP[5],
    IP[6],
    IP[7],
    IP[8],
    IP[9],
    IP[10],
    IP[11],
    IP[12],
    IP[13],
    IP[14],
    IP[15],
];

/// Options by the names that they had before, and have now. The old ones still work, and log a warning.
pub(super) const OLD_NAMES: [(&str, &str); 2] = [("rung", PV_LEVEL.name), ("lines", IRQCHIP.name)];

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// What is odd.
    Warn,
    /// What a person wants to know.
    Info,
    /// What helps finding a mistake.
    Debug,
    /// Everything.
    Trace,
}

/// How hypercalls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HypercallMethod {
    /// `syscall`, `vmcall` or `vmmcall` in place.
    Inline,
    /// A call into the page that Xen fills in.
    Page,
}

/// The best source of random numbers that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntropyLimit {
    /// RDRAND: not RDSEED.
    Rdrand,
    /// Jitter: no instruction.
    Jitter,
}

/// How Xen's events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventAbi {
    /// The 2-level ABI.
    TwoLevel,
    /// The FIFO ABI.
    Fifo,
}

/// How events may be reported to a domain that is not a PV one, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpcallLimit {
    /// By an interrupt vector, or whatever is less.
    Vector,
    /// By an interrupt vector of each vCPU's local APIC, or whatever is less.
    PerCpuVector,
    /// By an interrupt line, or not at all.
    Intx,
    /// Not at all.
    Polling,
}

/// The only interrupt controllers that devices' interrupts may come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqChipLimit {
    /// The 8259s.
    Pic,
    /// The I/O APICs.
    IoApic,
}

/// How much is paravirtual, on a machine with an emulated platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PvLevel {
    /// Everything is emulated.
    Fv,
    /// Devices and interrupts are emulated; the CPU need not be.
    Hvm,
    /// Paravirtual devices, emulated interrupts.
    PvDrivers,
    /// Paravirtual devices, events and timers.
    Pvhvm,
}

bitflags! {
    /// Places that output can go to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ConsoleSinks: u8 {
        /// The PV console ring.
        const PV = 1 << 0;
        /// Xen's own console, by `console_io`.
        const XEN = 1 << 1;
        /// The debug port 0xE9.
        const DEBUG = 1 << 2;
        /// The 16550 serial port.
        const SERIAL = 1 << 3;
        /// The screen, and the keyboard with it.
        const VGA = 1 << 4;
        /// A virtio console.
        const VIRTIO = 1 << 5;
    }
}

impl CommandLine {
    /// The log level asked for.
    ///
    /// # Errors
    ///
    /// If `loglevel=` names no level.
    pub fn log_level(&self) -> Result<Option<LogLevel>, ValueError<'_>> {
        self.option(LOG_LEVEL, |value| {
            Some(match value {
                "off" => LogLevel::Off,
                "error" => LogLevel::Error,
                "warn" => LogLevel::Warn,
                "info" => LogLevel::Info,
                "debug" => LogLevel::Debug,
                "trace" => LogLevel::Trace,
                _ => return None,
            })
        })
    }

    /// The way of making hypercalls asked for.
    ///
    /// # Errors
    ///
    /// If `hypercall=` names no way.
    pub fn hypercall_method(&self) -> Result<Option<HypercallMethod>, ValueError<'_>> {
        self.option(HYPERCALL, |value| match value {
            "inline" => Some(HypercallMethod::Inline),
            "page" => Some(HypercallMethod::Page),
            _ => None,
        })
    }

    /// The way of keeping events asked for.
    ///
    /// # Errors
    ///
    /// If `events=` names no way.
    pub fn event_abi(&self) -> Result<Option<EventAbi>, ValueError<'_>> {
        self.option(EVENTS, |value| match value {
            "2l" => Some(EventAbi::TwoLevel),
            "fifo" => Some(EventAbi::Fifo),
            _ => None,
        })
    }

    /// The places for output asked for; never an empty set.
    ///
    /// # Errors
    ///
    /// If `console=` names something else too.
    pub fn console_sinks(&self) -> Result<Option<ConsoleSinks>, ValueError<'_>> {
        self.option(CONSOLE, |value| value.split(',').map(console_sink).collect())
    }

    /// The best source of random numbers that may be used.
    ///
    /// # Errors
    ///
    /// If `entropy=` names something else.
    pub fn entropy_limit(&self) -> Result<Option<EntropyLimit>, ValueError<'_>> {
        self.option(ENTROPY, |value| match value {
            "rdrand" => Some(EntropyLimit::Rdrand),
            "jitter" => Some(EntropyLimit::Jitter),
            _ => None,
        })
    }

    /// How long to look for a disk's answers before sleeping.
    ///
    /// # Errors
    ///
    /// If `blk.poll_us=` is no number, or too large a one.
    pub fn block_poll(&self) -> Result<Option<Duration>, ValueError<'_>> {
        self.option(BLK_POLL, poll)
    }

    /// How long to look for packets before sleeping.
    ///
    /// # Errors
    ///
    /// If `net.poll_us=` is no number, or too large a one.
    pub fn network_poll(&self) -> Result<Option<Duration>, ValueError<'_>> {
        self.option(NET_POLL, poll)
    }

    /// The way of reporting events asked for.
    ///
    /// # Errors
    ///
    /// If `upcall=` names no way.
    pub fn upcall_limit(&self) -> Result<Option<UpcallLimit>, ValueError<'_>> {
        self.option(UPCALL, |value| match value {
            "vector" => Some(UpcallLimit::Vector),
            "percpu" => Some(UpcallLimit::PerCpuVector),
            "intx" => Some(UpcallLimit::Intx),
            "poll" => Some(UpcallLimit::Polling),
            _ => None,
        })
    }

    /// The only interrupt controllers asked for.
    ///
    /// # Errors
    ///
    /// If `irqchip=` names none.
    pub fn irqchip_limit(&self) -> Result<Option<IrqChipLimit>, ValueError<'_>> {
        self.option(IRQCHIP, |value| match value {
            "pic" => Some(IrqChipLimit::Pic),
            "ioapic" => Some(IrqChipLimit::IoApic),
            _ => None,
        })
    }

    /// The highest level of paravirtualization asked for.
    ///
    /// # Errors
    ///
    /// If `pv_level=` names no level.
    pub fn pv_level(&self) -> Result<Option<PvLevel>, ValueError<'_>> {
        self.option(PV_LEVEL, |value| {
            Some(match value {
                "fv" => PvLevel::Fv,
                "hvm" => PvLevel::Hvm,
                "pv-drivers" => PvLevel::PvDrivers,
                "pvhvm" => PvLevel::Pvhvm,
                _ => return None,
            })
        })
    }

    pub(super) fn option<T>(
        &self,
        option: KernelOption,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ValueError<'_>> {
        let old = OLD_NAMES.iter().find(|(_, name)| *name == option.name && !self.has(name));
        let name = old.map(|(old, _)| *old).filter(|old| self.has(old)).unwrap_or(option.name);
        self.parsed(name, option.values, parse)
    }
}

/// A time for which something is looked at.
fn poll(microseconds: &str) -> Option<Duration> {
    microseconds.parse().ok().filter(|number| *number <= 10_000).map(Duration::from_micros)
}

fn console_sink(name: &str) -> Option<ConsoleSinks> {
    Some(match name {
        "pv" => ConsoleSinks::PV,
        "xen" => ConsoleSinks::XEN,
        "debug" => ConsoleSinks::DEBUG,
        "serial" => ConsoleSinks::SERIAL,
        "vga" => ConsoleSinks::VGA,
        "virtio" => ConsoleSinks::VIRTIO,
        _ => return None,
    })
}
