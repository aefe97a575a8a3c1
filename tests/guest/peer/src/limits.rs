// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits that the toolstack and xenstored set: each is an error, and what was there still works.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;

use prism::embassy_time::{Duration, Instant, Timer};
use prism::event::EventChannel;
use prism::println;
use prism::xen::DomainId;
use prism::xen::xenstore::{Client, Error, Watch};

use crate::talk::{LIMIT, limited};

/// Most of anything that is tried: more than any limit met so far.
const MANY: usize = 3000;

/// Exceeds every limit of xenstored's, and stays in business.
pub(crate) async fn of_xenstore(store: &Client) -> prism::Result<bool> {
    let mut good = too_long(store).await;
    good &= too_many_watches(store).await?;
    good &= too_many_transactions(store).await?;
    good &= too_many_nodes(store).await?;
    limited(store.write("data/after", "all is well")).await?;
    let after = limited(store.read_str("data/after")).await?;
    println!("after all that: {after}, {:?}", store.counters());
    Ok(good && after == "all is well")
}

/// Values and paths that are too long: for a message, and for xenstored.
async fn too_long(store: &Client) -> bool {
    let value = "x".repeat(3000);
    let path = format!("data/{}", "y".repeat(2100));
    let (message, node, name) = (
        store.write("data/a", "x".repeat(5000)).await,
        store.write("data/b", value).await,
        store.write(&path, "").await,
    );
    println!("too long for a message: {}", outcome(&message));
    println!("too long for a node: {}", outcome(&node));
    println!("too long for a path: {}", outcome(&name));
    message.is_err() && node.is_err() && name.is_err() && store.disconnect_reason().is_none()
}

async fn too_many_watches(store: &Client) -> prism::Result<bool> {
    let mut watches: Vec<Watch> = Vec::new();
    let refusal = loop {
        match store.watch(&format!("data/w{}", watches.len())).await {
            Ok(watch) if watches.len() < MANY => watches.push(watch),
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
    };
    println!("after {} watches: {}", if watches.len() > 50 { "many" } else { "few" }, told(refusal.as_ref()));
    drop(watches);
    // There is room again, as soon as xenstored has heard of it.
    let deadline = Instant::now() + LIMIT;
    let mut again = store.watch("data/w").await;
    while again.is_err() && Instant::now() < deadline {
        Timer::after(Duration::from_millis(10)).await;
        again = store.watch("data/w").await;
    }
    println!("then: {}", told(again.as_ref().err()));
    Ok(refusal.is_some() && again.is_ok())
}

async fn too_many_transactions(store: &Client) -> prism::Result<bool> {
    let no_time = |_| core::future::ready(());
    // Each is opened inside the one before.
    let refusal = nested(store, &no_time, 20).await;
    println!("transactions inside transactions: {}", told(refusal.as_ref().err()));
    // There is room again, as soon as xenstored has heard of it.
    let one = || store.transaction(&no_time, async |transaction| transaction.write("data/t", "1").await);
    let deadline = Instant::now() + LIMIT;
    let mut after = one().await;
    while after.is_err() && Instant::now() < deadline {
        Timer::after(Duration::from_millis(10)).await;
        after = one().await;
    }
    println!("then: {}", told(after.as_ref().err()));
    Ok(refusal.is_err() && after.is_ok())
}

/// Opens `depth` transactions at once.
fn nested<'a>(
    store: &'a Client,
    no_time: &'a impl prism::xen::time::Delay,
    depth: u32,
) -> core::pin::Pin<alloc::boxed::Box<dyn Future<Output = Result<(), Error>> + 'a>> {
    alloc::boxed::Box::pin(async move {
        store
            .transaction(
                no_time,
                async |_| if depth == 0 { Ok(()) } else { nested(store, no_time, depth - 1).await },
            )
            .await
    })
}

async fn too_many_nodes(store: &Client) -> prism::Result<bool> {
    let mut made = 0;
    let refusal = loop {
        match store.write(&format!("data/nodes/{made}"), "").await {
            Ok(()) if made < MANY => made += 1,
            Ok(()) => break None,
            Err(error) => break Some(error),
        }
    };
    println!("after {} nodes: {}", if made > 500 { "many" } else { "few" }, told(refusal.as_ref()));
    limited(store.rm("data/nodes")).await?;
    Ok(refusal.is_some())
}

/// Opens event channels until there are no more; those that the kernel has still work.
pub(crate) async fn of_ports(store: &Client) -> prism::Result<bool> {
    let mut channels = Vec::new();
    let refusal = loop {
        match EventChannel::for_domain(DomainId(0)) {
            Ok(channel) if channels.len() < MANY => channels.push(channel),
            Ok(_) => break None,
            Err(errno) => break Some(errno),
        }
    };
    println!("{} channels opened before Xen said {refusal:?}", channels.len());
    let name = limited(store.read_str("name")).await?;
    println!("xenstore still answers: {name}");
    Ok(refusal.is_some() && channels.len() < 8)
}

fn outcome<T>(result: &Result<T, Error>) -> String {
    result.as_ref().err().map_or_else(|| "accepted".into(), |error| format!("{error}"))
}

fn told<E: Display>(error: Option<&E>) -> String {
    error.map_or_else(|| "no limit".into(), |error| format!("{error}"))
}
