// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake with a backend.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::pending;
use core::time::Duration;

use embassy_futures::select::{Either3, select3};
use xen::DomainId;
use xen::event::Port;
use xen::grant::Reference;
use xen::ring::Ring;
use xen::xenbus::{Device, Frontend, State};
use xen::xenstore;
use xen_sys::io::blkif::blkif_request;
use xen_sys::io::protocols::XEN_IO_PROTO_ABI_X86_64;

use super::Error;
use super::cache::Departure;
use super::disk::Vbd;
use super::features::{self, BackendFeatures, Properties};
use super::grant_pool::GrantPool;
use super::queue_worker::QueueWorker;
use super::ring_connection::RingConnection;
use super::state::Processed;
use crate::hal::{Channel, Platform};

/// Protocol violations after which a backend is not connected to again.
const MAX_VIOLATIONS: u32 = 3;

/// Pages that a backend's domain may keep of former connections, and is connected to again: 2 MiB.
const MAX_QUARANTINED: u32 = 512;

/// Pauses between polls of whether the backend has let go of pages. They double from the first to the last: 4
/// s in all.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(2048);

/// The driver of a paravirtual disk: [`xen::xenbus::run`] connects it.
pub struct BlkFront<'v, 'p, P: Platform> {
    vbd: &'v Vbd<'p, P>,
    device: Option<Device>,
    worker: QueueWorker<'v, 'p, P>,
    /// Queues that are served, at most.
    queues: u32,
    violations: u32,
}

impl<'v, 'p, P: Platform> BlkFront<'v, 'p, P> {
    /// The driver of `vbd`. It looks for responses for up to `poll` before it waits for an event.
    pub fn new(vbd: &'v Vbd<'p, P>, poll: Duration) -> Self {
        Self { vbd, device: None, worker: QueueWorker::new(vbd, 0, poll), queues: 1, violations: 0 }
    }

    /// The same for a disk of which so many queues are [served](Vbd::serve), if the backend has them.
    pub fn with_queues(self, queues: u32) -> Self {
        Self { queues: queues.max(1), ..self }
    }

    /// Serves the first queue and minds the disk's size until the connection ends, which is an error.
    async fn run(&mut self) -> Result<(), Error> {
        let vbd = self.vbd;
        let Some(device) = self.device.clone() else { return Ok(()) };
        let size = async {
            let mut sectors = match device.client().watch(&format!("{}/sectors", device.backend())).await {
                // A domain may have so many watches, and no more: then the disk keeps its size.
                Err(xenstore::Error::Refused(_)) => return pending().await,
                sectors => sectors?,
            };
            loop {
                sectors.next().await?;
                resize(vbd, &device).await?;
            }
        };
        match select3(self.worker.run(), vbd.violation(), size).await {
            Either3::First(()) => Ok(()),
            Either3::Second(violation) => Err(violation.into()),
            Either3::Third(ended) => ended,
        }
    }

