// SPDX-License-Identifier: MIT OR Apache-2.0
use xen::DomainId;
use xen::xenstore::{Access, Permission};

use crate::{connected, done};

#[test]
fn what_is_written_is_read_back() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            client.write("data/greeting", "hello").await?;
            assert_eq!(client.read_str("data/greeting").await?, "hello");
            assert_eq!(client.read("/local/domain/1/data/greeting").await?, b"hello");
            done()
        })
        .unwrap();
    assert_eq!(xenstored.read("/local/domain/1/data/greeting").unwrap(), b"hello");
}

#[test]
fn values_may_be_empty_binary_and_longer_than_a_ring() {
    let (xenstored, client) = connected();
    let binary: Vec<u8> = (0..=255).cycle().take(1900).collect();
    xenstored
        .run(&client, async {
            for value in [&b""[..], b"\0", b"a\0b\0", &binary] {
                client.write("data/value", value).await?;
                assert_eq!(client.read("data/value").await?, value);
            }
            done()
        })
        .unwrap();
}

#[test]
fn a_payload_of_4096_bytes_goes_both_ways() {
    let (xenstored, client) = connected();
    xenstored.write("/local/domain/1/large", [7; 4096]);
    let read = xenstored.run(&client, client.read("large")).unwrap();
    assert_eq!(read, [7; 4096]);
    let path = "data/x";
    let answer = xenstored.run(&client, client.write(path, vec![7; 4096 - path.len() - 1]));
    assert_eq!(answer.unwrap_err().to_string(), "xenstored refused: ENOSPC");
}

#[test]
fn directories_are_made_listed_and_removed() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            client.mkdir("data/a/b").await?;
            client.mkdir("data/a/c").await?;
            assert_eq!(client.directory("data/a").await?, ["b", "c"]);
            assert!(client.directory("data/a/b").await?.is_empty());
            client.rm("data/a").await?;
            assert!(client.directory("data").await?.is_empty());
            client.rm("data/a").await?; // its parent is there
            assert!(client.rm("data/a/b").await.unwrap_err().is_not_found());
            done()
        })
        .unwrap();
}

#[test]
fn permissions_are_read_and_set() {
    let (xenstored, client) = connected();
    let permissions = [
        Permission { domain: DomainId(1), access: Access::None },
        Permission { domain: DomainId(0), access: Access::Read },
        Permission { domain: DomainId(7), access: Access::Both },
    ];
    xenstored
        .run(&client, async {
            client.write("data/shared", "").await?;
            client.set_perms("data/shared", &permissions).await?;
            assert_eq!(client.get_perms("data/shared").await?, permissions);
            done()
        })
        .unwrap();
}

#[test]
fn the_home_of_a_domain_is_told() {
    let (xenstored, client) = connected();
    assert_eq!(xenstored.run(&client, client.get_domain_path(DomainId(7))).unwrap(), "/local/domain/7");
}
