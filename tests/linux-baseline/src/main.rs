// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads and writes disks under Linux, for comparison with the application `disk`:
//! `prism-linux-baseline WORD...`.

mod transfers;

use std::process::ExitCode;
use std::time::Instant;
use std::{env, io::Write};

use anyhow::{Context, Result, bail};

use transfers::{Direction, Order, Transfers};

fn main() -> ExitCode {
    let result = env::args().skip(1).try_for_each(|word| run(&word));
    match result {
        Ok(()) => say("Test result: SUCCESS"),
        Err(error) => say(&format!("{error:#}\nTest result: ERROR")),
    }
    ExitCode::SUCCESS
}

/// Does what a word says; those of others are passed by.
fn run(word: &str) -> Result<()> {
    match word.split_once('=') {
        Some(("mark", text)) => {
            say(&format!("mark {text}"));
            // Who traces says when that has begun, or ended.
            std::io::stdin().read_line(&mut String::new())?;
        }
        Some((kind @ ("bench" | "write"), value)) => {
            let direction = if kind == "write" { Direction::Write } else { Direction::Read };
            let arguments: Vec<&str> = value.split(',').collect();
            let [disk, order, depth, size, count] = arguments[..] else { bail!("{word} makes no sense") };
            bench(direction, disk, [order, depth, size, count]).with_context(|| word.to_owned())?;
        }
        _ => {}
    }
    Ok(())
}

fn bench(direction: Direction, disk: &str, [order, depth, size, count]: [&str; 4]) -> Result<()> {
    let order = match order {
        "random" => Order::Random,
        "sequential" => Order::Sequential,
        _ => bail!("{order} is no order"),
    };
    let (depth, size, count) = (depth.parse()?, size.parse()?, count.parse()?);
    let mut transfers =
        Transfers { direction, order, depth, size, count }.prepare(&format!("/dev/{disk}"))?;
    let start = Instant::now();
    transfers.run()?;
    say(&format!("bench: {count} requests, {} ns", start.elapsed().as_nanos()));
    Ok(())
}

/// Prints a line at once.
fn say(text: &str) {
    println!("{text}");
    let _ = std::io::stdout().flush();
}
