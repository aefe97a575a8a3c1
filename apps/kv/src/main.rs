// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key-value store that survives a power cut at any moment: `redb` on the raw disk `disk=xvda`, by default
//! the first one. The words of the command line are done in order:
//!
//! - `put=KEY,VALUE`, `get=KEY`, `list`
//! - `erase`: makes a store of a disk that holds something else
//! - `check`: whether all that `stress` wrote is there, whole
//! - `stress=N`: writes N batches more, and says `acknowledged` behind each that is durable
#![no_std]
#![no_main]

extern crate alloc;

mod stress;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use prism::{Context, Verdict, blocking, println};
use prism_redb::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use prism_redb::{CACHE, Contents};

prism::app!(main, params: ["disk", "erase", "put", "get", "list", "check", "stress"]);

/// What a person puts into the store.
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

async fn main(context: Context) -> prism::Result<Verdict> {
    let disk = match context.command_line().get("disk") {
        Some(name) => context.disk(name).await.ok_or_else(|| format!("there is no disk {name}"))?,
        None => context.first_disk().await.ok_or("there is no disk")?,
    };
    let done = blocking::run(move || {
        let contents = if context.command_line().has("erase") { Contents::Erase } else { Contents::Keep };
        let database = prism_redb::open(disk, contents, CACHE).map_err(|error| {
            format!("{error}; the word erase makes a store of a disk that holds something else")
        })?;
        work(&context, &database)
    });
    done.await?
}

fn work(context: &Context, database: &Database) -> prism::Result<Verdict> {
    let mut verdict = Verdict::Success;
    for word in context.command_line().words() {
        match (word.name, word.value.unwrap_or_default()) {
            ("put", pair) => put(database, pair)?,
            ("get", key) => get(database, key)?,
            ("list", _) => list(database)?,
            ("check", _) if stress::check(database)? => {}
            ("check", _) => verdict = Verdict::Failure,
            ("stress", batches) => stress::run(database, batches.parse()?)?,
            _ => {}
        }
    }
    Ok(verdict)
}

fn put(database: &Database, pair: &str) -> prism::Result {
    let (key, value) = pair.split_once(',').ok_or("put wants a key and a value, with a comma between")?;
    let transaction = database.begin_write()?;
    transaction.open_table(TEXTS)?.insert(key, value)?;
    transaction.commit()?;
    println!("put {key}");
    Ok(())
}

fn get(database: &Database, key: &str) -> prism::Result {
    match texts(database)?.into_iter().find(|(found, _)| found == key) {
        Some((_, value)) => println!("{key} is {value}"),
        None => println!("there is no {key}"),
    }
    Ok(())
}

fn list(database: &Database) -> prism::Result {
    for (key, value) in texts(database)? {
        println!("{key} is {value}");
    }
    Ok(())
}

fn texts(database: &Database) -> prism::Result<Vec<(String, String)>> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(TEXTS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let mut texts = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        texts.push((key.value().into(), value.value().into()));
    }
    Ok(texts)
}
