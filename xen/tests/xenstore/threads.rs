// SPDX-License-Identifier: MIT OR Apache-2.0
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures::executor::block_on;

use crate::{connected, done};

#[test]
fn tasks_on_several_vcpus_share_one_client() {
    let (xenstored, client) = connected();
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !finished.load(Ordering::SeqCst) {
                if client.pump().notify {
                    xenstored.notify();
                }
                thread::yield_now();
            }
        });
        let workers: Vec<_> = (0..4)
            .map(|vcpu| {
                let client = client.clone();
                scope.spawn(move || {
                    block_on(async {
                        let mut watch = client.watch(&format!("data/{vcpu}")).await?;
                        for i in 0..100 {
                            let path = format!("data/{vcpu}/{i}");
                            client.write(&path, i.to_string()).await?;
                            watch.next().await?;
                            assert_eq!(client.read_str(&path).await?, i.to_string());
                        }
                        done()
                    })
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap().unwrap();
        }
        finished.store(true, Ordering::SeqCst);
    });
    assert_eq!(client.counters().stray_answers, 0);
}
