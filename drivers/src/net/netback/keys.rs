// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a frontend says of its rings, and of what it takes (`xen/include/public/io/netif.h`); each key may be
//! anything.

use xen::event::Port;
use xen::grant::Reference;
use xen::xenbus::backend::{Device, Nodes};
use xen::xenstore::Value;

use super::Error;

/// Where the rings are, and their event channels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RingKeys {
    pub(super) transmit: Reference,
    pub(super) receive: Reference,
    pub(super) ports: Ports,
    pub(super) features: FrontendFeatures,
}

/// The ports of a frontend's event channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// One for both rings.
    Shared(Port),
    /// One for each.
    Split { transmit: Port, receive: Port },
}

/// What a frontend takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrontendFeatures {
    /// Packets in several pages (`feature-sg`).
    pub(super) scatter_gather: bool,
    /// Blank checksums over IPv4 (not `feature-no-csum-offload`).
    pub(super) checksum_ipv4: bool,
    /// The same over IPv6 (`feature-ipv6-csum-offload`).
    pub(super) checksum_ipv6: bool,
    /// TCP segments over IPv4 that are one packet (`feature-gso-tcpv4`).
    pub(super) gso_ipv4: bool,
    /// The same over IPv6 (`feature-gso-tcpv6`).
    pub(super) gso_ipv6: bool,
    /// It raises events when it has pages again (`feature-rx-notify`).
    pub(super) notifies: bool,
    /// It names the multicast groups whose packets it takes (`request-multicast-control`).
    pub(super) names_groups: bool,
}

impl FrontendFeatures {
    /// Whether it takes such packets.
    pub(super) fn takes(&self, info: crate::net::GsoInfo) -> bool {
        self.scatter_gather && if info.is_ipv4() { self.gso_ipv4 } else { self.gso_ipv6 }
    }
}

/// What we can do.
pub(super) fn offered() -> Nodes {
    let on = [
        "feature-sg",
        "feature-gso-tcpv4",
        "feature-gso-tcpv6",
        "feature-ipv6-csum-offload",
        "feature-rx-copy",
        "feature-split-event-channels",
        "feature-multicast-control",
    ];
    let mut nodes: Nodes = on.map(|key| (key, "1".into())).into();
    nodes.push(("feature-rx-flip", "0".into()));
    nodes
}

/// Reads the frontend's keys.
pub(super) async fn read(device: &Device) -> Result<RingKeys, Error> {
    if !flag(device, "request-rx-copy").await? {
        return Err(Error::NoCopy);
    }
    // One pair of rings is what we offer; a frontend that says so has its keys where others have them.
    if let Some(queues) = device.read("multi-queue-num-queues").await? {
        queues.integer(1..=1)?;
    }
    let ports = match device.read("event-channel-tx").await? {
        Some(transmit) => {
            let receive = device.read("event-channel-rx").await?;
            Ports::Split { transmit: port(Some(transmit))?, receive: port(receive)? }
        }
        None => Ports::Shared(port(device.read("event-channel").await?)?),
    };
    Ok(RingKeys {
        transmit: reference(device.read("tx-ring-ref").await?)?,
        receive: reference(device.read("rx-ring-ref").await?)?,
        ports,
        features: FrontendFeatures {
            scatter_gather: flag(device, "feature-sg").await?,
            checksum_ipv4: !flag(device, "feature-no-csum-offload").await?,
            checksum_ipv6: flag(device, "feature-ipv6-csum-offload").await?,
            gso_ipv4: flag(device, "feature-gso-tcpv4").await?,
            gso_ipv6: flag(device, "feature-gso-tcpv6").await?,
            notifies: flag(device, "feature-rx-notify").await?,
            names_groups: flag(device, "request-multicast-control").await?,
        },
    })
}

fn port(value: Option<Value>) -> Result<Port, Error> {
    Ok(Port(value.ok_or(Error::NoRing)?.integer(1..=u32::MAX.into())? as u32))
}

fn reference(value: Option<Value>) -> Result<Reference, Error> {
    Reference::new(value.ok_or(Error::NoRing)?.word()?).ok_or(Error::NoRing)
}

/// A switch in the frontend's directory; off if it is not there.
async fn flag(device: &Device, key: &str) -> Result<bool, Error> {
    let value = device.read(key).await?;
    Ok(value.map(|value| value.flag()).transpose()?.unwrap_or(false))
}
