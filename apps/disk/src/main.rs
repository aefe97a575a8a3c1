// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists, reads, writes, compares and checksums disks. The words of the command line are done in order:
//!
//! - `list`: all disks and what they are like
//! - `sha256=xvda`: prints `sha256 xvda HEX` of the whole disk
//! - `copy=xvda,xvdb`: the first onto the second, which must be as large
//! - `fill=xvda,SEED`: fills a disk with numbers that follow from the seed
//! - `verify=xvda,SEED`: whether that is what is on it
//! - `mix=xvda,SEED,MIB`: reads and writes of random sizes, many at once, each checked, until so much was
//!   moved or the domain is asked to end
//! - `flush=xvda`, `discard=xvda`
//! - `read=xvda,DEPTH,COUNT`: reads COUNT blocks of 4 KiB at random places, so many at once
//! - `bench=xvda,random,DEPTH,SIZE,COUNT`: reads COUNT blocks of SIZE bytes (or `sequential`), so many
//!   at once, and says how long that took
//! - `mark=TEXT`: says so, and waits for a line on the console, for ten seconds at most
//! - `spread=xvda,COUNT`: reads COUNT blocks of 4 KiB on each vCPU
//! - `grow=xvda`: reads until the disk is larger, and then its end
//! - `hammer=xvda`: reads again and again, until the disk is taken away
//! - `await=xvda`: waits until there is such a disk
#![no_std]
#![no_main]

extern crate alloc;

mod bench;
mod mix;
mod pattern;
mod pipeline;
mod watch;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use pipeline::{BLOCK, CHUNK, Chunks, Order, Reads};
use prism::disks::{Discard, Disk, Error, Request};
use prism::{Context, Verdict, println};
use sha2::{Digest, Sha256};

prism::app!(main, params: ["list", "sha256", "copy", "fill", "verify", "mix", "flush", "discard", "read", "bench", "mark", "spread", "grow", "hammer", "await"]);

async fn main(context: Context) -> prism::Result<Verdict> {
    let mut verdict = Verdict::Success;
    for word in context.command_line().words() {
        let value = word.value.unwrap_or_default();
        let arguments: Vec<&str> = value.split(',').collect();
        let good = match (word.name, arguments.as_slice()) {
            ("list", _) => list(&context).await,
            ("sha256", [disk]) => sha256(&*find(&context, disk).await?).await?,
            ("copy", [from, to]) => copy(&*find(&context, from).await?, &*find(&context, to).await?).await?,
            ("fill", [disk, seed]) => fill(&*find(&context, disk).await?, seed.parse()?).await?,
            ("verify", [disk, seed]) => verify(&*find(&context, disk).await?, seed.parse()?).await?,
            ("mix", [disk, seed, size]) => {
                mix::run(&context, &*find(&context, disk).await?, seed.parse()?, size.parse()?).await?
            }
            ("flush", [disk]) => {
                find(&context, disk).await?.flush().await?;
                true
            }
            ("discard", [disk]) => {
                let disk = find(&context, disk).await?;
                disk.discard(0..disk.geometry().bytes, Discard::Normal).await?;
                true
            }
            ("read", [disk, depth, count]) => {
                let (order, depth, count) = (Order::Random, depth.parse()?, count.parse()?);
                Reads { order, depth, size: BLOCK, count }.run(&*find(&context, disk).await?).await?;
                true
            }
            ("bench", [disk, order, depth, size, count]) => {
                let (order, depth) = (bench::order(order)?, depth.parse()?);
                let reads = Reads { order, depth, size: size.parse()?, count: count.parse()? };
                bench::run(&*find(&context, disk).await?, reads).await?
            }
            ("spread", [disk, count]) => {
                watch::spread(&context, find(&context, disk).await?, count.parse()?).await?
            }
            ("grow", [disk]) => watch::grow(&*find(&context, disk).await?).await?,
            ("mark", [text]) => bench::mark(&context, text).await,
            ("hammer", [disk]) => hammer(&*find(&context, disk).await?).await?,
            ("await", [disk]) => {
                drop(context.wait_for_disk(disk).await);
                true
            }
            (
                "sha256" | "copy" | "fill" | "verify" | "mix" | "flush" | "discard" | "read" | "bench"
                | "mark" | "spread" | "grow" | "hammer" | "await",
                _,
            ) => {
                return Err(format!("{}={value} has the wrong number of arguments", word.name).into());
            }
            _ => continue,
        };
        if !good {
            verdict = Verdict::Failure;
        }
    }
    Ok(verdict)
}

async fn find(context: &Context, name: &str) -> prism::Result<Arc<Disk>> {
    context.disk(name).await.ok_or_else(|| format!("there is no disk {name}").into())
}

async fn list(context: &Context) -> bool {
    let disks = context.disks().await;
    println!("{} disks", disks.len());
    for disk in disks {
        println!("{}: {}", disk.name(), disk.geometry());
    }
    true
}

async fn sha256(disk: &Disk) -> prism::Result<bool> {
    let mut hash = Sha256::new();
    let mut chunks = Chunks::of(disk);
    while let Some((_, buffer)) = chunks.next().await? {
        buffer.pieces().for_each(|piece| hash.update(piece));
    }
    let hex: Vec<_> = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("sha256 {} {}", disk.name(), hex.concat());
    Ok(true)
}

async fn copy(from: &Disk, to: &Disk) -> prism::Result<bool> {
    if to.geometry().bytes < from.geometry().bytes {
        return Err(format!("{} is smaller than {}", to.name(), from.name()).into());
    }
    let mut chunks = Chunks::of(from);
    let mut copied = 0;
    while let Some((offset, buffer)) = chunks.next().await? {
        copied += to.write(offset, buffer).await?.length();
    }
    to.flush().await?;
    println!("copied {copied} bytes from {} to {}", from.name(), to.name());
    Ok(true)
}

async fn fill(disk: &Disk, seed: u64) -> prism::Result<bool> {
    let mut writes = pipeline::Writes::new(disk);
    let bytes = disk.geometry().bytes;
    for offset in (0..bytes).step_by(CHUNK) {
        let mut buffer = writes.buffer((bytes - offset).min(CHUNK as u64) as usize).await?;
        pattern::fill(&mut buffer, seed, offset);
        writes.submit(Request::Write { offset, buffer });
    }
    writes.finish().await?;
    disk.flush().await?;
    println!("filled {bytes} bytes of {}", disk.name());
    Ok(true)
}

async fn verify(disk: &Disk, seed: u64) -> prism::Result<bool> {
    let mut chunks = Chunks::of(disk);
    while let Some((offset, buffer)) = chunks.next().await? {
        if let Some(wrong) = pattern::first_difference(&buffer, seed, offset) {
            println!("{}: byte {wrong} is not what was written", disk.name());
            return Ok(false);
        }
    }
    println!("verified {} bytes of {}", disk.geometry().bytes, disk.name());
    Ok(true)
}

/// Reads until that fails, which must be because the disk was taken away.
async fn hammer(disk: &Disk) -> prism::Result<bool> {
    println!("hammering {}", disk.name());
    let mut bytes = 0;
    let error = loop {
        let mut chunks = Chunks::of(disk);
        match chunks.next().await {
            Ok(Some((_, buffer))) => bytes += buffer.length(),
            Ok(None) => break Error::Gone,
            Err(failed) => break failed.error,
        }
    };
    println!("{}: {bytes} bytes read, then: {error}", disk.name());
    Ok(error == Error::Gone)
}
