// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flows of datagrams. Each datagram begins with the time when it was sent, in seconds and microseconds
//! of 32 bits, and its number, of 32 or 64 bits, all with the highest byte first.

use core::net::SocketAddr;
use core::time::Duration;

use super::wire::Carried;

/// What a client sends to begin a flow, and what it is answered: 0x36373839 and 0x39383736, the lowest
/// byte first.
pub(super) const HELLO: [u8; 4] = *b"9876";
pub(super) const WELCOME: [u8; 4] = *b"6789";

/// Bytes before the number.
const TIME: usize = 8;
/// Bytes that a datagram has at least and at most.
pub(super) const SHORTEST: u32 = 16;
pub(super) const LONGEST: u32 = 65507;

/// A flow, one way.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) peer: SocketAddr,
    pub(super) carried: Carried,
    /// How long the last datagram was on its way, in seconds, by two clocks that don't agree.
    transit: Option<f64>,
}

impl Flow {
    pub(super) fn new(peer: SocketAddr) -> Self {
        Self { peer, carried: Carried::default(), transit: None }
    }

    /// A datagram has come; nonsense counts as bytes alone.
    pub(super) fn take(&mut self, datagram: &[u8], is_wide: bool, now: Duration) {
        let carried = &mut self.carried;
        carried.bytes += datagram.len() as u64;
        let Some((sent, number)) = parse(datagram, is_wide) else { return };
        match number.checked_sub(carried.packets + 1) {
            // Those between have not come yet.
            Some(missing) => {
                carried.lost = carried.lost.saturating_add(missing);
                carried.packets = number;
            }
            None => carried.lost = carried.lost.saturating_sub(1),
        }
        let transit = now.as_secs_f64() - sent.as_secs_f64();
        if let Some(last) = self.transit.replace(transit) {
            // RFC 3550, section 6.4.1.
            carried.jitter += ((transit - last).abs() as f32 - carried.jitter) / 16.0;
        }
    }

    /// Makes `datagram` the next one to be sent.
    pub(super) fn fill(&mut self, datagram: &mut [u8], is_wide: bool, now: Duration) {
        self.carried.packets += 1;
        self.carried.bytes += datagram.len() as u64;
        let number = self.carried.packets.to_be_bytes();
        // Of a narrow number, the lower half.
        let number = if is_wide { number.as_slice() } else { number.get(4..).unwrap_or_default() };
        let time = [(now.as_secs() as u32).to_be_bytes(), now.subsec_micros().to_be_bytes()];
        let header = time.as_flattened().iter().chain(number);
        datagram.iter_mut().zip(header).for_each(|(place, byte)| *place = *byte);
    }
}

/// When a datagram was sent, and its number, from 1 on.
fn parse(datagram: &[u8], is_wide: bool) -> Option<(Duration, u64)> {
    let (seconds, rest) = datagram.split_first_chunk()?;
    let (micros, _) = rest.split_first_chunk()?;
    let number = datagram.get(TIME..)?;
    let number = match is_wide {
        true => u64::from_be_bytes(*number.first_chunk()?),
        false => u32::from_be_bytes(*number.first_chunk()?).into(),
    };
    let sent = Duration::from_secs(u32::from_be_bytes(*seconds).into())
        + Duration::from_micros(u32::from_be_bytes(*micros).into());
    (number > 0 && number < 1 << 48).then_some((sent, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow::new(SocketAddr::from(([192, 0, 2, 1], 5)))
    }

    /// Sends datagrams of these numbers, a millisecond apart, which arrive so many milliseconds later.
    fn carried(arrivals: &[(u64, u64)], is_wide: bool) -> Carried {
        let (mut sender, mut receiver) = (flow(), flow());
        for &(number, later) in arrivals {
            sender.carried.packets = number - 1;
            let sent = Duration::from_millis(1000 + number);
            let mut datagram = [0; 32];
            sender.fill(&mut datagram, is_wide, sent);
            receiver.take(&datagram, is_wide, sent + Duration::from_millis(later));
        }
        receiver.carried
    }

    #[test]
    fn what_is_missing_is_counted_until_it_comes() {
        for is_wide in [false, true] {
            let all = carried(&[(1, 5), (2, 5), (3, 5)], is_wide);
            assert_eq!((all.bytes, all.packets, all.lost), (96, 3, 0));
            assert!(all.jitter < 1e-6, "{all:?}");
            let some = carried(&[(1, 5), (5, 5)], is_wide);
            assert_eq!((some.packets, some.lost), (5, 3));
            let late = carried(&[(1, 5), (5, 5), (3, 7)], is_wide);
            assert_eq!((late.packets, late.lost), (5, 2));
        }
    }

    #[test]
    fn jitter_is_how_much_the_way_differs() {
        let uneven: Vec<(u64, u64)> = (1..200).map(|number| (number, 5 + number % 2 * 4)).collect();
        let jitter = carried(&uneven, true).jitter;
        assert!((0.0039..0.0041).contains(&jitter), "{jitter}");
    }

    #[test]
    fn nonsense_is_but_bytes() {
        let mut flow = flow();
        for datagram in [&[][..], &[1; 3], &[0; 40], &[0xff; 40]] {
            flow.take(datagram, true, Duration::ZERO);
        }
        assert_eq!(flow.carried, Carried { bytes: 83, ..Carried::default() });
    }
}
