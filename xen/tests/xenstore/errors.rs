// SPDX-License-Identifier: MIT OR Apache-2.0
use xen::DomainId;
use xen::xenstore::fake::{Fault, Settings};
use xen::xenstore::path::Flaw;
use xen::xenstore::{Access, Error, Permission, Refusal};

use crate::{connected, connected_with, done};

#[test]
fn what_xenstored_refuses_is_an_error_with_its_name() {
    let (xenstored, client) = connected();
    xenstored.write("/secret", "");
    xenstored.give("/secret", 7);
    xenstored
        .run(&client, async {
            assert!(client.read("data/none").await.unwrap_err().is_not_found());
            assert_eq!(client.read("/secret").await, Err(Error::Refused(Refusal::Access)));
            assert_eq!(client.write("name", "me").await, Err(Error::Refused(Refusal::Access)));
            let other = [Permission { domain: DomainId(7), access: Access::Both }];
            assert_eq!(client.set_perms("data", &other).await, Err(Error::Refused(Refusal::NotPermitted)));
            done()
        })
        .unwrap();
}

#[test]
fn an_error_that_no_header_lists_is_an_error_all_the_same() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse("EWHATEVER"));
    let error = xenstored.run(&client, client.read("name")).unwrap_err();
    assert_eq!(error.to_string(), r#"xenstored refused: the unknown error "EWHATEVER""#);
}

#[test]
fn an_xenstored_without_domain_paths_says_so() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Refuse("ENOSYS"));
    let answer = xenstored.run(&client, client.get_domain_path(DomainId(1)));
    assert_eq!(answer, Err(Error::Refused(Refusal::Unsupported)));
}

#[test]
fn what_xenstored_would_hang_up_on_is_not_sent() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            assert_eq!(client.write("data/x", [0; 4096]).await, Err(Error::TooLong(4103)));
            for (path, flaw) in [("", Flaw::Empty), ("a//b", Flaw::Slash), ("ä", Flaw::Character)] {
                let Err(Error::Path(bad)) = client.read(path).await else { panic!("{path} was accepted") };
                assert_eq!(bad.flaw(), flaw);
            }
            assert!(matches!(client.read("@releaseDomain").await, Err(Error::Path(_))));
            assert!(matches!(client.watch("a/").await, Err(Error::Path(_))));
            done()
        })
        .unwrap();
    assert_eq!(xenstored.most_outstanding(), 0);
}

#[test]
fn a_used_up_quota_of_nodes_is_an_error_in_either_xenstoreds_words() {
    for (quota_refusal, refusal) in [("ENOSPC", Refusal::NoSpace), ("EQUOTA", Refusal::Quota)] {
        let (xenstored, client) =
            connected_with(Settings { quota_refusal, nodes: 20, ..Settings::default() });
        xenstored
            .run(&client, async {
                let mut made = 0;
                let error = loop {
                    match client.write(&format!("data/{made}"), "").await {
                        Ok(()) => made += 1,
                        Err(error) => break error,
                    }
                };
                assert_eq!((made, error), (15, Error::Refused(refusal)));
                client.rm("data/0").await?;
                client.write("data/again", "").await
            })
            .unwrap();
    }
}

#[test]
fn a_used_up_quota_of_watches_is_an_error() {
    let (xenstored, client) = connected_with(Settings { watches: 3, ..Settings::default() });
    xenstored
        .run(&client, async {
            let first = client.watch("data").await?;
            let _others = (client.watch("data").await?, client.watch("data").await?);
            let refused = client.watch("data").await.err();
            assert_eq!(refused, Some(Error::Refused(Refusal::NoSpace)));
            drop(first);
            client.watch("data").await.map(drop)
        })
        .unwrap();
}

#[test]
fn a_value_that_is_no_text_is_an_error_that_shows_it() {
    let (xenstored, client) = connected();
    xenstored.write("/local/domain/1/name", b"\xff\0");
    let error = xenstored.run(&client, client.read_str("name")).unwrap_err();
    assert_eq!(error.to_string(), r#"name is "\xff\x00", should be text"#);
}
