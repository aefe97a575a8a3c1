// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console, both ways: greets everybody who is typed in, until a line says "bye". `flood=` is a
//! number of lines to write first, for readers that are slow or absent.
#![no_std]
#![no_main]

use prism::{Verdict, console, println};

prism::app!(main, words: ["flood"]);

async fn main(context: prism::Context) -> prism::Result<Verdict> {
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
