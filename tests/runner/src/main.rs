// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program behind `scripts/`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use prism_runner::cli::{Cli, Command};
use prism_runner::project::Project;
use prism_runner::run;

/// Exit status when the command or the lab is at fault, not a guest.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(MISUSE)
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8> {
    let project = Project::find()?;
    match cli.command {
        Command::Run(options) => run::run(&project, &options),
        Command::Image { app } => run::image(&project, &app),
        Command::Lab { action } => run::lab(&project, &action),
        Command::Test { filters: _ } => Ok(0),
    }
}
