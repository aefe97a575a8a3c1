// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a frontend says of its rings, and of what it takes (`xen/include/public/io/netif.h`); each key may be
//! anything.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use xen::event::Port;
use xen::grant::Reference;
use xen::xenbus::backend::{Device, Nodes};
use xen::xenstore::Value;

use super::Error;

/// Queues that a frontend may have, each a pair of rings (`multi-queue-max-queues`). Whoever has several
/// vCPUs has each take the events of its own.
const MOST_QUEUES: u32 = 4;

/// What a frontend says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FrontendKeys {
    /// One queue at least.
    pub(super) queues: Vec<RingKeys>,
    pub(super) features: FrontendFeatures,
}

/// Where the rings of a queue are, and their event channels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RingKeys {
    pub(super) transmit: Reference,
    pub(super) receive: Reference,
    pub(super) ports: Ports,
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
    nodes.push(("multi-queue-max-queues", MOST_QUEUES.to_string()));
    nodes
}

/// Reads the frontend's keys.
pub(super) async fn read(device: &Device) -> Result<FrontendKeys, Error> {
    if !flag(device, "request-rx-copy").await? {
        return Err(Error::NoCopy);
    }
    let count = match device.read("multi-queue-num-queues").await? {
        Some(count) => count.integer(1..=MOST_QUEUES.into())?,
        None => 1,
    };
    let mut queues = Vec::new();
    for queue in 0..count {
        // One queue has its keys where a frontend that knows of no others has them.
        let prefix = if count == 1 { "".into() } else { format!("queue-{queue}/") };
        queues.push(rings(device, &prefix).await?);
    }
    let features = FrontendFeatures {
        scatter_gather: flag(device, "feature-sg").await?,
        checksum_ipv4: !flag(device, "feature-no-csum-offload").await?,
        checksum_ipv6: flag(device, "feature-ipv6-csum-offload").await?,
        gso_ipv4: flag(device, "feature-gso-tcpv4").await?,
        gso_ipv6: flag(device, "feature-gso-tcpv6").await?,
        notifies: flag(device, "feature-rx-notify").await?,
        names_groups: flag(device, "request-multicast-control").await?,
    };
    Ok(FrontendKeys { queues, features })
}

async fn rings(device: &Device, prefix: &str) -> Result<RingKeys, Error> {
    let read = async |key: &str| device.read(&format!("{prefix}{key}")).await;
    let ports = match read("event-channel-tx").await? {
        Some(transmit) => {
            let receive = read("event-channel-rx").await?;
            Ports::Split { transmit: port(Some(transmit))?, receive: port(receive)? }
        }
        None => Ports::Shared(port(read("event-channel").await?)?),
    };
    Ok(RingKeys {
        transmit: reference(read("tx-ring-ref").await?)?,
        receive: reference(read("rx-ring-ref").await?)?,
        ports,
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
