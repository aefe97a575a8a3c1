// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends in the way that `power=` says: off, reboot, asked-to-reboot (through xenstore), or hang
//! (never).
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
        // The toolstack's way, with us in its place.
        "asked-to-reboot" => {
            let store = context.store().ok_or("there is no xenstore here")?;
            store.write("control/shutdown", "reboot").await?;
            core::future::pending().await
        }
        "hang" => loop {
            core::hint::spin_loop();
        },
        _ => Err("power= is none of off, reboot, asked-to-reboot, hang".into()),
    }
}
