// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints the position on the paravirtualization spectrum: the grid, and what it is based on.
#![no_std]
#![no_main]

extern crate alloc;

use core::fmt;

use prism::println;
use prism::xen::version::Features;

prism::app!(main);

async fn main(context: prism::Context) {
    let found = context.environment();
    println!("{}", found.grid);
    println!("Hypervisor:  {}", found.hypervisor());
    println!("Memory:      {} MiB", found.memory.div_ceil(1 << 20));
    println!("vCPUs:       {}", found.vcpus);
    if let Some(xen) = found.xen {
        println!("Found:       {}", Names(xen.features));
        println!("Missing:     {}", Names(xen.features.complement()));
    }
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
