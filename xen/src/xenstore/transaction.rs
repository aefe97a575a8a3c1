// SPDX-License-Identifier: MIT OR Apache-2.0
//! Doing several things at once.

use alloc::sync::Arc;
use core::ops::Deref;
use core::time::Duration;

use super::connection::Connection;
use super::error::{Error, Result};
use super::refusal::Refusal;
use super::reply;
use super::request::Request;
use super::state::Number;
use super::store::Store;
use super::wire::Kind;
use crate::time::Delay;

/// Collisions with writers of other domains after which a transaction is given up.
const TRIES: u32 = 32;
/// The pause after a collision doubles so many times, from 1 ms.
const DOUBLINGS: u32 = 6;

/// A transaction that is open; see [`Client::transaction`](super::Client::transaction). The nodes
/// are read and written through the methods of [`Store`], which this derefs to.
pub struct Transaction {
    store: Store,
    number: Number,
    open: bool,
}

impl Transaction {
    async fn start(connection: &Arc<Connection>) -> Result<Self> {
        let mut start = connection.call(None, Request::Start)?;
        let payload = (&mut start).await?;
        let id = reply::number(&payload).filter(|id| *id != 0);
        let id = id.ok_or(Error::Protocol(Kind::TransactionStart))?;
        let number = Number { id, resets: start.resets };
        Ok(Self { store: Store::new(connection.clone(), Some(number)), number, open: true })
    }

    /// Stays open until xenstored has answered: if this is dropped before, it is aborted.
    async fn commit(mut self) -> Result<()> {
        let outcome = self.store.call(Request::Commit).await;
        self.open = false;
        outcome?;
        self.store.connection().with(|state, _| state.count_commit());
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            self.store.connection().with(|state, wakers| state.abort(self.number, wakers));
        }
    }
}

/// Runs `body` in a transaction until it can be committed.
pub(super) async fn run<T, E: From<Error>>(
    connection: &Arc<Connection>,
    delay: &impl Delay,
    mut body: impl AsyncFnMut(&Transaction) -> core::result::Result<T, E>,
) -> core::result::Result<T, E> {
    let mut collisions = 0;
    while collisions < TRIES {
        let before = connection.with(|state, _| state.commits());
        let transaction = Transaction::start(connection).await?;
        let value = body(&transaction).await?;
        match transaction.commit().await {
            Err(Error::Refused(Refusal::Again)) => {}
            outcome => return Ok(outcome.map(|()| value)?),
        }
        // A transaction of ours that came between is progress, and cannot go on for ever.
        let strangers = connection.with(|state, _| state.commits()) == before;
        delay.delay(pause(collisions)).await;
        collisions += u32::from(strangers);
    }
    Err(Error::Refused(Refusal::Again).into())
}

fn pause(collisions: u32) -> Duration {
    Duration::from_millis(1 << collisions.min(DOUBLINGS))
}
