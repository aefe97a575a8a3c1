// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connects other guests to its network: a driver domain for networks.
//!
//! With `mode=bridge`, or without it, it is a bridge between them and its own first interface, and has no
//! address itself. With `mode=route` it is a router and a firewall: guests have addresses of a network of
//! their own, and leave from its address.
//!
//! Its configuration has `driver_domain=1`; in the other guests' `vif` stands `backend=NAME`.
#![no_std]
#![no_main]

extern crate alloc;

mod metrics;
mod route;
mod rules;
mod settings;

use prism::futures::select::{Either, select};
use prism::{Context, println};

prism::app!(
    main,
    params: ["mode", "net", "net6", "nat", "accept", "drop", "reject", "redirect", "connections", "metrics"]
);

async fn main(context: Context) -> prism::Result {
    match context.command_line().get("mode") {
        None | Some("bridge") => bridge(context).await,
        Some("route") => route::route(context).await,
        Some(_) => Err("mode=: bridge or route expected".into()),
    }
}

async fn bridge(context: Context) -> prism::Result {
    println!("router: ready");
    match select(context.serve_network(0), context.shutdown_requested()).await {
        Either::First(error) => Err(error.into()),
        Either::Second(()) => Ok(()),
    }
}
