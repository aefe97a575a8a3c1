// SPDX-License-Identifier: MIT OR Apache-2.0
//! A shell on the console, which knows all disks and interfaces. The guest ends with it.
#![no_std]
#![no_main]

use prism::Context;
use prism::log::warn;
use prism::network::{INTERFACES, NetworkError};
use prism::task::select;
use prism_shell::{NETWORK, SYSTEM};

prism::app!(main);

async fn main(context: Context) -> prism::Result {
    context.spawn(open_devices(context))?;
    prism::println!("shell: ready; help lists the commands");
    select(prism_shell::run(context, &[SYSTEM, NETWORK]), context.shutdown_requested()).await;
    Ok(())
}

/// Asks for all disks and interfaces.
async fn open_devices(context: Context) {
    context.disks().await;
    for index in 0..INTERFACES {
        match context.network(index).await {
            Ok(_) | Err(NetworkError::Absent) => {}
            Err(NetworkError::NoDevices) => return,
            Err(error) => warn!("network {index}: {error}"),
        }
    }
}
