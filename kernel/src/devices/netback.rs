// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network interfaces for other domains: the kernel's side of `prism_drivers`' netback, and a bridge, or a
//! router of the application's.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use log::info;
use prism_drivers::net::bridge::{Bridge, Guest, Packet, Port, Source, uplink};
use prism_drivers::net::netback::NetBack;
use prism_drivers::net::{ETHERNET_HEADER, Hook, MAX_FRAME};
use spin::Once;
use xen::xenbus::backend::{Device, Ended, run};

use super::XenPlatform;
use super::backends::{BackendDriver, STEP_LIMIT, ServeError, report, serve_class};
use crate::app::Context;
use crate::hypervisor::xenstore;
use crate::memory;
use crate::network::{self, NetworkError, Uplink};
use crate::task::executor;
use crate::time;

/// Memory for all packets that wait: a part of what is free, in bytes and as a divisor.
const LEAST: usize = 1 << 20;
const MOST: usize = 8 << 20;
const SHARE: usize = 4;

/// Bytes of packets that may wait at once.
fn room() -> usize {
    (memory::usage().free as usize / SHARE).clamp(LEAST, MOST)
}

/// The driver that connects other domains to a network of this one.
pub(crate) struct NetbackDriver {
    platform: &'static XenPlatform,
    bridge: Bridge,
}

/// Serves the network of interface `index` to other domains, for ever, or until that is not possible.
pub(crate) async fn serve(index: usize, context: &Context) -> ServeError {
    static DRIVER: Once<NetbackDriver> = Once::new();
    let (Some(store), Some(platform)) = (xenstore::client(), XenPlatform::get()) else {
        return ServeError::NoXen;
    };
    let uplink = match network::uplink(index, context).await {
        Ok(uplink) => uplink,
        Err(error) => return ServeError::Network(error),
    };
    let driver = DRIVER.call_once(|| NetbackDriver { platform, bridge: Bridge::new().with_room(room()) });
    let Some(port) = driver.bridge.attach(Source::Any, uplink.mtu) else {
        return ServeError::Network(NetworkError::Busy);
    };
    if executor::spawn(pass(uplink, port)).is_err() {
        return ServeError::Network(NetworkError::Busy);
    }
    serve_class(driver, store).await
}

/// Passes packets between the bridge and the network.
async fn pass(network: Uplink, port: Port<'static>) {
    match uplink(&network.interface, &port, time::nanoseconds).await {}
}

/// The guests' interfaces, and one of this domain's, for a router between them.
pub struct RoutedNetwork {
    driver: &'static NetbackDriver,
    port: Port<'static>,
    uplink: Uplink,
    index: usize,
}

/// Longest packets that guests may send and receive, as far as the router is concerned: each port has a limit
/// of its own.
const ANY_MTU: usize = MAX_FRAME;

impl RoutedNetwork {
    /// The interface `index` beside its stack, which the application has opened.
    pub(crate) fn open(index: usize) -> Result<Self, ServeError> {
        static DRIVER: Once<NetbackDriver> = Once::new();
        let platform = XenPlatform::get().ok_or(ServeError::NoXen)?;
        let uplink = network::uplink_of_stack(index).map_err(ServeError::Network)?;
        let driver =
            DRIVER.call_once(|| NetbackDriver { platform, bridge: Bridge::isolated().with_room(room()) });
        let port =
            driver.bridge.attach(Source::Any, ANY_MTU).ok_or(ServeError::Network(NetworkError::Busy))?;
        Ok(Self { driver, port, uplink, index })
    }

    /// Serves interfaces to other domains, for ever, or until that is not possible.
    pub async fn serve(&self) -> ServeError {
        match xenstore::client() {
            Some(store) => serve_class(self.driver, store).await,
            None => ServeError::NoXen,
        }
    }

    /// Has `hook` see what comes from the network before the stack does.
    pub fn set_hook(&self, hook: Arc<dyn Hook>) {
        self.uplink.interface.set_hook(hook);
    }

    /// The guests that are connected.
    pub fn guests(&self) -> Vec<Guest> {
        self.driver.bridge.guests()
    }

    /// Waits until guests have come or gone since it was awaited last. One task waits at a time.
    pub async fn guests_changed(&self) {
        self.driver.bridge.guests_changed().await;
    }

    /// Waits until a guest has sent something. One task waits at a time.
    pub async fn arrival(&self) {
        self.port.arrival().await;
    }

    /// The next packet that a guest has sent to the router, or to all. Its source is the guest's own Ethernet
    /// address.
    pub fn take(&self) -> Option<Packet> {
        self.port.take().and_then(Arc::into_inner)
    }

    /// Sends a packet to the guest that it is addressed to.
    pub fn send_to_guest(&self, packet: Packet) {
        self.port.send(packet, time::nanoseconds());
    }

    /// Sends a packet to the network; waits for room. One task sends at a time.
    pub async fn send_to_network(&self, packet: Packet) {
        // Segments are divided as the guest that sends them says.
        let mtu = packet.gso().map_or(self.uplink.mtu, |_| packet.longest() - ETHERNET_HEADER);
        self.uplink.interface.forward(&mut packet.into_bytes(), mtu).await;
    }

    /// The longest IP packet that the network takes, in bytes.
    pub fn mtu(&self) -> usize {
        self.uplink.mtu
    }

    /// Prefix and IPv4 gateway in truth, where the stack was given others: one outside of the prefix is known
    /// to it by an alias only.
    pub fn reached_gateway(&self) -> Option<(u8, Ipv4Addr)> {
        self.uplink.interface.reached_gateway()
    }

    /// The number of the interface to the network.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl BackendDriver for NetbackDriver {
    const CLASS: &'static str = "vif";

    async fn serve(&self, device: &Device) -> Ended {
        let mut backend = NetBack::new(self.platform, &self.bridge, report(device));
        let ended = run(device, &mut backend, self.platform, STEP_LIMIT).await;
        let traffic = backend.traffic();
        info!(
            "{}: {} packets from the guest, {} of them refused; {} to it, {} lost",
            device.backend(),
            traffic.sent,
            traffic.refused,
            traffic.taken,
            traffic.lost
        );
        ended
    }
}
