// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the keys of `xl sysrq` mean. They are Linux's, as far as there is something to do here
//! (`Documentation/admin-guide/sysrq.rst`).

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sysrq {
    /// `b`: reboot at once.
    Reboot,
    /// `c`: crash, so that there is a report, and a dump if the toolstack makes one.
    Crash,
    /// `h`, and any key that means nothing else: which keys there are.
    Help,
    /// `l`: what each vCPU does, and where.
    Vcpus,
    /// `m`: how much memory there is.
    Memory,
    /// `o`: switch off at once.
    PowerOff,
    /// `t`: the tasks.
    Tasks,
    /// `w`: what waits for other domains.
    Waiting,
}

impl Sysrq {
    /// Which keys there are, in a line.
    pub const HELP: &str =
        "b reboot, c crash, h help, l vCPUs, m memory, o power off, t tasks, w waiting requests";

    /// What this key asks for.
    pub fn of(key: u8) -> Self {
        match key {
            b'b' => Self::Reboot,
            b'c' => Self::Crash,
            b'l' => Self::Vcpus,
            b'm' => Self::Memory,
            b'o' => Self::PowerOff,
            b't' => Self::Tasks,
            b'w' => Self::Waiting,
            _ => Self::Help,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn each_key_of_the_help_means_something_of_its_own() {
        let keys: Vec<u8> =
            Sysrq::HELP.split(", ").filter_map(|entry| entry.split_once(' ')?.0.bytes().next()).collect();
        assert_eq!(keys, b"bchlmotw");
        let meanings: Vec<Sysrq> = keys.iter().map(|key| Sysrq::of(*key)).collect();
        for (index, meaning) in meanings.iter().enumerate() {
            assert!(!meanings[..index].contains(meaning), "{meaning:?} has two keys");
        }
    }

    #[test]
    fn any_other_key_does_nothing_but_help() {
        let others = (0..=u8::MAX).filter(|key| !b"bclmotw".contains(key));
        assert!(others.into_iter().all(|key| Sysrq::of(key) == Sysrq::Help));
    }
}
