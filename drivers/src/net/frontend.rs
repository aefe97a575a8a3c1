// SPDX-License-Identifier: MIT OR Apache-2.0
//! The task that connects an interface to its backend, and tells both of each other's news.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use embassy_futures::select::select;
use xen::xenbus::{Device, Frontend, State};

use super::channels::Channels;
use super::error::Error;
use super::interface::Interface;
use super::link::{Events, Link, Pages};
use super::offer::{Offer, Properties};
use super::wire::Wire;
use crate::platform::Platform;

/// The frontend of a paravirtual network interface (`xen/include/public/io/netif.h`).
pub struct NetFront<'k, K: Platform> {
    kernel: &'k K,
    interface: Arc<Interface<'k>>,
    pages: Pages,
    properties: Option<Properties>,
    channels: Option<Channels<K::Channel>>,
    link: Option<Box<dyn Wire + 'k>>,
}

impl<'k, K: Platform> NetFront<'k, K> {
    /// A frontend for `interface`, with so many pages.
    pub fn new(kernel: &'k K, interface: Arc<Interface<'k>>, pages: Pages) -> Self {
        Self { kernel, interface, pages, properties: None, channels: None, link: None }
    }
}

impl<K: Platform> Frontend for NetFront<'_, K> {
    type Error = Error;
    const PUBLISHED: State = State::Connected;

    async fn publish(&mut self, device: &Device) -> Result<(), Error> {
        let properties = Properties::read(device).await?;
        let offer = Offer::read(device).await?;
        if !offer.copies {
            return Err(Error::NoCopy);
        }
        let link = Link::new(self.kernel, device.backend_id(), offer, self.pages)?;
        let channels = Channels::open(self.kernel, device.backend_id(), offer.splits_channels)?;
        for (key, reference) in ["tx-ring-ref", "rx-ring-ref"].into_iter().zip(link.references()) {
            if let Some(reference) = reference {
                device.write(key, format!("{}", reference.number())).await?;
            }
        }
        channels.publish(device).await?;
        for key in WANTED {
            device.write(key, "1").await?;
        }
        (self.properties, self.channels) = (Some(properties), Some(channels));
        self.link = Some(Box::new(link));
        Ok(())
    }

    async fn connect(&mut self, _device: &Device) -> Result<(), Error> {
        if let (Some(link), Some(properties)) = (self.link.take(), self.properties) {
            self.interface.connect(link, properties);
        }
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let Some(channels) = &self.channels else { return Ok(()) };
        // Whatever happened to events while the backend connected.
        channels.notify(Events { transmit: true, receive: true });
        loop {
            channels.notify(self.interface.exchange(self.kernel.now())?.events);
            select(channels.wait(), self.interface.stack_work()).await;
        }
    }

    fn stop(&mut self) {
        if let Some(link) = self.interface.disconnect() {
            self.link = Some(link);
        }
    }

    async fn release(&mut self) {
        self.link = None;
        self.channels = None;
    }
}

/// What we ask the backend for: to copy into our pages, to tell us when it has nothing to copy
/// into, and packets in several parts, put together from segments, or with blank checksums.
const WANTED: [&str; 6] = [
    "request-rx-copy",
    "feature-rx-notify",
    "feature-sg",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-ipv6-csum-offload",
];
