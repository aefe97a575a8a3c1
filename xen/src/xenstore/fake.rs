// SPDX-License-Identifier: MIT OR Apache-2.0
//! An xenstored for tests: stricter than the real ones, and able to misbehave on demand.
//!
//! It panics where a real one would end the connection or put up with a client's mistake: a
//! payload of more than 4096 bytes, a missing NUL, a header cut in two, more than 16 requests
//! before it, a number used twice. Quotas are errors, as they really are. It only looks at the
//! page when it got an event, so that a forgotten one shows.
//!
//! It rewrites the page as a whole: the client's pump must not run at the same moment on another
//! thread. Tasks may.

mod server;
mod state;
mod tree;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use spin::Mutex;
use xen_sys::io::xs_wire::xenstore_domain_interface;

use self::server::Server;
use super::client::Client;
use crate::shared::Shared;

/// How an xenstored is set up. The quotas are those of C xenstored.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The client's domain.
    pub domain: u16,
    /// Nodes that the domain may own.
    pub nodes: usize,
    /// Bytes of a node: path and value.
    pub node_size: usize,
    /// Watches that the domain may have.
    pub watches: usize,
    /// Transactions that the domain may have open.
    pub transactions: usize,
    /// What is said when a quota is used up: `ENOSPC`, or oxenstored's `EQUOTA`.
    pub quota_refusal: &'static str,
    /// `XENSTORE_SERVER_FEATURE_*`.
    pub features: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: 1,
            nodes: 1000,
            node_size: 2048,
            watches: 128,
            transactions: 10,
            quota_refusal: "ENOSPC",
            features: 3,
        }
    }
}

/// Something that an xenstored should not do, done once.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with an id that was not asked.
    WrongId,
    /// Answers with another type.
    WrongType,
    /// Announces this many bytes of payload.
    Length(u32),
    /// Never answers.
    NoReply,
    /// Answers twice.
    Twice,
    /// Answers with this payload.
    Payload(Vec<u8>),
    /// Answers with this error, without doing what was asked.
    Refuse(&'static str),
    /// Writes these bytes in place of an answer.
    Bytes(Vec<u8>),
}

/// An xenstored for one domain.
pub struct Xenstored {
    server: Mutex<Server>,
}

impl Xenstored {
    /// An xenstored with the usual [`Settings`] behind `page`.
    pub fn new(page: Page) -> Self {
        Self::with(page, Settings::default())
    }

    /// An xenstored behind `page`.
    pub fn with(page: Page, settings: Settings) -> Self {
        Self { server: Mutex::new(Server::new(page, settings)) }
    }

    /// From now on it is that of another host, which the client's domain is restored on: behind a fresh page,
    /// and with an empty tree.
    pub fn migrate(&self) {
        *self.server.lock() = Server::new(page(), Settings::default());
    }

    /// The page that it shares with its client.
    pub fn page(&self) -> Page {
        self.server.lock().page()
    }

    /// Gives it an event: it looks at the page, and answers.
    pub fn notify(&self) {
        self.server.lock().serve();
    }

    /// Whether it has given the client an event since the last call.
    pub fn take_event(&self) -> bool {
        self.server.lock().take_event()
    }

    /// Writes a node, as the control domain would.
    ///
    /// # Panics
    ///
    /// If `path` is no absolute path.
    pub fn write(&self, path: &str, value: impl AsRef<[u8]>) {
        self.server.lock().write(path, value.as_ref());
    }

    /// Removes a node and all below it, as the control domain would.
    pub fn remove(&self, path: &str) {
        self.server.lock().remove(path);
    }

    /// Gives the client's domain a node, or takes it away: changes the owner.
    pub fn give(&self, path: &str, domain: u16) {
        self.server.lock().give(path, domain);
    }

    /// The value of a node.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.server.lock().state().read(path)
    }

    /// Does this in place of the next answer; several wait their turn.
    pub fn inject(&self, fault: Fault) {
        self.server.lock().inject(fault);
    }

    /// From now on answers of one look at the page come in reverse order, or no longer do.
    pub fn reverse(&self, reverse: bool) {
        self.server.lock().reverse(reverse);
    }

    /// From now on answers are held back, or no longer are.
    pub fn hold(&self, hold: bool) {
        self.server.lock().hold(hold);
    }

    /// From now on a wish to reconnect is ignored, or no longer is.
    pub fn ignore_reconnect(&self, ignore: bool) {
        self.server.lock().ignore_reconnect(ignore);
    }

    /// Sends an event for a watch, whether there is one or not.
    pub fn fire(&self, path: &str, token: &str) {
        self.server.lock().fire(path, token);
    }

    /// Watches that the client has: path and token, as they were given.
    pub fn watches(&self) -> Vec<(String, String)> {
        self.server.lock().state().watches().to_vec()
    }

    /// Transactions that the client has open.
    pub fn transactions(&self) -> usize {
        self.server.lock().state().transactions()
    }

    /// The most requests that were before it at once.
    pub fn most_outstanding(&self) -> usize {
        self.server.lock().most_outstanding()
    }

    /// Events that it was given.
    pub fn notifications(&self) -> usize {
        self.server.lock().notifications()
    }

    /// Runs `future`, with the client's pump and this xenstored, each only when it was woken or
    /// got an event.
    ///
    /// # Panics
    ///
    /// If nobody has anything to do and the future is not ready: a wake-up or an event was lost,
    /// or never due.
    #[allow(clippy::panic, reason = "a test that hangs should say so")]
    pub fn run<F: Future>(&self, client: &Client, future: F) -> F::Output {
        match self.run_until_idle(client, &mut pin!(future)) {
            Some(output) => output,
            None => panic!("everybody waits: {:?}", client.counters()),
        }
    }

    /// As [`run`](Self::run), but returns `None` when nobody has anything to do.
    pub fn run_until_idle<F: Future + Unpin>(&self, client: &Client, future: &mut F) -> Option<F::Output> {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        loop {
            let mut idle = true;
            if flag.0.swap(false, Ordering::SeqCst) {
                idle = false;
                if let Poll::Ready(output) = pin!(&mut *future).poll(&mut Context::from_waker(&waker)) {
                    return Some(output);
                }
            }
            if self.take_event() || has_work(client) {
                idle = false;
                if client.pump().notify {
                    self.notify();
                }
            }
            if idle {
                return None;
            }
        }
    }
}

/// Whether the client's pump was asked for.
fn has_work(client: &Client) -> bool {
    pin!(client.wait_for_work()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The page that both sides share.
pub type Page = Shared<xenstore_domain_interface>;

/// A page with indices at zero.
pub fn page() -> Page {
    page_at(0)
}

/// A page with indices anywhere. Its memory is never freed: somebody may always look at it.
pub fn page_at(index: u32) -> Page {
    let page = xenstore_domain_interface {
        req: [0; 1024],
        rsp: [0; 1024],
        req_cons: index,
        req_prod: index,
        rsp_cons: index,
        rsp_prod: index,
        server_features: 0,
        connection: 0,
        error: 0,
    };
    let address = Box::into_raw(Box::new(page)).expose_provenance() as u64;
    // SAFETY: the box is leaked, aligned for its type, and used through this address only.
    unsafe { Shared::at(address) }
}

/// The path below the home of `domain` if it is relative.
fn absolute(domain: u16, path: &str) -> String {
    if path.starts_with(['/', '@']) { path.to_string() } else { format!("/local/domain/{domain}/{path}") }
}
