// SPDX-License-Identifier: MIT OR Apache-2.0
use xen::xenstore::fake::Fault;
use xen::xenstore::wire::Kind;
use xen::xenstore::{Error, Refusal};

use crate::connected;

const HOME: &str = "/local/domain/1/list";

fn fill(xenstored: &xen::xenstore::fake::Xenstored, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|i| format!("child-{i:05}")).collect();
    names.iter().for_each(|name| xenstored.write(&format!("{HOME}/{name}"), ""));
    names
}

#[test]
fn a_list_longer_than_a_message_is_fetched_in_pieces() {
    let (xenstored, client) = connected();
    let names = fill(&xenstored, 1000);
    assert_eq!(xenstored.run(&client, client.directory(HOME)).unwrap(), names);
}

#[test]
fn pieces_may_end_anywhere() {
    // The list ends one byte before, at, and behind the end of a piece.
    for (count, extra) in (0..30).map(|extra| (372, extra)) {
        let (xenstored, client) = connected();
        let mut names = fill(&xenstored, count);
        names.push(format!("d{}", "x".repeat(extra)));
        xenstored.write(&format!("{HOME}/{}", names[count]), "");
        assert_eq!(xenstored.run(&client, client.directory(HOME)).unwrap(), names, "{extra}");
    }
}

#[test]
fn a_list_that_changes_meanwhile_is_fetched_again() {
    let (xenstored, client) = connected();
    fill(&xenstored, 1000);
    xenstored.inject(Fault::Refuse("E2BIG"));
    xenstored.inject(Fault::Payload(b"99\0old\0".to_vec()));
    let names = xenstored.run(&client, client.directory(HOME)).unwrap();
    assert_eq!((names.len(), names[0].as_str()), (1000, "child-00000"));
}

#[test]
fn a_list_that_always_changes_is_given_up() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse("E2BIG"));
    for generation in 0..100 {
        xenstored.inject(Fault::Payload(format!("{generation}\0x\0").into_bytes()));
    }
    assert_eq!(xenstored.run(&client, client.directory("data")), Err(Error::Changing));
}

#[test]
fn a_list_without_end_is_given_up() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse("E2BIG"));
    for _ in 0..1000 {
        xenstored.inject(Fault::Payload(b"1\0x\0".to_vec()));
    }
    let answer = xenstored.run(&client, client.directory("data"));
    assert_eq!(answer, Err(Error::Protocol(Kind::DirectoryPart)));
}

#[test]
fn invalid_pieces_are_errors() {
    for payload in [&b""[..], b"1", b"1\0", b"x\0a\0\0", b"-1\0a\0\0"] {
        let (xenstored, client) = connected();
        xenstored.inject(Fault::Refuse("E2BIG"));
        xenstored.inject(Fault::Payload(payload.to_vec()));
        let answer = xenstored.run(&client, client.directory("data"));
        assert_eq!(answer, Err(Error::Protocol(Kind::DirectoryPart)), "{payload:?}");
    }
}

#[test]
fn names_that_are_none_are_errors() {
    for payload in [&b"a/b\0"[..], b"a\0\0b\0", b"\0", b"a", b"..\0", b"\x1b[2J\0"] {
        let (xenstored, client) = connected();
        xenstored.inject(Fault::Payload(payload.to_vec()));
        let answer = xenstored.run(&client, client.directory("data"));
        assert_eq!(answer, Err(Error::Protocol(Kind::Directory)), "{payload:?}");
    }
}

#[test]
fn an_xenstored_without_pieces_is_an_error() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse("E2BIG"));
    xenstored.inject(Fault::Refuse("ENOSYS"));
    let answer = xenstored.run(&client, client.directory("data"));
    assert_eq!(answer, Err(Error::Refused(Refusal::Unsupported)));
}
