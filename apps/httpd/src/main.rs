// SPDX-License-Identifier: MIT OR Apache-2.0
//! A web server on port 80, of files in the image (root=builtin) or in a tar archive (root=ramdisk).
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;

use prism::embassy_time::Timer;
use prism::memory;
use prism::network::{self, Buffers, serve};
use prism_servers::clock::KernelClock;
use prism_servers::http::{Files, PORT, Server};

prism::app!(main, words: ["root", "log", "connections"]);

/// Files that are part of the image.
const BUILTIN: &[(&str, &[u8])] = &[("index.html", include_bytes!("../site/index.html"))];
/// Bytes that each connection keeps.
const BUFFERS: Buffers = Buffers { receive: 4 << 10, send: 16 << 10 };
/// Connections at once, unless the command line says otherwise, or there is little memory.
const CONNECTIONS: u64 = 64;
/// Memory for each connection.
const ROOM: u64 = 64 << 10;
/// Time for connections to end when the server is to.
const FAREWELL: u64 = 5;

async fn main(context: prism::Context) -> prism::Result {
    let words = context.command_line();
    let files = match words.get("root").unwrap_or("builtin") {
        "builtin" => Files::new(BUILTIN),
        "ramdisk" => Files::of_tar(context.ramdisk().ok_or("root=ramdisk: the loader gave no ramdisk")?)?,
        other => return Err(alloc::format!("root={other} is not understood; give builtin or ramdisk").into()),
    };
    let stack = context.network(0).await?;
    let mut server = Server::new(files, KernelClock);
    server.more_metrics = more_metrics;
    if words.flag("log").unwrap_or(false) {
        server.log = |path, status, bytes| prism::println!("{path:?} {} {bytes}", status.code());
    }
    let server: &Server<_, _> = Box::leak(Box::new(server));
    let most = words.number("connections")?.unwrap_or(CONNECTIONS).min(memory::usage().free / ROOM);
    for _ in 0..most {
        context.spawn(serve(stack, PORT, BUFFERS, async |socket| server.serve(socket).await))?;
    }
    prism::println!("httpd: ready on port {PORT} for {most} connections");
    context.asked_to_end().await;
    server.stop();
    for _ in 0..FAREWELL * 20 {
        if server.metrics.open() == 0 {
            break;
        }
        Timer::after_millis(50).await;
    }
    Ok(())
}

/// What the machine has done, for `/metrics`.
fn more_metrics(text: &mut String) {
    let memory = memory::usage();
    let network = network::counters(0).unwrap_or_default();
    for (name, value) in [
        ("prism_memory_free_bytes", memory.free),
        ("prism_memory_bytes", memory.total),
        ("prism_network_received_packets", network.received),
        ("prism_network_sent_packets", network.sent),
        ("prism_network_damaged_packets", network.damaged),
        ("prism_network_lost_packets", network.lost + network.failed),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
    }
}
