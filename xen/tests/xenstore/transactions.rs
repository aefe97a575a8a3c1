// SPDX-License-Identifier: MIT OR Apache-2.0
use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures::future::{join, join_all};
use xen::xenstore::fake::Settings;
use xen::xenstore::{Error, Refusal};

use crate::{connected, connected_with, done, is_ready, no_time};

const COUNTER: &str = "/local/domain/1/data/counter";

#[test]
fn others_see_a_transaction_only_when_it_is_done() {
    let (xenstored, client) = connected();
    xenstored
        .run(&client, async {
            client
                .transaction(&no_time, async |transaction| {
                    transaction.write("data/x", "1").await?;
                    assert_eq!(transaction.read("data/x").await?, b"1");
                    assert!(client.read("data/x").await.unwrap_err().is_not_found());
                    done()
                })
                .await?;
            assert_eq!(client.read("data/x").await?, b"1");
            done()
        })
        .unwrap();
    assert_eq!(xenstored.transactions(), 0);
}

#[test]
fn a_storm_of_transactions_with_another_writer_ends_with_the_right_sum() {
    let (xenstored, client) = connected();
    xenstored.write(COUNTER, "0");
    xenstored.give(COUNTER, 1);
    let add = || async {
        for _ in 0..10 {
            client
                .transaction(&no_time, async |transaction| {
                    let sum = transaction.value(COUNTER).await?.integer(0..=1000)?;
                    transaction.write(COUNTER, (sum + 1).to_string()).await
                })
                .await?;
        }
        done()
    };
    let writer = async {
        for _ in 0..20 {
            let sum: u64 = String::from_utf8(xenstored.read(COUNTER).unwrap()).unwrap().parse().unwrap();
            xenstored.write(COUNTER, (sum + 1).to_string());
            client.read("data").await?;
        }
        done()
    };
    let (adders, writer) = xenstored.run(&client, join(join_all((0..8).map(|_| add())), writer));
    adders.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
    writer.unwrap();
    assert_eq!(xenstored.read(COUNTER).unwrap(), b"100");
    assert_eq!(xenstored.transactions(), 0);
}

#[test]
fn collisions_are_retried_with_growing_pauses_and_not_for_ever() {
    let (xenstored, client) = connected();
    let pauses = std::sync::Mutex::new(Vec::new());
    let delay = |time: Duration| {
        pauses.lock().unwrap().push(time.as_millis());
        std::future::ready(())
    };
    let answer = xenstored.run(
        &client,
        client.transaction(&delay, async |transaction| {
            transaction.read("data").await?;
            xenstored.write("/other", ""); // always one in between
            done()
        }),
    );
    assert_eq!(answer, Err(Error::Refused(Refusal::Again)));
    let pauses = pauses.lock().unwrap();
    assert_eq!((pauses.len(), &pauses[..8]), (32, &[1, 2, 4, 8, 16, 32, 64, 64][..]));
    assert_eq!(xenstored.transactions(), 0);
}

#[test]
fn an_error_inside_aborts_the_transaction() {
    let (xenstored, client) = connected();
    let answer = xenstored.run(
        &client,
        client.transaction(&no_time, async |transaction| {
            transaction.write("data/x", "1").await?;
            transaction.read("data/none").await
        }),
    );
    assert!(answer.unwrap_err().is_not_found());
    xenstored.run_until_idle(&client, &mut pin!(std::future::pending::<()>()));
    assert_eq!((xenstored.transactions(), xenstored.read("/local/domain/1/data/x")), (0, None));
}

#[test]
fn dropping_a_transaction_at_any_moment_leaves_none_open() {
    for pumps in 0..5 {
        let (xenstored, client) = connected();
        let mut transaction = Box::pin(
            client.transaction(&no_time, async |transaction| transaction.write("data/x", "1").await),
        );
        for _ in 0..pumps {
            assert!(!is_ready(&mut transaction));
            let _ = client.pump();
            xenstored.notify();
        }
        if pumps % 2 == 0 {
            let _ = is_ready(&mut transaction);
        }
        drop(transaction);
        xenstored.run_until_idle(&client, &mut pin!(std::future::pending::<()>()));
        assert_eq!(xenstored.transactions(), 0, "{pumps}");
    }
}

#[test]
fn too_many_transactions_are_an_error() {
    let (xenstored, client) = connected_with(Settings { transactions: 1, ..Settings::default() });
    let inner = Cell::new(None);
    xenstored
        .run(
            &client,
            client.transaction(&no_time, async |_| {
                inner.set(client.transaction(&no_time, async |_| done()).await.err());
                done()
            }),
        )
        .unwrap();
    assert_eq!(inner.take(), Some(Error::Refused(Refusal::NoSpace)));
}
