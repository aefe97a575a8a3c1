// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program of embassy's, with its own main: counts until the domain is asked to end.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_time::Timer;

prism::embassy_app!(main);

#[embassy_executor::task]
async fn count() {
    for number in 1_u32.. {
        prism::println!("tick {number}");
        Timer::after_millis(100).await;
    }
}

#[embassy_executor::main(executor = "prism::embassy::Executor")]
async fn main(spawner: Spawner) {
    prism::println!("{} vCPU", prism::embassy::context().vcpus().count());
    spawner.spawn(count().unwrap());
}
