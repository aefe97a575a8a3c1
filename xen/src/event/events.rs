// SPDX-License-Identifier: MIT OR Apache-2.0
//! The events of a domain, in either ABI.

use core::fmt;

use xen_sys::xen::{shared_info, vcpu_info};

use super::fifo::Fifo;
use super::two_level::{PORTS, TwoLevel};
use super::{Port, Priority, set_priority};
use crate::error::{Errno, Result};
use crate::grant::Page;
use crate::hypercall::Hypercall;
use crate::shared::Shared;

/// The two ways in which events are kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// Bits in the page that Xen shares: 4096 ports, no order. There from the start.
    TwoLevel,
    /// Words and queues in pages of ours: 131072 ports, priorities, first come first served. Xen
    /// 4.4 has it; QEMU's emulation and the PV shim don't.
    Fifo,
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoLevel => "2-level",
            Self::Fifo => "FIFO",
        })
    }
}

/// The events of a domain.
///
/// Any vCPU may [`mask`](Self::mask), [`unmask_or_take`](Self::unmask_or_take) and take single events; each
/// vCPU takes its own by [`take_all`](Self::take_all).
pub enum Events {
    /// Kept the 2-level way.
    TwoLevel(TwoLevel),
    /// Kept the FIFO way.
    Fifo(Fifo),
}

impl Events {
    /// The 2-level way, in the page that Xen shares with a domain of so many vCPUs. Every port is
    /// masked.
    pub fn two_level(page: Shared<shared_info>, vcpus: u32) -> Self {
        Self::TwoLevel(TwoLevel::new(page, vcpus))
    }

    /// The FIFO way: see [`Fifo::begin`].
    ///
    /// # Errors
    ///
    /// As there; the domain has the 2-level way still.
    pub fn fifo<P: Page + Sync + 'static>(
        hypercalls: &(impl Hypercall + ?Sized),
        vcpus: u32,
        pages: impl FnMut() -> Option<P>,
    ) -> Result<Self> {
        Fifo::begin(hypercalls, vcpus, pages).map(Self::Fifo)
    }

    /// Begins again in a domain that was restored, in the same pages and at the same addresses. Every port
    /// is masked, and the first vCPU's. To be called before any port is bound, and while nobody takes events.
    ///
    /// # Errors
    ///
    /// What Xen answers if it does not have the FIFO ABI, which was in use; there are no events then.
    pub fn resume(&self, hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
        match self {
            Self::TwoLevel(two_level) => {
                two_level.begin();
                Ok(())
            }
            Self::Fifo(fifo) => fifo.resume(hypercalls),
        }
    }

    /// Which way it is.
    pub fn abi(&self) -> Abi {
        match self {
            Self::TwoLevel(_) => Abi::TwoLevel,
            Self::Fifo(_) => Abi::Fifo,
        }
    }

    /// Whether events can be delivered to `vcpu`. A vCPU that they can't be would lose them.
    pub fn reach(&self, vcpu: u32) -> bool {
        match self {
            Self::TwoLevel(two_level) => vcpu < two_level.vcpus(),
            Self::Fifo(fifo) => vcpu < fifo.vcpus(),
        }
    }

    /// Makes sure that there is a place for `port`; where it takes pages, they are from `pages`. To
    /// be called before a port is used first.
    ///
    /// # Errors
    ///
    /// `NOSPC` for a port that can't exist, `NOMEM` if `pages` has none, or what Xen answers.
    pub fn grow<P: Page + Sync + 'static>(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        port: Port,
        pages: impl FnMut() -> Option<P>,
    ) -> Result<()> {
        match self {
            Self::TwoLevel(_) if port.0 < PORTS => Ok(()),
            Self::TwoLevel(_) => Err(Errno::NOSPC),
            Self::Fifo(fifo) => fifo.grow(hypercalls, port, pages),
        }
    }

    /// Keeps a port from interrupting. It still becomes pending.
    pub fn mask(&self, port: Port) {
        match self {
            Self::TwoLevel(two_level) => two_level.bits().mask(port),
            Self::Fifo(fifo) => fifo.mask(port),
        }
    }

    /// Lets a port interrupt from now on, unless its event has arrived: then takes that, leaves the
    /// port masked, and returns `true`. Needs no hypercall.
    pub fn unmask_or_take(&self, hypercalls: &(impl Hypercall + ?Sized), port: Port) -> bool {
        match self {
            Self::TwoLevel(two_level) => {
                let bits = two_level.bits();
                bits.unmask(port);
                let arrived = bits.take_pending(port);
                if arrived {
                    bits.mask(port);
                }
                arrived
            }
            Self::Fifo(fifo) => fifo.unmask_or_take(hypercalls, port),
        }
    }

    /// Lets a port interrupt from now on in any case; takes its event if it has arrived, and says
    /// so.
    pub fn unmask_and_take(&self, hypercalls: &(impl Hypercall + ?Sized), port: Port) -> bool {
        match self {
            Self::TwoLevel(two_level) => {
                two_level.bits().unmask(port);
                two_level.bits().take_pending(port)
            }
            Self::Fifo(fifo) => fifo.unmask_and_take(hypercalls, port),
        }
    }

    /// Has `vcpu` take the port's events, once Xen [delivers](super::bind_vcpu) them to it. The port is
    /// masked meanwhile.
    pub fn give(&self, port: Port, vcpu: u32) {
        match self {
            Self::TwoLevel(two_level) => two_level.give(port, vcpu),
            // Xen puts them into that vCPU's queues.
            Self::Fifo(_) => {}
        }
    }

    /// Takes the port's event, if it has arrived.
    pub fn take_pending(&self, port: Port) -> bool {
        match self {
            Self::TwoLevel(two_level) => two_level.bits().take_pending(port),
            Self::Fifo(fifo) => fifo.take_pending(port),
        }
    }

    /// Takes the events that have arrived at `vcpu`, whose structure is `info`: for each, masks the
    /// port, clears its pending bit, and calls `arrived`. By that vCPU only.
    pub fn take_all(&self, vcpu: u32, info: Shared<vcpu_info>, arrived: impl FnMut(Port)) {
        match self {
            Self::TwoLevel(two_level) => two_level.take_all(vcpu, info, arrived),
            Self::Fifo(fifo) => fifo.take_all(vcpu, info, arrived),
        }
    }

    /// Has the port's next events taken before or after those of other ports.
    ///
    /// # Errors
    ///
    /// `NOSYS` in the 2-level ABI, `INVAL` for a port that is not open.
    pub fn set_priority(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        port: Port,
        priority: Priority,
    ) -> Result<()> {
        match self {
            Self::TwoLevel(_) => Err(Errno::NOSYS),
            Self::Fifo(_) => set_priority(hypercalls, port, priority),
        }
    }
}
