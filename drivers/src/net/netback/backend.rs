// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake with a frontend.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use xen::ring::BackendRing;
use xen::xenbus::State;
use xen::xenbus::backend::{Backend, Device, Failure, Nodes, Served};
use xen_sys::io::netif::{netif_rx_request, netif_tx_request};

use super::Error;
use super::keys::{self, RingKeys};
use super::queue::{Queue, connect};
use crate::hal::BackendPlatform;
use crate::net::bridge::{Bridge, Guest, Port, Traffic};
use crate::net::properties::mtu_of;

/// The driver that serves an interface to one frontend: [`xen::xenbus::backend::run`] connects it.
pub struct NetBack<'p, P: BackendPlatform, R> {
    platform: &'p P,
    bridge: &'p Bridge,
    report: R,
    /// What the toolstack has configured.
    configured: Option<Guest>,
    queue: Option<Queue<'p, P>>,
    /// Of connections that are over.
    traffic: Traffic,
}

impl<'p, P, R> NetBack<'p, P, R>
where
    P: BackendPlatform,
    R: Fn(&Failure<Error>) + Send,
{
    /// A driver that connects the frontend to `bridge`. `report` is told why a connection failed.
    pub fn new(platform: &'p P, bridge: &'p Bridge, report: R) -> Self {
        Self { platform, bridge, report, configured: None, queue: None, traffic: Traffic::default() }
    }

    /// Packets that the frontend has sent and was sent, over all connections.
    pub fn traffic(&self) -> Traffic {
        let now = self.queue.as_ref().map(Queue::traffic).unwrap_or_default();
        Traffic {
            sent: self.traffic.sent + now.sent,
            refused: self.traffic.refused + now.refused,
            taken: self.traffic.taken + now.taken,
            lost: self.traffic.lost + now.lost,
        }
    }

    fn queue(&self, keys: &RingKeys, device: &Device, port: Port<'p>) -> Result<Queue<'p, P>, Error> {
        let frontend = device.frontend_id();
        let ring = |reference, entry| {
            let page = self.platform.map(frontend, reference).map_err(Error::Map)?;
            Ok::<_, Error>(BackendRing::attach(vec![page], entry)?)
        };
        let rings = [
            ring(keys.transmit, size_of::<netif_tx_request>())?,
            ring(keys.receive, size_of::<netif_rx_request>())?,
        ];
        let channels = connect(self.platform, frontend, keys.ports)?;
        Ok(Queue::new(self.platform, frontend, rings, channels, keys.features, port))
    }
}

/// Addresses of a guest that are looked at.
const ADDRESSES: usize = 16;

/// What the toolstack has configured.
async fn configured(device: &Device) -> Result<Guest, Error> {
    let mac = device.read_own("mac").await?.ok_or(Error::NoMac)?.mac()?;
    let [first, ..] = mac;
    // Neither an address of many, nor none.
    if first & 1 != 0 || mac == [0; 6] {
        return Err(Error::NoMac);
    }
    // Only a router asks for them: what is none is not the bridge's business.
    let ip = device.read_own("ip").await?;
    let words = ip.as_ref().and_then(|ip| ip.text().ok()).unwrap_or_default().split_ascii_whitespace();
    let addresses: Vec<IpAddr> = words.filter_map(|word| word.parse().ok()).take(ADDRESSES).collect();
    Ok(Guest { mac, mtu: mtu_of(device.read_own("mtu").await?)?, addresses })
}

impl<P, R> Backend for NetBack<'_, P, R>
where
    P: BackendPlatform,
    R: Fn(&Failure<Error>) + Send,
{
    type Error = Error;
    const PUBLISHED: State = State::Connected;

    async fn offer(&mut self, device: &Device) -> Result<Nodes, Error> {
        self.configured = Some(configured(device).await?);
        Ok(keys::offered())
    }

    async fn connect(&mut self, device: &Device) -> Result<Nodes, Error> {
        let guest = self.configured.clone().ok_or(Error::NoMac)?;
        let keys = keys::read(device).await?;
        let port = self.bridge.attach_guest(guest).ok_or(Error::NoPort)?;
        self.queue = Some(self.queue(&keys, device, port)?);
        // No hotplug script runs in this domain, and none is needed.
        Ok(Nodes::from([("hotplug-status", "connected".into())]))
    }

    async fn serve(&mut self) -> Result<Served, Error> {
        match &mut self.queue {
            Some(queue) => match queue.run().await? {},
            None => Ok(Served::Enough),
        }
    }

    fn stop(&mut self) {}

    async fn release(&mut self) {
        self.traffic = self.traffic();
        self.queue = None;
    }

    fn failed(&mut self, failure: &Failure<Error>) {
        (self.report)(failure);
    }
}
