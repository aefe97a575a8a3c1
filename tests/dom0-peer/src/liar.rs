// SPDX-License-Identifier: MIT OR Apache-2.0
//! An xenstored that lies when it is asked for a path below `lie`: the path says how. Anything else
//! it answers honestly, though it forgets what it is told.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use xen_sys::io::xs_wire::*;

use crate::guest::Guest;
use crate::ring::{ANSWERS_MADE, CONNECTION, ERROR, REQUESTS_MADE, REQUESTS_TAKEN, Request, Ring};

/// Serves the guest, which must not run yet, until it has asked for `lie/no-more` and has the ring
/// reset; then the real xenstored serves it again. No more lies are told only once the guest has
/// begun to look for disks again, after the first lie that killed the connection and all watches.
pub(crate) fn serve(guest: &mut Guest) -> Result<()> {
    let (mut ring, port) = Ring::take(guest)?;
    let (mut lies, mut died, mut again) = (0, false, false);
    let (mut last, mut leaving) = (None, false);
    loop {
        let Some(request) = ring.next_request()? else {
            if leaving {
                break;
            }
            ring.reset()?;
            println!("the ring was reset");
            continue;
        };
        match request.lie() {
            Some("no-more") => last = Some(request),
            Some(lie) => {
                lies += 1;
                died |= lie == "too-long";
                println!("asked to lie: {lie}");
                tell_lie(&mut ring, &request, lie)?;
            }
            None => {
                again |= died && request.kind == XS_WATCH && request.path() == "control/shutdown";
                tell_truth(&mut ring, &request)?;
            }
        }
        if let Some(request) = last.take_if(|_| again) {
            leaving = true;
            answer(&mut ring, &request, b"as you like")?;
        }
    }
    // The guest waits until the real xenstored, which begins at zero, says that it is there.
    drop(ring);
    guest.store.introduce(guest.domain, port)?;
    println!("{lies} lies told");
    Ok(())
}

impl Request {
    /// The path that is asked for.
    fn path(&self) -> &str {
        let path = self.payload.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(path).unwrap_or_default()
    }

    fn lie(&self) -> Option<&str> {
        self.path().strip_prefix("lie/")
    }
}

fn tell_truth(ring: &mut Ring, request: &Request) -> Result<()> {
    match request.kind {
        XS_READ if request.path() == "truth" => answer(ring, request, b"honest"),
        XS_READ => answer_as(ring, request, XS_ERROR, b"ENOENT\0"),
        XS_TRANSACTION_START => answer(ring, request, b"1\0"),
        XS_WATCH => {
            answer(ring, request, b"OK\0")?;
            // The first event comes at once; it holds the path and the token, as the request does.
            ring.send([XS_WATCH_EVENT, 0, 0, request.payload.len() as u32], &request.payload)
        }
        _ => answer(ring, request, b"OK\0"),
    }
}

fn answer(ring: &mut Ring, request: &Request, payload: &[u8]) -> Result<()> {
    answer_as(ring, request, request.kind, payload)
}

fn answer_as(ring: &mut Ring, request: &Request, kind: u32, payload: &[u8]) -> Result<()> {
    ring.send([kind, request.id, request.transaction, payload.len() as u32], payload)
}

fn tell_lie(ring: &mut Ring, request: &Request, lie: &str) -> Result<()> {
    let Request { kind, id, transaction, .. } = *request;
    match lie {
        "wrong-id" => ring.send([kind, id.wrapping_add(1000), transaction, 1], b"x"),
        "wrong-type" => answer_as(ring, request, XS_GET_DOMAIN_PATH, b"x\0"),
        "silence" => Ok(()),
        "twice" => answer(ring, request, b"once").and_then(|()| answer(ring, request, b"twice")),
        "unknown-error" => answer_as(ring, request, XS_ERROR, b"EWHATEVER\0"),
        "broken-error" => answer_as(ring, request, XS_ERROR, &[0xff; 300]),
        "empty-error" => answer_as(ring, request, XS_ERROR, b""),
        "binary" => answer(ring, request, &every_byte(2048)),
        "full" => answer(ring, request, &every_byte(XENSTORE_PAYLOAD_MAX)),
        "no-list" => answer(ring, request, b"neither/one\xff nor the other"),
        "events" => flood(ring).and_then(|()| answer(ring, request, b"after the flood")),
        "storm" => {
            (0..5000).try_for_each(|_| ring.notify())?;
            answer(ring, request, b"after the storm")
        }
        "too-short" => ring.send([kind, id, transaction, 100], b"ten bytes!"),
        "too-long" => ring.send([kind, id, transaction, XENSTORE_PAYLOAD_MAX as u32 + 1], b"x"),
        "endless" => ring.send([kind, id, transaction, u32::MAX], b"x"),
        "answers-jump" => jump(ring, 5000),
        "answers-back" => jump(ring, u32::MAX),
        "requests-jump" => {
            ring.set(REQUESTS_TAKEN, ring.word(REQUESTS_MADE).wrapping_add(1));
            ring.notify()
        }
        "given-up" => {
            ring.set(ERROR, XENSTORE_ERROR_PROTO);
            ring.notify()
        }
        "reset" => reset_uncalled(ring),
        _ => answer_as(ring, request, XS_ERROR, b"EINVAL\0"),
    }
}

/// Bytes of every value, in turn.
fn every_byte(count: usize) -> Vec<u8> {
    (0..=255).cycle().take(count).collect()
}

/// Events for watches that nobody has set, and some that are no events.
fn flood(ring: &mut Ring) -> Result<()> {
    let payloads: [&[u8]; 6] =
        [b"some/path\x00999999\0", b"", b"\0", b"no end", b"control/shutdown\0token\0", &[0xff; 1000]];
    for payload in payloads.iter().cycle().take(60) {
        ring.send([XS_WATCH_EVENT, 0, 0, payload.len() as u32], payload)?;
    }
    Ok(())
}

/// Claims to have answered so many bytes more, and says so.
fn jump(ring: &mut Ring, distance: u32) -> Result<()> {
    ring.wait_until_taken()?;
    ring.set(ANSWERS_MADE, ring.word(ANSWERS_MADE).wrapping_add(distance));
    ring.notify()
}

/// Says that the ring is being reset, and takes its time to do it.
fn reset_uncalled(ring: &mut Ring) -> Result<()> {
    ring.set(CONNECTION, XENSTORE_RECONNECT);
    ring.notify()?;
    thread::sleep(Duration::from_millis(200));
    ring.reset()
}
