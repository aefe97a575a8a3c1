// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listing a node's children, also when the list is longer than a message.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::error::{Error, Result};
use super::path;
use super::refusal::Refusal;
use super::reply;
use super::request::Request;
use super::store::Store;
use super::wire::Kind;

/// Pieces of a list that are fetched at most, each of up to 4 KiB.
const PIECES: usize = 256;
/// How often a list is fetched that changes meanwhile.
const TRIES: usize = 8;

impl Store {
    /// The names of a node's children.
    ///
    /// If they do not fit into one message (`E2BIG`), the list is fetched piece by piece
    /// (`XS_DIRECTORY_PART`), and from the start if it changed meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Changing`] if the list changed each of eight times.
    pub async fn directory(&self, path: &str) -> Result<Vec<String>> {
        let list = match self.call(Request::Directory(path)).await {
            Err(Error::Refused(Refusal::TooBig)) => self.long_list(path).await?,
            list => list?,
        };
        names(&list).ok_or(Error::Protocol(Kind::Directory))
    }

    async fn long_list(&self, path: &str) -> Result<Vec<u8>> {
        for _ in 0..TRIES {
            if let Some(list) = self.pieces(path).await? {
                return Ok(list);
            }
        }
        Err(Error::Changing)
    }

    /// The list put together from pieces; `None` if it changed between two of them. A piece may
    /// end within a name; after the last name comes an empty one.
    async fn pieces(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut list = Vec::new();
        let mut generation = None;
        for _ in 0..PIECES {
            let piece = self.call(Request::DirectoryPart { path, offset: list.len() }).await?;
            let (current, names) = split(&piece).ok_or(Error::Protocol(Kind::DirectoryPart))?;
            if *generation.get_or_insert(current) != current {
                return Ok(None);
            }
            list.extend_from_slice(names);
            if list == [0] || list.ends_with(&[0, 0]) {
                list.pop();
                return Ok(Some(list));
            }
        }
        Err(Error::Protocol(Kind::DirectoryPart))
    }
}

/// The generation of the list, and a piece of it, which is never empty.
fn split(piece: &[u8]) -> Option<(u64, &[u8])> {
    let end = piece.iter().position(|byte| *byte == 0)?;
    let generation = core::str::from_utf8(piece.get(..end)?).ok()?.parse().ok()?;
    let names = piece.get(end + 1..).filter(|names| !names.is_empty())?;
    Some((generation, names))
}

fn names(list: &[u8]) -> Option<Vec<String>> {
    let names = reply::strings(list)?;
    names.iter().all(|name| path::is_name(name)).then(|| names.iter().map(ToString::to_string).collect())
}
