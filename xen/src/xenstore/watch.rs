// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hearing of changes.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::{Context, Poll};

use super::connection::Connection;
use super::error::{Error, Result};
use super::refusal::Refusal;
use super::request::Request;
use super::watches::Event;

/// A watch on a node and all below it; xenstored forgets it when this is dropped.
///
/// Up to 16 events are kept, each path once. If there are more, all of them become one
/// [`Event`] with the watched path: look at everything below it again. Events may be spurious.
pub struct Watch {
    connection: Arc<Connection>,
    token: u32,
    path: String,
}

impl Watch {
    pub(super) async fn set(connection: &Arc<Connection>, path: &str) -> Result<Self> {
        let token = connection.with(|state, _| state.add_watch(path));
        // From here on dropping `watch` undoes everything.
        let watch = Self { connection: connection.clone(), token, path: path.to_string() };
        match connection.call(None, Request::Watch { path, token })?.await {
            // A reset while we waited has set it already, or a kernel before us did.
            Err(Error::Refused(Refusal::Exists)) => {
                connection.with(|state, wakers| state.touch_watch(token, wakers))
            }
            answer => drop(answer?),
        }
        Ok(watch)
    }

    /// The path that is watched.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next event. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`](super::Error::Disconnected) while the connection is broken; if it starts anew
    /// the watch goes on. [`Error::Refused`](super::Error::Refused) if xenstored does not accept the watch
    /// again then.
    pub async fn next(&mut self) -> Result<Event> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next), for those who write futures by hand.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event>> {
        self.connection.with(|state, wakers| state.poll_watch(self.token, context.waker(), wakers))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The waker is dropped here, not under the lock: it may drop a task.
        drop(self.connection.with(|state, wakers| state.unwatch(self.token, wakers)));
    }
}
