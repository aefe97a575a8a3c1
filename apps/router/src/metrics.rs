// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters for Prometheus, at `/metrics` of a port on the network's side.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;

use prism::network::embassy_net::Stack;
use prism::network::{Buffers, Listener};
use prism::{Context, memory};
use prism_servers::clock::KernelClock;
use prism_servers::http::{Files, Server};

use crate::route::ROUTER;

/// Connections at once.
const CONNECTIONS: usize = 2;
const BUFFERS: Buffers = Buffers { receive: 2 << 10, send: 8 << 10 };
/// All that there is beside the counters.
const PAGES: &[(&str, &[u8])] = &[("index.html", b"<a href=\"metrics\">metrics</a>\n")];

/// Serves the counters on `port`.
pub(crate) fn serve(context: &Context, stack: Stack<'static>, port: u16) -> prism::Result {
    let mut server = Server::new(Files::new(PAGES), KernelClock);
    server.more_metrics = more_metrics;
    let server: &Server<_, _> = Box::leak(Box::new(server));
    let listener = Box::leak(Box::new(Listener::new(stack, port, BUFFERS, CONNECTIONS)));
    for _ in 0..listener.tasks() {
        context.spawn(listener.serve(async |socket, slot| server.serve(socket, slot).await))?;
    }
    Ok(())
}

fn more_metrics(text: &mut String) {
    let memory = memory::usage();
    for (name, value) in [("free_bytes", memory.free), ("bytes", memory.total)] {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# TYPE prism_memory_{name} gauge\nprism_memory_{name} {value}");
    }
    if let Some(router) = ROUTER.get() {
        let _ = router.write_metrics(text);
    }
}
