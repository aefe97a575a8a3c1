// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several vCPUs: messages between them, timers on each, tasks where they are wanted.
//!
//! `messages=N` says how many messages are exchanged; `crash=V` has vCPU V overflow its stack; `hotplug` uses
//! vCPUs as they come and go, and `bind=V` has a task on vCPU V that takes its time to go.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use prism::embassy_time::{Duration, Instant, Timer, with_timeout};
use prism::event::EventChannel;
use prism::futures::join::join;
use prism::futures::select::{Either, select};
use prism::sync::channel::Channel;
use prism::sync::signal::Signal;
use prism::{Context, Verdict, println};

prism::app!(main, params: ["messages", "crash", "hotplug", "bind"]);

/// Longest time to wait for anything: longer than the tests let a guest run, so that they tell where each
/// vCPU stands.
const LIMIT: Duration = Duration::from_secs(1000);
/// Messages that a vCPU may be ahead of the next one.
const AHEAD: usize = 256;

type Queue = Channel<prism::sync::Lock, (), AHEAD>;
type Pipe = Channel<prism::sync::Lock, u64, AHEAD>;

async fn main(context: Context) -> prism::Result<Verdict> {
    let vcpus: Vec<u32> = context.vcpus().collect();
    println!("{} vCPUs run tasks", vcpus.len());
    if let Some(vcpu) = context.command_line().get("crash") {
        return crash(&context, vcpu.parse()?).await;
    }
    if context.command_line().has("hotplug") {
        return hotplug(&context).await;
    }
    let messages = context.command_line().get("messages").unwrap_or("0").parse()?;
    let mut good = everybody_is_where_it_was_started(&context, &vcpus).await?;
    good &= tasks_spread(&context, &vcpus).await?;
    good &= nobody_is_early(&context, &vcpus).await?;
    if context.environment().is_paravirtual() {
        good &= events_reach_every_vcpu(&context, &vcpus).await?;
    }
    good &= no_message_is_lost(&context, &vcpus, messages).await?;
    Ok(if good { Verdict::Success } else { Verdict::Failure })
}

/// Runs a task on each of `vcpus` and adds up what they return.
async fn on_each<F>(context: &Context, vcpus: &[u32], task: impl Fn(usize) -> F) -> prism::Result<u64>
where
    F: Future<Output = u64> + Send + 'static,
{
    let sum = Arc::new(AtomicU64::new(0));
    let done = Arc::new(Queue::new());
    for (index, vcpu) in vcpus.iter().enumerate() {
        let (task, sum, done) = (task(index), Arc::clone(&sum), Arc::clone(&done));
        context.spawn_on(*vcpu, async move {
            sum.fetch_add(task.await, Ordering::Relaxed);
            done.send(()).await;
        })?;
    }
    for _ in vcpus {
        with_timeout(LIMIT, done.receive()).await.map_err(|_| "a task did not end in time")?;
    }
    Ok(sum.load(Ordering::Relaxed))
}

async fn everybody_is_where_it_was_started(context: &Context, vcpus: &[u32]) -> prism::Result<bool> {
    let (own, all) = (*context, vcpus.to_vec());
    let right = on_each(context, vcpus, move |index| {
        let vcpu = all[index];
        async move { u64::from(own.vcpu() == vcpu) }
    })
    .await?;
    println!("{right} of {} tasks ran where they were started", vcpus.len());
    Ok(right == vcpus.len() as u64)
}

/// Tasks that may run anywhere are spread.
async fn tasks_spread(context: &Context, vcpus: &[u32]) -> prism::Result<bool> {
    // The kernel's own tasks count too, and most of them are on one vCPU.
    let count = 8 * vcpus.len();
    let used = Arc::new([const { AtomicU64::new(0) }; 128]);
    let (counted, end) = (Arc::new(Queue::new()), Arc::new(Queue::new()));
    let own = *context;
    for _ in 0..count {
        let (used, counted, end) = (Arc::clone(&used), Arc::clone(&counted), Arc::clone(&end));
        context.spawn_anywhere(async move {
            if let Some(vcpu) = used.get(own.vcpu() as usize) {
                vcpu.fetch_add(1, Ordering::Relaxed);
            }
            counted.send(()).await;
            end.receive().await;
        })?;
    }
    for _ in 0..count {
        with_timeout(LIMIT, counted.receive()).await.map_err(|_| "a task did not start in time")?;
    }
    for _ in 0..count {
        end.send(()).await;
    }
    let least = vcpus.iter().map(|vcpu| used[*vcpu as usize].load(Ordering::Relaxed)).min().unwrap_or(0);
    println!("the vCPU with the fewest of {count} tasks had {least}");
    Ok(least >= 1)
}

