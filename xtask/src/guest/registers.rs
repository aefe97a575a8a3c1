// SPDX-License-Identifier: MIT OR Apache-2.0
//! Register dumps of QEMU's monitor.

/// Starts of lines that say nothing about why a guest hangs: floating point, debug registers, the
/// monitor's own prompt.
const NOISE: [&str; 6] = ["FPR", "FCW", "XMM", "DR", "(qemu)", "QEMU"];

/// The lines of a dump that matter.
pub fn concise(dump: &str) -> String {
    let lines = dump.lines().map(str::trim_end);
    let kept = lines.filter(|line| !line.is_empty() && !NOISE.iter().any(|noise| line.starts_with(noise)));
    kept.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processors_own_registers_are_kept() {
        let dump =
            "(qemu) info registers -a\r\n\r\nCPU#0\r\nRIP=0000000000100000\r\nXMM00=0 0\r\nFCW=037f\r\n";
        assert_eq!(concise(dump), "CPU#0\nRIP=0000000000100000\n");
    }
}
