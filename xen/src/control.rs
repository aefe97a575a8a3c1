// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of the toolstack to the domain as a whole: `control/` and `cpu/` in xenstore
//! (`docs/misc/xenstore-paths.pandoc`).
//!
//! A request is acknowledged by emptying its node, and that is a promise to carry it out: libxl waits for a
//! domain that has emptied `suspend` to suspend itself (`tools/libs/light/libxl_dom_suspend.c`). So only what
//! is understood [is taken](take_shutdown), and a suspend only by who is [ready](acknowledge_suspend) for it;
//! the rest stays where it is, and the toolstack gives up waiting.
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

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::time::{Delay, all};
use crate::xenstore::{Client, Error, Result, Store, Transaction};

/// Where the toolstack asks a domain to end.
pub const SHUTDOWN: &str = "control/shutdown";

/// Where the toolstack leaves a key (`xl sysrq`). There is no node by which a domain tells that it looks
/// there (`docs/misc/xenstore-paths.pandoc`).
pub const SYSRQ: &str = "control/sysrq";

/// What asks a domain to suspend itself.
const SUSPEND: &[u8] = b"suspend";

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
    /// To suspend, so that the domain can be saved or migrated. It still stands there: who is ready for it
    /// [acknowledges](acknowledge_suspend) it.
    Suspend,
    /// Something that nobody here understands: it still stands there.
    Unknown(String),
}

/// What a domain can do when it is asked to, beside ending: that can every one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Suspend itself.
    pub suspend: bool,
    /// Bring vCPUs up and down while it runs. XAPI asks no domain for that which does not say so.
    pub vcpu_hotplug: bool,
}

/// Tells the toolstack what the domain can be asked for: `control/feature-*` is `1` or `0`. A node that the
/// domain may not write is left alone: some toolstacks make none, and ask all the same.
///
/// # Examples
///
/// ```
/// use xen::control::{self, Features};
/// use xen::xenstore::Client;
/// use xen::xenstore::fake::{Xenstored, page};
///
/// let xenstored = Xenstored::new(page());
/// let client = Client::new(xenstored.page());
/// let path = "/local/domain/1/control/feature-suspend";
/// xenstored.write(path, "");
/// xenstored.give(path, 1);
/// xenstored.run(&client, control::announce(&client, Features::default()));
/// assert_eq!(xenstored.read(path).as_deref(), Some(&b"0"[..]));
/// ```
pub async fn announce(store: &Store, features: Features) {
    let Features { suspend, vcpu_hotplug } = features;
    let features =
        [("poweroff", true), ("reboot", true), ("suspend", suspend), ("vcpu-hotplug", vcpu_hotplug)];
    all(features.map(|(name, is_there)| async move {
        let _ = store.write(&format!("control/feature-{name}"), if is_there { "1" } else { "0" }).await;
    }))
    .await;
}

/// Looks for a request to end, and acknowledges it if it is understood. A request that the domain
/// may not acknowledge is taken all the same: some toolstacks let nobody write there.
///
/// # Errors
///
/// [`Error::Disconnected`] when the connection breaks, and what xenstored refuses a read with.
pub async fn take_shutdown(client: &Client, delay: &impl Delay) -> Result<Request> {
    // Mostly there is nothing to be taken, which takes no transaction to see.
    let found = request(client).await?;
    if !matches!(found, Request::Taken(_)) {
        return Ok(found);
    }
    let taken = client.transaction(delay, async |transaction| take(transaction).await).await;
    match taken {
        // Others that write without pause are no reason not to obey.
        Err(Error::Refused(_)) => take(client).await,
        taken => taken,
    }
}

/// What the node holds. What is understood is not taken yet.
async fn request(store: &Store) -> Result<Request> {
    let text = match store.read(SHUTDOWN).await {
        Err(error) if error.is_not_found() => Vec::new(),
        text => text?,
    };
    Ok(match text.as_slice() {
        b"" => Request::None,
        SUSPEND => Request::Suspend,
        text => match Shutdown::parse(text) {
            Some(shutdown) => Request::Taken(shutdown),
            None => Request::Unknown(String::from_utf8_lossy(text).into_owned()),
        },
    })
}

/// Reads the node, and empties it if what it holds is understood.
async fn take(store: &Store) -> Result<Request> {
    let found = request(store).await?;
    if !matches!(found, Request::Taken(_)) {
        return Ok(found);
    }
    match store.write(SHUTDOWN, "").await {
        Ok(()) | Err(Error::Refused(_)) => Ok(found),
        Err(error) => Err(error),
    }
}

