// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's side of a connection to xenstored.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::ops::Deref;

use xen_sys::io::xs_wire::xenstore_domain_interface;

use super::connection::Connection;
use super::error::{Disconnect, Error, Result};
use super::path;
use super::reply;
use super::request::Request;
use super::ring::Ring;
use super::state::State;
use super::store::Store;
use super::transaction::{self, Transaction};
use super::watch::Watch;
use super::wire::Kind;
use crate::DomainId;
use crate::shared::Shared;
use crate::time::Delay;

/// A handle on the connection to xenstored. Clones are handles on the same connection; any number
/// of tasks on any vCPU may use them at once.
///
/// The nodes are read and written through the methods of [`Store`], which this derefs to.
#[derive(Clone)]
pub struct Client {
    store: Store,
}

/// What [`Client::pump`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Pumped {
    /// xenstored wants an event now.
    pub notify: bool,
    /// Something was moved. There is no need to pump again before the next event.
    pub progress: bool,
}

/// What went wrong so far: little, if xenstored behaves and tasks read their events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Answers that nobody waited for, dropped: ones with a wrong id, and ones that came after the
    /// asker had given up.
    pub stray_answers: u64,
    /// Answers of another type than the request, which failed.
    pub wrong_types: u64,
    /// Events for no watch of ours, or of a path that is not watched, dropped. Some that crossed the
    /// end of their watch are usual.
    pub stray_events: u64,
    /// Times that a watch had more events than are kept.
    pub overflows: u64,
    /// Times that the connection broke.
    pub disconnects: u64,
    /// Times that the connection started anew.
    pub resets: u64,
}

impl Client {
    /// A client on the page that Xen named: `start_info.store_mfn`, or `HVM_PARAM_STORE_PFN`.
    ///
    /// What a former user of the page left unread is dropped. If the rings are being reset, the
    /// requests wait until that is done.
    pub fn new(page: Shared<xenstore_domain_interface>) -> Self {
        let connection = Connection::new(State::new(Ring::new(page)));
        Self { store: Store::new(Arc::new(connection), None) }
    }

    /// Moves bytes between the requests and the page, and wakes the tasks whose answers came. It
    /// never waits, and moves at most one ring full each way.
    ///
    /// To be called when the event channel of the page has an event and when
    /// [`wait_for_work`](Self::wait_for_work) is ready, by one task:
    ///
    /// ```text
    /// loop {
    ///     if client.pump().notify { port.notify() }
    ///     either(port.wait(), client.wait_for_work()).await
    /// }
    /// ```
    pub fn pump(&self) -> Pumped {
        self.connection().with(State::pump)
    }

    /// Ready when a request was made that [`pump`](Self::pump) has not seen yet. One task at a
    /// time can wait for this.
    pub fn wait_for_work(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|context| self.connection().with(|state, wakers| state.poll_work(context.waker(), wakers)))
    }

    /// Watches a node and all below it, or one of the special paths (`@releaseDomain`).
    ///
    /// The first event comes at once; read the node after it, not before.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSpace`](super::Refusal::NoSpace) or [`Refusal::Quota`](super::Refusal::Quota)
    /// if there are too many watches; C xenstored allows 128.
    pub async fn watch(&self, path: &str) -> Result<Watch> {
        path::check_watchable(path)?;
        Watch::set(self.store.connection(), path).await
    }

    /// Does several things at once: others see all of them or none.
    ///
    /// `body` gets the transaction, and is run again from the start if another writer came between
    /// (`EAGAIN`), after a pause that grows from 1 to 64 ms, up to 32 times; collisions with other
    /// transactions of this client do not count. Whatever ends it early - an error, or being
    /// dropped - aborts the transaction.
    ///
    /// Few things need a transaction; each costs two requests more, and C xenstored slows down
    /// everybody's writes while one is open.
    ///
    /// # Errors
    ///
    /// What `body` returns; [`Refusal::Again`](super::Refusal::Again) if others kept coming
    /// between; what xenstored answers, such as [`Refusal::NoSpace`](super::Refusal::NoSpace) when
    /// there are too many transactions (C xenstored allows 10).
    pub async fn transaction<T, E: From<Error>>(
        &self,
        delay: &impl Delay,
        body: impl AsyncFnMut(&Transaction) -> core::result::Result<T, E>,
    ) -> core::result::Result<T, E> {
        transaction::run(self.store.connection(), delay, body).await
    }

    /// The home of a domain: `/local/domain/<domid>`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unsupported`](super::Refusal::Unsupported) from QEMU's xenstored. Relative paths
    /// work everywhere and need no home.
    pub async fn get_domain_path(&self, domain: DomainId) -> Result<String> {
        let payload = self.store.call(Request::GetDomainPath(domain.0)).await?;
        let home = reply::string(&payload).filter(|home| path::check(home).is_ok());
        home.map(ToString::to_string).ok_or(Error::Protocol(Kind::GetDomainPath))
    }

    /// Drops all watches and transactions that this domain has, also those of a kernel that used
    /// the page before us. To be called before any is made.
    ///
    /// # Errors
    ///
    /// What xenstored answers; there is nothing to be done about it.
    pub async fn reset_watches(&self) -> Result<()> {
        self.store.call(Request::ResetWatches).await.map(drop)
    }

    /// Asks xenstored to reset a connection that broke; false if it does not know how.
    ///
    /// Until it is done, requests wait. Those that were on their way, and transactions, end with
    /// [`Disconnect::Reset`]; watches are set again, and fire once.
    pub fn reconnect(&self) -> bool {
        self.connection().with(State::reconnect)
    }

    /// Keeps requests from xenstored from now on, or no longer does; those that it has before it are
    /// answered. Before a domain is suspended, none may be under way: [`is_quiet`](Self::is_quiet).
    pub fn hold(&self, held: bool) {
        self.connection().with(|state, wakers| state.hold(held, wakers));
    }

    /// Whether no request or answer is under way, in whole or in part.
    pub fn is_quiet(&self) -> bool {
        self.connection().with(|state, _| state.is_quiet())
    }

    /// Whether all requests have been answered.
    pub fn is_idle(&self) -> bool {
        self.connection().with(|state, _| state.is_idle())
    }

    /// Goes on with the page of the domain this one was restored into, as after
    /// [`reconnect`](Self::reconnect); requests that were [held](Self::hold) end with [`Disconnect::Reset`],
    /// too, as they were meant for the domain of before. Each watch fires at once. Not to be called when the
    /// suspend was cancelled.
    pub fn restore(&self, page: Shared<xenstore_domain_interface>) {
        self.connection().restore(Ring::new(page));
    }

    /// Times that the domain was [restored](Self::restore). Takes no lock.
    pub fn restores(&self) -> u64 {
        self.connection().restores()
    }

    /// Why the connection is broken; `None` if it is not.
    pub fn disconnect_reason(&self) -> Option<Disconnect> {
        self.connection().with(|state, _| state.disconnect_reason())
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Counters {
        self.connection().with(|state, _| state.counters())
    }

    fn connection(&self) -> &Connection {
        self.store.connection()
    }
}

impl Deref for Client {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}
