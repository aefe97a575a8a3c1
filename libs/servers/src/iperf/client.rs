// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client: measures with a server of iperf3's.

use core::fmt;
use core::future::Future;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use embassy_futures::select::select;
use embedded_io_async::{Read, Write};

use super::data;
use super::wire::{self, Broken, COOKIE, Carried, Parameters, Results, State};
use crate::clock::{Clock, within};

/// Time for each step of the server's that is not the test itself.
const STEP: Duration = Duration::from_secs(10);

/// Why nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server is busy with somebody else.
    Busy,
    /// The server does not do what was asked for.
    Refused,
    /// The server is gone, too slow, or speaks another protocol.
    Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the server is busy with another test",
            Self::Refused => "the server refused the test",
            Self::Broken => "the server broke off, or is no iperf3",
        })
    }
}

impl core::error::Error for Failure {}

impl From<Broken> for Failure {
    fn from(Broken: Broken) -> Self {
        Self::Broken
    }
}

/// Measures for `seconds` over the connections `control` and `data`, both to the server; `open` is
/// called when `data` is to be connected. The server sends if `reverse`. Returns what the server
/// has seen, and the bytes that we have.
///
/// # Errors
///
/// [`Failure`].
pub async fn measure<T: Read + Write, D: Read + Write, O: Future<Output = Option<D>>>(
    clock: &impl Clock,
    control: &mut T,
    open: impl FnOnce() -> O,
    cookie: [u8; 16],
    seconds: u32,
    reverse: bool,
) -> Result<(Results, u64), Failure> {
    let cookie = cookie_of(cookie);
    wire::write(control, &cookie).await?;
    expect(clock, control, State::ParamExchange).await?;
    let wanted = Parameters {
        tcp: true,
        udp: false,
        time: seconds,
        omit: 0,
        parallel: 1,
        len: 128 << 10,
        bandwidth: 0,
        udp_counters_64bit: 0,
        reverse,
        bidirectional: false,
    };
    wire::write_json(control, &wanted).await?;
    expect(clock, control, State::CreateStreams).await?;
    let mut stream = open().await.ok_or(Failure::Broken)?;
    wire::write(&mut stream, &cookie).await?;
    expect(clock, control, State::TestStart).await?;
    expect(clock, control, State::TestRunning).await?;

    let bytes = AtomicU64::new(0);
    let flow = async {
        if reverse {
            data::take(&mut stream, &bytes).await;
        } else {
            data::give(&mut stream, &bytes).await;
        }
    };
    select(flow, clock.pause(Duration::from_secs(seconds.into()))).await;
    wire::tell(control, State::TestEnd).await?;
    // The server reads what is on its way until we close.
    expect(clock, control, State::ExchangeResults).await?;
    let bytes = bytes.load(Ordering::Relaxed);
    wire::write_json(control, &Results::new(&[Carried { bytes, ..Carried::default() }], seconds as f32))
        .await?;
    let theirs = within(clock, STEP, wire::read_json(control)).await.ok_or(Failure::Broken)??;
    expect(clock, control, State::DisplayResults).await?;
    wire::tell(control, State::Done).await?;
    Ok((theirs, bytes))
}

/// Waits for the server to be in this state.
async fn expect(clock: &impl Clock, control: &mut impl Read, state: State) -> Result<(), Failure> {
    match within(clock, STEP, wire::receive_state(control)).await {
        Some(Ok(heard)) if heard == state => Ok(()),
        Some(Ok(State::AccessDenied)) => Err(Failure::Busy),
        Some(Ok(State::ServerError)) => Err(Failure::Refused),
        _ => Err(Failure::Broken),
    }
}

/// A cookie made of random bytes: letters, and a zero at the end.
fn cookie_of(random: [u8; 16]) -> wire::Cookie {
    let mut cookie = [b'a'; COOKIE];
    for (place, nibble) in cookie.iter_mut().zip(random.iter().flat_map(|byte| [byte >> 4, byte & 15])) {
        *place = b'a' + nibble;
    }
    if let Some(last) = cookie.last_mut() {
        *last = 0;
    }
    cookie
}
