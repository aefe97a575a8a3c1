// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake with a backend, and the loop that serves the ring.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use embassy_futures::select::{Either4, select4};
use embassy_futures::yield_now;
use xen::ring::Ring;
use xen::xenbus::{Device, Frontend};
use xen_sys::io::blkif::blkif_request;
use xen_sys::io::protocols::XEN_IO_PROTO_ABI_X86_64;

use super::Error;
use super::disk::Vbd;
use super::lender::Lender;
use super::link::Link;
use super::offer::{self, Offer, Properties};
use super::patience::Patience;
use super::state::Round;
use crate::platform::{Channel, Platform};

/// Violations after which a backend is not tried again.
const MOST_VIOLATIONS: u32 = 3;

/// Events in a row that bring nothing, after which the backend is listened to less often (XSA-391).
const MOST_EMPTY_EVENTS: u32 = 64;
/// How much less often; and how often grant references are looked for when there are none.
const PAUSE: Duration = Duration::from_millis(1);

/// The driver of a paravirtual disk: [`xen::xenbus::run`] connects it.
pub struct Front<'v, 'p, P: Platform> {
    vbd: &'v Vbd<'p, P>,
    device: Option<Device>,
    patience: Patience,
    violations: u32,
}

impl<'v, 'p, P: Platform> Front<'v, 'p, P> {
    /// The driver of `vbd`. It looks for answers for up to `poll` before it waits for an event.
    pub fn new(vbd: &'v Vbd<'p, P>, poll: Duration) -> Self {
        Self { vbd, device: None, patience: Patience::new(poll), violations: 0 }
    }

    /// Takes answers and sends requests until the connection ends, which is an error.
    async fn exchange(&mut self) -> Result<(), Error> {
        let vbd = self.vbd;
        let (Some(device), Some(channel)) = (self.device.clone(), channel(vbd)) else { return Ok(()) };
        let mut sectors = device.client().watch(&format!("{}/sectors", device.backend())).await?;
        let mut empty = 0;
        loop {
            let round = vbd.round()?;
            if round.notify {
                channel.notify();
            }
            if round.answers > 0 {
                empty = 0;
            }
            if self.poll().await || vbd.state().listen()? {
                continue;
            }
            // While requests are on their way, their answers free references.
            let starved = round.starved && vbd.in_flight() == 0;
            let pause = async {
                if starved { vbd.platform().delay(PAUSE).await } else { core::future::pending().await }
            };
            match select4(vbd.work(), channel.wait(), pause, sectors.next()).await {
                Either4::First(()) | Either4::Third(()) => {}
                Either4::Second(()) => empty += 1,
                Either4::Fourth(event) => {
                    event?;
                    resize(vbd, &device).await?;
                }
            }
            if empty > MOST_EMPTY_EVENTS {
                vbd.platform().delay(PAUSE).await;
            }
        }
    }

    /// Looks for answers for a while, if that is likely to be worth it; true if there is something to
    /// do at once.
    async fn poll(&mut self) -> bool {
        let vbd = self.vbd;
        let start = vbd.platform().now();
        if vbd.state().in_flight() == 0 || !self.patience.begin() {
            return false;
        }
        loop {
            if vbd.state().is_answered() {
                self.patience.end(true);
                return true;
            }
            if !self.patience.lasts(vbd.platform().now().saturating_sub(start)) {
                self.patience.end(false);
                return false;
            }
            // Others may have something to do, or to send.
            yield_now().await;
            if vbd.state().is_asked() {
                return true;
            }
        }
    }
}

fn channel<P: Platform>(vbd: &Vbd<'_, P>) -> Option<Arc<P::Channel>> {
    vbd.state().link().map(|link| Arc::clone(&link.channel))
}

/// Reads the disk's size again.
async fn resize<P: Platform>(vbd: &Vbd<'_, P>, device: &Device) -> Result<(), Error> {
    let bytes = offer::bytes(device.read("sectors").await?)?;
    let mut state = vbd.state();
    if let Some(properties) = &mut state.properties {
        let sector_size = u64::from(properties.geometry.sector_size);
        properties.geometry.bytes = bytes - bytes % sector_size;
    }
    Ok(())
}

impl<P: Platform> Frontend for Front<'_, '_, P> {
    type Error = Error;

    async fn publish(&mut self, device: &Device) -> Result<(), Error> {
        if self.violations >= MOST_VIOLATIONS {
            return Err(Error::Untrusted);
        }
        let platform = self.vbd.platform();
        platform.grants().retry_quarantine();
        let offer = Offer::read(device).await?;
        let mut pages = Vec::new();
        for _ in 0..1_u32 << offer.ring_order {
            pages.push(platform.page().ok_or(Error::NoMemory)?);
        }
        let domain = device.backend_id();
        let ring = Ring::new(platform.grants(), pages, domain, size_of::<blkif_request>())?;
        let channel = Arc::new(platform.channel(domain).map_err(Error::Channel)?);
        let references: Vec<_> = ring.references().collect();
        let port = channel.port();
        let lender = Lender::new(platform, domain, offer.persistent);
        self.vbd.state().attach(Link::new(ring, channel, lender, self.vbd.number() as u16));

        // Keys of a former life that the backend would take for ours.
        for key in ["ring-page-order", "ring-ref", "multi-queue-num-queues"] {
            let _ = device.remove(key).await;
        }
        match references.as_slice() {
            [reference] => device.write("ring-ref", reference.to_string()).await?,
            references => {
                for (index, reference) in references.iter().enumerate() {
                    device.write(&format!("ring-ref{index}"), reference.to_string()).await?;
                }
                device.write("ring-page-order", offer.ring_order.to_string()).await?;
            }
        }
        device.write("event-channel", port.0.to_string()).await?;
        device.write("protocol", XEN_IO_PROTO_ABI_X86_64).await?;
        device.write("feature-persistent", if offer.persistent { "1" } else { "0" }).await?;
        Ok(())
    }

    async fn connect(&mut self, device: &Device) -> Result<(), Error> {
        let properties = Properties::read(device).await?;
        self.device = Some(device.clone());
        let waker = self.vbd.state().begin(properties);
        waker.into_iter().for_each(core::task::Waker::wake);
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let ended = self.exchange().await;
        if let Err(Error::Violation(_)) = ended {
            self.violations += 1;
        }
        ended
    }

    fn stop(&mut self) {
        self.vbd.state().end();
    }

    fn release(&mut self) {
        let mut round = Round::default();
        self.vbd.state().detach(&mut round);
        round.wakers.into_iter().for_each(core::task::Waker::wake);
    }
}
