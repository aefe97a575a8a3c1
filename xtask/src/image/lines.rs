// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines of source behind the addresses of a crash report.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Image;

/// What comes before the callers in a crash report, and behind them.
const CALLERS: &str = "backtrace:";
const END: &str = "--- end of report ---";

/// The callers that a crash report on this console names, a line each, with where they are in the source, and
/// where what was inlined there is, the innermost first. Empty if nothing is known.
pub fn of_report(image: &Image, console: &str) -> Vec<String> {
    let callers = callers(console);
    let Some(debug) = image.debug.as_deref().filter(|_| !callers.is_empty()) else { return Vec::new() };
    let places = places(debug, &callers);
    let line =
        |(depth, places): (usize, &Vec<String>)| format!("  {depth:2}  {}", places.join(", inlined at "));
    places.iter().enumerate().filter(|(_, places)| !places.is_empty()).map(line).collect()
}

/// The return addresses of the last report.
fn callers(console: &str) -> Vec<u64> {
    let lines = console.lines().map(str::trim);
    let from = lines.clone().enumerate().filter(|(_, line)| *line == CALLERS).last();
    let Some((start, _)) = from else { return Vec::new() };
    let lines = lines.skip(start + 1).take_while(|line| *line != END);
    lines
        .filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?.strip_prefix("0x")?, 16).ok())
        .collect()
}

/// Where the calls before these return addresses are. `addr2line` is in the package of the linker that built
/// the image.
fn places(debug: &Path, callers: &[u64]) -> Vec<Vec<String>> {
    let output = Command::new("addr2line")
        .args(["--addresses", "--inlines", "--exe"])
        .arg(debug)
        // A return address may be that of the next line, or of the next function.
        .args(callers.iter().map(|address| format!("{:#x}", address.saturating_sub(1))))
        .stdin(Stdio::null())
        .output();
    output.map(|output| parse(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
}

/// The places of each address, without those that are not known.
fn parse(output: &str) -> Vec<Vec<String>> {
    let mut places: Vec<Vec<String>> = Vec::new();
    for line in output.lines() {
        match places.last_mut() {
            _ if line.starts_with("0x") => places.push(Vec::new()),
            Some(of_address) if !line.starts_with("??") && !line.ends_with(":?") => {
                of_address.push(line.split(" (discriminator").next().unwrap_or(line).to_owned());
            }
            _ => {}
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::symbols::Symbols;

    #[test]
    fn the_callers_are_those_of_the_last_report() {
        let console = "backtrace:\n   0  0x1  old\n--- end of report ---\r\n\
                       --- Prism crashed ---\npanic: x\nbacktrace:\r\n   0  0x00119cf5  a::b + 0x8\r\n   1  0x0011a88b  c\r\n\
                       --- end of report ---\nTest result: 0x7\n";
        assert_eq!(callers(console), [0x11_9cf5, 0x11_a88b]);
        assert!(callers("hello\n").is_empty());
    }

    #[test]
    fn what_addr2line_does_not_know_is_left_out() {
        let output = "0x0119cf4\nsrc/a.rs:7 (discriminator 2)\nsrc/b.rs:9\n0x1\n??:0\n0x2\nsrc/c.rs:?\n";
        assert_eq!(parse(output), [vec!["src/a.rs:7".to_owned(), "src/b.rs:9".to_owned()], vec![], vec![]]);
    }

    #[test]
    fn a_function_of_this_program_is_in_its_file() {
        let program = std::env::current_exe().unwrap();
        let address = Symbols::of_file(&program).unwrap().address("lines::callers").unwrap();
        let report = format!("backtrace:\n   0  {:#x}  x\n--- end of report ---\n", address + 1);
        let image = Image { name: "runner".to_owned(), file: program.clone(), debug: Some(program) };
        let lines = of_report(&image, &report);
        assert!(lines.len() == 1 && lines[0].contains("src/image/lines.rs:"), "{lines:?}");
    }
}
