// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `log` crate's sink: one line per record on the console.

use log::{Level, LevelFilter, Log, Metadata, Record};
use prism_boot::command_line::LogLevel;

use crate::console;

struct ConsoleLog;

static LOG: ConsoleLog = ConsoleLog;

impl Log for ConsoleLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true // the level is the `log` crate's business
    }

    fn log(&self, record: &Record<'_>) {
        let mark = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug => "debug: ",
            Level::Trace => "trace: ",
        };
        console::print_line(format_args!("{}: {mark}{}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// Sends log records up to `level` to the console.
pub(crate) fn init(level: Option<LogLevel>) {
    // Fails only if there is a logger already.
    let _ = log::set_logger(&LOG);
    log::set_max_level(match level {
        Some(LogLevel::Off) => LevelFilter::Off,
        Some(LogLevel::Error) => LevelFilter::Error,
        Some(LogLevel::Warn) => LevelFilter::Warn,
        Some(LogLevel::Info) | None => LevelFilter::Info,
        Some(LogLevel::Debug) => LevelFilter::Debug,
        Some(LogLevel::Trace) => LevelFilter::Trace,
    });
}
