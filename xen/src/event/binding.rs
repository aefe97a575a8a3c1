// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a port is bound to, and thereby how it is bound again in a domain that was restored.

use super::{Port, bind_ipi, bind_virq};
use crate::error::Result;
use crate::hypercall::Hypercall;

/// The other end of a port.
///
/// A restored domain has no port but those that the toolstack opens for it. What the domain had bound to
/// itself it binds again; a channel to another domain is gone for good, as that one has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The same vCPU.
    Ipi {
        /// Its number.
        vcpu: u32,
    },
    /// A virtual interrupt.
    Virq {
        /// Its number (`VIRQ_*` of `xen.h`).
        virq: u32,
        /// The vCPU whose interrupt it is.
        vcpu: u32,
    },
    /// The other side of a ring that the toolstack set up.
    Toolstack,
    /// Another domain.
    Peer,
}

impl Binding {
    /// The vCPU that takes the events at first.
    pub(super) fn vcpu(self) -> u32 {
        match self {
            Self::Ipi { vcpu } | Self::Virq { vcpu, .. } => vcpu,
            Self::Toolstack | Self::Peer => 0,
        }
    }

    /// Binds it again, if it can be; `moved` tells where the toolstack has put a port of its own.
    ///
    /// # Errors
    ///
    /// What Xen refuses to bind again that the domain had bound to itself; `NOSPC` where it may have fewer
    /// ports than before.
    pub(super) fn renew(
        self,
        hypercalls: &(impl Hypercall + ?Sized),
        before: Port,
        moved: impl Fn(Port) -> Option<Port>,
    ) -> Result<Option<Port>> {
        Ok(match self {
            Self::Ipi { vcpu } => Some(bind_ipi(hypercalls, vcpu)?),
            Self::Virq { virq, vcpu } => Some(bind_virq(hypercalls, virq, vcpu)?),
            Self::Toolstack => moved(before),
            Self::Peer => None,
        })
    }
}
