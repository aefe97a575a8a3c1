// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints the date, to be compared outside. With `set=yes` it also watches both clocks while the host's is
//! set.
#![no_std]
#![no_main]

use core::time::Duration;

use prism::task::{Duration as Ticks, Instant, sleep, with_timeout};
use prism::{Context, Verdict, println};

prism::app!(main, params: ["set"]);

/// A date that changes by more than this between two looks was set.
const STEP: Duration = Duration::from_secs(600);

/// Longest time to wait for somebody to set the clock.
const LIMIT: Ticks = Ticks::from_secs(60);

async fn main(context: Context) -> Verdict {
    let Some(date) = context.wall_clock() else {
        println!("nobody tells the date");
        return Verdict::Skip;
    };
    println!("wall clock: {}.{:09}", date.as_secs(), date.subsec_nanos());
    if !context.command_line().has("set") {
        return Verdict::Success;
    }
    println!("set the clock now");
    let mut even = true;
    let set = with_timeout(LIMIT, date_is_set(&context, &mut even)).await;
    println!("the date was set: {}, time went on evenly: {even}", set.is_ok());
    if set.is_ok() && even { Verdict::Success } else { Verdict::Failure }
}

/// Waits until the date jumps, and watches the time meanwhile: it must be in `even` steps.
async fn date_is_set(context: &Context, even: &mut bool) {
    let mut date = context.wall_clock();
    let mut time = Instant::now();
    loop {
        let due = Instant::now() + Ticks::from_millis(10);
        sleep(Ticks::from_millis(10)).await;
        let (new_date, now) = (context.wall_clock(), Instant::now());
        *even &= now >= due && now > time && now < time + Ticks::from_secs(STEP.as_secs());
        let difference = |(old, new): (Duration, Duration)| new.abs_diff(old);
        if date.zip(new_date).map(difference).is_some_and(|jump| jump > STEP) {
            return;
        }
        (date, time) = (new_date, now);
    }
}
