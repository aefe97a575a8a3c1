// SPDX-License-Identifier: MIT OR Apache-2.0
use xen::balloon::{Full, Goal, Target};
use xen::xenstore::Client;
use xen::xenstore::fake::Xenstored;

use crate::connected;

const MIB: u64 = 256;

fn told(nodes: &[(&str, &str)]) -> (Xenstored, Client) {
    let (xenstored, client) = connected();
    for (name, value) in nodes {
        let path = format!("/local/domain/1/memory/{name}");
        xenstored.write(&path, value);
        xenstored.give(&path, 1);
    }
    (xenstored, client)
}

/// What `target` KiB mean for a map of `pages` pages, of which `absent` were absent when the target was
/// `first`.
fn goal(nodes: &[(&str, &str)], pages: u64, absent: u64, first: u64, target: u64) -> Goal {
    let (xenstored, client) = told(nodes);
    xenstored.run(&client, Full::told(&client, pages, absent, first)).unwrap().goal(target)
}

#[test]
fn a_target_is_a_number_of_kib() {
    let (xenstored, client) = told(&[("target", "65536")]);
    assert_eq!(xenstored.run(&client, Target::read(&client)), Ok(Target::Kib(65536)));
    let (xenstored, client) = told(&[]);
    assert_eq!(xenstored.run(&client, Target::read(&client)), Ok(Target::None));
}

#[test]
fn what_is_no_target_is_named_in_a_line() {
    for text in
        ["", "0", "-1", "64M", "0x100", " 1", "1\n", "4398046511105", "99999999999999999999", "\x1b[2J"]
    {
        let (xenstored, client) = told(&[("target", text)]);
        let Ok(Target::Unreadable(reason)) = xenstored.run(&client, Target::read(&client)) else {
            panic!("{text:?} is no target");
        };
        let line = reason.to_string();
        assert!(line.starts_with("memory/target is \"") && !line.contains('\n'), "{line}");
        assert!(line.ends_with("should be a number from 1 to 4398046511104"), "{line}");
    }
}

#[test]
fn a_domain_without_a_card_gives_back_what_the_target_is_below_its_maximum() {
    let nodes = [("static-max", "262144"), ("videoram", "0")];
    // The firmware has 9 pages that the map does not show.
    let pages = 256 * MIB - 9;
    assert_eq!(goal(&nodes, pages, 0, 262_144, 262_144).pages, pages);
    assert_eq!(goal(&nodes, pages, 0, 262_144, 131_072).pages, pages - 128 * MIB);
    // Started with half of it, and asked for more before it has looked at its first target.
    assert_eq!(goal(&nodes, pages, 128 * MIB, 196_608, 196_608).pages, pages - 64 * MIB);
}

#[test]
fn the_memory_of_a_card_is_no_reason_to_give_any_back() {
    let nodes = [("static-max", "131072"), ("videoram", "8192")];
    let pages = 119 * MIB;
    assert_eq!(goal(&nodes, pages, 0, 122_880, 122_880).pages, pages);
    assert_eq!(goal(&nodes, pages, 0, 122_880, 122_880 - 1024).pages, pages - MIB);
    // This toolstack's target counts the card, too.
    assert_eq!(goal(&nodes, pages, 0, 131_072, 131_072).pages, pages);
    assert_eq!(goal(&nodes, pages, 0, 131_072, 131_072 - 1024).pages, pages - MIB);
}

#[test]
fn without_a_maximum_that_makes_sense_what_is_there_is_what_was_asked_for() {
    let absurd: [&[(&str, &str)]; 5] = [
        &[],
        &[("static-max", "0")],
        &[("static-max", "4398046511104")],
        &[("static-max", "much"), ("videoram", "8192")],
        &[("static-max", "131072"), ("videoram", "4398046511104")],
    ];
    for nodes in absurd {
        let pages = 512 * MIB;
        assert_eq!(goal(nodes, pages, 0, 524_288, 524_288).pages, pages, "{nodes:?}");
        assert_eq!(goal(nodes, pages, 0, 524_288, 262_144).pages, pages - 256 * MIB, "{nodes:?}");
        assert_eq!(goal(nodes, pages, 256 * MIB, 262_144, 262_144).pages, 256 * MIB, "{nodes:?}");
        assert_eq!(goal(nodes, pages, 256 * MIB, 262_144, 524_288).pages, pages, "{nodes:?}");
    }
}

#[test]
fn a_first_target_beyond_everything_is_no_yardstick() {
    let nodes = [("static-max", "131072")];
    assert!(goal(&nodes, 128 * MIB, 0, 1 << 40, 1 << 40).beyond);
}
