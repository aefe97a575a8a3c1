// SPDX-License-Identifier: MIT OR Apache-2.0
//! The multicast groups that the stack listens to.
//!
//! The stack tells the routers of its network, and not its drivers. So its reports are snooped (IGMP and
//! MLD), as switches do (RFC 4541).

use alloc::vec::Vec;

use super::frame::ETHERNET_HEADER;

/// A group's Ethernet address.
pub type Group = [u8; 6];

/// The groups that nobody is told of: all systems of IPv4 (RFC 1112) and all nodes of IPv6 (RFC 2710).
const OF_ALL: [Group; 2] = [[0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]];

/// Groups that are kept: more than the stack can be in, and as many as Linux's backend takes.
const MAX: usize = 64;

const IGMP: u8 = 2;
const IGMP_REPORTS: [u8; 2] = [0x12, 0x16]; // versions 1 and 2: RFC 2236 section 2.1
const HOP_BY_HOP: u8 = 0;
const ICMPV6: u8 = 58;
const MLD_REPORT: u8 = 143; // version 2: RFC 3810 section 5.2

/// The groups that the stack has ever joined. To hear of one that it has left costs a packet now and then.
pub(super) struct Groups {
    joined: Vec<Group>,
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { joined: Vec::from(OF_ALL) }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Group] {
        &self.joined
    }

    /// Hears what the stack says in `frame`, and tells `join` of groups that are new.
    pub(super) fn snoop(&mut self, frame: &[u8], mut join: impl FnMut(Group)) {
        for group in reported(frame) {
            if self.joined.len() < MAX && !self.joined.contains(&group) {
                self.joined.push(group);
                join(group);
            }
        }
    }
}

/// The groups that a report in `frame` names; none if it is something else.
fn reported(frame: &[u8]) -> Vec<Group> {
    // Reports go to a group, as few frames do.
    let groups = match frame {
        [0x01, 0, 0x5e, ..] => in_ipv4(frame).map(|group| Vec::from([group])),
        [0x33, 0x33, ..] => in_ipv6(frame),
        _ => None,
    };
    groups.unwrap_or_default()
}

/// The group of a report over IPv4, which is sent to that group.
fn in_ipv4(frame: &[u8]) -> Option<Group> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET_HEADER)?;
    let header_length = usize::from(packet.first()? & 0xf) * 4;
    let is_igmp = ethernet.ends_with(&[0x08, 0x00]) && *packet.get(9)? == IGMP;
    let is_report = IGMP_REPORTS.contains(packet.get(header_length)?);
    if is_igmp && is_report { ethernet.first_chunk().copied() } else { None }
}

/// The groups of a report over IPv6, which is sent to all routers.
fn in_ipv6(frame: &[u8]) -> Option<Vec<Group>> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET_HEADER)?;
    let (header, rest) = packet.split_first_chunk::<40>()?;
    // The hop-by-hop options alert routers.
    let options_length = (usize::from(*rest.get(1)?) + 1) * 8;
    let is_icmp = ethernet.ends_with(&[0x86, 0xdd]) && (header[6], *rest.first()?) == (HOP_BY_HOP, ICMPV6);
    let (report, mut records) = rest.get(options_length..)?.split_first_chunk::<8>()?;
    if !is_icmp || report[0] != MLD_REPORT {
        return None;
    }
    let mut groups = Vec::new();
    while let Some((record, behind)) = records.split_first_chunk::<20>() {
        let [_, auxiliary, s0, s1, .., g0, g1, g2, g3] = *record;
        groups.push([0x33, 0x33, g0, g1, g2, g3]);
        let sources = usize::from(u16::from_be_bytes([s0, s1]));
        records = behind.get(sources * 16 + usize::from(auxiliary) * 4..).unwrap_or_default();
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Group = [2, 0, 0, 0, 0, 1];

    /// A report as smoltcp makes it, of these last bytes of addresses.
    fn of_ipv6(groups: &[u8]) -> Vec<u8> {
        let mut frame = Vec::from([0x33, 0x33, 0, 0, 0, 0x16]);
        frame.extend(MAC);
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 16 + 20 * groups.len() as u8, HOP_BY_HOP, 1]);
        frame.extend([0xfe; 32]); // addresses
        frame.extend([ICMPV6, 0, 5, 2, 0, 0, 1, 0]);
        frame.extend([MLD_REPORT, 0, 0, 0, 0, 0, 0, groups.len() as u8]);
        for group in groups {
            frame.extend([3, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, *group]);
        }
        frame
    }

    fn of_ipv4(kind: u8, protocol: u8) -> Vec<u8> {
        let mut frame = Vec::from([0x01, 0, 0x5e, 1, 2, 3]);
        frame.extend(MAC);
        frame.extend([0x08, 0x00, 0x46, 0, 0, 32, 0, 0, 0, 0, 1, protocol, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3]);
        frame.extend([0x94, 4, 0, 0, kind, 0, 0, 0, 239, 1, 2, 3]);
        frame
    }

    #[test]
    fn reports_name_groups() {
        assert_eq!(reported(&of_ipv6(&[7])), [[0x33, 0x33, 0xff, 0, 0, 7]]);
        assert_eq!(reported(&of_ipv6(&[7, 8])), [[0x33, 0x33, 0xff, 0, 0, 7], [0x33, 0x33, 0xff, 0, 0, 8]]);
        assert_eq!(reported(&of_ipv4(0x16, IGMP)), [[0x01, 0, 0x5e, 1, 2, 3]]);
    }

    #[test]
    fn a_record_with_sources_does_not_hide_the_next() {
        let mut frame = of_ipv6(&[7, 8]);
        let sources = 14 + 40 + 8 + 8 + 3;
        frame[sources] = 1;
        frame.splice(sources + 17..sources + 17, [0xaa; 16]);
        assert_eq!(reported(&frame), [[0x33, 0x33, 0xff, 0, 0, 7], [0x33, 0x33, 0xff, 0, 0, 8]]);
    }

    #[test]
    fn what_is_no_report_names_none() {
        let none: [Group; 0] = [];
        assert_eq!(reported(&of_ipv4(0x17, IGMP)), none, "who leaves a group");
        assert_eq!(reported(&of_ipv4(0x16, 17)), none, "a datagram");
        let mut query = of_ipv6(&[7]);
        query[14 + 40 + 8] = 130;
        assert_eq!(reported(&query), none);
        for report in [of_ipv6(&[7]), of_ipv4(0x16, IGMP)] {
            let mut to_one = report.clone();
            to_one[..6].copy_from_slice(&MAC);
            assert_eq!(reported(&to_one), none);
            (0..report.len()).for_each(|length| drop(reported(&report[..length])));
        }
    }

    #[test]
    fn a_group_is_joined_once_and_not_too_many_are() {
        let mut groups = Groups::new();
        let mut joined = Vec::new();
        for _ in 0..2 {
            groups.snoop(&of_ipv6(&[7, 8, 7]), |group| joined.push(group));
        }
        assert_eq!(joined.len(), 2);
        for number in 0..MAX as u8 {
            groups.snoop(&of_ipv6(&[number]), |group| joined.push(group));
        }
        assert_eq!((joined.len(), groups.all().len()), (MAX - 2, MAX));
        assert_eq!(groups.all()[..2], OF_ALL);
    }
}
