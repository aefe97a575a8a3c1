// SPDX-License-Identifier: MIT OR Apache-2.0
use std::pin::pin;

use futures::future::try_join_all;

use crate::{connected, done, is_ready};

const HOME: &str = "/local/domain/1";

#[test]
fn a_watch_fires_at_once_and_then_for_each_change_below() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            let mut watch = client.watch("data/a").await?;
            assert_eq!(watch.next().await?.path, "data/a");
            xenstored.write(&format!("{HOME}/data/ab"), "not below");
            xenstored.write(&format!("{HOME}/data/a/b"), "below");
            let event = watch.next().await?;
            assert_eq!((event.path.as_str(), event.overflow), ("data/a/b", false));
            xenstored.remove(&format!("{HOME}/data"));
            assert_eq!(watch.next().await?.path, "data/a");
            done()
        })
        .unwrap();
}

#[test]
fn absolute_watches_have_absolute_events() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            let mut watch = client.watch("/local/domain").await?;
            assert_eq!(watch.next().await?.path, "/local/domain");
            client.write("data/x", "1").await?;
            assert_eq!(watch.next().await?.path, "/local/domain/1/data/x");
            done()
        })
        .unwrap();
}

#[test]
fn special_paths_can_be_watched() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            let mut watch = client.watch("@releaseDomain").await?;
            assert_eq!(watch.next().await?.path, "@releaseDomain");
            done()
        })
        .unwrap();
}

#[test]
fn fifty_watches_each_get_their_own_events() {
    let (xenstored, client) = connected();
    let watchers = (0..50).map(|i| {
        let (client, xenstored) = (&client, &xenstored);
        async move {
            let path = format!("data/{i}");
            let mut watch = client.watch(&path).await?;
            watch.next().await?;
            xenstored.write(&format!("{HOME}/{path}/x"), "");
            assert_eq!(watch.next().await?.path, format!("{path}/x"));
            done()
        }
    });
    xenstored.run(&client, try_join_all(watchers)).unwrap();
    xenstored.run_until_idle(&client, &mut pin!(std::future::pending::<()>()));
    assert!(xenstored.watches().is_empty());
    assert_eq!(client.counters(), Default::default());
}

#[test]
fn a_flood_is_kept_within_bounds_and_becomes_one_event() {
    let (xenstored, client) = connected();
    let mut watch = xenstored.run(&client, client.watch("data")).unwrap();
    xenstored.run(&client, watch.next()).unwrap();
    for i in 0..10_000 {
        xenstored.write(&format!("{HOME}/data/{}", i % 500), i.to_string());
    }
    xenstored.run(&client, client.read("data")).unwrap();
    let event = xenstored.run(&client, watch.next()).unwrap();
    assert_eq!((event.path.as_str(), event.overflow), ("data", true));
    assert!(!is_ready(&mut pin!(watch.next())));
    assert_eq!(client.counters().overflows, 1);

    xenstored.write(&format!("{HOME}/data/7"), "");
    let event = xenstored.run(&client, watch.next()).unwrap();
    assert_eq!((event.path.as_str(), event.overflow), ("data/7", false));
}

#[test]
fn the_same_path_is_kept_once() {
    let (xenstored, client) = connected();
    let mut watch = xenstored.run(&client, client.watch("data")).unwrap();
    xenstored.run(&client, watch.next()).unwrap();
    for _ in 0..1000 {
        xenstored.write(&format!("{HOME}/data/x"), "");
        xenstored.write(&format!("{HOME}/data/y"), "");
    }
    xenstored.run(&client, client.read("data")).unwrap();
    assert_eq!(xenstored.run(&client, watch.next()).unwrap().path, "data/x");
    assert_eq!(xenstored.run(&client, watch.next()).unwrap().path, "data/y");
    assert!(!is_ready(&mut pin!(watch.next())));
}

#[test]
fn dropping_a_watch_ends_it_without_waiting() {
    let (xenstored, client) = connected();
    let watches = xenstored.run(&client, try_join_all((0..50).map(|_| client.watch("data")))).unwrap();
    assert_eq!(xenstored.watches().len(), 50);
    drop(watches);
    xenstored.run(&client, client.write("data/x", "")).unwrap();
    xenstored.run_until_idle(&client, &mut pin!(std::future::pending::<()>()));
    assert!(xenstored.watches().is_empty());
    assert!(xenstored.most_outstanding() <= 16);
}

#[test]
fn dropping_a_watch_that_is_being_set_leaves_nothing_behind() {
    for sent in [false, true] {
        let (xenstored, client) = connected();
        let mut watch = Box::pin(client.watch("data"));
        assert!(!is_ready(&mut watch));
        if sent {
            assert!(client.pump().notify);
        }
        drop(watch);
        xenstored.notify();
        xenstored.run_until_idle(&client, &mut pin!(std::future::pending::<()>()));
        assert!(xenstored.watches().is_empty());
    }
}
