// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends as `power=` tells: off, reboot, asked-to-reboot (through xenstore), wait (for a request),
//! asked-in-vain (by unknown requests), or hang (never).
#![no_std]
#![no_main]

use prism::{Verdict, power, println};

prism::app!(main, params: ["power"]);

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
        "wait" => {
            context.shutdown_requested().await;
            Ok(Verdict::Success)
        }
        "asked-in-vain" => asked_in_vain(&context).await,
        "hang" => loop {
            core::hint::spin_loop();
        },
        _ => Err("power= is none of off, reboot, asked-to-reboot, wait, asked-in-vain, hang".into()),
    }
}

/// A request that is not understood must stay where it is: emptied, it would count as agreed to.
async fn asked_in_vain(context: &prism::Context) -> prism::Result<Verdict> {
    /// More answers of xenstored than the kernel needs to read and to acknowledge a request.
    const LOOKS: usize = 20;
    let store = context.store().ok_or("there is no xenstore here")?;
    for request in ["frobnicate", "s3"] {
        store.write("control/shutdown", request).await?;
        for _ in 0..LOOKS {
            if store.read_str("control/shutdown").await? != request {
                println!("{request} was taken");
                return Ok(Verdict::Failure);
            }
        }
    }
    Ok(Verdict::Success)
}
