// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of disks and partitions as people write them: `xvda`, `/dev/sda1`, `hdb`, `ram0p1`.
//!
//! A disk is named by its bus: a Xen toolstack says `hda`, `sda` or `xvda` and thereby gives a number
//! (`docs/man/xen-vbd-interface.7`), and a name that a number was given by is the disk's name here. Linux has
//! all of them under `xvd`, the letters unchanged (`xlvbd_alloc_gendisk` in `drivers/block/xen-blkfront.c`),
//! and so configurations say `xvda` where the toolstack said `hda`, and the other way round. So a name of
//! which there is no disk is looked for under the other prefixes, too.

/// Whose disks have letters, in the order in which they stand in for each other.
const PREFIXES: [&str; 4] = ["xvd", "sd", "hd", "vd"];

/// What a name means: one of several disks, by its place among them, as a whole or a partition of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The disk's place among the names.
    pub disk: usize,
    /// The partition's number, counted from 1; `None` for the whole disk.
    pub partition: Option<u32>,
}

/// What `name` means where disks have these names; `None` if it means nothing.
///
/// A directory `/dev/` in front does not matter. The whole disk of that name comes first, be it one that is
/// named like a partition; then a partition of a disk of that name; then the same under other prefixes.
pub fn meaning<N: AsRef<str>>(names: &[N], name: &str) -> Option<Meaning> {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    let others = PREFIXES.iter().filter_map(|prefix| Some((*prefix, letters(name)?)));
    exact(names, "", name)
        .or_else(|| others.into_iter().find_map(|(prefix, rest)| exact(names, prefix, rest)))
}

/// What the name that begins with `prefix` and ends with `rest` means.
fn exact<N: AsRef<str>>(names: &[N], prefix: &str, rest: &str) -> Option<Meaning> {
    let find = |rest: &str| names.iter().position(|name| name.as_ref().strip_prefix(prefix) == Some(rest));
    if let Some(disk) = find(rest) {
        return Some(Meaning { disk, partition: None });
    }
    let (rest, partition) = split(rest)?;
    Some(Meaning { disk: find(rest)?, partition: Some(partition) })
}

/// What follows the prefix of a name with letters.
fn letters(name: &str) -> Option<&str> {
    let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    rest.starts_with(|letter: char| letter.is_ascii_lowercase()).then_some(rest)
}

/// The name of a disk, and the number of a partition behind it: after a `p` if the disk's name ends with a
/// digit, as in `ram0p1`. `None` without a number, which does not begin with 0.
pub fn split(name: &str) -> Option<(&str, u32)> {
    let disk = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let digits = name.get(disk.len()..)?;
    let partition = digits.parse().ok().filter(|_| !digits.starts_with('0'))?;
    let before_p =
        disk.strip_suffix('p').filter(|disk| disk.ends_with(|letter: char| letter.is_ascii_digit()));
    let disk = before_p.unwrap_or(disk);
    (!disk.is_empty()).then_some((disk, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `name` means, by the disk's name.
    fn found<'n>(names: &[&'n str], name: &str) -> Option<(&'n str, Option<u32>)> {
        let meaning = meaning(names, name)?;
        Some((names[meaning.disk], meaning.partition))
    }

    #[test]
    fn a_directory_in_front_does_not_matter() {
        assert_eq!(found(&["xvda"], "/dev/xvda"), Some(("xvda", None)));
        assert_eq!(found(&["xvda"], "/dev/xvda2"), Some(("xvda", Some(2))));
    }

    #[test]
    fn a_whole_disk_with_the_name_of_a_partition_is_that_disk() {
        assert_eq!(found(&["xvda", "xvda2"], "xvda2"), Some(("xvda2", None)));
        assert_eq!(found(&["xvda2"], "/dev/xvda2"), Some(("xvda2", None)));
        assert_eq!(found(&["xvda", "xvda2"], "xvda1"), Some(("xvda", Some(1))));
    }

    #[test]
    fn a_disk_is_found_under_the_other_prefixes() {
        assert_eq!(found(&["xvda"], "/dev/sda1"), Some(("xvda", Some(1))));
        assert_eq!(found(&["xvda1"], "sda1"), Some(("xvda1", None)));
        assert_eq!(found(&["hda", "hdb"], "xvdb"), Some(("hdb", None)));
        assert_eq!(found(&["sda", "xvdaa"], "sdaa12"), Some(("xvdaa", Some(12))));
        assert_eq!(found(&["hda", "xvda"], "hda"), Some(("hda", None)));
        assert_eq!(found(&["hda", "xvda"], "sda"), Some(("xvda", None)));
    }

    #[test]
    fn names_that_end_with_a_digit_have_a_p_before_the_partition() {
        assert_eq!(found(&["ram0"], "ram0p1"), Some(("ram0", Some(1))));
        assert_eq!(found(&["nvme0n1"], "/dev/nvme0n1p2"), Some(("nvme0n1", Some(2))));
        assert_eq!(found(&["xvda2"], "xvda2p3"), Some(("xvda2", Some(3))));
    }

    #[test]
    fn names_of_nothing_mean_nothing() {
        let names = ["xvda", "vbd-7", "ram0"];
        for name in [
            "",
            "/dev/",
            "1",
            "xvdb",
            "xvda0",
            "xvda01",
            "vbd-71",
            "nvme0n1p1",
            "sd",
            "sd1",
            "p1",
            "UUID=1",
            "xvda99999999999",
            "/dev/mapper/xvda",
            "ram01",
        ] {
            assert_eq!(found(&names, name), None, "{name}");
        }
    }
}
