// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints the position on the paravirtualization spectrum: the grid, and what it is based on. With
//! `primitives`, measures what the things cost that any guest does all the time.
#![no_std]
#![no_main]

extern crate alloc;

mod mark;
mod primitives;
mod table;

use core::fmt;

use prism::println;
use prism::xen::version::Features;

prism::app!(main, params: ["primitives", "times", "rounds", "marks", "partner", "wakes"]);

async fn main(context: prism::Context) -> prism::Result {
    if context.command_line().flag("primitives")? {
        return primitives::measure(&context).await;
    }
    let found = context.environment();
    println!("{}", found.grid);
    println!("Hypervisor:  {}", found.hypervisor());
    println!("Memory:      {} MiB", found.memory.div_ceil(1 << 20));
    println!("vCPUs:       {}", found.vcpus);
    if let Some(xen) = found.xen {
        println!("Found:       {}", Names(xen.features));
        println!("Missing:     {}", Names(xen.features.complement()));
    }
    Ok(())
}

/// Features by the names that Xen's headers give them.
struct Names(Features);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, _)) in self.0.iter_names().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}{}", name.to_ascii_lowercase())?;
        }
        if self.0.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}
