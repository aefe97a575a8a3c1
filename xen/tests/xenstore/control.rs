// SPDX-License-Identifier: MIT OR Apache-2.0
use xen::control::{
    Availability, Features, Request, Shutdown, acknowledge_suspend, announce, availability, take_shutdown,
    take_sysrq,
};
use xen::xenstore::fake::{Fault, Xenstored};
use xen::xenstore::{Client, Error};

use crate::{connected, no_time};

const PATH: &str = "/local/domain/1/control/shutdown";

/// An xenstored in which the toolstack asks for `request`, at a node that is the domain's.
fn asked_for(request: impl AsRef<[u8]>) -> (Xenstored, Client) {
    let (xenstored, client) = connected();
    xenstored.write(PATH, request);
    xenstored.give(PATH, 1);
    (xenstored, client)
}

fn take(xenstored: &Xenstored, client: &Client) -> Result<Request, Error> {
    xenstored.run(client, take_shutdown(client, &no_time))
}

#[test]
fn a_request_that_is_understood_is_acknowledged_and_taken_once() {
    let requests = [("poweroff", Shutdown::Poweroff), ("halt", Shutdown::Halt), ("reboot", Shutdown::Reboot)];
    for (text, request) in requests {
        let (xenstored, client) = asked_for(text);
        assert_eq!(take(&xenstored, &client), Ok(Request::Taken(request)));
        assert_eq!(xenstored.read(PATH).unwrap(), b"");
        assert_eq!(take(&xenstored, &client), Ok(Request::None));
        assert_eq!(xenstored.transactions(), 0);
    }
}

#[test]
fn a_request_that_is_not_understood_is_left_alone() {
    for text in ["s3", "frobnicate", "Poweroff", "poweroff ", "\0"] {
        let (xenstored, client) = asked_for(text);
        assert_eq!(take(&xenstored, &client), Ok(Request::Unknown(text.into())));
        assert_eq!(xenstored.read(PATH).unwrap(), text.as_bytes());
    }
    let (xenstored, client) = asked_for(b"\xff\xfe");
    assert_eq!(take(&xenstored, &client), Ok(Request::Unknown("\u{fffd}\u{fffd}".into())));
    assert_eq!(xenstored.read(PATH).unwrap(), b"\xff\xfe");
}

fn acknowledge(xenstored: &Xenstored, client: &Client) -> Result<bool, Error> {
    xenstored.run(client, acknowledge_suspend(client, &no_time))
}

#[test]
fn a_request_to_suspend_stands_until_it_is_acknowledged() {
    let (xenstored, client) = asked_for("suspend");
    for _ in 0..2 {
        assert_eq!(take(&xenstored, &client), Ok(Request::Suspend));
        assert_eq!(xenstored.read(PATH).unwrap(), b"suspend");
    }
    assert_eq!(acknowledge(&xenstored, &client), Ok(true));
    assert_eq!(xenstored.read(PATH).unwrap(), b"");
    assert_eq!(take(&xenstored, &client), Ok(Request::None));
    assert_eq!(xenstored.transactions(), 0);
}

#[test]
fn a_suspend_that_was_withdrawn_or_replaced_is_not_acknowledged() {
    for now in ["", "poweroff"] {
        let (xenstored, client) = asked_for("suspend");
        xenstored.write(PATH, now);
        assert_eq!(acknowledge(&xenstored, &client), Ok(false));
        assert_eq!(xenstored.read(PATH).unwrap(), now.as_bytes());
    }
    let (xenstored, client) = connected();
    assert_eq!(acknowledge(&xenstored, &client), Ok(false));
}

#[test]
fn a_suspend_that_may_not_be_acknowledged_is_an_error() {
    let (xenstored, client) = asked_for("suspend");
    xenstored.give(PATH, 0);
    assert!(acknowledge(&xenstored, &client).is_err());
    assert_eq!(xenstored.read(PATH).unwrap(), b"suspend");
}

#[test]
fn nothing_is_asked_for_where_nothing_stands() {
    let (xenstored, client) = connected();
    assert_eq!(take(&xenstored, &client), Ok(Request::None));
    xenstored.write(PATH, "");
    xenstored.give(PATH, 1);
    assert_eq!(take(&xenstored, &client), Ok(Request::None));
}

/// Takes a request, and refuses what is asked behind the first `count` questions.
fn take_but_refuse(
    xenstored: &Xenstored,
    client: &Client,
    count: usize,
    refusal: &'static str,
) -> Result<Request, Error> {
    let mut request = Box::pin(take_shutdown(client, &no_time));
    assert!(!crate::is_ready(&mut request));
    for _ in 0..count {
        let _ = client.pump();
        xenstored.notify();
        let _ = client.pump();
        assert!(!crate::is_ready(&mut request));
    }
    xenstored.inject(Fault::Refuse(refusal));
    xenstored.run(client, request)
}

