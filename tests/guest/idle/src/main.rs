// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sleeps for `seconds=` seconds, so that wake-ups can be counted outside.
#![no_std]
#![no_main]

use prism::embassy_time::{Duration, Timer};
use prism::println;

prism::app!(main, params: ["seconds"]);

async fn main(context: prism::Context) -> prism::Result {
    let seconds =
        context.command_line().number("seconds").map_err(|_| "seconds= is no number")?.unwrap_or(10);
    println!("asleep");
    Timer::after(Duration::from_secs(seconds)).await;
    println!("awake");
    Ok(())
}
