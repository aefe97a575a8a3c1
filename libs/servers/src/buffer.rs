// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers for what clients ask for. They fail where there is no memory: no request may end the server.

use alloc::vec::Vec;

/// So many zeros; `None` if there is no memory for them.
pub fn zeroed(length: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).ok()?;
    buffer.resize(length, 0);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_there_is_no_memory_for_is_none() {
        assert_eq!(zeroed(3), Some(vec![0; 3]));
        assert_eq!(zeroed(usize::MAX), None);
    }
}
