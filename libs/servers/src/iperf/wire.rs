// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the parties tell each other.

use alloc::vec::Vec;

use embedded_io_async::{Read, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::buffer::zeroed;

/// Bytes of a cookie.
pub(super) const COOKIE: usize = 37;

/// A client's cookie, by which its connections find each other.
pub(super) type Cookie = [u8; COOKIE];

/// Bytes that a JSON text may have.
const MAX_TEXT: u32 = 64 << 10;

/// A party's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
#[allow(missing_docs, reason = "the names are those of iperf_api.h")]
pub enum State {
    TestStart = 1,
    TestRunning = 2,
    TestEnd = 4,
    ParamExchange = 9,
    CreateStreams = 10,
    ExchangeResults = 13,
    DisplayResults = 14,
    Done = 16,
    AccessDenied = -1,
    ServerError = -2,
}

impl State {
    const ALL: [Self; 10] = [
        Self::TestStart,
        Self::TestRunning,
        Self::TestEnd,
        Self::ParamExchange,
        Self::CreateStreams,
        Self::ExchangeResults,
        Self::DisplayResults,
        Self::Done,
        Self::AccessDenied,
        Self::ServerError,
    ];

    /// The byte.
    pub fn byte(self) -> u8 {
        (self as i8).cast_unsigned()
    }

    fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.byte() == byte)
    }
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Whether it wants TCP.
    #[serde(default)]
    pub tcp: bool,
    /// Whether it wants UDP.
    #[serde(default, skip_serializing_if = "is_off")]
    pub udp: bool,
    /// Seconds that data flows.
    #[serde(default)]
    pub time: u32,
    /// Seconds at the beginning that do not count.
    #[serde(default)]
    pub omit: u32,
    /// Data connections.
    #[serde(default = "one")]
    pub parallel: u32,
    /// Bytes written at once, or those of a datagram.
    #[serde(default)]
    pub len: u32,
    /// Bits that a stream may carry in a second; 0 if there is no limit.
    #[serde(default)]
    pub bandwidth: u64,
    /// Not 0 if the numbers in datagrams have 64 bits.
    #[serde(default)]
    pub udp_counters_64bit: u32,
    /// Whether the server sends. To iperf3 a switch is on when it is there, whatever its value.
    #[serde(default, skip_serializing_if = "is_off")]
    pub reverse: bool,
    /// Whether both send.
    #[serde(default, skip_serializing_if = "is_off")]
    pub bidirectional: bool,
}

const fn one() -> u32 {
    1
}

fn is_off(switch: &bool) -> bool {
    !switch
}

/// What a party has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    cpu_util_total: f32,
    cpu_util_user: f32,
    cpu_util_system: f32,
    sender_has_retransmits: i32,
    /// By data connection.
    pub streams: Vec<StreamResults>,
}

/// What a stream has carried, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamResults {
    id: u32,
    /// Bytes of data.
    pub bytes: u64,
    #[serde(default)]
    retransmits: i64,
    /// Seconds by which datagrams came early or late.
    #[serde(default)]
    pub jitter: f32,
    /// Datagrams that did not come.
    #[serde(default)]
    pub errors: i64,
    /// Datagrams that were sent, as far as this party knows.
    #[serde(default)]
    pub packets: i64,
    #[serde(default)]
    start_time: f32,
    #[serde(default)]
    end_time: f32,
}

impl Results {
    /// Of streams that carried this, and lasted so many seconds.
    pub(super) fn new(streams: &[Carried], seconds: f32) -> Self {
        let stream = |(index, carried): (u32, &Carried)| StreamResults {
            // iperf numbers its streams 1, 3, 4 and so on.
            id: if index == 0 { 1 } else { index + 2 },
            bytes: carried.bytes,
            retransmits: -1,
            jitter: carried.jitter,
            errors: i64::try_from(carried.lost).unwrap_or(i64::MAX),
            packets: i64::try_from(carried.packets).unwrap_or(i64::MAX),
            start_time: 0.0,
            end_time: seconds,
        };
        Self {
            cpu_util_total: 0.0,
            cpu_util_user: 0.0,
            cpu_util_system: 0.0,
            sender_has_retransmits: 0,
            streams: (0..).zip(streams).map(stream).collect(),
        }
    }

    /// Bytes of all streams.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().fold(0, |sum, stream| sum.saturating_add(stream.bytes))
    }
}

/// What a stream has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Carried {
    pub(super) bytes: u64,
    /// Datagrams that were sent, and those of them that did not come.
    pub(super) packets: u64,
    pub(super) lost: u64,
    /// Seconds.
    pub(super) jitter: f32,
}

/// The peer is gone, or says what makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads exactly `into`.
pub(super) async fn read(stream: &mut impl Read, into: &mut [u8]) -> Result<(), Broken> {
    stream.read_exact(into).await.map_err(|_| Broken)
}

pub(super) async fn write(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Broken> {
    stream.write_all(bytes).await.map_err(|_| Broken)
}

pub(super) async fn tell(stream: &mut impl Write, state: State) -> Result<(), Broken> {
    write(stream, &[state.byte()]).await
}

pub(super) async fn receive_state(stream: &mut impl Read) -> Result<State, Broken> {
    let mut byte = [0];
    read(stream, &mut byte).await?;
    State::of_byte(byte[0]).ok_or(Broken)
}

pub(super) async fn read_json<T: DeserializeOwned>(stream: &mut impl Read) -> Result<T, Broken> {
    let mut length = [0; 4];
    read(stream, &mut length).await?;
    let length = u32::from_be_bytes(length);
    if length > MAX_TEXT {
        return Err(Broken);
    }
    let mut text = zeroed(length as usize).ok_or(Broken)?;
    read(stream, &mut text).await?;
    serde_json::from_slice(&text).map_err(|_| Broken)
}

pub(super) async fn write_json(stream: &mut impl Write, value: &impl Serialize) -> Result<(), Broken> {
    let text = serde_json::to_vec(value).map_err(|_| Broken)?;
    let length = u32::try_from(text.len()).map_err(|_| Broken)?;
    write(stream, &length.to_be_bytes()).await?;
    write(stream, &text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_that_are_off_are_not_sent() {
        let wanted = Parameters {
            tcp: true,
            udp: false,
            time: 1,
            omit: 0,
            parallel: 1,
            len: 1,
            bandwidth: 0,
            udp_counters_64bit: 0,
            reverse: false,
            bidirectional: false,
        };
        let text = |wanted| serde_json::to_string(&wanted).unwrap();
        assert!(!text(wanted).contains("reverse") && !text(wanted).contains("bidirectional"));
        assert!(text(Parameters { reverse: true, ..wanted }).contains("\"reverse\":true"));
    }
}
