// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake with a frontend.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::pin::Pin;

use embassy_futures::select::select_slice;
use xen::DomainId;
use xen::ring::BackendRing;
use xen::xenbus::backend::{Backend, Device, Failure, Nodes, Served};
use xen::xenstore::Excerpt;
use xen_sys::io::blkif::{VDISK_CDROM, VDISK_READONLY, VDISK_REMOVABLE};

use super::Error;
use super::budget::Budget;
use super::export::{Export, Exports};
use super::keys::{self, MOST_ORDER, RingKeys};
use super::parse::{ENTRY, MOST_SEGMENTS, SECTOR};
use super::queue::{Pause, Queue};
use crate::block::Geometry;
use crate::hal::{BackendPlatform, Page};

/// The driver that serves a disk to one frontend: [`xen::xenbus::backend::run`] connects it.
pub struct BlkBack<'p, P: BackendPlatform, E, R> {
    platform: &'p P,
    exports: &'p E,
    budget: &'p Budget,
    /// Queues that a frontend may have.
    most_queues: u32,
    report: R,
    export: Option<Export<P::Page>>,
    optical: bool,
    queues: Vec<Queue<'p, P>>,
}

impl<'p, P, E, R> BlkBack<'p, P, E, R>
where
    P: BackendPlatform,
    P::Page: 'static,
    E: Exports<P::Page>,
    R: Fn(&Failure<Error>) + Send,
{
    /// A driver that serves what is found among `exports`, with memory of `budget`, over up to `most_queues`
    /// queues. `report` is told why a connection failed.
    pub fn new(platform: &'p P, exports: &'p E, budget: &'p Budget, most_queues: u32, report: R) -> Self {
        let most_queues = most_queues.max(1);
        Self {
            platform,
            exports,
            budget,
            most_queues,
            report,
            export: None,
            optical: false,
            queues: Vec::new(),
        }
    }

    fn queue(
        &self,
        keys: RingKeys,
        is_persistent: bool,
        export: &Export<P::Page>,
        frontend: DomainId,
    ) -> Result<Queue<'p, P>, Error> {
        let mut pages = Vec::new();
        for page in keys.pages {
            pages.push(self.platform.map(frontend, page).map_err(Error::Map)?);
        }
        let ring = BackendRing::attach(pages, ENTRY)?;
        let channel = self.platform.connect(frontend, keys.port).map_err(Error::Channel)?;
        Queue::new(self.platform, self.budget, export.clone(), frontend, is_persistent, ring, channel)
    }

    fn properties(&self, disk: &Geometry) -> Nodes {
        let bits = [
            (self.optical || disk.optical, VDISK_CDROM),
            (self.optical || disk.removable, VDISK_REMOVABLE),
            (disk.read_only, VDISK_READONLY),
        ];
        let info = bits.iter().filter(|(is, _)| *is).fold(0, |info, (_, bit)| info | bit);
        Nodes::from([
            ("sectors", (disk.bytes / SECTOR).to_string()),
            ("sector-size", disk.sector_size.to_string()),
            ("physical-sector-size", disk.sector_size.to_string()),
            ("info", info.to_string()),
        ])
    }
}

/// What the toolstack has configured.
async fn configured<P: Page, E: Exports<P>>(exports: &E, device: &Device) -> Result<Export<P>, Error> {
    let params = device.read_own("params").await?.ok_or(Error::Unnamed)?;
    let name = params.text()?;
    if name.is_empty() {
        return Err(Error::Unnamed);
    }
    let found = exports.find(name).await.ok_or_else(|| Error::NoDisk(Excerpt::of(name.as_bytes())))?;
    let mode = device.read_own("mode").await?;
    let writable = mode.is_none_or(|mode| mode.bytes().starts_with(b"w"));
    let found = if writable { found } else { found.read_only() };
    let discards = device.read_own("discard-enable").await?;
    let discards = discards.is_none_or(|discards| discards.flag() != Ok(false));
    Ok(if discards { found } else { found.without_discards() })
}

impl<P, E, R> Backend for BlkBack<'_, P, E, R>
where
    P: BackendPlatform,
    P::Page: 'static,
    E: Exports<P::Page>,
    R: Fn(&Failure<Error>) + Send,
{
    type Error = Error;

    async fn offer(&mut self, device: &Device) -> Result<Nodes, Error> {
        let export = configured(self.exports, device).await?;
        let kind = device.read_own("device-type").await?;
        self.optical = kind.is_some_and(|kind| kind.bytes() == b"cdrom");
        let disk = export.geometry();
        self.export = Some(export);
        let mut nodes = Nodes::from([
            ("max-ring-page-order", MOST_ORDER.to_string()),
            ("feature-max-indirect-segments", MOST_SEGMENTS.to_string()),
            ("feature-flush-cache", "1".into()),
            ("feature-persistent", "1".into()),
            ("feature-discard", u32::from(disk.discards).to_string()),
        ]);
        if disk.discards {
            nodes.push(("discard-granularity", disk.sector_size.to_string()));
            nodes.push(("discard-alignment", "0".into()));
        }
        if self.most_queues > 1 {
            nodes.push(("multi-queue-max-queues", self.most_queues.to_string()));
        }
        Ok(nodes)
    }

    async fn connect(&mut self, device: &Device) -> Result<Nodes, Error> {
        let export = self.export.clone().ok_or(Error::Unnamed)?;
        let keys = keys::read(device, self.most_queues).await?;
        for ring in keys.rings {
            let queue = self.queue(ring, keys.is_persistent, &export, device.frontend_id())?;
            self.queues.push(queue);
        }
        Ok(self.properties(&export.geometry()))
    }

    async fn serve(&mut self) -> Result<Served, Error> {
        let mut queues: Vec<Pin<Box<_>>> =
            self.queues.iter_mut().map(|queue| Box::pin(queue.run())).collect();
        let (pause, _) = select_slice(Pin::new(queues.as_mut_slice())).await;
        drop(queues);
        match pause {
            Pause::Violation(violation) => Err(violation.into()),
            Pause::Resized(bytes) => {
                self.queues.iter_mut().for_each(|queue| queue.tell(bytes));
                Ok(Served::Changed(Nodes::from([("sectors", (bytes / SECTOR).to_string())])))
            }
        }
    }

    fn stop(&mut self) {}

    async fn release(&mut self) {
        for queue in &mut self.queues {
            queue.drain().await;
        }
        self.queues.clear();
    }

    fn failed(&mut self, failure: &Failure<Error>) {
        (self.report)(failure);
    }
}
