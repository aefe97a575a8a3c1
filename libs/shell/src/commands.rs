// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands.

use alloc::boxed::Box;

use prism::app::ShutdownAction;
use prism::log::{self, LevelFilter};
use prism::{println, report};
use prism_terminal::clock;

use crate::ping::ping;
use crate::top::top;
use crate::{Call, Command, Running};

/// The commands that say what the guest is and does, and end it.
pub const SYSTEM: &[Command] = &[
    Command { name: "help", arguments: "", help: "lists the commands", run: help },
    Command { name: "date", arguments: "", help: "the date, in UTC", run: date },
    Command {
        name: "devices",
        arguments: "",
        help: "disks and interfaces, with their drivers",
        run: devices,
    },
    Command { name: "echo", arguments: "TEXT", help: "prints TEXT", run: echo },
    Command { name: "env", arguments: "", help: "the machine, and by what means it is used", run: env },
    Command {
        name: "log",
        arguments: "[LEVEL]",
        help: "logs up to off, error, warn, info, debug, trace",
        run: log_level,
    },
    Command { name: "memory", arguments: "", help: "memory and heap, in KiB", run: memory },
    Command {
        name: "poweroff",
        arguments: "",
        help: "ends the guest, once its main has returned",
        run: power_off,
    },
    Command { name: "reboot", arguments: "", help: "the same, and starts it again", run: reboot },
    Command {
        name: "tasks",
        arguments: "",
        help: "tasks, and what each has cost since it began",
        run: tasks,
    },
    Command {
        name: "top",
        arguments: "",
        help: "tasks that do most, each two seconds, until a key",
        run: top,
    },
    Command { name: "uptime", arguments: "", help: "time since boot", run: uptime },
    Command { name: "version", arguments: "", help: "the kernel, and what it runs on", run: version },
];

/// The commands that need a network: an application without one is linked without a network stack if it does
/// not list them.
pub const NETWORK: &[Command] = &[
    Command {
        name: "interfaces",
        arguments: "",
        help: "addresses and packets of interfaces",
        run: interfaces,
    },
    Command {
        name: "ping",
        arguments: "ADDRESS [COUNT]",
        help: "asks a host for COUNT answers (4)",
        run: ping,
    },
];

/// A command that only prints.
fn print<'c>(print: impl FnOnce() + 'c) -> Running<'c> {
    Box::pin(async move {
        print();
        Ok(())
    })
}

fn help(call: Call<'_>) -> Running<'_> {
    print(move || {
        for Command { name, arguments, help, .. } in call.commands.iter().flat_map(|list| *list) {
            println!("{name:10} {arguments:16} {help}");
        }
        println!("Keys: cursor, ^A ^E ^K ^U ^W, tab completes, ^C interrupts, ^D ends the shell");
    })
}

fn date(call: Call<'_>) -> Running<'_> {
    print(move || match call.context.wall_clock() {
        Some(time) => println!("{}", clock::date(time)),
        None => println!("there is no clock that tells the date"),
    })
}

fn devices(_: Call<'_>) -> Running<'_> {
    print(|| prism::print!("{}", report::devices()))
}

fn echo(call: Call<'_>) -> Running<'_> {
    print(move || println!("{}", call.arguments))
}

fn env(call: Call<'_>) -> Running<'_> {
    print(move || {
        let found = call.context.environment();
        println!("{found}");
        println!("spectrum: {}", found.grid.letters());
        println!("vcpus: {}", call.context.vcpus().count());
        prism::print!("{}", found.services);
    })
}

fn log_level(call: Call<'_>) -> Running<'_> {
    Box::pin(async move {
        if !call.arguments.is_empty() {
            let level: LevelFilter = call.arguments.parse().map_err(|_| {
                alloc::format!("{} is no level: off, error, warn, info, debug or trace", call.arguments)
            })?;
            log::set_max_level(level);
        }
        println!("log level: {}", log::max_level().as_str().to_ascii_lowercase());
        Ok(())
    })
}

fn memory(_: Call<'_>) -> Running<'_> {
    print(|| prism::print!("{}", report::memory()))
}

fn power_off(call: Call<'_>) -> Running<'_> {
    shut_down(call, ShutdownAction::PowerOff)
}

fn reboot(call: Call<'_>) -> Running<'_> {
    shut_down(call, ShutdownAction::Reboot)
}

fn shut_down(call: Call<'_>, action: ShutdownAction) -> Running<'_> {
    Box::pin(async move {
        call.context.shut_down(action).await;
        Ok(())
    })
}

fn tasks(_: Call<'_>) -> Running<'_> {
    print(|| prism::print!("{}", report::tasks()))
}

fn uptime(call: Call<'_>) -> Running<'_> {
    print(move || println!("up {}", clock::span(call.context.uptime())))
}

fn version(call: Call<'_>) -> Running<'_> {
    print(move || println!("Prism {}: {}", prism::VERSION, call.context.environment()))
}

fn interfaces(_: Call<'_>) -> Running<'_> {
    print(|| prism::print!("{}", report::interfaces()))
}
