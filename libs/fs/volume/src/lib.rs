// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod file_system;
mod server;
mod tag;
mod volume;

pub use file_system::{FileSystem, OpenFile};
pub use server::{Request, Requests, Server};
pub use tag::tag_of;
pub use volume::{File, ReadError, Volume, WINDOW};

/// What a file system says that fails.
pub type Error = alloc::boxed::Box<dyn core::error::Error>;

/// What a file system returns.
pub type Result<T = ()> = core::result::Result<T, Error>;
