// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connects other guests to its network: a driver domain for networks. It is a bridge between them and its
//! own first interface, and has no address itself.
//!
//! Its configuration has `driver_domain=1`; in the other guests' `vif` stands `backend=NAME`.
#![no_std]
#![no_main]

use prism::futures::select::{Either, select};
use prism::{Context, println};

prism::app!(main);

async fn main(context: Context) -> prism::Result {
    println!("router: ready");
    match select(context.serve_network(0), context.shutdown_requested()).await {
        Either::First(error) => Err(error.into()),
        Either::Second(()) => Ok(()),
    }
}
