// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is looked for among the instructions of an image. Accesses to the red zone: an event or interrupt
//! taken in kernel mode pushes its frame right below the stack pointer, so nothing may live there. Sleeps
//! that end with interrupts on.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::host::{self, Tool};

/// The instructions of the image that touch memory below the stack pointer.
///
/// # Errors
/// If the image cannot be disassembled.
pub fn red_zone_accesses(image: &Path) -> Result<Vec<String>> {
    let text = disassemble(image)?;
    Ok(text.lines().filter(|line| is_red_zone_access(line)).map(|line| line.trim().to_owned()).collect())
}

/// The instructions that follow each `hlt` with interrupts on. A vCPU that is saved while it sleeps may go on
/// there without an interrupt.
///
/// # Errors
/// If the image cannot be disassembled.
pub fn after_sleeps(image: &Path) -> Result<Vec<String>> {
    Ok(followers(&disassemble(image)?))
}

/// The direct calls and jumps of a program: from where, and where to.
///
/// # Errors
/// If it cannot be disassembled.
pub fn direct_calls(program: &Path) -> Result<Vec<(u64, u64)>> {
    Ok(disassemble(program)?.lines().filter_map(direct_call).collect())
}

fn disassemble(image: &Path) -> Result<String> {
    let objdump = host::require(Tool::Objdump)?;
    let output = Command::new(objdump)
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(image)
        .output()
        .context("cannot run objdump")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !text.contains("(%rsp") {
        bail!("objdump cannot disassemble {}", image.display());
    }
    Ok(text.into_owned())
}

/// The place and the target of an instruction that goes on at an address that stands in it.
fn direct_call(line: &str) -> Option<(u64, u64)> {
    let (place, instruction) = line.split_once(":\t")?;
    let mut words = instruction.split_whitespace();
    let goes = words.next().is_some_and(|name| name.starts_with("call") || name.starts_with('j'));
    let target = words.next().filter(|_| goes)?;
    Some((u64::from_str_radix(place.trim(), 16).ok()?, u64::from_str_radix(target, 16).ok()?))
}

/// What follows each `sti` and `hlt` of a disassembly.
fn followers(text: &str) -> Vec<String> {
    let instructions: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once(":\t")?.1.trim())).collect();
    let sleeps = instructions.windows(3).filter(|window| window[..2] == ["sti", "hlt"]);
    sleeps.map(|window| window[2].to_owned()).collect()
}

/// Whether a line of a disassembly uses a negative offset from the stack pointer, other than to
/// compute an address.
fn is_red_zone_access(line: &str) -> bool {
    let Some((_, instruction)) = line.split_once(":\t") else { return false };
    let computes = instruction.trim_start().starts_with("lea");
    let mut operands = instruction.match_indices("(%rsp");
    !computes && operands.any(|(place, _)| has_negative_offset(&instruction[..place]))
}

/// Whether the operand that ends here has an offset like `-0x8`.
fn has_negative_offset(text: &str) -> bool {
    let start = text.rfind([' ', ',', '*', ':', '\t']).map_or(0, |place| place + 1);
    text[start..].starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_below_the_stack_pointer_is_found() {
        assert!(is_red_zone_access("  10a000:\tmov    %rax,-0x8(%rsp)"));
        assert!(is_red_zone_access("  10a000:\tmovaps -0x18(%rsp,%rcx,1),%xmm0"));
        assert!(is_red_zone_access("  10a000:\tcall   *-0x10(%rsp)"));
    }

    #[test]
    fn what_follows_a_sleep_is_found() {
        let text = "  10a000:\tsti\n  10a001:\thlt\n  10a002:\tret\n  10a003:\tcli\n  10a004:\thlt\n";
        assert_eq!(followers(text), ["ret"]);
    }

    #[test]
    fn calls_and_jumps_to_addresses_are_found() {
        assert_eq!(direct_call("  10a000:\tcall   1184e0 <f>"), Some((0x10_a000, 0x11_84e0)));
        assert_eq!(direct_call("  10a000:\tjmp    1184e0 <f+0x10>"), Some((0x10_a000, 0x11_84e0)));
        assert_eq!(direct_call("  10a000:\tcall   *0x10(%rax)"), None);
        assert_eq!(direct_call("  10a000:\tadd    11,%rax"), None);
    }

    #[test]
    fn addresses_and_memory_above_it_are_not() {
        assert!(!is_red_zone_access("  10a000:\tlea    -0x1000(%rsp),%r11"));
        assert!(!is_red_zone_access("  10a000:\tmov    %rax,0x8(%rsp)"));
        assert!(!is_red_zone_access("  10a000:\tmov    -0x8(%rbp),%rax"));
        assert!(!is_red_zone_access("000000000010a000 <f>:"));
    }
}
