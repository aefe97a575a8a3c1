// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is told of a packet that is several TCP segments in one (`XEN_NETIF_EXTRA_TYPE_GSO` of
//! `xen/include/public/io/netif.h`).

use xen_sys::io::netif::*;

/// A packet that is several TCP segments in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GsoInfo {
    /// Payload of each but the last, in bytes; not 0.
    pub size: u16,
    /// `XEN_NETIF_GSO_TYPE_TCPV4` or `XEN_NETIF_GSO_TYPE_TCPV6`.
    pub kind: u8,
}

impl GsoInfo {
    /// Segments of `size` bytes in an IPv4 packet, or in one of IPv6.
    pub(super) fn new(size: u16, is_ipv4: bool) -> Self {
        let kind = if is_ipv4 { XEN_NETIF_GSO_TYPE_TCPV4 } else { XEN_NETIF_GSO_TYPE_TCPV6 };
        Self { size, kind }
    }

    /// What extra information of this type says.
    ///
    /// # Errors
    ///
    /// The same, if it cannot be: segments of no size, or of another kind.
    pub(super) fn of(extra: &netif_extra_info) -> Result<Self, Self> {
        let [size, kind, _] = extra.u;
        let info = Self { size, kind: kind as u8 }; // the low byte; the other is unused
        let known = matches!(info.kind, XEN_NETIF_GSO_TYPE_TCPV4 | XEN_NETIF_GSO_TYPE_TCPV6);
        if size == 0 || !known { Err(info) } else { Ok(info) }
    }

    /// The extra information that says so.
    pub(super) fn extra(self) -> netif_extra_info {
        netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_GSO, flags: 0, u: [self.size, self.kind.into(), 0] }
    }

    /// Whether the segments are in an IPv4 packet, and not in one of IPv6.
    pub(super) fn is_ipv4(self) -> bool {
        self.kind == XEN_NETIF_GSO_TYPE_TCPV4
    }
}
