// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events, timers and tasks in numbers: none lost, none early, none out of order.
#![no_std]
#![no_main]

extern crate alloc;

mod ends;
mod storm;

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use prism::embassy_time::{Duration, Instant, Timer, with_timeout};
use prism::event::{self, EventChannel};
use prism::{Context, Verdict, println};

prism::app!(main, params: ["few"]);

/// Channels that are opened at most.
const MOST: usize = 10_000;
/// Longest time to wait for anything.
const LIMIT: Duration = Duration::from_secs(20);

async fn main(context: Context) -> prism::Result<Verdict> {
    if !context.environment().is_paravirtual() {
        println!("there are no event channels here");
        return Ok(Verdict::Skip);
    }
    let ports = event::open_ports();
    let mut good = if context.command_line().has("few") {
        ping_pong(&context, 100).await?
    } else {
        many(&context).await?
    };
    good &= ports_run_out_gracefully();
    println!("{} ports open, {ports} before", event::open_ports());
    good &= event::open_ports() == ports;
    Ok(if good { Verdict::Success } else { Verdict::Failure })
}

/// What takes a domain with ports enough.
async fn many(context: &Context) -> prism::Result<bool> {
    let mut good = ping_pong(context, 10_000).await?;
    good &= many_channels(100).await?;
    good &= timers(context, 200, 5).await?;
    good &= ends::close(1000).await?;
    good &= ends::refuse()?;
    good &= storm::spurious(context, 5000).await?;
    Ok(good)
}

/// Two tasks send each other `count` events by way of two channels, one after another.
async fn ping_pong(context: &Context, count: u32) -> prism::Result<bool> {
    let there = Rc::new(EventChannel::to_self(0)?);
    let back = Rc::new(EventChannel::to_self(0)?);
    let echoed = Rc::new(Cell::new(0));
    let (from, to, counter) = (Rc::clone(&there), Rc::clone(&back), Rc::clone(&echoed));
    context.spawn(async move {
        for _ in 0..count {
            from.wait().await;
            counter.set(counter.get() + 1);
            // The other side notices if this fails.
            let _ = to.notify();
        }
    })?;
    let mut lost = 0;
    for _ in 0..count {
        there.notify()?;
        lost += u32::from(with_timeout(LIMIT, back.wait()).await.is_err());
    }
    println!("{count} events sent, {} echoed, {lost} lost", echoed.get());
    Ok(lost == 0 && echoed.get() == count)
}

/// An event on each of many channels, raised in one order and awaited in the other.
async fn many_channels(count: usize) -> prism::Result<bool> {
    let channels: alloc::vec::Vec<EventChannel> =
        (0..count).map(|_| EventChannel::to_self(0)).collect::<Result<_, _>>()?;
    for channel in &channels {
        channel.notify()?;
    }
    let mut arrived = 0;
    for channel in channels.iter().rev() {
        arrived += usize::from(with_timeout(LIMIT, channel.wait()).await.is_ok());
    }
    println!("{count} channels, {arrived} events arrived");
    Ok(arrived == count)
}

/// `tasks` tasks set `rounds` timers each; the order in which they fire is that of their times.
async fn timers(context: &Context, tasks: u64, rounds: u64) -> prism::Result<bool> {
    let fired: Rc<RefCell<alloc::vec::Vec<u64>>> = Rc::default();
    let early = Rc::new(Cell::new(0));
    let start = Instant::now() + Duration::from_millis(50);
    for task in 0..tasks {
        let (fired, early) = (Rc::clone(&fired), Rc::clone(&early));
        context.spawn(async move {
            for round in 0..rounds {
                // Spread so that neighbours in time belong to tasks far apart.
                let step = (task * 37 % tasks) + round * tasks;
                let due = start + Duration::from_micros(step * 1000);
                Timer::at(due).await;
                early.set(early.get() + u32::from(Instant::now() < due));
                fired.borrow_mut().push(step);
            }
        })?;
    }
    let total = tasks * rounds;
    let deadline = Instant::now() + LIMIT;
    while fired.borrow().len() < total as usize && Instant::now() < deadline {
        Timer::after(Duration::from_millis(10)).await;
    }
    let fired = fired.borrow();
    let disorder = fired.windows(2).filter(|pair| pair[0] > pair[1]).count();
    println!("{total} timers set, {} fired, {} early, {disorder} out of order", fired.len(), early.get());
    Ok(fired.len() as u64 == total && early.get() == 0 && disorder == 0)
}

/// Opens channels until there are no more, and gives them back: Xen says no, nothing breaks.
fn ports_run_out_gracefully() -> bool {
    let mut channels = alloc::vec::Vec::new();
    let refusal = loop {
        match EventChannel::to_self(0) {
            Ok(channel) if channels.len() < MOST => channels.push(channel),
            Ok(_) => break None,
            Err(errno) => break Some(errno),
        }
    };
    println!("{} channels opened before Xen said {refusal:?}", channels.len());
    // Dom0 has no limit but the ABI's.
    let enough = channels.len() == MOST;
    drop(channels);
    (refusal.is_some() || enough) && EventChannel::to_self(0).is_ok()
}
