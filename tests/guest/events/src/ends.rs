// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two ends of an event channel within one domain.

use prism::embassy_time::{Duration, with_timeout};
use prism::event::EventChannel;
use prism::println;
use prism::xen::DomainId;
use prism::xen::event::Port;

use crate::LIMIT;

/// `DOMID_SELF` of `xen.h`.
const SELF: DomainId = DomainId(0x7ff0);
/// Long enough for an event that is on its way.
const MOMENT: Duration = Duration::from_millis(50);

/// Connects two channels, sends `count` events through, and closes one end: the other goes on
/// without, and hears of nothing.
pub(crate) async fn close(count: u32) -> prism::Result<bool> {
    let near = EventChannel::for_domain(SELF)?;
    let far = EventChannel::connect(SELF, near.port())?;
    let pending = with_timeout(LIMIT, far.wait()).await.is_ok();
    let mut lost = 0;
    for _ in 0..count {
        near.notify()?;
        lost += u32::from(with_timeout(LIMIT, far.wait()).await.is_err());
    }
    drop(far);
    // Xen drops it: nobody is connected.
    let sent = near.notify();
    let silent = with_timeout(MOMENT, near.wait()).await.is_err();
    println!("a new connection is pending: {pending}; {count} events to its far end, {lost} lost");
    println!("after the far end was closed: {sent:?}, silent: {silent}");
    Ok(pending && lost == 0 && sent.is_ok() && silent)
}

/// Ports that don't wait for us are refused.
pub(crate) fn refuse() -> prism::Result<bool> {
    let own = EventChannel::to_self(0)?;
    let refusals =
        [own.port(), Port(0), Port(4000), Port(u32::MAX)].map(|port| EventChannel::connect(SELF, port).err());
    println!("connecting to ports that don't wait: {refusals:?}");
    Ok(refusals.iter().all(Option::is_some))
}
