// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the player needs of a kind of device: how it is made, and moves on its rings.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use anyhow::Result;

use super::bus::Device;
use super::game::Kind;
use super::moves::Move;
use super::{vbd, vif};
use crate::guest::Guest;
use crate::page::Page;

/// Time for a frontend to have more to play with, in the middle of a move: a request, a page.
pub(crate) const PATIENCE: Duration = Duration::from_millis(40);
/// How often a ring is looked at when no event comes: somebody may have overwritten what asks for it.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Answered ids that are remembered.
pub(crate) const REMEMBERED: usize = 64;

/// A connection to a frontend.
pub(crate) trait Link {
    /// Makes a move on the rings; false if the frontend has nothing to do it with. What is kept goes to
    /// `kept`.
    fn play(&mut self, play: &Move, kept: &mut Vec<Page>) -> Result<bool>;

    /// Whether the frontend has what this move begins with.
    fn is_ready(&mut self, play: &Move) -> bool;

    /// Has the frontend raise an event with what it does next.
    fn arm(&self);

    /// What is polled for events.
    fn events(&self) -> BorrowedFd<'_>;

    /// Takes the events that have come.
    fn take_events(&mut self) -> Result<()>;

    /// The rings' pages, for those who keep them.
    fn into_pages(self: Box<Self>) -> Vec<Page>;
}

/// What connects to a frontend.
type Open = fn(&mut Guest, &Device) -> Result<Option<Box<dyn Link>>>;

/// Keys and their values.
type Keys = &'static [(&'static str, &'static str)];

/// How devices of a kind are made.
pub(crate) struct Class {
    /// Their directory's name.
    pub(crate) name: &'static str,
    /// The number of the first one, and how far the next ones are.
    pub(crate) numbers: (u32, u32),
    /// How many numbers there are, beside those that the guest has.
    pub(crate) count: u32,
    /// How many devices there are at a time.
    pub(crate) seats: usize,
    /// What the toolstack says to the guest.
    pub(crate) own: Keys,
    /// What the backend says before there is a ring.
    pub(crate) offer: Keys,
    /// What it says when it connects.
    pub(crate) properties: Keys,
    /// Connects to what the frontend has published; `None` if that makes no sense.
    pub(crate) open: Open,
}

impl Class {
    /// That of a kind.
    pub(crate) fn of(kind: Kind) -> &'static Self {
        match kind {
            // The console has none, and needs none.
            Kind::Vbd | Kind::Store | Kind::Console => &vbd::CLASS,
            Kind::Vif => &vif::CLASS,
        }
    }
}
