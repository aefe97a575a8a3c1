// SPDX-License-Identifier: MIT OR Apache-2.0
//! The xenstore client against the fake xenstored.

mod balloon;
mod concurrency;
mod control;
mod directories;
mod disconnects;
mod errors;
mod misbehaviour;
mod model;
mod nodes;
mod pump;
mod threads;
mod transactions;
mod watches;

use std::future::Future;
use std::task::{Context, Waker};

use xen::xenstore::fake::{Settings, Xenstored, page_at};
use xen::xenstore::{Client, Error};

/// An xenstored and its client, on a page whose indices are about to wrap.
fn connected() -> (Xenstored, Client) {
    connected_with(Settings::default())
}

fn connected_with(settings: Settings) -> (Xenstored, Client) {
    let xenstored = Xenstored::with(page_at(u32::MAX - 100), settings);
    let client = Client::new(xenstored.page());
    (xenstored, client)
}

/// A clock for which no time passes.
fn no_time(_: std::time::Duration) -> impl Future<Output = ()> + Send {
    std::future::ready(())
}

/// Polls once, with nobody to wake; whether the future is ready.
fn is_ready(future: &mut (impl Future + Unpin)) -> bool {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Makes the rest of an `async` block return this crate's errors.
fn done() -> Result<(), Error> {
    Ok(())
}
