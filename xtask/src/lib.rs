// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runner behind `scripts/`: builds images, builds the lab, boots images in every
//! environment, judges them.
//!
//! Its one rule: every environment starts the same finished file, and a guest that says nothing
//! has failed.
//!
//! | module | what it knows |
//! |---|---|
//! | [`mod@env`] | the environments, and the grid that each must show |
//! | [`guest`] | starting a guest in an environment, and what came of it |
//! | [`lab`] | the machines in which guests of Xen and KVM run, and how they are made |
//! | [`image`] | building, finishing, checking and reading images |
//! | [`suite`] | the tests; those that boot guests are tables in `suite/guests` |
//! | [`bench`] | comparing guests with Linux's |
//! | [`run`], [`new`], [`cli`], [`preflight`] | the commands, and what is wrong with them |
//! | [`report`], [`grid`], [`verdict`], [`style`], [`progress`] | what is read from guests and shown to people |
//! | [`project`], [`host`], [`scratch`], [`socket`], [`terminal`], [`nearest`] | this machine |
//!
//! It does not decide what a guest does, it knows no driver, and it leaves nothing behind outside
//! `target` and the temporary directory.

pub mod bench;
pub mod cli;
pub mod env;
pub mod figure;
pub mod grid;
pub mod guest;
pub mod host;
pub mod image;
pub mod lab;
pub mod nearest;
pub mod new;
pub mod preflight;
pub mod progress;
pub mod project;
pub mod report;
pub mod run;
pub mod scratch;
pub mod socket;
pub mod style;
pub mod suite;
pub mod terminal;
pub mod verdict;
