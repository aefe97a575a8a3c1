// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints a greeting, to whom `name=` on the command line names.
#![no_std]
#![no_main]

prism::app!(main, params: ["name"]);

async fn main(context: prism::Context) {
    let name = context.command_line().get("name").unwrap_or("world");
    prism::println!("Hello, {name}!");
}