    /// Waits until the backend is at work on nothing that was on its way, or has had its time. Linux's, when
    /// it is unbound from a device, has no state that says so: its I/O may go on for a while. If it were sent
    /// again before, the old write could overwrite a newer one.
    async fn drain_io(&mut self) {
        let mut pause = FIRST_PAUSE;
        while pause <= LAST_PAUSE && self.vbd.state().is_in_use() {
            self.vbd.platform().delay(pause).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// How the backend left. It stays closed until we begin again.
    async fn departure(&mut self) -> Departure {
        let Some(device) = &self.device else { return Departure::Abrupt };
        let state = device.read("state").await.ok().flatten();
        Departure::of(device.backend(), state.map(|state| State::of(&state)))
    }

    /// Takes the rings down; what was in flight waits for the next connection.
    fn detach(&self, departure: Departure) {
        let mut processed = Processed::default();
        let mut state = self.vbd.state();
        state.end();
        state.detach(departure, &mut processed);
        drop(state);
        processed.wakers.into_iter().for_each(core::task::Waker::wake);
    }

    /// A ring and an event channel for queue `number`, with the grants of the ring's pages.
    fn connection(
        &self,
        domain: DomainId,
        features: &BackendFeatures,
        number: u32,
    ) -> Result<(RingConnection<'p, P>, Vec<Reference>), Error> {
        let platform = self.vbd.platform();
        let mut pages = Vec::new();
        for _ in 0..1_u32 << features.ring_order {
            pages.push(platform.page().ok_or(Error::NoMemory)?);
        }
        let ring = Ring::new(platform.grants(), pages, domain, size_of::<blkif_request>())?;
        let channel = Arc::new(platform.channel_to(domain, number).map_err(Error::Channel)?);
        let references = ring.references().collect();
        let pool = GrantPool::new(platform, domain);
        Ok((RingConnection::new(ring, channel, pool, self.vbd.number() as u16), references))
    }
}

/// What tells the backend of a queue: keys that begin with `prefix`.
fn queue_keys(prefix: &str, references: &[Reference], port: Port) -> Vec<(String, Option<String>)> {
    let name = |index| match references {
        [_] => format!("{prefix}ring-ref"),
        _ => format!("{prefix}ring-ref{index}"),
    };
    let pages = references.iter().enumerate();
    let mut keys: Vec<_> =
        pages.map(|(index, reference)| (name(index), Some(reference.to_string()))).collect();
    keys.push((format!("{prefix}event-channel"), Some(port.0.to_string())));
    keys
}

/// Reads the disk's size again.
async fn resize<P: Platform>(vbd: &Vbd<'_, P>, device: &Device) -> Result<(), Error> {
    let bytes = features::bytes(device.read("sectors").await?)?;
    let mut state = vbd.state();
    if let Some(properties) = &mut state.properties {
        let sector_size = u64::from(properties.geometry.sector_size);
        properties.geometry.bytes = bytes - bytes.checked_rem(sector_size).unwrap_or(bytes);
    }
    Ok(())
}

/// Keys that not every connection has.
const STALE_KEYS: [&str; 3] = ["ring-page-order", "ring-ref", "multi-queue-num-queues"];

impl<P: Platform> Frontend for BlkFront<'_, '_, P> {
    type Error = Error;

    async fn publish(&mut self, device: &Device) -> Result<(), Error> {
        if self.violations >= MAX_VIOLATIONS {
            return Err(Error::Untrusted);
        }
        let grants = self.vbd.platform().grants();
        grants.retry_quarantine();
        let quarantined = grants.quarantined_for(device.backend_id());
        if quarantined > MAX_QUARANTINED {
            return Err(Error::Quarantine(quarantined));
        }
        let features = BackendFeatures::read(device).await?;
        let count = features.queues.min(self.queues);
        let mut connections = Vec::new();
        let mut told = Vec::new();
        for number in 0..count {
            let (connection, references) = self.connection(device.backend_id(), &features, number)?;
            told.push((references, connection.channel.port()));
            connections.push(connection);
        }
        self.vbd.state().attach(connections);

        // Those of a former life would be taken for ours.
        let mut keys: Vec<_> = STALE_KEYS.into_iter().map(|key| (key.to_owned(), None)).collect();
        if features.ring_order > 0 {
            keys.push(("ring-page-order".to_owned(), Some(features.ring_order.to_string())));
        }
        match told.as_slice() {
            [(references, port)] => keys.extend(queue_keys("", references, *port)),
            told => {
                for (number, (references, port)) in told.iter().enumerate() {
                    keys.extend(queue_keys(&format!("queue-{number}/"), references, *port));
                }
                keys.push(("multi-queue-num-queues".to_owned(), Some(count.to_string())));
            }
        }
        keys.push(("protocol".to_owned(), Some(XEN_IO_PROTO_ABI_X86_64.to_owned())));
        keys.push(("feature-persistent".to_owned(), Some("1".to_owned())));
        device.update(keys).await?;
        Ok(())
    }

    async fn connect(&mut self, device: &Device) -> Result<(), Error> {
        let properties = Properties::read(device).await?;
        self.device = Some(device.clone());
        let wakers = self.vbd.state().begin(properties);
        wakers.into_iter().for_each(core::task::Waker::wake);
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let ended = self.run().await;
        if let Err(Error::Violation(_)) = ended {
            self.violations += 1;
        }
        ended
    }

    fn stop(&mut self) {
        self.vbd.state().end();
    }

    async fn release(&mut self) {
        self.drain_io().await;
        let departure = self.departure().await;
        self.detach(departure);
    }
    fn abandon(&mut self) {
        // The toolstack took the device away from the domain that was saved: its backend has closed it, and
        // what it acknowledged is with the device below.
        self.detach(Departure::Orderly);
    }
}
