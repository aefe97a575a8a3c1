// SPDX-License-Identifier: MIT OR Apache-2.0
//! Repeats one operation, so that its cost can be counted outside.
//!
//! `serve`: has its first disk and its first interface work, says so, and waits until it is to end;
//! `sleeps=N`: sleeps of a millisecond; `reads=N`: 4 KiB of the first disk, one read after the other;
//! `wakes=N`: wakes a task of another vCPU, and sleeps for a millisecond, in which that one sleeps again.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;

use prism::sync::signal::Signal;
use prism::task::{Duration, sleep};
use prism::{Context, disks, println};

prism::app!(main, params: ["serve", "sleeps", "reads", "wakes"]);

/// Bytes of a read.
const BLOCK: u64 = 4096;
/// Blocks between a read and the next: far enough that nobody guesses it.
const STRIDE: u64 = 37;

async fn main(context: Context) -> prism::Result {
    let words = context.command_line();
    if words.flag("serve")? {
        return serve(&context).await;
    }
    for _ in 0..words.number("sleeps")?.unwrap_or(0) {
        sleep(Duration::from_millis(1)).await;
    }
    read(&context, words.number("reads")?.unwrap_or(0)).await?;
    wake(&context, words.number("wakes")?.unwrap_or(0)).await
}

async fn serve(context: &Context) -> prism::Result {
    context.disks().await.first().ok_or("there is no disk")?;
    context.network(0).await?;
    println!("cost: ready");
    context.shutdown_requested().await;
    Ok(())
}

async fn read(context: &Context, count: u64) -> prism::Result {
    let disks = context.disks().await;
    let disk = disks.first().ok_or("there is no disk")?;
    let blocks = disk.geometry().bytes / BLOCK;
    let mut buffer = disks::buffer(BLOCK as usize).ok_or("there is no memory")?;
    for index in 0..count {
        buffer = disk.read(index * STRIDE % blocks * BLOCK, buffer).await?;
    }
    println!("{count} blocks of {} read", disk.name());
    Ok(())
}

/// A task on another vCPU is woken, and has time to sleep again.
async fn wake(context: &Context, count: u64) -> prism::Result {
    let Some(other) = context.vcpus().nth(1) else {
        return if count == 0 { Ok(()) } else { Err("one vCPU runs, and nobody to wake".into()) };
    };
    let signal = Arc::new(Wakeup::new());
    let woken = Arc::clone(&signal);
    context.spawn_on(other, async move {
        loop {
            woken.wait().await;
        }
    })?;
    for _ in 0..count {
        signal.signal(());
        sleep(Duration::from_millis(1)).await;
    }
    println!("vCPU {other} was woken {count} times");
    Ok(())
}

type Wakeup = Signal<prism::sync::Lock, ()>;
