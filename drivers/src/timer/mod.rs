// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers and clocks of a PC. The local APIC's timer is in [`irq::local_apic`](crate::irq::local_apic).

pub mod hpet;
pub mod pit;
pub mod rtc;