async fn nobody_is_early(context: &Context, vcpus: &[u32]) -> prism::Result<bool> {
    let early = on_each(context, vcpus, |_| async {
        let mut early = 0;
        for round in 1..=20 {
            let due = Instant::now() + Duration::from_millis(round % 5);
            Timer::at(due).await;
            early += u64::from(Instant::now() < due);
        }
        early
    })
    .await?;
    println!("{} timers on {} vCPUs, {early} early", 20 * vcpus.len(), vcpus.len());
    Ok(early == 0)
}

/// Each vCPU takes the events of a channel of its own, which the first one raises.
async fn events_reach_every_vcpu(context: &Context, vcpus: &[u32]) -> prism::Result<bool> {
    const EVENTS: u64 = 100;
    let mut channels = Vec::new();
    for vcpu in vcpus {
        channels.push(Arc::new((EventChannel::to_self(*vcpu)?, Signal::<prism::sync::Lock, ()>::new())));
    }
    let raisers = channels.clone();
    let raise = async {
        for channel in raisers {
            for _ in 0..EVENTS {
                channel.0.notify().map_err(|errno| alloc::format!("{errno}"))?;
                channel.1.wait().await;
            }
        }
        Ok::<(), prism::Error>(())
    };
    let take = on_each(context, vcpus, move |index| {
        let channel = Arc::clone(&channels[index]);
        async move {
            for _ in 0..EVENTS {
                channel.0.wait().await;
                channel.1.signal(());
            }
            EVENTS
        }
    });
    let (raised, taken) = join(with_timeout(LIMIT, raise), take).await;
    raised.map_err(|_| "an event did not arrive")??;
    let taken = taken?;
    println!("{taken} events taken by {} vCPUs", vcpus.len());
    Ok(taken == EVENTS * vcpus.len() as u64)
}

/// Each vCPU sends numbers to the next one, which knows what it has to get.
async fn no_message_is_lost(context: &Context, vcpus: &[u32], messages: u64) -> prism::Result<bool> {
    let each = messages / vcpus.len() as u64;
    let pipes: Arc<Vec<Pipe>> = Arc::new(vcpus.iter().map(|_| Pipe::new()).collect());
    let right = on_each(context, vcpus, move |index| {
        let pipes = Arc::clone(&pipes);
        async move {
            let send = async {
                for number in 0..each {
                    pipes[(index + 1) % pipes.len()].send(number).await;
                }
            };
            let receive = async {
                let mut right = 0;
                for number in 0..each {
                    right += u64::from(pipes[index].receive().await == number);
                }
                right
            };
            join(send, receive).await.1
        }
    })
    .await?;
    println!("{messages} messages sent, {right} received in their order");
    Ok(right == each * vcpus.len() as u64)
}

/// Uses all vCPUs each time that there are others, until the domain is to end.
async fn hotplug(context: &Context) -> prism::Result<Verdict> {
    if let Some(vcpu) = context.command_line().get("bind") {
        let own = *context;
        context.spawn_on(vcpu.parse()?, async move {
            own.vcpu_leaving().await;
            println!("about to leave vCPU {}", own.vcpu());
            Timer::after(Duration::from_secs(4)).await;
        })?;
    }
    let mut seen = Vec::new();
    let use_all = async {
        loop {
            let vcpus: Vec<u32> = context.vcpus().collect();
            if vcpus != seen {
                seen = vcpus;
                // One that is to go may take no task any more: then it is not there the next time.
                let work =
                    join(everybody_is_where_it_was_started(context, &seen), nobody_is_early(context, &seen));
                match work.await {
                    (Ok(true), Ok(true)) => println!("{} vCPUs work: {seen:?}", seen.len()),
                    (Ok(_), Ok(_)) => return Verdict::Failure,
                    (Err(error), _) | (_, Err(error)) => println!("changed meanwhile: {error}"),
                }
            }
            Timer::after(Duration::from_millis(50)).await;
        }
    };
    match select(use_all, context.shutdown_requested()).await {
        Either::First(verdict) => Ok(verdict),
        Either::Second(()) => Ok(Verdict::Success),
    }
}

async fn crash(context: &Context, vcpu: u32) -> prism::Result<Verdict> {
    context.spawn_on(vcpu, async {
        println!("{}", overflow(1));
    })?;
    Timer::after(LIMIT).await;
    Ok(Verdict::Failure)
}

/// Uses more stack than there is.
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let filler = core::hint::black_box([depth; 64]);
    filler[0] + if depth == 0 { 0 } else { overflow(depth + 1) } + core::hint::black_box(filler[63])
}
