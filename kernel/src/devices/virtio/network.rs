// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio NICs. One task drives each.

use log::info;
use prism_drivers::net;
use prism_drivers::virtio::{network, queue};

use super::{Device, Pages, moments};
use crate::devices::nic::Ended;
use crate::network::interfaces::Interface;

/// Drives a NIC until it fails.
pub(in crate::devices) async fn drive(device: &Device, interface: &Interface) -> Ended {
    let (transport, line) = match device.open() {
        Ok(opened) => opened,
        Err(error) => return Ended::not_driven(error),
    };
    let queues = [0; 2].map(|_| Pages::new(queue::MEMORY));
    match network::Nic::open(transport, queues, Pages::new(network::MEMORY), &mut moments()) {
        Ok((nic, properties)) => {
            info!("NIC at {device}: virtio");
            Ended::Failed(net::serve(interface, nic, properties, &line).await)
        }
        Err(error) => Ended::not_driven(error),
    }
}