#[test]
fn a_request_that_may_not_be_acknowledged_is_taken_all_the_same() {
    let (xenstored, client) = asked_for("reboot");
    // The read, the beginning of a transaction, and the read in it come before the write.
    let taken = take_but_refuse(&xenstored, &client, 3, "EACCES");
    assert_eq!(taken, Ok(Request::Taken(Shutdown::Reboot)));
    assert_eq!(xenstored.read(PATH).unwrap(), b"reboot");
}

#[test]
fn an_xenstored_without_transactions_is_obeyed() {
    let (xenstored, client) = asked_for("poweroff");
    let taken = take_but_refuse(&xenstored, &client, 1, "ENOSYS");
    assert_eq!(taken, Ok(Request::Taken(Shutdown::Poweroff)));
    assert_eq!(xenstored.read(PATH).unwrap(), b"");
}

#[test]
fn only_two_words_mean_something_for_a_vcpu() {
    let (xenstored, client) = connected();
    for (vcpu, availability) in ["online", "offline", "", "Offline", "offline ", "\0"].into_iter().enumerate()
    {
        let path = format!("/local/domain/1/cpu/{vcpu}/availability");
        xenstored.write(&path, availability);
        xenstored.give(&path, 1);
    }
    use Availability::*;
    let wanted = xenstored.run(&client, availability(&client, 7));
    assert_eq!(wanted, Ok(vec![Online, Offline, Unsaid, Invalid, Invalid, Invalid, Unsaid]));
}

#[test]
fn a_hundred_vcpus_are_asked_for_without_overrunning_xenstored() {
    let (xenstored, client) = connected();
    assert_eq!(xenstored.run(&client, availability(&client, 128)), Ok(vec![Availability::Unsaid; 128]));
    assert!(xenstored.most_outstanding() > 1);
    assert_eq!(xenstored.run(&client, availability(&client, 0)), Ok(vec![]));
}

#[test]
fn what_is_on_cannot_be_known_while_xenstored_refuses() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse("EACCES"));
    let answer = xenstored.run(&client, availability(&client, 3));
    assert_eq!(answer, Err(Error::Refused(xen::xenstore::Refusal::Access)));
}

/// An xenstored in which the toolstack has left `key`, at a node that is the domain's.
fn pressed(key: impl AsRef<[u8]>) -> (Xenstored, Client) {
    let (xenstored, client) = connected();
    xenstored.write(SYSRQ, key);
    xenstored.give(SYSRQ, 1);
    (xenstored, client)
}

const SYSRQ: &str = "/local/domain/1/control/sysrq";

#[test]
fn a_key_is_acknowledged_and_taken_once() {
    for (text, key) in [(&b"h"[..], b'h'), (b"tasks", b't'), (b"\xff", 0xff), (b" ", b' ')] {
        let (xenstored, client) = pressed(text);
        assert_eq!(xenstored.run(&client, take_sysrq(&client, &no_time)), Ok(Some(key)));
        assert_eq!(xenstored.read(SYSRQ).unwrap(), b"");
        assert_eq!(xenstored.run(&client, take_sysrq(&client, &no_time)), Ok(None));
        assert_eq!(xenstored.transactions(), 0);
    }
}

#[test]
fn where_no_key_is_nothing_is_written() {
    let (xenstored, client) = connected();
    assert_eq!(xenstored.run(&client, take_sysrq(&client, &no_time)), Ok(None));
    for nothing in [&b""[..], b"\0", b"\0h"] {
        let (xenstored, client) = pressed(nothing);
        assert_eq!(xenstored.run(&client, take_sysrq(&client, &no_time)), Ok(None));
        assert_eq!(xenstored.read(SYSRQ).unwrap(), nothing);
    }
}

/// Taken all the same, a crash on purpose would come again after each restart of xenstored.
#[test]
fn a_key_that_cannot_be_acknowledged_is_not_taken() {
    let (xenstored, client) = connected();
    xenstored.write(SYSRQ, "c");
    let answer = xenstored.run(&client, take_sysrq(&client, &no_time));
    assert_eq!(answer, Err(Error::Refused(xen::xenstore::Refusal::Access)));
    assert_eq!(xenstored.read(SYSRQ).unwrap(), b"c");
}

#[test]
fn the_toolstack_is_told_what_can_be_asked_for_where_it_wants_to_know() {
    let (xenstored, client) = connected();
    let path = |name: &str| format!("/local/domain/1/control/feature-{name}");
    for name in ["poweroff", "suspend", "vcpu-hotplug"] {
        xenstored.write(&path(name), "");
        xenstored.give(&path(name), 1);
    }
    // This one is not the domain's.
    xenstored.write(&path("reboot"), "");
    for (is_there, value) in [(true, b"1"), (false, b"0")] {
        let features = Features { suspend: is_there, vcpu_hotplug: is_there };
        xenstored.run(&client, announce(&client, features));
        assert_eq!(xenstored.read(&path("suspend")).as_deref(), Some(&value[..]));
        assert_eq!(xenstored.read(&path("vcpu-hotplug")).as_deref(), Some(&value[..]));
        assert_eq!(xenstored.read(&path("poweroff")).as_deref(), Some(&b"1"[..]));
        assert_eq!(xenstored.read(&path("reboot")).as_deref(), Some(&b""[..]));
    }
}
