// SPDX-License-Identifier: MIT OR Apache-2.0
use std::pin::pin;

use futures::future::try_join_all;
use xen::DomainId;
use xen::xenstore::fake::Fault;
use xen::xenstore::wire::Kind;
use xen::xenstore::{Error, Refusal};

use crate::{connected, done, no_time};

#[test]
fn an_answer_with_a_wrong_id_is_dropped_and_the_asker_waits() {
    let (xenstored, client) = connected();
    xenstored.write("/local/domain/1/name", "guest");
    xenstored.inject(Fault::WrongId);
    let mut read = Box::pin(client.read("name"));
    assert!(xenstored.run_until_idle(&client, &mut read).is_none());
    assert_eq!(client.counters().stray_answers, 1);
    drop(read); // a timeout
    assert_eq!(xenstored.run(&client, client.read("name")).unwrap(), b"guest");
}

#[test]
fn an_answer_of_a_wrong_type_is_an_error_to_its_asker_only() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::WrongType);
    xenstored
        .run(&client, async {
            assert_eq!(client.write("data/x", "1").await, Err(Error::Protocol(Kind::Write)));
            client.write("data/x", "1").await
        })
        .unwrap();
    assert_eq!(client.counters().wrong_types, 1);
}

#[test]
fn a_second_answer_is_dropped() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Twice);
    xenstored
        .run(&client, async {
            client.write("data/x", "1").await?;
            client.write("data/x", "2").await
        })
        .unwrap();
    assert_eq!(client.counters().stray_answers, 1);
}

#[test]
fn answers_that_never_come_hold_up_nobody_else() {
    let (xenstored, client) = connected();
    for _ in 0..40 {
        xenstored.inject(Fault::NoReply);
        let mut lost = Box::pin(client.write("data/x", "1"));
        assert!(xenstored.run_until_idle(&client, &mut lost).is_none());
    }
    xenstored.run(&client, client.write("data/y", "1")).unwrap();
}

#[test]
fn answers_to_chores_that_never_come_hold_up_no_task() {
    let (xenstored, client) = connected();
    let watches = xenstored.run(&client, try_join_all((0..20).map(|_| client.watch("data")))).unwrap();
    (0..4).for_each(|_| xenstored.inject(Fault::NoReply));
    drop(watches);
    xenstored.run(&client, client.write("data/x", "1")).unwrap();
}

#[test]
fn invalid_answers_are_errors() {
    let nonsense: [&[u8]; 5] = [b"", b"0\0", b"-1\0", b"1", b"1\x002\0"];
    for payload in nonsense {
        let (xenstored, client) = connected();
        xenstored.inject(Fault::Payload(payload.to_vec()));
        let answer = xenstored.run(&client, client.transaction(&no_time, async |_| done()));
        assert_eq!(answer, Err(Error::Protocol(Kind::TransactionStart)), "{payload:?}");
        xenstored.inject(Fault::Payload(payload.to_vec()));
        let answer = xenstored.run(&client, client.get_perms("data"));
        assert_eq!(answer, Err(Error::Protocol(Kind::GetPermissions)), "{payload:?}");
        xenstored.inject(Fault::Payload(b"/a//b\0".to_vec()));
        let answer = xenstored.run(&client, client.get_domain_path(DomainId(1)));
        assert_eq!(answer, Err(Error::Protocol(Kind::GetDomainPath)));
    }
}

#[test]
fn an_error_without_a_name_is_an_error() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse(""));
    let answer = xenstored.run(&client, client.read("name"));
    assert_eq!(answer, Err(Error::Refused(Refusal::from_name(b""))));
}

#[test]
fn events_for_nobody_are_dropped_and_counted() {
    let (xenstored, client) = connected();
    let mut watch = xenstored.run(&client, client.watch("data")).unwrap();
    xenstored.run(&client, watch.next()).unwrap();
    let token = xenstored.watches()[0].1.clone();
    let strays =
        [("data", "999"), ("data", ""), ("data", "x"), ("other", &token), ("dat", &token), ("", &token)];
    for (path, token) in strays {
        xenstored.fire(path, token);
    }
    assert!(xenstored.run_until_idle(&client, &mut pin!(watch.next())).is_none());
    assert_eq!(client.counters().stray_events, strays.len() as u64);
}
