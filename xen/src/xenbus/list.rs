// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices of a class.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::xenstore::{Client, Result};

/// The numbers of the devices in `directory`, such as `device/vbd`, in order. Names that are none are
/// ignored, and a directory that is not there has none.
///
/// # Errors
///
/// As for [`Store`](crate::xenstore::Store).
pub async fn list(client: &Client, directory: &str) -> Result<Vec<u32>> {
    let names = match client.directory(directory).await {
        Err(error) if error.is_not_found() => Vec::new(),
        names => names?,
    };
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A device's number, as it is a directory's name: digits, without a superfluous zero.
pub(super) fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number: &u32| number.to_string() == name)
}