/// Acknowledges a request to suspend, if it still stands there: the domain then has a minute to suspend
/// itself. False if the toolstack has withdrawn it.
///
/// # Errors
///
/// As for [`take_shutdown`]; and what xenstored refuses the write with: then the toolstack cannot know that
/// the domain is ready, and does not wait for it.
///
/// # Examples
///
/// ```
/// use xen::control::{self, Request};
/// use xen::xenstore::Client;
/// use xen::xenstore::fake::{Xenstored, page};
///
/// let xenstored = Xenstored::new(page());
/// let client = Client::new(xenstored.page());
/// let path = "/local/domain/1/control/shutdown";
/// xenstored.write(path, "suspend");
/// xenstored.give(path, 1);
///
/// let no_time = |_| std::future::ready(());
/// let request = xenstored.run(&client, control::take_shutdown(&client, &no_time))?;
/// assert_eq!(request, Request::Suspend);
/// assert_eq!(xenstored.read(path).as_deref(), Some(&b"suspend"[..]), "nobody is ready yet");
/// assert!(xenstored.run(&client, control::acknowledge_suspend(&client, &no_time))?);
/// assert_eq!(xenstored.read(path).as_deref(), Some(&b""[..]));
/// # Ok::<(), xen::xenstore::Error>(())
/// ```
pub async fn acknowledge_suspend(client: &Client, delay: &impl Delay) -> Result<bool> {
    let acknowledge = async |transaction: &Transaction| {
        let stands = match transaction.read(SHUTDOWN).await {
            Err(error) if error.is_not_found() => false,
            text => text? == SUSPEND,
        };
        if stands {
            transaction.write(SHUTDOWN, "").await?;
        }
        Ok(stands)
    };
    client.transaction(delay, acknowledge).await
}

/// Takes the key that the toolstack has left at [`SYSRQ`], if there is one, and acknowledges it by emptying
/// the node: the caller has to do what it means. Of a longer text the first byte counts, as for Linux.
///
/// # Errors
///
/// [`Error::Disconnected`] when the connection breaks, and what xenstored refuses. A key that cannot be
/// acknowledged is not taken: it would be found there again.
///
/// # Examples
///
/// ```
/// use xen::control;
/// use xen::xenstore::Client;
/// use xen::xenstore::fake::{Xenstored, page};
///
/// let xenstored = Xenstored::new(page());
/// let client = Client::new(xenstored.page());
/// let path = "/local/domain/1/control/sysrq";
/// xenstored.write(path, "h");
/// xenstored.give(path, 1);
///
/// let no_time = |_| std::future::ready(());
/// assert_eq!(xenstored.run(&client, control::take_sysrq(&client, &no_time))?, Some(b'h'));
/// assert_eq!(xenstored.run(&client, control::take_sysrq(&client, &no_time))?, None);
/// # Ok::<(), xen::xenstore::Error>(())
/// ```
pub async fn take_sysrq(client: &Client, delay: &impl Delay) -> Result<Option<u8>> {
    // Mostly there is none, which takes no transaction to see.
    if key(client).await?.is_none() {
        return Ok(None);
    }
    let take = async |transaction: &Transaction| {
        let key = key(transaction).await?;
        if key.is_some() {
            transaction.write(SYSRQ, "").await?;
        }
        Ok(key)
    };
    client.transaction(delay, take).await
}

async fn key(store: &Store) -> Result<Option<u8>> {
    let text = match store.read(SYSRQ).await {
        Err(error) if error.is_not_found() => Vec::new(),
        text => text?,
    };
    Ok(text.first().copied().filter(|key| *key != 0))
}

/// What the toolstack wants of a vCPU: `cpu/N/availability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// `online`: it is to run.
    Online,
    /// `offline`: it is not.
    Offline,
    /// Nothing is said of it.
    Unsaid,
    /// Something else, which means nothing.
    Invalid,
}

impl Availability {
    fn parse(text: &[u8]) -> Self {
        match text {
            b"online" => Self::Online,
            b"offline" => Self::Offline,
            b"" => Self::Unsaid,
            _ => Self::Invalid,
        }
    }
}

/// Where the toolstack says what it wants of vCPUs.
pub const VCPUS: &str = "cpu";

/// What the toolstack wants of the first `count` vCPUs, by number: of the `maxvcpus` that a domain has, those
/// that `vcpus` names are online. It may change at any time ([`VCPUS`] can be watched).
///
/// # Errors
///
/// [`Error::Disconnected`] when the connection breaks, and what xenstored refuses a read with.
///
/// # Examples
///
/// ```
/// use xen::control::{self, Availability};
/// use xen::xenstore::Client;
/// use xen::xenstore::fake::{Xenstored, page};
///
/// let xenstored = Xenstored::new(page());
/// let client = Client::new(xenstored.page());
/// for (vcpu, availability) in ["online", "online", "offline"].iter().enumerate() {
///     let path = format!("/local/domain/1/cpu/{vcpu}/availability");
///     xenstored.write(&path, availability);
///     xenstored.give(&path, 1);
/// }
/// let wanted = xenstored.run(&client, control::availability(&client, 4))?;
/// use Availability::*;
/// assert_eq!(wanted, [Online, Online, Offline, Unsaid]);
/// # Ok::<(), xen::xenstore::Error>(())
/// ```
pub async fn availability(store: &Store, count: u32) -> Result<Vec<Availability>> {
    // The answers take one round to xenstored, not one each.
    all((0..count).map(|vcpu| availability_of(store, vcpu))).await.into_iter().collect()
}

async fn availability_of(store: &Store, vcpu: u32) -> Result<Availability> {
    match store.read(&format!("{VCPUS}/{vcpu}/availability")).await {
        Err(error) if error.is_not_found() => Ok(Availability::Unsaid),
        text => text.map(|text| Availability::parse(&text)),
    }
}
