// SPDX-License-Identifier: MIT OR Apache-2.0
//! Is suspended `times=` times, and looks each time whether everything works afterwards. With `refuse` it
//! refuses the first time. With `slow` it takes two seconds to make itself ready whenever it is asked.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use prism::app::Resumed;
use prism::embassy_time::{Duration, Instant, Timer, with_timeout};
use prism::event::{self, EventChannel};
use prism::grant::{self, OwnPage};
use prism::sync::{Lock, signal::Signal};
use prism::xen::DomainId;
use prism::xen::event::Port;
use prism::xen::grant::ReadWrite;
use prism::{Context, Verdict, memory, println};

prism::app!(main, params: ["times", "refuse", "slow"]);

const DOM0: DomainId = DomainId(0);
/// Longest time to wait for anything.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest time that a toolstack may take for what it does after the guest goes on.
const TOOLSTACK_LIMIT: Duration = Duration::from_secs(60);
/// The guest's own node, which a restored domain has not.
const NODE: &str = "data/times";

async fn main(context: Context) -> prism::Result<Verdict> {
    let times = context.command_line().get("times").map_or(Ok(1), str::parse)?;
    let store = context.store().ok_or("there is no xenstore here")?;
    if context.command_line().has("refuse") {
        println!("ready to refuse");
        context.about_to_suspend().await.refuse();
    }
    if context.command_line().has("slow") {
        take_time(&context)?;
    }
    let own = each_vcpu(&context)?;
    let latest = watch_clock(&context)?;
    let mut watch = store.watch(NODE).await?;
    watch.next().await?;
    let mut checks = Checks { good: true };
    check_vcpus(&context, &own, &mut checks).await?;
    let mut before = Counts::now();
    for time in 1..=times {
        let peer = EventChannel::for_domain(DOM0)?;
        let page = OwnPage::new().ok_or("out of memory")?;
        let table = grant::table().ok_or("there is no grant table here")?;
        let granted = table.try_grant::<ReadWrite>(page, DOM0)?;
        granted.write(100, b"kept")?;
        let (date, sleep) = (context.wall_clock(), Instant::now() + Duration::from_millis(300));
        println!("ready to be suspended, time {time}");
        let how = context.resumed().await;
        let (shown, now) = (latest.get(), Instant::now());
        println!("time {time}: {how:?}, {} ms since the last look at the clock", (now - shown).as_millis());
        checks.add("time goes on", now >= shown);
        checks.add("the date is later", context.wall_clock() >= date && date.is_some());
        Timer::at(sleep).await;
        checks.add("a sleep ends", Instant::now() >= sleep);
        let is_peer = peer.port() != Port(0);
        checks.add("a channel to another domain ends with a restore", is_peer == (how == Resumed::Cancelled));
        drop(peer);
        let mut text = [0; 4];
        granted.read(100, &mut text)?;
        checks.add("memory is kept", &text == b"kept");
        checks.add("the old grant ends", granted.end().is_ok());
        check_vcpus(&context, &own, &mut checks).await?;
        if how == Resumed::Restored {
            watch.next().await?;
        }
        store.write(NODE, "1").await?;
        with_timeout(LIMIT, watch.next()).await.map_err(|_| "no event for a node that was written")??;
        checks.add("xenstore answers", store.read_str("name").await.is_ok());
        let mut random = [0; 8];
        prism::entropy::fill(&mut random);
        println!("time {time}: random {:016x}", u64::from_le_bytes(random));
        let after = Counts::now();
        println!("time {time}: {after:?}, before {before:?}");
        // The first time, tables grow to the size that they need.
        checks.add("nothing leaks", time == 1 || after == before);
        before = after;
    }
    println!("ready to end");
    checks
        .add("it is asked to end", with_timeout(TOOLSTACK_LIMIT, context.shutdown_requested()).await.is_ok());
    Ok(if checks.good { Verdict::Success } else { Verdict::Failure })
}

/// What was found so far.
struct Checks {
    good: bool,
}

impl Checks {
    fn add(&mut self, what: &str, is_so: bool) {
        if !is_so {
            println!("not so: {what}");
        }
        self.good &= is_so;
    }
}

/// What there is of things that may leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    ports: usize,
    granted: u32,
    free: u64,
}

impl Counts {
    fn now() -> Self {
        let granted = grant::table().map_or(0, |table| table.report().granted);
        Self { ports: event::open_ports(), granted, free: memory::usage().free }
    }
}

/// A channel of a vCPU's to itself.
type Own = (u32, Arc<(EventChannel, Signal<Lock, ()>)>);

/// A task on each vCPU that waits for events.
fn each_vcpu(context: &Context) -> prism::Result<Vec<Own>> {
    let mut channels = Vec::new();
    for vcpu in context.vcpus() {
        let own = Arc::new((EventChannel::to_self(vcpu)?, Signal::new()));
        let waits = Arc::clone(&own);
        context.spawn_on(vcpu, async move {
            loop {
                waits.0.wait().await;
                waits.1.signal(());
            }
        })?;
        channels.push((vcpu, own));
    }
    Ok(channels)
}

/// Raises each vCPU's event, and has each sleep for a moment.
async fn check_vcpus(context: &Context, channels: &[Own], checks: &mut Checks) -> prism::Result<()> {
    for (vcpu, own) in channels {
        own.1.reset();
        own.0.notify()?;
        checks.add("an event arrives", with_timeout(LIMIT, own.1.wait()).await.is_ok());
        let slept = Arc::new(Signal::<Lock, ()>::new());
        let wakes = Arc::clone(&slept);
        context.spawn_on(*vcpu, async move {
            Timer::after_millis(10).await;
            wakes.signal(());
        })?;
        checks.add("a vCPU sleeps and wakes", with_timeout(LIMIT, slept.wait()).await.is_ok());
    }
    Ok(())
}

/// Takes two seconds whenever the domain is about to be suspended.
fn take_time(context: &Context) -> prism::Result<()> {
    let own = *context;
    context.spawn(async move {
        for request in 1.. {
            let hold = own.about_to_suspend().await;
            println!("not ready for request {request} yet");
            Timer::after_secs(2).await;
            drop(hold);
        }
    })?;
    Ok(())
}

/// Looks at the clock a hundred times a second.
fn watch_clock(context: &Context) -> prism::Result<Rc<Cell<Instant>>> {
    let latest = Rc::new(Cell::new(Instant::now()));
    let shown = Rc::clone(&latest);
    context.spawn(async move {
        loop {
            shown.set(Instant::now());
            Timer::after_millis(10).await;
        }
    })?;
    Ok(latest)
}
