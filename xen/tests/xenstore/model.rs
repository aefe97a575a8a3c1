// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of operations, compared with what a map says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use xen::xenstore::Client;

use crate::{connected, done, no_time};

#[derive(Clone, Debug)]
enum Operation {
    Read(Path),
    Write(Path, Vec<u8>),
    MakeDirectory(Path),
    Remove(Path),
    Directory(Path),
    /// Reads one, writes another; commits or not.
    Move(Path, Path, bool),
}

/// Names of one letter below `data`.
type Path = Vec<u8>;

fn text(path: &Path) -> String {
    path.iter().fold("data".to_string(), |text, letter| format!("{text}/{}", char::from(b'a' + letter)))
}

fn paths() -> impl Strategy<Value = Path> {
    prop::collection::vec(0..3u8, 0..4)
}

fn operations() -> impl Strategy<Value = Operation> {
    let value = prop::collection::vec(any::<u8>(), 0..1500);
    prop_oneof![
        paths().prop_map(Operation::Read),
        (paths(), value).prop_map(|(path, value)| Operation::Write(path, value)),
        paths().prop_map(Operation::MakeDirectory),
        paths().prop_map(Operation::Remove),
        paths().prop_map(Operation::Directory),
        (paths(), paths(), any::<bool>()).prop_map(|(from, to, commit)| Operation::Move(from, to, commit)),
    ]
}

/// The nodes, with `data` itself.
#[derive(Clone)]
struct Model(BTreeMap<Path, Vec<u8>>);

impl Model {
    fn make(&mut self, path: &Path) -> &mut Vec<u8> {
        for length in 0..path.len() {
            self.0.entry(path[..length].to_vec()).or_default();
        }
        self.0.entry(path.clone()).or_default()
    }

    fn children(&self, path: &Path) -> Option<Vec<String>> {
        self.0.contains_key(path).then(|| {
            let below = self.0.keys().filter(|node| node.len() == path.len() + 1 && node.starts_with(path));
            below.map(|node| char::from(b'a' + node[path.len()]).to_string()).collect()
        })
    }
}

async fn check(client: &Client, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Read(path) => {
            assert_eq!(client.read(&text(&path)).await.ok(), model.0.get(&path).cloned())
        }
        Operation::Write(path, value) => {
            client.write(&text(&path), &value).await.unwrap();
            *model.make(&path) = value;
        }
        Operation::MakeDirectory(path) => {
            client.mkdir(&text(&path)).await.unwrap();
            model.make(&path);
        }
        Operation::Remove(path) if path.is_empty() => {}
        Operation::Remove(path) => {
            let possible = model.0.contains_key(&path[..path.len() - 1]);
            assert_eq!(client.rm(&text(&path)).await.is_ok(), possible);
            model.0.retain(|node, _| !node.starts_with(&path));
        }
        Operation::Directory(path) => {
            assert_eq!(client.directory(&text(&path)).await.ok(), model.children(&path));
        }
        Operation::Move(from, to, commit) => {
            let moved = client.transaction(&no_time, async |transaction| {
                let value = transaction.read(&text(&from)).await?;
                transaction.write(&text(&to), value).await?;
                if commit { Ok(()) } else { transaction.read("data/none").await.map(drop) }
            });
            let value = model.0.get(&from).cloned();
            assert_eq!(moved.await.is_ok(), commit && value.is_some());
            if let (Some(value), true) = (value, commit) {
                *model.make(&to) = value;
            }
        }
    }
}

proptest! {
    #[test]
    fn the_store_is_a_map(operations in prop::collection::vec(operations(), 0..60)) {
        let (xenstored, client) = connected();
        let mut model = Model(BTreeMap::from([(Vec::new(), Vec::new())]));
        xenstored.run(&client, async {
            for operation in operations {
                check(&client, &mut model, operation).await;
            }
            done()
        }).unwrap();
        xenstored.run_until_idle(&client, &mut Box::pin(std::future::pending::<()>()));
        prop_assert_eq!(xenstored.transactions(), 0);
        prop_assert_eq!(client.counters(), Default::default());
    }
}
