// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the toolstack asks of the domain as a whole: `control/` in xenstore
//! (`docs/misc/xenstore-paths.pandoc`).
//!
//! A request is acknowledged by emptying its node, and that is a promise to carry it out: libxl suspends a
//! domain that has emptied `suspend` (`tools/libs/light/libxl_dom_suspend.c`). So only what is understood
//! [is taken](take_shutdown); the rest stays where it is, and the toolstack gives up waiting.
//!
//! # Examples
//!
//! ```
//! use xen::control::{self, Request, Shutdown};
//! use xen::xenstore::Client;
//! use xen::xenstore::fake::{Xenstored, page};
//!
//! let xenstored = Xenstored::new(page());
//! let client = Client::new(xenstored.page());
//! let path = "/local/domain/1/control/shutdown";
//! xenstored.write(path, "poweroff");
//! xenstored.give(path, 1);
//!
//! let no_time = |_| std::future::ready(());
//! let request = xenstored.run(&client, control::take_shutdown(&client, &no_time))?;
//! assert_eq!(request, Request::Taken(Shutdown::Poweroff));
//! assert_eq!(xenstored.read(path).as_deref(), Some(&b""[..]));
//! # Ok::<(), xen::xenstore::Error>(())
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::xenstore::{Client, Delay, Error, Result, Store};

/// Where the toolstack asks a domain to end.
pub const SHUTDOWN: &str = "control/shutdown";

/// How a domain can be asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// `poweroff`: switch off.
    Poweroff,
    /// `halt`: stop; for a domain the same as switching off.
    Halt,
    /// `reboot`: start again.
    Reboot,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Poweroff => "poweroff",
            Self::Halt => "halt",
            Self::Reboot => "reboot",
        })
    }
}

impl Shutdown {
    /// The request that this text is, if it is one that can be carried out.
    fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"poweroff" => Some(Self::Poweroff),
            b"halt" => Some(Self::Halt),
            b"reboot" => Some(Self::Reboot),
            _ => None,
        }
    }
}

/// What stands at [`SHUTDOWN`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing, or what was taken before.
    None,
    /// A request, which has been acknowledged: the caller has to carry it out.
    Taken(Shutdown),
    /// Something that nobody here understands: it still stands there.
    Unknown(String),
}

/// Looks for a request to end, and acknowledges it if it is understood. A request that the domain
/// may not acknowledge is taken all the same: some toolstacks let nobody write there.
///
/// # Errors
///
/// [`Error::Dead`] when the connection breaks, and what xenstored refuses a read with.
pub async fn take_shutdown(client: &Client, delay: &impl Delay) -> Result<Request> {
    let taken = client.transaction(delay, async |transaction| take(transaction).await).await;
    match taken {
        // Others that write without pause are no reason not to obey.
        Err(Error::Refused(_)) => take(client).await,
        taken => taken,
    }
}

/// Reads the node, and empties it if what it holds is understood.
async fn take(store: &Store) -> Result<Request> {
    let text = match store.read(SHUTDOWN).await {
        Err(error) if error.is_not_found() => Vec::new(),
        text => text?,
    };
    if text.is_empty() {
        return Ok(Request::None);
    }
    let Some(request) = Shutdown::parse(&text) else {
        return Ok(Request::Unknown(String::from_utf8_lossy(&text).into_owned()));
    };
    match store.write(SHUTDOWN, "").await {
        Ok(()) | Err(Error::Refused(_)) => Ok(Request::Taken(request)),
        Err(error) => Err(error),
    }
}
