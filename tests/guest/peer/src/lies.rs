// SPDX-License-Identifier: MIT OR Apache-2.0
//! An xenstored that lies in every way it is asked to: each request ends, and the next one works.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prism::embassy_time::{Duration, Instant, TimeoutError, Timer, with_timeout};
use prism::xen::xenstore::{Client, Disconnect, Error};
use prism::{memory, println};

use crate::talk::{LIMIT, limited};

/// How long is waited for an answer that must not come.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What must come of asking for a lie.
enum Outcome {
    /// An answer of this many bytes.
    Bytes(usize),
    /// An error of the request alone.
    Failure,
    /// Nothing within [`TIMEOUT`].
    Silence,
    /// Nothing within [`TIMEOUT`], or the connection's reason if another task uses it meanwhile.
    SilenceOrDisconnect(Disconnect),
    /// The connection dies of one of these.
    Disconnect(&'static [Disconnect]),
}

use Outcome::{Bytes, Disconnect as Disconnected, Failure, Silence, SilenceOrDisconnect};

/// The lies, and what must come of each.
const LIES: [(&str, Outcome); 21] = [
    ("wrong-id", Silence),
    ("wrong-type", Failure),
    ("silence", Silence),
    ("twice", Bytes(4)),
    ("unknown-error", Failure),
    ("broken-error", Failure),
    ("empty-error", Failure),
    ("binary", Bytes(2048)),
    ("full", Bytes(4096)),
    ("no-list", Bytes(26)),
    ("events", Bytes(15)),
    ("storm", Bytes(15)),
    ("too-short", Silence),
    ("too-long", Disconnected(&[Disconnect::Message(4097)])),
    ("endless", Disconnected(&[Disconnect::Message(u32::MAX)])),
    ("answers-jump", Disconnected(&[Disconnect::Indices])),
    ("answers-back", Disconnected(&[Disconnect::Indices])),
    ("requests-jump", SilenceOrDisconnect(Disconnect::Indices)),
    ("given-up", Disconnected(&[Disconnect::Server(3)])),
    // A vCPU that is held up for long finds the ring reset already, with other indices.
    ("reset", Disconnected(&[Disconnect::Reset, Disconnect::Indices])),
    ("anything-else", Failure),
];

/// Asks for every lie, and for the truth after each.
pub(crate) async fn told(store: &Client) -> prism::Result<bool> {
    let free = memory::usage().free;
    let mut good = true;
    for (lie, expected) in &LIES {
        let timeout = if matches!(expected, Silence | SilenceOrDisconnect(_)) { TIMEOUT } else { LIMIT };
        let found = with_timeout(timeout, store.read(&format!("lie/{lie}"))).await.ok();
        let right = is_right(expected, found.as_ref());
        let truth = truth_after(store, expected).await;
        println!("{lie}: {}{}, then {truth}", if right { "" } else { "WRONG, " }, text(found.as_ref()));
        good &= right && truth == "honest";
    }
    good &= limited(store.read_str("lie/no-more")).await? == "as you like";
    // The one who comes next knows nothing of this ring.
    good &= store.reconnect();
    println!("the real xenstored answers: {}", name(store).await?);
    let lost = free.saturating_sub(memory::usage().free) >> 10;
    println!("{} lies survived, {lost} KiB of memory gone, {:?}", LIES.len(), store.counters());
    Ok(good && lost <= 128)
}

fn is_right(expected: &Outcome, found: Option<&Result<Vec<u8>, Error>>) -> bool {
    match (expected, found) {
        (Bytes(count), Some(Ok(bytes))) => bytes.len() == *count,
        (Failure, Some(Err(Error::Protocol(_) | Error::Refused(_)))) => true,
        (Silence | SilenceOrDisconnect(_), None) => true,
        (Disconnected(reasons), Some(Err(Error::Disconnected(found)))) => reasons.contains(found),
        (SilenceOrDisconnect(reason), Some(Err(Error::Disconnected(found)))) => found == reason,
        _ => false,
    }
}

fn text(found: Option<&Result<Vec<u8>, Error>>) -> String {
    match found {
        None => "no answer in time".to_string(),
        Some(Ok(bytes)) => format!("{} bytes", bytes.len()),
        Some(Err(error)) => format!("{error}"),
    }
}

/// What an honest request is answered after a lie.
async fn truth_after(store: &Client, lie: &Outcome) -> String {
    let mut answer = limited_truth(store).await;
    let deadline = Instant::now() + LIMIT;
    while matches!(answer, Ok(Err(Error::Disconnected(_)))) && Instant::now() < deadline {
        // The kernel makes the connection anew.
        Timer::after(Duration::from_millis(100)).await;
        answer = limited_truth(store).await;
    }
    if answer.is_err() && matches!(lie, Silence | SilenceOrDisconnect(_)) {
        // What is left of the lie swallows the answers. Only who waits for them can know.
        store.reconnect();
        answer = limited_truth(store).await;
    }
    match answer {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("{error}"),
        Err(_) => "no answer in time".to_string(),
    }
}

/// What the real xenstored answers, to which the connection is being handed.
async fn name(store: &Client) -> prism::Result<String> {
    loop {
        match with_timeout(LIMIT, store.read_str("name")).await.map_err(|_| "nobody answers")? {
            Err(Error::Disconnected(_)) => Timer::after(Duration::from_millis(100)).await,
            // It has forgotten what was ours, and who we are.
            Err(Error::Refused(refusal)) => return Ok(format!("{refusal}")),
            answer => return Ok(answer?),
        }
    }
}

async fn limited_truth(store: &Client) -> Result<Result<String, Error>, TimeoutError> {
    with_timeout(10 * TIMEOUT, store.read_str("truth")).await
}
