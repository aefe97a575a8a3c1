// SPDX-License-Identifier: MIT OR Apache-2.0
//! Console output and input: greets each name that is typed, until a line is "bye". `flood=` is a number of
//! lines to write first, for slow or absent readers. With `unread` all vCPUs but the first write without end,
//! and the verdict comes when `data/unread` in xenstore tells that no one reads.
#![no_std]
#![no_main]

use prism::embassy_time::{Duration, Timer};
use prism::{Context, Verdict, console, println};

prism::app!(main, params: ["flood", "unread"]);

async fn main(context: Context) -> prism::Result<Verdict> {
    if context.command_line().has("unread") {
        return end_unread(&context).await;
    }
    let lines = context.command_line().number("flood").map_err(|_| "flood= is no number")?.unwrap_or(0);
    for line in 0..lines {
        println!("line {line:06} of {lines}: 0123456789 abcdefghijklmnopqrstuvwxyz");
        // As much as is kept at least, so that nothing of it is lost.
        if line % 100 == 0 {
            console::flush().await;
        }
    }
    if lines != 0 {
        println!("{} bytes were dropped", console::lost());
        return Ok(Verdict::Success);
    }
    loop {
        println!("Who is there?");
        match context.read_line(80).await.as_str() {
            "bye" => return Ok(Verdict::Success),
            name => println!("Hello, {name}!"),
        }
    }
}

/// Ends while the other vCPUs write more than anybody reads.
async fn end_unread(context: &Context) -> prism::Result<Verdict> {
    let store = context.store().ok_or("there is no xenstore here")?;
    let mut told = store.watch("data/unread").await?;
    println!("about to be unread");
    while store.read_str("data/unread").await.is_err() {
        told.next().await?;
    }
    let before = console::lost();
    for vcpu in context.vcpus().filter(|vcpu| *vcpu != context.vcpu()) {
        context.spawn_on(vcpu, async {
            loop {
                println!("more than anybody reads: 0123456789 abcdefghijklmnopqrstuvwxyz");
                prism::futures::yield_now().await;
            }
        })?;
    }
    while console::lost() == before {
        Timer::after(Duration::from_millis(1)).await;
    }
    Ok(Verdict::Success)
}
