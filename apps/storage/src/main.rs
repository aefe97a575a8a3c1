// SPDX-License-Identifier: MIT OR Apache-2.0
//! Serves its disks to other guests: a driver domain for disks.
//!
//! Its configuration has `driver_domain=1`; the other guests' say `backend=NAME` and `target=xvda`, the
//! disk's name here.
#![no_std]
#![no_main]

use prism::futures::select::{Either, select};
use prism::{Context, println};

prism::app!(main);

async fn main(context: Context) -> prism::Result {
    for disk in context.disks().await {
        println!("{}: {}", disk.name(), disk.geometry());
    }
    println!("storage: ready");
    match select(context.serve_disks(), context.shutdown_requested()).await {
        Either::First(error) => Err(error.into()),
        Either::Second(()) => Ok(()),
    }
}
