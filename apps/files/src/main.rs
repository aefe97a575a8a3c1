// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads file systems, and writes FAT. The words of the command line are done in order:
//!
//! - `disk=xvda`, `partition=N` (counted from 1): where; without the latter, the whole disk
//! - `partitions`: the partition table, MBR or GPT
//! - `ls=/DIRECTORY`, `cat=/FILE`, `sha256=/FILE`
//! - `put=/FILE,TEXT`: makes a file with this text (FAT)
//! - `fill=/FILE,BYTES`: makes a file with so many bytes (FAT)
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use prism::disks::ByteRange;
use prism::{Context, Verdict, blocking, disks, println};
use prism_fs::{mount, partition, partitions};
use sha2::{Digest, Sha256};

prism::app!(main, params: ["disk", "partition", "partitions", "ls", "cat", "sha256", "put", "fill"]);

async fn main(context: Context) -> prism::Result<Verdict> {
    let name = context.command_line().get("disk").unwrap_or("xvda");
    let (disk, partition) =
        context.disk_or_partition(name).await.ok_or_else(|| format!("there is no disk {name}"))?;
    let done = blocking::run(move || {
        let sector_size = disk.geometry().sector_size as usize;
        work(&context, Arc::new(disks::bytes(disk)), partition, sector_size)
    });
    done.await?
}

fn work(
    context: &Context,
    disk: Arc<ByteRange>,
    named: Option<u32>,
    sector_size: usize,
) -> prism::Result<Verdict> {
    let line = context.command_line();
    let number = line.get("partition").map(str::parse).transpose()?.or(named);
    let place = match number {
        Some(number) => partition(&disk, sector_size, number as usize)?,
        None => Arc::clone(&disk),
    };
    for word in line.words() {
        let value = word.value.unwrap_or_default();
        match word.name {
            "partitions" => list_partitions(&disk, sector_size)?,
            "ls" => mount(&place)?.list(value)?.iter().for_each(|entry| println!("{entry}")),
            "cat" => println!("{}", String::from_utf8_lossy(&mount(&place)?.read(value)?)),
            "sha256" => {
                let hash = Sha256::digest(mount(&place)?.read(value)?);
                let hex: Vec<_> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                println!("sha256 {value} {}", hex.concat());
            }
            "put" => {
                let (path, text) = value.split_once(',').ok_or("put wants a path and a text")?;
                mount(&place)?.write(path, text.as_bytes())?;
                blocking::wait(place.flush())?;
            }
            "fill" => {
                let (path, length) = value.split_once(',').ok_or("fill wants a path and a length")?;
                let bytes: Vec<u8> = (0..length.parse()?).map(|index: usize| (index % 251) as u8).collect();
                mount(&place)?.write(path, &bytes)?;
                blocking::wait(place.flush())?;
            }
            _ => {}
        }
    }
    Ok(Verdict::Success)
}

fn list_partitions(disk: &Arc<ByteRange>, sector_size: usize) -> prism::Result {
    for partition in partitions(disk, sector_size)? {
        println!("partition {}: {} bytes at {}", partition.number, partition.length, partition.start);
    }
    Ok(())
}
