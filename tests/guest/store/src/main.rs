// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore in numbers: many requests at once, many watches, conflicting transactions.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use prism::embassy_time::{Duration, Instant, Timer, with_timeout};
use prism::xen::xenstore::{Client, Error};
use prism::{Context, Verdict, println};

prism::app!(main);

/// Longest time to wait for anything.
const LIMIT: Duration = Duration::from_secs(30);

async fn main(context: Context) -> prism::Result<Verdict> {
    let Some(store) = context.store() else {
        println!("there is no xenstore here");
        return Ok(Verdict::Skip);
    };
    // QEMU's emulation names no domain.
    let domain = limited(store.read_str("domid")).await.unwrap_or_else(|error| format!("unknown ({error})"));
    println!("domain {domain}");
    let mut good = many_requests(&context, store, 100).await?;
    good &= many_watches(store, 50).await?;
    good &= colliding_transactions(&context, store, 4, 10).await?;
    println!("{:?}", store.counters());
    Ok(if good { Verdict::Success } else { Verdict::Failure })
}

/// Tasks that write and read back at the same time.
async fn many_requests(context: &Context, store: &'static Client, count: u32) -> prism::Result<bool> {
    let right = Rc::new(Cell::new(0));
    for task in 0..count {
        let right = Rc::clone(&right);
        context.spawn(async move {
            let path = format!("data/{task}");
            let value = format!("value of {task}");
            let kept = store.write(&path, &value).await.is_ok()
                && store.read_str(&path).await.is_ok_and(|read| read == value)
                && store.rm(&path).await.is_ok();
            right.set(right.get() + u32::from(kept));
        })?;
    }
    await_count(&right, count).await;
    println!("{} of {count} tasks read back what they wrote", right.get());
    Ok(right.get() == count)
}

/// Watches of as many paths, each of which must fire for its own path.
async fn many_watches(store: &'static Client, count: usize) -> prism::Result<bool> {
    let mut watches = Vec::new();
    for index in 0..count {
        let path = format!("data/watched{index}");
        let mut watch = limited(store.watch(&path)).await?;
        // The first event comes at once, whatever happened.
        limited(watch.next()).await?;
        watches.push((path, watch));
    }
    for (path, _) in watches.iter().rev() {
        limited(store.write(path, "x")).await?;
    }
    let mut right = 0;
    for (path, watch) in &mut watches {
        let event = limited(watch.next()).await?;
        right += usize::from(event.path == *path);
        limited(store.rm(path)).await?;
    }
    println!("{right} of {count} watches fired for their own path");
    Ok(right == count)
}

/// Tasks that add one to the same number in transactions: the sum tells whether any was lost.
async fn colliding_transactions(
    context: &Context,
    store: &'static Client,
    tasks: u32,
    rounds: u32,
) -> prism::Result<bool> {
    const SUM: &str = "data/sum";
    limited(store.write(SUM, "0")).await?;
    let done = Rc::new(Cell::new(0));
    for _ in 0..tasks {
        let done = Rc::clone(&done);
        context.spawn(async move {
            for _ in 0..rounds {
                let wait =
                    |time: core::time::Duration| Timer::after(Duration::from_nanos(time.as_nanos() as u64));
                let added = store
                    .transaction(&wait, async |transaction| {
                        let sum = transaction.value(SUM).await?.integer(0..=1_000_000)? + 1;
                        transaction.write(SUM, format!("{sum}")).await?;
                        Ok::<_, Error>(sum)
                    })
                    .await;
                done.set(done.get() + u32::from(added.is_ok()));
            }
        })?;
    }
    await_count(&done, tasks * rounds).await;
    let sum = limited(store.read_str(SUM)).await?;
    println!("{} of {} transactions done, the sum is {sum}", done.get(), tasks * rounds);
    Ok(done.get() == tasks * rounds && sum == format!("{}", tasks * rounds))
}

/// What `request` answers, if it does in time.
async fn limited<T>(request: impl Future<Output = Result<T, Error>>) -> prism::Result<T> {
    let answer = with_timeout(LIMIT, request).await.map_err(|_| "xenstored does not answer")?;
    Ok(answer?)
}

async fn await_count(count: &Cell<u32>, wanted: u32) {
    let deadline = Instant::now() + LIMIT;
    while count.get() < wanted && Instant::now() < deadline {
        Timer::after(Duration::from_millis(10)).await;
    }
}
