// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays the other side of a guest, in dom0: `prism-peer COMMAND DOMID ...`. The guest's part is in
//! `tests/guest/peer`.

mod adversary;
mod channel;
mod device;
mod events;
mod frontend;
mod grants;
mod guest;
mod liar;
mod page;
mod ring;
mod store;
mod writers;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

use guest::Guest;

const USAGE: &str = "usage: prism-peer echo DOMID COUNT | storm DOMID | grants DOMID | lend DOMID | add DOMID COUNT | \
    flood DOMID COUNT | lie DOMID | play KIND DOMID SEED MOVES | moves KIND SEED [COUNT] | replay KIND DOMID FILE | \
    hoard KIND DOMID | front KIND DOMID SEED MOVES | enough DOMID | shorten FILE COMMAND...";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let guest = |domain: &str| Guest::new(domain);
    match *words {
        ["echo", domain, count] => events::echo(&mut guest(domain)?, count.parse()?),
        ["storm", domain] => events::storm(&mut guest(domain)?),
        ["grants", domain] => grants::share(&mut guest(domain)?),
        ["lend", domain] => grants::lend_pages_to_the_guest(&mut guest(domain)?),
        ["add", domain, count] => writers::add(&mut guest(domain)?, count.parse()?),
        ["flood", domain, count] => writers::flood(&mut guest(domain)?, count.parse()?),
        ["lie", domain] => liar::serve(&mut guest(domain)?),
        ["play", kind, domain, seed, moves] => {
            adversary::play(&mut guest(domain)?, kind.parse()?, seed.parse()?, moves.parse()?)
        }
        ["moves", kind, seed, ref count @ ..] => {
            let count = count.first().map_or(Ok(1), |count| count.parse())?;
            adversary::list(kind.parse()?, seed.parse()?, count);
            Ok(())
        }
        ["replay", kind, domain, file] => adversary::replay(&mut guest(domain)?, kind.parse()?, file),
        ["hoard", kind, domain] => adversary::hoard(&mut guest(domain)?, kind.parse()?),
        ["front", kind, domain, seed, moves] => {
            frontend::play(&mut guest(domain)?, kind.parse()?, seed.parse()?, moves.parse()?)
        }
        ["enough", domain] => guest(domain)?.tell("enough", "1"),
        ["shorten", file, ref command @ ..] => adversary::shorten(file, command),
        _ => bail!(USAGE),
    }
}
