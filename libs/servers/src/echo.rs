// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending back what comes: the Echo Protocol (RFC 862), and a client that looks at what came back.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use embedded_io_async::{Read, Write};
use prism_listener::{Slot, Usage};

/// The protocol's port.
pub const PORT: u16 = 7;

/// Sends back all that comes on `stream`, until its end, or until somebody else needs the slot of a peer
/// that neither says nor takes anything. It is not flushed, which would wait for the peer to acknowledge.
///
/// # Errors
///
/// The stream's.
pub async fn stream<S: Read + Write>(stream: &mut S, slot: &Slot<'_>) -> Result<(), S::Error> {
    let mut buffer = vec![0; 4096];
    loop {
        let Some(length) = slot.yielding(Usage::Idle, stream.read(&mut buffer)).await else { return Ok(()) };
        match buffer.get(..length?) {
            None | Some([]) => return Ok(()),
            Some(bytes) => match slot.yielding(Usage::Idle, stream.write_all(bytes)).await {
                Some(written) => written?,
                None => return Ok(()),
            },
        }
    }
}

/// Datagrams that are answered in a second, and at once.
const RATE: u32 = 10_000;
const BURST: u32 = 1_000;

/// Services that answer whatever they are sent: echo, daytime, quotd, chargen, time.
const ANSWERING: [u16; 5] = [PORT, 13, 17, 19, 37];

/// Which datagrams are sent back. Two that answer each other would never stop, and whoever forges the
/// sender's address has us send to others: so only what a client can have sent is answered, and not more
/// than 10,000 datagrams in a second.
#[derive(Debug, Default)]
pub struct Responder {
    /// When what is left was counted, and how much that was.
    counted: Duration,
    left: u32,
}

impl Responder {
    /// Whether a datagram is sent back that came `from` there to this address, where those of IPv4 have
    /// `prefix` bits for the network; `now` is by a clock that begins at any time.
    pub fn answers(&mut self, from: SocketAddr, to: IpAddr, prefix: u8, now: Duration) -> bool {
        let is_client = from.port() != 0 && !ANSWERING.contains(&from.port()) && from.ip() != to;
        is_client && is_unicast(from.ip(), prefix) && is_unicast(to, prefix) && self.is_within_rate(now)
    }

    fn is_within_rate(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.counted);
        let earned = u32::try_from(passed.as_micros() * u128::from(RATE) / 1_000_000).unwrap_or(u32::MAX);
        if earned > 0 {
            (self.counted, self.left) = (now, self.left.saturating_add(earned).min(BURST));
        }
        let rest = self.left.checked_sub(1);
        self.left = rest.unwrap_or(0);
        rest.is_some()
    }
}

/// Whether it is one host's address, where those of IPv4 have `prefix` bits for the network.
fn is_unicast(address: IpAddr, prefix: u8) -> bool {
    let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    let is_broadcast = match address {
        // A network of one or two has none: RFC 3021.
        IpAddr::V4(address) => address.is_broadcast() || hosts > 1 && address.to_bits() & hosts == hosts,
        IpAddr::V6(_) => false,
    };
    !(address.is_multicast() || address.is_unspecified() || address.is_loopback() || is_broadcast)
}

/// Bytes that a client sends before it waits for them.
const BLOCK: usize = 4096;

/// What a client sends in turn `number`, `length` bytes that are of that turn only.
pub fn block(number: u32, length: usize) -> Vec<u8> {
    (0..length as u32).map(|slot| (slot ^ slot >> 8).wrapping_mul(7).wrapping_add(number) as u8).collect()
}

/// Sends `blocks` blocks of 4096 bytes on `stream`, and returns how many of them came back as they were
/// before one did not.
pub async fn converse<S: Read + Write>(stream: &mut S, blocks: u32) -> u32 {
    let mut back = vec![0; BLOCK];
    for number in 0..blocks {
        let sent = block(number, BLOCK);
        let came = stream.write_all(&sent).await.is_ok() && stream.read_exact(&mut back).await.is_ok();
        if !came || back != sent {
            return number;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(from: &str, to: &str) -> bool {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Responder::default().answers(from, to, 25, Duration::from_secs(1))
    }

    #[test]
    fn clients_are_answered() {
        assert!(answers("192.0.2.1:40000", "192.0.2.2"));
        assert!(answers("192.0.2.1:53", "192.0.2.2"));
        assert!(answers("192.0.2.254:40000", "192.0.2.2"));
        assert!(answers("[2001:db8::1]:40000", "2001:db8::2"));
    }

    #[test]
    fn services_that_answer_too_are_not_answered() {
        for port in [0, 7, 13, 17, 19, 37] {
            assert!(!answers(&alloc::format!("192.0.2.1:{port}"), "192.0.2.2"), "{port}");
        }
    }

    #[test]
    fn what_no_single_other_host_has_sent_or_was_sent_to_all_is_not_answered() {
        for (from, to) in [
            ("192.0.2.2:40000", "192.0.2.2"),
            ("255.255.255.255:40000", "192.0.2.2"),
            ("192.0.2.255:40000", "192.0.2.2"),
            ("224.0.0.1:40000", "192.0.2.2"),
            ("0.0.0.0:40000", "192.0.2.2"),
            ("127.0.0.1:40000", "192.0.2.2"),
            ("192.0.2.1:40000", "255.255.255.255"),
            ("192.0.2.1:40000", "192.0.2.127"),
            ("192.0.2.1:40000", "224.0.0.1"),
            ("[ff02::1]:40000", "2001:db8::2"),
            ("[2001:db8::1]:40000", "ff02::1"),
        ] {
            assert!(!answers(from, to), "{from} to {to}");
        }
    }

    #[test]
    fn no_more_is_answered_in_a_second_than_the_rate() {
        let (mut responder, mut answered) = (Responder::default(), 0);
        for micros in (1_000_000..3_000_000).step_by(3) {
            let (from, to) = ("192.0.2.1:40000".parse().unwrap(), "192.0.2.2".parse().unwrap());
            answered += u32::from(responder.answers(from, to, 24, Duration::from_micros(micros)));
        }
        assert!((2 * RATE - BURST..=2 * RATE + BURST).contains(&answered), "{answered}");
    }
}
