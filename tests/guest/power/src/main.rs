// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends in the way that `power=` says: off, reboot, or hang (never).
#![no_std]
#![no_main]

use prism::{Verdict, power, println};

prism::app!(main, words: ["power"]);

async fn main(context: prism::Context) -> prism::Result<Verdict> {
    let how = context.command_line().get("power").ok_or("power= is missing")?;
    println!("about to: {how}");
    match how {
        "off" => power::off(),
        "reboot" => power::reboot(),
        "hang" => loop {
            core::hint::spin_loop();
        },
        _ => Err("power= is none of off, reboot, hang".into()),
    }
}
