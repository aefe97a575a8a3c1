// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where on the paravirtualization spectrum does this image stand? The grid, and what it rests on.
#![no_std]
#![no_main]

use prism::println;

prism::app!(main);

async fn main(context: prism::Context) {
    let found = context.surroundings();
    println!("{}", found.grid);
    println!("Hypervisor:  {}", found.hypervisor());
    println!("Memory:      {} MiB", found.memory.div_ceil(1 << 20));
    println!("vCPUs:       {}", found.vcpus);
    if let Some(xen) = found.xen {
        println!("Found:       {:?}", xen.features);
        println!("Missing:     {:?}", xen.features.complement());
    }
}
