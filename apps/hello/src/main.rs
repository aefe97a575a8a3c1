// SPDX-License-Identifier: MIT OR Apache-2.0
//! Says hello; `name=` on the command line says to whom.
#![no_std]
#![no_main]

prism::app!(main, params: ["name"]);

async fn main(context: prism::Context) {
    let name = context.command_line().get("name").unwrap_or("world");
    prism::println!("Hello, {name}!");
}
