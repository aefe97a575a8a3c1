// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program behind `scripts/`.

use std::env;
use std::os::unix::process::CommandExt;
use std::panic;
use std::process::{self, ExitCode};

use anyhow::Result;
use clap::Parser;

use prism_runner::cli::{self, Cli, Command};
use prism_runner::project::Project;
use prism_runner::{bench, new, run, suite};

/// Exit status when the command or the lab is at fault, not a guest.
const MISUSE: u8 = 2;

/// Exit status when nobody reads what is printed any more: that of a program that SIGPIPE ends.
const UNREAD: i32 = 128 + 13;

fn main() -> ExitCode {
    end_when_nothing_can_be_printed();
    if let Some(mut program) = run::host_program(env::args_os()) {
        return ExitCode::from(complain(anyhow::Error::new(program.exec()).context("cannot run a test")));
    }
    match Cli::try_parse().map_err(refuse).and_then(|cli| dispatch(cli).map_err(complain)) {
        Ok(status) | Err(status) => ExitCode::from(status),
    }
}

/// Has the program end quietly once nobody reads what it prints, as under `| head`, and with a line if there
/// is no room for it: `println!` makes a panic of both.
fn end_when_nothing_can_be_printed() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        match text.filter(|text| text.starts_with("failed printing to stdout")) {
            Some(text) if text.contains("Broken pipe") => process::exit(UNREAD),
            Some(text) => {
                eprintln!("error: {text}");
                process::exit(MISUSE.into());
            }
            None => usual(info),
        }
    }));
}

fn complain(error: anyhow::Error) -> u8 {
    eprintln!("error: {error:#}");
    MISUSE
}

/// Says in one line what is wrong with the command, or prints the help that was asked for.
fn refuse(error: clap::Error) -> u8 {
    if error.use_stderr() {
        eprintln!("{}", cli::refusal(&error));
        MISUSE
    } else {
        print!("{error}");
        0
    }
}

fn dispatch(cli: Cli) -> Result<u8> {
    let project = Project::find()?;
    match cli.command {
        Command::Run(options) => run::run(&project, &options),
        Command::Image(options) => run::image(&project, &options),
        Command::New(options) => new::new(&project, &options),
        Command::Lab { action } => run::lab(&project, &action),
        Command::Bench(options) => bench::run(&project, &options),
        Command::Test { filters } => suite::run(&project, &filters),
    }
}
