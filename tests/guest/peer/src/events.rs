// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events with dom0: none lost one by one, and other work goes on in a storm of them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use prism::embassy_time::{Duration, Timer, with_timeout};
use prism::event::EventChannel;
use prism::xen::DomainId;
use prism::{Context, println};

use crate::talk::{LIMIT, Peer, limited};

/// Opens channels that the peer connects to.
async fn connect(peer: &Peer, count: usize) -> prism::Result<Vec<EventChannel>> {
    let channels: Vec<EventChannel> =
        (0..count).map(|_| EventChannel::for_domain(DomainId(0))).collect::<Result<_, _>>()?;
    let ports: Vec<String> = channels.iter().map(|channel| format!("{}", channel.port().0)).collect();
    peer.tell("ports", &ports.join(" ")).await?;
    peer.hear("connected").await?;
    Ok(channels)
}

/// Sends `each` events on each of `count` channels at once, and waits for the answer to each before
/// the next.
pub(crate) async fn echoed(context: &Context, peer: &Peer, count: usize, each: u32) -> prism::Result<bool> {
    let answered = Arc::new(AtomicU64::new(0));
    let lost = Arc::new(AtomicU64::new(0));
    for channel in connect(peer, count).await? {
        let (answered, lost) = (Arc::clone(&answered), Arc::clone(&lost));
        context.spawn(async move {
            for _ in 0..each {
                let sent = channel.notify().is_ok();
                let came = sent && with_timeout(LIMIT, channel.wait()).await.is_ok();
                let counter = if came { &answered } else { &lost };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        })?;
    }
    let count = count as u64 * u64::from(each);
    let done = || answered.load(Ordering::Relaxed) + lost.load(Ordering::Relaxed);
    while done() < count {
        Timer::after(Duration::from_millis(100)).await;
    }
    let (answered, lost) = (answered.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    println!("{answered} events answered, {lost} lost");
    Ok(answered == count)
}

/// Works while the peer raises events without end.
pub(crate) async fn stormed(context: &Context, peer: &Peer) -> prism::Result<bool> {
    let channels = connect(peer, 1).await?;
    let woken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&woken);
    context.spawn(async move {
        for channel in channels.iter().cycle() {
            channel.wait().await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    })?;
    for round in 0..50 {
        let value = format!("{round}");
        limited(peer.store.write("data/work", &value)).await?;
        if limited(peer.store.read_str("data/work")).await? != value {
            return Ok(false);
        }
        Timer::after(Duration::from_millis(2)).await;
    }
    peer.tell("enough", "1").await?;
    let woken = woken.load(Ordering::Relaxed);
    println!("50 rounds of work done, woken by events: {}", if woken > 50 { "often" } else { "rarely" });
    Ok(woken > 50)
}
