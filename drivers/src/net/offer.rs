// SPDX-License-Identifier: MIT OR Apache-2.0
//! What xenstore says of an interface before it is connected.

use xen::xenbus::Device;
use xen::xenstore;
use xen_sys::io::netif::XEN_NETIF_MAX_TX_SIZE;

use super::error::Error;

/// What is known of an interface before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Largest IP packet on its network, in bytes: 68 to 65521.
    pub mtu: usize,
    /// TCP segments that the stack may make as one: 1 if it must make each for itself.
    pub segments: usize,
}

/// The MTU of a network of which nothing else is said.
const USUAL_MTU: usize = 1500;
/// The smallest that IPv4 works with: RFC 791, section 3.2.
const LEAST_MTU: u64 = 68;
/// The smallest that IPv6 does: RFC 8200, section 5.
const LEAST_MTU_IPV6: usize = 1280;
pub(super) const MOST_MTU: usize = XEN_NETIF_MAX_TX_SIZE - super::checksum::ETHERNET_HEADER;

/// TCP segments that the stack makes as one. It believes that peers make them as long, and acknowledges what
/// comes when that is more than one of those, or after 10 ms. If there were more in one, it would wait for
/// more than peers send in the beginning: 10 of the network's (RFC 6928). One that begins again after a loss,
/// with a segment or two, is slowed down by that.
const SEGMENTS: usize = 8;

impl Properties {
    /// Whether the network takes packets that are long enough for IPv6.
    #[must_use]
    pub fn takes_ipv6(&self) -> bool {
        self.mtu >= LEAST_MTU_IPV6
    }

    /// Reads `mac` and `mtu`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMac`], or [`Error::Store`] if the values are not what they should be.
    pub(super) async fn read(device: &Device) -> Result<Self, Error> {
        let mac = device.read_own("mac").await?.ok_or(Error::NoMac)?;
        let mtu = match device.read_own("mtu").await? {
            None => device.read("mtu").await?,
            mtu => mtu,
        };
        let mtu = match mtu {
            Some(mtu) => mtu.integer(LEAST_MTU..=MOST_MTU as u64).map_err(xenstore::Error::from)? as usize,
            None => USUAL_MTU,
        };
        Ok(Self { mac: mac.mac().map_err(xenstore::Error::from)?, mtu, segments: SEGMENTS })
    }
}

/// What the backend can do, from its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// It copies into our pages (`feature-rx-copy`).
    pub copies: bool,
    /// It takes packets in several parts (`feature-sg`).
    pub scatters: bool,
    /// It fills blank checksums of packets over IPv4 in (not `feature-no-csum-offload`).
    pub fills_ipv4: bool,
    /// The same over IPv6 (`feature-ipv6-csum-offload`).
    pub fills_ipv6: bool,
    /// It takes TCP segments over IPv4 that leave as one (`feature-gso-tcpv4`).
    pub segments_ipv4: bool,
    /// The same over IPv6 (`feature-gso-tcpv6`).
    pub segments_ipv6: bool,
    /// It passes on packets of those multicast groups only that it is asked for, if it is to
    /// (`feature-multicast-control`).
    pub filters_groups: bool,
    /// It has an event channel for each direction (`feature-split-event-channels`).
    pub splits_channels: bool,
    /// Pairs of rings that it serves at most, one at least (`multi-queue-max-queues`).
    pub queues: u32,
}

/// One that has nothing but rings.
impl Default for Offer {
    fn default() -> Self {
        Self {
            copies: false,
            scatters: false,
            fills_ipv4: false,
            fills_ipv6: false,
            segments_ipv4: false,
            segments_ipv6: false,
            filters_groups: false,
            splits_channels: false,
            queues: 1,
        }
    }
}

impl Offer {
    /// Reads the backend's directory.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; a switch that is neither on nor off is an error too.
    pub(super) async fn read(device: &Device) -> Result<Self, Error> {
        Ok(Self {
            copies: flag(device, "feature-rx-copy").await?,
            scatters: flag(device, "feature-sg").await?,
            fills_ipv4: !flag(device, "feature-no-csum-offload").await?,
            fills_ipv6: flag(device, "feature-ipv6-csum-offload").await?,
            segments_ipv4: flag(device, "feature-gso-tcpv4").await?,
            segments_ipv6: flag(device, "feature-gso-tcpv6").await?,
            filters_groups: flag(device, "feature-multicast-control").await?,
            splits_channels: flag(device, "feature-split-event-channels").await?,
            queues: match device.read("multi-queue-max-queues").await? {
                Some(value) => {
                    value.integer(0..=u64::from(u32::MAX)).map_err(xenstore::Error::from)?.max(1) as u32
                }
                None => 1,
            },
        })
    }
}

/// A switch in the backend's directory; off if it is not there.
async fn flag(device: &Device, key: &str) -> Result<bool, Error> {
    match device.read(key).await? {
        Some(value) => Ok(value.flag().map_err(xenstore::Error::from)?),
        None => Ok(false),
    }
}
