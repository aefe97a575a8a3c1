// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runner behind `scripts/`: builds images, builds the lab, boots images in every
//! environment, judges them.

pub mod cli;
pub mod env;
pub mod grid;
pub mod guest;
pub mod host;
pub mod image;
pub mod lab;
pub mod nearest;
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
