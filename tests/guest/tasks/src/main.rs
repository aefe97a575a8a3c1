// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks as applications use them: the examples of the documentation, and what they promise.
#![no_std]
#![no_main]

extern crate alloc;

mod examples;

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{pending, ready};

use examples::{embassy, spawning, waiting};
use prism::task::{Duration, Instant, Timer, join3, long_polls, sleep, spins, yield_now};
use prism::{Context, SpawnError, Verdict, memory, println};

prism::app!(main);

/// Memory that is left for tasks, in bytes.
const LITTLE: u64 = 1 << 20;

async fn main(context: Context) -> prism::Result<Verdict> {
    let good = [
        told("join runs both in turn", joined().await),
        told("select ends the slower one", selected().await),
        told("a timeout ends what takes too long, and nothing else", timed().await),
        told("a retry pauses until it works", waiting::retry(5, fails(3)).await),
        told("a retry gives up", !waiting::retry(2, fails(3)).await),
        told("who yields lets others run", yielded().await),
        told("100 tasks beside main all end", spawning::many(&context, 100).await? == 100),
        told("a task of embassy's macro runs, once at a time", embassys_macro(&context).await?),
        told("1000 tasks run at once, and leave their places to others", many_at_once(&context).await?),
        told("a task that there is no memory for is refused", too_many_are_refused(&context).await),
        told("a poll that takes long is counted", long_poll_is_counted().await),
        told("a task that asks for the past keeps nobody waiting", past_is_passed(&context).await?),
        told("a task that is woken for nothing is noticed", spinning_is_noticed().await),
    ];
    Ok(if good.into_iter().all(|good| good) { Verdict::Success } else { Verdict::Failure })
}

fn told(sentence: &str, good: bool) -> bool {
    println!("  {:8} {sentence}", if good { "ok" } else { "FAILED" });
    good
}

async fn joined() -> bool {
    let order = RefCell::new(String::new());
    let (first, second) = waiting::both(letters(&order, 'a'), letters(&order, 'b')).await;
    (first, second) == ('a', 'b') && *order.borrow() == "ababab"
}

async fn letters(order: &RefCell<String>, letter: char) -> char {
    for _ in 0..3 {
        order.borrow_mut().push(letter);
        yield_now().await;
    }
    letter
}

async fn selected() -> bool {
    let dropped = Cell::new(false);
    let fast = async {
        sleep(Duration::from_millis(1)).await;
        "fast"
    };
    let winner = waiting::whichever(forever(&dropped, "slow"), fast).await;
    winner == "fast" && dropped.get()
}

/// Waits for ever, and notes when it is dropped.
async fn forever<T>(dropped: &Cell<bool>, never: T) -> T {
    struct Noting<'a>(&'a Cell<bool>);
    impl Drop for Noting<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let _noting = Noting(dropped);
    pending::<()>().await;
    never
}

async fn timed() -> bool {
    let dropped = Cell::new(false);
    let start = Instant::now();
    let late = waiting::within(5, forever(&dropped, ())).await;
    let early = Instant::now() < start + Duration::from_millis(5);
    late.is_none() && !early && dropped.get() && waiting::within(20_000, ready(7)).await == Some(7)
}

/// Works the time after so many failures.
fn fails(mut times: u32) -> impl FnMut() -> bool {
    move || {
        let works = times == 0;
        times = times.saturating_sub(1);
        works
    }
}

async fn yielded() -> bool {
    let others = Cell::new(0u32);
    let counting = async |stop: &Cell<bool>| {
        while !stop.get() {
            others.set(others.get() + 1);
            yield_now().await;
        }
    };
    let stop = Cell::new(false);
    let sum = async {
        let sum = waiting::sum_of_squares(10_000).await;
        stop.set(true);
        sum
    };
    let (sum, (), ()) = join3(sum, counting(&stop), counting(&stop)).await;
    // Ten times each, and one more look that finds nothing to do.
    sum == 333_383_335_000 && (20..=22).contains(&others.get())
}

/// The second one is refused while the first one runs, and finds its place free afterwards.
async fn embassys_macro(context: &Context) -> prism::Result<bool> {
    embassy::start(context.spawner(), 10)?;
    let refused = embassy::start(context.spawner(), 10).is_err();
    until(|| embassy::ticks() == 10).await;
    sleep(Duration::from_millis(1)).await;
    embassy::start(context.spawner(), 5)?;
    until(|| embassy::ticks() == 15).await;
    Ok(refused)
}

/// What the first thousand took is enough for the second one.
async fn many_at_once(context: &Context) -> prism::Result<bool> {
    let mut free = [0; 3];
    for free in &mut free {
        let running = Rc::new(Cell::new(0));
        for _ in 0..1000 {
            let running = Rc::clone(&running);
            running.set(running.get() + 1);
            context.spawn(async move {
                sleep(Duration::from_millis(5)).await;
                running.set(running.get() - 1);
            })?;
        }
        until(|| running.get() == 0).await;
        *free = memory::usage().free;
    }
    Ok(free[1] == free[2])
}

/// Takes the memory away, but for a little, and starts tasks until that is used up; then they all end.
async fn too_many_are_refused(context: &Context) -> bool {
    let mut taken = Vec::new();
    while memory::usage().free > LITTLE && taken.try_reserve(1).is_ok() {
        let mut piece = Vec::<u8>::new();
        if piece.try_reserve_exact(LITTLE as usize / 4).is_err() {
            break;
        }
        taken.push(piece);
    }
    let (stop, running) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let refusal = (0..100_000).find_map(|_| {
        let (stop, running) = (Rc::clone(&stop), Rc::clone(&running));
        let task = async move {
            running.set(running.get() + 1);
            until(|| stop.get()).await;
            running.set(running.get() - 1);
        };
        context.spawn(task).err()
    });
    stop.set(true);
    drop(taken);
    yield_now().await;
    until(|| running.get() == 0).await;
    refusal == Some(SpawnError::NoMemory) && context.spawn(ready(())).is_ok()
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1)).await;
    }
}

/// A timer fires and an application goes on although another task asks for a time that has passed for ever.
async fn past_is_passed(context: &Context) -> prism::Result<bool> {
    let stop = Rc::new(Cell::new(false));
    let stopped = Rc::clone(&stop);
    context.spawn(async move {
        while !stopped.get() {
            Timer::at(Instant::from_ticks(1)).await;
        }
    })?;
    for _ in 0..10 {
        sleep(Duration::from_millis(1)).await;
    }
    stop.set(true);
    Ok(true)
}

/// Gives way for nothing until that is noticed.
async fn spinning_is_noticed() -> bool {
    let before = spins();
    while spins() == before {
        yield_now().await;
    }
    true
}

async fn long_poll_is_counted() -> bool {
    let before = long_polls();
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {}
    yield_now().await;
    long_polls() > before
}
