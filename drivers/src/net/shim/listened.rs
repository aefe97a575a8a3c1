// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports that the stack listens to.
//!
//! It answers a SYN by a reset if there is no socket for it, though it may be that all sockets that listen to
//! that port are in use: then the client gives up. Nobody else answers so: what is more than a queue holds is
//! dropped, and the client asks again (RFC 9293, section 3.8.1). So resets leave only from ports that nobody
//! has listened to lately.

use alloc::vec::Vec;
use core::time::Duration;

/// Ports that are remembered. The one that was used least lately makes room.
const MAX: usize = 16;

/// For how long: in that time clients ask about six times.
const LIFETIME: Duration = Duration::from_secs(60);

/// Ports that the stack has answered a SYN from.
#[derive(Debug, Default)]
pub(super) struct Listened {
    ports: Vec<(u16, u64)>,
}

impl Listened {
    /// A SYN to `port` is answered by one.
    pub(super) fn note(&mut self, port: u16, now: u64) {
        if let Some(known) = self.ports.iter_mut().find(|known| known.0 == port) {
            known.1 = now;
        } else if self.ports.len() < MAX {
            self.ports.push((port, now));
        } else if let Some(oldest) = self.ports.iter_mut().min_by_key(|known| known.1) {
            *oldest = (port, now);
        }
    }

    /// Whether somebody has listened to `port` lately.
    pub(super) fn has(&self, port: u16, now: u64) -> bool {
        let is_recent = |time: u64| Duration::from_nanos(now.saturating_sub(time)) < LIFETIME;
        self.ports.iter().any(|known| known.0 == port && is_recent(known.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_remembered_for_a_while_and_are_bounded() {
        let end = LIFETIME.as_nanos() as u64;
        let mut listened = Listened::default();
        listened.note(80, 0);
        assert!(listened.has(80, end - 1) && !listened.has(80, end) && !listened.has(81, 0));
        listened.note(80, end);
        (0..100).for_each(|port| listened.note(1000 + port, u64::from(port)));
        assert_eq!(listened.ports.len(), MAX);
        assert!(listened.has(80, end) && listened.has(1099, 99));
    }
}
