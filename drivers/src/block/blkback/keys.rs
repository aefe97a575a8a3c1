// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a frontend says of its rings (`xen/include/public/io/blkif.h`), each key of which may be anything.

use alloc::format;
use alloc::vec::Vec;

use xen::event::Port;
use xen::grant::Reference;
use xen::xenbus::backend::Device;
use xen::xenstore::{Excerpt, Value};
use xen_sys::io::protocols::XEN_IO_PROTO_ABI_X86_64;

use super::Error;

/// Pages that a ring may have: 2 to the power of this.
pub(super) const MOST_ORDER: u32 = 2;

/// Where a ring is, and its event channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RingKeys {
    pub(super) pages: Vec<Reference>,
    pub(super) port: Port,
}

/// What a frontend says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FrontendKeys {
    pub(super) rings: Vec<RingKeys>,
    /// Its pages stay granted.
    pub(super) is_persistent: bool,
}

/// Reads where the frontend's rings are, of which there may be `most`, and what it can do.
pub(super) async fn read(device: &Device, most: u32) -> Result<FrontendKeys, Error> {
    if let Some(protocol) = device.read("protocol").await?
        && protocol.bytes() != XEN_IO_PROTO_ABI_X86_64.as_bytes()
    {
        return Err(Error::Protocol(Excerpt::of(protocol.bytes())));
    }
    let order = number(device.read("ring-page-order").await?, 0, u64::from(MOST_ORDER))?.unwrap_or(0);
    let queues = number(device.read("multi-queue-num-queues").await?, 1, u64::from(most))?.unwrap_or(1);
    let mut rings = Vec::new();
    for queue in 0..queues {
        // One queue has its keys where a frontend that knows of no others has them.
        let prefix = if queues == 1 { "".into() } else { format!("queue-{queue}/") };
        rings.push(ring(device, &prefix, order).await?);
    }
    let persistent = device.read("feature-persistent").await?;
    let is_persistent = persistent.is_some_and(|persistent| persistent.flag() == Ok(true));
    Ok(FrontendKeys { rings, is_persistent })
}

async fn ring(device: &Device, prefix: &str, order: u64) -> Result<RingKeys, Error> {
    let mut pages = Vec::new();
    let single = if order == 0 { device.read(&format!("{prefix}ring-ref")).await? } else { None };
    if let Some(single) = single {
        pages.push(reference(&single)?);
    } else {
        for page in 0..1_u32 << order {
            let page = device.read(&format!("{prefix}ring-ref{page}")).await?;
            pages.push(reference(&page.ok_or(Error::NoRing)?)?);
        }
    }
    let port = device.read(&format!("{prefix}event-channel")).await?.ok_or(Error::NoRing)?;
    Ok(RingKeys { pages, port: Port(port.integer(1..=u32::MAX.into())? as u32) })
}

fn reference(value: &Value) -> Result<Reference, Error> {
    Reference::new(value.word()?).ok_or(Error::NoRing)
}

/// A number that may be missing, but not be anything else.
fn number(value: Option<Value>, least: u64, most: u64) -> Result<Option<u64>, Error> {
    Ok(value.map(|value| value.integer(least..=most)).transpose()?)
}
