// SPDX-License-Identifier: MIT OR Apache-2.0
//! A web server on port 80, of files on a disk (FAT, or ext2 to ext4), in a tar archive, or in the image.
//!
//! `root=disk`: the first disk that has a file system, whatever its name; `root=xvda`: this one; with a
//! number behind it, this partition; `root=ramdisk`: the archive that the loader gave; `root=builtin`: a page
//! in the image. Without `root=`, a disk if there is one that has a file system, or else the page.
#![no_std]
#![no_main]

extern crate alloc;

mod disk;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use prism::embassy_time::Timer;
use prism::memory;
use prism::network::{self, Buffers, Listener};
use prism::time;
use prism_fs::WINDOW;
use prism_servers::clock::KernelClock;
use prism_servers::http::{Files, PORT, Server, Site};

use disk::DiskSite;

prism::app!(main, params: ["root", "log", "connections"]);

/// Files that are part of the image.
const BUILTIN: &[(&str, &[u8])] = &[("index.html", include_bytes!("../site/index.html"))];
/// Bytes that each connection keeps, where there is little memory.
const FEW: Buffers = Buffers { receive: 4 << 10, send: 16 << 10 };
/// Bytes that each connection keeps elsewhere: segments of a whole packet's length leave as one.
const MANY: Buffers = Buffers { receive: 4 << 10, send: 128 << 10 };
/// How much memory is not little.
const MUCH: u64 = 32 << 20;
/// Connections at once, unless the command line says otherwise, or there is little memory.
const CONNECTIONS: u64 = 64;
/// Memory for each connection, beside what it sends.
const ROOM: u64 = 48 << 10;
/// Time for connections to end when the server is to.
const FAREWELL: u64 = 5;

async fn main(context: prism::Context) -> prism::Result {
    let words = context.command_line();
    match words.get("root") {
        Some("builtin") => offer(context, Files::new(BUILTIN), 0).await,
        Some("ramdisk") => {
            let archive = context.ramdisk().ok_or("root=ramdisk: the loader gave no ramdisk")?;
            offer(context, Files::of_tar(archive).await?, 0).await
        }
        Some(root) => {
            let explain = |error| format!("root={root}: {error}; builtin and ramdisk are other roots");
            let volume = prism_fs::volume(&context, root).await.map_err(explain)?;
            offer(context, DiskSite(volume), WINDOW as u64).await
        }
        None => match prism_fs::first_volume(&context, None).await? {
            Some(volume) => offer(context, DiskSite(volume), WINDOW as u64).await,
            None => offer(context, Files::new(BUILTIN), 0).await,
        },
    }
}

/// Serves `site`, which has `extra` bytes for each connection, until the domain is to end.
async fn offer(context: prism::Context, site: impl Site + 'static, extra: u64) -> prism::Result {
    let words = context.command_line();
    let stack = context.network(0).await?;
    let mut server = Server::new(site, KernelClock);
    server.more_metrics = more_metrics;
    server.wall_clock = time::wall_clock;
    if words.flag("log").unwrap_or(false) {
        server.log = |path, status, bytes| prism::println!("{path:?} {} {bytes}", status.code());
    }
    let server: &Server<_, _> = Box::leak(Box::new(server));
    let free = memory::usage().free;
    let buffers = if free < MUCH { FEW } else { MANY };
    let wanted = words.number("connections")?.unwrap_or(CONNECTIONS);
    let most = wanted.min(affordable(free, buffers, extra)) as usize;
    let listener = Box::leak(Box::new(Listener::new(stack, PORT, buffers, most)));
    let most = listener.most();
    for _ in 0..listener.tasks() {
        context.spawn(listener.serve(async |socket, slot| server.serve(socket, slot).await))?;
    }
    context.spawn(async move {
        loop {
            context.resumed().await;
            server.note_resume();
        }
    })?;
    listener.listening().await;
    prism::println!("httpd: ready on port {PORT} for {most} connections");
    context.shutdown_requested().await;
    server.stop();
    for _ in 0..FAREWELL * 20 {
        if listener.open() == 0 {
            break;
        }
        Timer::after_millis(50).await;
    }
    Ok(())
}

/// Connections that `free` bytes are enough for at once, those that wait beside them included.
fn affordable(free: u64, buffers: Buffers, extra: u64) -> u64 {
    let each = (buffers.receive + buffers.send) as u64;
    let waiting = each * Listener::queued(CONNECTIONS as usize) as u64;
    free.saturating_sub(waiting) / (ROOM + each + extra)
}

/// What the machine has done, for `/metrics`.
fn more_metrics(text: &mut String) {
    let memory = memory::usage();
    let network = network::counters(0).unwrap_or_default();
    for (name, value) in [
        ("prism_memory_free_bytes", memory.free),
        ("prism_memory_bytes", memory.total),
        ("prism_network_received_packets", network.received),
        ("prism_network_sent_packets", network.sent - network.merged),
        ("prism_network_sent_segments", network.sent),
        ("prism_network_damaged_packets", network.damaged),
        ("prism_network_lost_packets", network.lost + network.failed),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
    }
}
