// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ids of questions that nobody can foresee: those of DNS (RFC 5452, section 9.2) and of DHCP.

use super::headers::{Endpoint, Headers, Tuple, get, set};
use super::random::Random;

const DNS: u16 = 53;
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;

/// Where in a UDP datagram the id is.
const DNS_ID: usize = 8;
const DHCP_ID: usize = 8 + 4;

/// The ids of DHCP that are in use. The stack has one at a time, which it takes from a generator that can be
/// foreseen; on the network each is another one.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    dhcp: Option<Ids>,
}

#[derive(Clone, Copy, Debug)]
struct Ids {
    stack: u32,
    wire: u32,
}

impl Transactions {
    /// Changes the id of a datagram that the stack sends, whose ends on the network are `tuple`.
    pub(super) fn hide(&mut self, frame: &mut [u8], headers: &Headers, tuple: &Tuple, random: &mut Random) {
        if is_dhcp(tuple) {
            self.hide_dhcp(frame, headers, random);
        } else if tuple.remote.port == DNS {
            turn_dns(frame, headers, tuple, random);
        }
    }

    /// Changes the id of a datagram back that a peer sends.
    pub(super) fn reveal(&self, frame: &mut [u8], headers: &Headers, tuple: &Tuple, random: &Random) {
        if is_dhcp(tuple) {
            self.reveal_dhcp(frame, headers);
        } else if tuple.remote.port == DNS {
            turn_dns(frame, headers, tuple, random);
        }
    }

    fn hide_dhcp(&mut self, frame: &mut [u8], headers: &Headers, random: &mut Random) {
        let Some(stack) = get(frame, headers.start + DHCP_ID).map(u32::from_be_bytes) else { return };
        let known = self.dhcp.filter(|ids| ids.stack == stack);
        let ids = known.unwrap_or_else(|| Ids { stack, wire: random.next() as u32 });
        self.dhcp = Some(ids);
        set(frame, headers.start + DHCP_ID, ids.wire.to_be_bytes());
    }

    /// An answer to nothing that we asked gets an id that the stack does not take.
    fn reveal_dhcp(&self, frame: &mut [u8], headers: &Headers) {
        let wire = get(frame, headers.start + DHCP_ID).map(u32::from_be_bytes);
        let (Some(wire), Some(ids)) = (wire, self.dhcp) else { return };
        let id = if wire == ids.wire { ids.stack } else { !ids.stack };
        set(frame, headers.start + DHCP_ID, id.to_be_bytes());
    }
}

fn is_dhcp(
    Tuple { remote: Endpoint { port: remote, .. }, local: Endpoint { port: local, .. }, .. }: &Tuple,
) -> bool {
    (*remote, *local) == (DHCP_SERVER, DHCP_CLIENT)
}

/// Turns the id of the stack into that on the network, and back: the same for both.
fn turn_dns(frame: &mut [u8], headers: &Headers, tuple: &Tuple, random: &Random) {
    if let Some(id) = get(frame, headers.start + DNS_ID).map(u16::from_be_bytes) {
        set(frame, headers.start + DNS_ID, (id ^ random.of_question(tuple)).to_be_bytes());
    }
}
