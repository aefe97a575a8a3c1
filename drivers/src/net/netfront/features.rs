// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a backend can do, as its directory in xenstore says (`xen/include/public/io/netif.h`).

use xen::xenbus::Device;
use xen::xenstore::{self, Value};

use crate::net::error::Error;

/// What the backend can do, from its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendFeatures {
    /// It rx_copy into our pages (`feature-rx-copy`).
    pub rx_copy: bool,
    /// It takes packets in several parts (`feature-sg`).
    pub scatter_gather: bool,
    /// It fills blank checksums of packets over IPv4 in (not `feature-no-csum-offload`).
    pub checksum_ipv4: bool,
    /// The same over IPv6 (`feature-ipv6-csum-offload`).
    pub checksum_ipv6: bool,
    /// It takes TCP segments over IPv4 that leave as one (`feature-gso-tcpv4`).
    pub gso_ipv4: bool,
    /// The same over IPv6 (`feature-gso-tcpv6`).
    pub gso_ipv6: bool,
    /// It passes on packets of those multicast groups only that it is asked for, if it is to
    /// (`feature-multicast-control`).
    pub multicast_control: bool,
    /// It has an event channel for each direction (`feature-split-event-channels`).
    pub split_channels: bool,
    /// Pairs of rings that it serves at most, one at least (`multi-queue-max-queues`).
    pub queues: u32,
}

/// One that has nothing but rings.
impl Default for BackendFeatures {
    fn default() -> Self {
        Self {
            rx_copy: false,
            scatter_gather: false,
            checksum_ipv4: false,
            checksum_ipv6: false,
            gso_ipv4: false,
            gso_ipv6: false,
            multicast_control: false,
            split_channels: false,
            queues: 1,
        }
    }
}

impl BackendFeatures {
    /// Reads the backend's directory.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; a switch that is neither on nor off is an error too.
    pub(super) async fn read(device: &Device) -> Result<Self, Error> {
        let [copy, sg, no_csum, csum6, gso4, gso6, multicast, split, queues] =
            device.read_all(FEATURES).await?;
        Ok(Self {
            rx_copy: flag(copy)?,
            scatter_gather: flag(sg)?,
            checksum_ipv4: !flag(no_csum)?,
            checksum_ipv6: flag(csum6)?,
            gso_ipv4: flag(gso4)?,
            gso_ipv6: flag(gso6)?,
            multicast_control: flag(multicast)?,
            split_channels: flag(split)?,
            queues: match queues {
                Some(value) => {
                    value.integer(0..=u64::from(u32::MAX)).map_err(xenstore::Error::from)?.max(1) as u32
                }
                None => 1,
            },
        })
    }
}

/// Where the backend says it.
const FEATURES: [&str; 9] = [
    "feature-rx-copy",
    "feature-sg",
    "feature-no-csum-offload",
    "feature-ipv6-csum-offload",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-multicast-control",
    "feature-split-event-channels",
    "multi-queue-max-queues",
];

/// A switch in the backend's directory; off if it is not there.
fn flag(value: Option<Value>) -> Result<bool, Error> {
    match value {
        Some(value) => Ok(value.flag().map_err(xenstore::Error::from)?),
        None => Ok(false),
    }
}
