// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the router has done, for people and for Prometheus.

use core::fmt;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident: $name:literal,)+) => {
        /// What a router has done since it began.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl fmt::Display for Counters {
            /// In Prometheus' text format.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "# TYPE prism_router_{0} counter\nprism_router_{0} {1}", $name, self.$field)?;)+
                Ok(())
            }
        }
    };
}

counters! {
    /// Packets from guests that were sent to the network.
    sent_packets: "sent_packets_total",
    /// Bytes of them.
    sent_bytes: "sent_bytes_total",
    /// Packets that were sent to guests.
    received_packets: "received_packets_total",
    /// Bytes of them.
    received_bytes: "received_bytes_total",
    /// Connections that were opened.
    connections: "connections_opened_total",
    /// Connections that there was no room or no port for.
    refused_connections: "connections_refused_total",
    /// Connections that new rules, or another address, ended.
    flushed_connections: "connections_flushed_total",
    /// Packets that rules have forbidden.
    forbidden: "dropped_forbidden_packets_total",
    /// Packets from addresses that are not the sender's.
    spoofed: "dropped_spoofed_packets_total",
    /// Packets of no connection, fragments, and other protocols than TCP, UDP and ICMP.
    invalid: "dropped_invalid_packets_total",
    /// Packets that were too long for their way.
    too_big: "dropped_too_big_packets_total",
    /// Packets that were on their way for too long.
    expired: "dropped_expired_packets_total",
    /// Packets that no way was known for, or whose next hop was not known in time.
    unreachable: "dropped_unreachable_packets_total",
    /// ICMP errors that were sent.
    errors: "icmp_errors_total",
    /// Addresses that were given by DHCP.
    leases: "dhcp_acknowledged_total",
    /// Router advertisements that were sent.
    advertisements: "router_advertisements_total",
}
