// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake with a frontend.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::pin::Pin;

use embassy_futures::select::select_slice;
use xen::DomainId;
use xen::ring::BackendRing;
use xen::xenbus::State;
use xen::xenbus::backend::{Backend, Device, Failure, Nodes, Served};
use xen_sys::io::netif::{netif_rx_request, netif_tx_request};

use super::Error;
use super::keys::{self, FrontendFeatures, FrontendKeys, RingKeys};
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
    /// The frontend's port of the bridge, and what it has for that, while it is connected.
    port: Option<Arc<Port<'p>>>,
    queues: Vec<Queue<'p, P>>,
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
        Self {
            platform,
            bridge,
            report,
            configured: None,
            port: None,
            queues: Vec::new(),
            traffic: Traffic::default(),
        }
    }

    /// Packets that the frontend has sent and was sent, over all connections.
    pub fn traffic(&self) -> Traffic {
        let now = self.port.as_ref().map(|port| port.traffic()).unwrap_or_default();
        let lost: u64 = self.queues.iter().map(Queue::lost).sum();
        Traffic {
            sent: self.traffic.sent + now.sent,
            refused: self.traffic.refused + now.refused,
            taken: self.traffic.taken + now.taken,
            lost: self.traffic.lost + now.lost + lost,
        }
    }

    /// A queue between these rings and a lane of the port.
    fn queue(
        &self,
        frontend: DomainId,
        keys: &RingKeys,
        features: FrontendFeatures,
        port: &Arc<Port<'p>>,
        lane: usize,
    ) -> Result<Queue<'p, P>, Error> {
        let ring = |reference, entry| {
            let page = self.platform.map(frontend, reference).map_err(Error::Map)?;
            Ok::<_, Error>(BackendRing::attach(vec![page], entry)?)
        };
        let rings = [
            ring(keys.transmit, size_of::<netif_tx_request>())?,
            ring(keys.receive, size_of::<netif_rx_request>())?,
        ];
        let channels = connect(self.platform, frontend, keys.ports)?;
        Ok(Queue::new(self.platform, frontend, rings, channels, features, Arc::clone(port), lane))
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
        let FrontendKeys { queues, features } = keys::read(device).await?;
        let port = Arc::new(self.bridge.attach_guest(guest, queues.len()).ok_or(Error::NoPort)?);
        if features.names_groups {
            port.leave_all_groups();
        }
        for (lane, keys) in queues.iter().enumerate() {
            let queue = self.queue(device.frontend_id(), keys, features, &port, lane)?;
            self.queues.push(queue);
        }
        self.port = Some(port);
        // No hotplug script runs in this domain, and none is needed.
        Ok(Nodes::from([("hotplug-status", "connected".into())]))
    }

    async fn serve(&mut self) -> Result<Served, Error> {
        let mut queues: Vec<Pin<Box<_>>> =
            self.queues.iter_mut().map(|queue| Box::pin(queue.run())).collect();
        match select_slice(Pin::new(queues.as_mut_slice())).await.0? {}
    }

    fn stop(&mut self) {}

    async fn release(&mut self) {
        self.traffic = self.traffic();
        self.queues.clear();
        self.port = None;
    }

    fn failed(&mut self, failure: &Failure<Error>) {
        (self.report)(failure);
    }
}
