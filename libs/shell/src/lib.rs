// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
//!
//! # Example
//!
//! ```no_run
//! use prism::Context;
//! use prism_shell::{Call, Command, NETWORK, Running, SYSTEM};
//!
//! const OWN: &[Command] = &[Command { name: "greet", arguments: "NAME", help: "greets NAME", run: greet }];
//!
//! fn greet(call: Call<'_>) -> Running<'_> {
//!     Box::pin(async move {
//!         prism::println!("Hello, {}!", call.arguments);
//!         Ok(())
//!     })
//! }
//!
//! async fn serve(context: Context) -> prism::Result {
//!     context.spawn(async move {
//!         loop {
//!             prism_shell::run(context, &[SYSTEM, NETWORK, OWN]).await;
//!         }
//!     })?;
//!     Ok(context.shutdown_requested().await)
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod commands;
mod keyboard;
mod ping;
mod top;

use alloc::boxed::Box;
use alloc::string::String;
use core::future::Future;
use core::pin::Pin;

use prism::{Context, console, println};
use prism_terminal::editor::{Editor, Event, Row};

pub use commands::{NETWORK, SYSTEM};
pub use keyboard::Keyboard;
pub use prism_terminal::keys::Key;

/// What is in front of the line.
const PROMPT: &str = "prism> ";

/// A command.
pub struct Command {
    /// What is typed: ASCII without blanks.
    pub name: &'static str,
    /// What may follow, for `help`, such as `ADDRESS [COUNT]`.
    pub arguments: &'static str,
    /// What it does, for `help`, in a line.
    pub help: &'static str,
    /// Starts it. An error is shown as a line.
    pub run: for<'c> fn(Call<'c>) -> Running<'c>,
}

/// A command that runs. No line is read before it ends: one that takes long looks at
/// [`Keyboard::interrupted`], too.
pub type Running<'c> = Pin<Box<dyn Future<Output = prism::Result> + 'c>>;

/// What a command gets.
pub struct Call<'c> {
    /// The application's context.
    pub context: Context,
    /// What was typed behind its name, without blanks around.
    pub arguments: &'c str,
    /// Keys that are typed while it runs. Those that it does not take are of the next line.
    pub keyboard: &'c mut Keyboard,
    /// All commands there are.
    pub commands: &'c [&'c [Command]],
}

/// Reads lines from the console, and runs the commands that they name, until ^D is typed on an empty line. If
/// two commands have the same name, the one of the later list counts. One shell runs at a time.
pub async fn run(context: Context, commands: &[&[Command]]) {
    let mut keyboard = Keyboard::new(context);
    let mut editor = Editor::default();
    loop {
        let Some(line) = read_line(&mut keyboard, &mut editor, commands).await else { return };
        let line = line.trim();
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        if name.is_empty() {
            continue;
        }
        let Some(command) = commands.iter().rev().flat_map(|list| *list).find(|known| known.name == name)
        else {
            println!("{name}: no such command; help lists them");
            continue;
        };
        let call = Call { context, arguments: arguments.trim(), keyboard: &mut keyboard, commands };
        if let Err(error) = (command.run)(call).await {
            println!("{name}: {error}");
        }
    }
}

/// Reads a line, while it is edited. `None` is the end of the input.
async fn read_line(keyboard: &mut Keyboard, editor: &mut Editor, commands: &[&[Command]]) -> Option<String> {
    loop {
        console::show_prompt(&alloc::format!("{}", editor.row(PROMPT)));
        let mut next = Some(keyboard.key().await);
        // The row is written once for all keys that came together.
        while let Some(key) = next {
            match editor.key(key) {
                Event::Edited => {}
                Event::Line(line) => {
                    leave_row(&line);
                    return Some(line);
                }
                Event::Interrupted => leave_row("^C"),
                Event::End => {
                    leave_row("^D");
                    return None;
                }
                Event::Complete => complete(editor, commands),
            }
            next = keyboard.typed();
        }
    }
}

/// Shows `line` for the last time, and goes on below.
fn leave_row(line: &str) {
    console::show_prompt(&alloc::format!("{}", Row { prompt: PROMPT, line, cursor: line.len() }));
    console::end_prompt();
}

/// Completes the name of a command, or lists those that it may be.
fn complete(editor: &mut Editor, commands: &[&[Command]]) {
    let names = commands.iter().flat_map(|list| *list).map(|command| command.name);
    let fitting = editor.complete(names);
    if !fitting.is_empty() {
        leave_row(editor.line());
        println!("{}", fitting.join("  "));
    }
}
