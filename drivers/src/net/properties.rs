// SPDX-License-Identifier: MIT OR Apache-2.0
//! MAC address and MTU of an interface.

use embassy_futures::join::join;
use xen::xenbus::Device;
use xen::xenstore::value::Unreadable;
use xen::xenstore::{self, Value};

use super::error::Error;
use super::frame::{ETHERNET_HEADER, MAX_FRAME};

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
pub(super) const USUAL_MTU: usize = 1500;
/// The smallest that IPv4 works with: RFC 791, section 3.2.
const MIN_MTU: u64 = 68;
/// The smallest that IPv6 does: RFC 8200, section 5.
pub(super) const MIN_MTU_IPV6: usize = 1280;
/// With the Ethernet header as long as the IP packet of a [longest frame](MAX_FRAME).
pub(super) const MAX_MTU: usize = MAX_FRAME - 2 * ETHERNET_HEADER;

/// TCP segments that the stack makes as one. It believes that peers make them as long, and acknowledges what
/// comes when that is more than one of those, or after 10 ms. If there were more in one, it would wait for
/// more than peers send in the beginning: 10 of the network's (RFC 6928). One that begins again after a loss,
/// with a segment or two, is slowed down by that.
const SEGMENTS: usize = 8;

impl Properties {
    /// Whether the network takes packets that are long enough for IPv6.
    #[must_use]
    pub fn takes_ipv6(&self) -> bool {
        self.mtu >= MIN_MTU_IPV6
    }

    /// Reads `mac` and `mtu`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMac`], or [`Error::Store`] if the values are not what they should be.
    pub(super) async fn read(device: &Device) -> Result<Self, Error> {
        let (own, backend) = join(device.read_own_all(["mac", "mtu"]), device.read("mtu")).await;
        let [mac, mtu] = own?;
        let mac = mac.ok_or(Error::NoMac)?;
        let mtu = mtu_of(mtu.or(backend?)).map_err(xenstore::Error::from)?;
        Ok(Self { mac: mac.mac().map_err(xenstore::Error::from)?, mtu, segments: SEGMENTS })
    }
}

/// The MTU that the toolstack's key `mtu` tells, if there is one.
///
/// # Errors
///
/// [`Unreadable`] if it is none.
pub(super) fn mtu_of(key: Option<Value>) -> Result<usize, Unreadable> {
    key.map_or(Ok(USUAL_MTU), |mtu| Ok(mtu.integer(MIN_MTU..=MAX_MTU as u64)? as usize))
}
