// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network interfaces for other domains: the kernel's side of `prism_drivers`' netback, and a bridge.

use log::info;
use prism_drivers::net::bridge::{Bridge, Port, Source, uplink};
use prism_drivers::net::netback::NetBack;
use spin::Once;
use xen::xenbus::backend::{Device, Ended, run};

use super::XenPlatform;
use super::backends::{BackendDriver, STEP_LIMIT, ServeError, report, serve_class};
use crate::app::Context;
use crate::hypervisor::xenstore;
use crate::network::{self, NetworkError, Uplink};
use crate::task::executor;
use crate::time;

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
    let driver = DRIVER.call_once(|| NetbackDriver { platform, bridge: Bridge::new() });
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
