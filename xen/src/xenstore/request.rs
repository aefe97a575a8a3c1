// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be asked of xenstored, and how each request's payload is written.
//!
//! Strings end with a NUL that counts; the value of a write has none
//! (`docs/misc/xenstore.txt`, "Xenstore protocol details").

use alloc::string::ToString;
use alloc::vec::Vec;

use super::error::Result;
use super::path;
use super::permissions::Permission;
use super::wire::Kind;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    Directory(&'a str),
    DirectoryPart { path: &'a str, offset: usize },
    Read(&'a str),
    Write { path: &'a str, value: &'a [u8] },
    MakeDirectory(&'a str),
    Remove(&'a str),
    GetPermissions(&'a str),
    SetPermissions { path: &'a str, permissions: &'a [Permission] },
    Watch { path: &'a str, token: u32 },
    Unwatch { path: &'a str, token: u32 },
    ResetWatches,
    GetDomainPath(u16),
    Start,
    Commit,
    Abort,
}

impl Request<'_> {
    /// Its kind, which is also that of the answer.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::DirectoryPart { .. } => Kind::DirectoryPart,
            Self::Read(_) => Kind::Read,
            Self::Write { .. } => Kind::Write,
            Self::MakeDirectory(_) => Kind::MakeDirectory,
            Self::Remove(_) => Kind::Remove,
            Self::GetPermissions(_) => Kind::GetPermissions,
            Self::SetPermissions { .. } => Kind::SetPermissions,
            Self::Watch { .. } => Kind::Watch,
            Self::Unwatch { .. } => Kind::Unwatch,
            Self::ResetWatches => Kind::ResetWatches,
            Self::GetDomainPath(_) => Kind::GetDomainPath,
            Self::Start => Kind::TransactionStart,
            Self::Commit | Self::Abort => Kind::TransactionEnd,
        }
    }

    /// Its payload.
    ///
    /// # Errors
    ///
    /// [`Error::Path`](super::Error::Path) if it has a path that xenstored would refuse.
    pub(super) fn payload(&self) -> Result<Vec<u8>> {
        self.check()?;
        Ok(match *self {
            Self::Directory(path)
            | Self::Read(path)
            | Self::MakeDirectory(path)
            | Self::Remove(path)
            | Self::GetPermissions(path) => strings(&[path]),
            Self::DirectoryPart { path, offset } => strings(&[path, &offset.to_string()]),
            Self::Write { path, value } => [&strings(&[path]), value].concat(),
            Self::SetPermissions { path, permissions } => {
                let entries = permissions.iter().flat_map(|entry| strings(&[&entry.text()]));
                strings(&[path]).into_iter().chain(entries).collect()
            }
            Self::Watch { path, token } | Self::Unwatch { path, token } => {
                strings(&[path, &token.to_string()])
            }
            Self::GetDomainPath(domain) => strings(&[&domain.to_string()]),
            Self::ResetWatches | Self::Start => strings(&[""]),
            Self::Commit => strings(&["T"]),
            Self::Abort => strings(&["F"]),
        })
    }

    fn check(&self) -> Result<()> {
        match *self {
            Self::Directory(path)
            | Self::DirectoryPart { path, .. }
            | Self::Read(path)
            | Self::Write { path, .. }
            | Self::MakeDirectory(path)
            | Self::Remove(path)
            | Self::GetPermissions(path)
            | Self::SetPermissions { path, .. } => Ok(path::check(path)?),
            Self::Watch { path, .. } | Self::Unwatch { path, .. } => Ok(path::check_watchable(path)?),
            Self::ResetWatches | Self::GetDomainPath(_) | Self::Start | Self::Commit | Self::Abort => Ok(()),
        }
    }
}

/// The strings, each with its NUL.
fn strings(strings: &[&str]) -> Vec<u8> {
    strings.iter().flat_map(|string| string.bytes().chain([0])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::permissions::Access;
    use super::*;
    use crate::DomainId;

    #[test]
    fn payloads_have_their_nuls_where_the_specification_has_them() {
        let permissions = [
            Permission { domain: DomainId(1), access: Access::None },
            Permission { domain: DomainId(0), access: Access::Read },
        ];
        let cases: [(Request<'_>, &[u8]); 11] = [
            (Request::Read("a"), b"a\0"),
            (Request::Write { path: "a", value: b"v\0w" }, b"a\0v\0w"),
            (Request::Write { path: "a", value: b"" }, b"a\0"),
            (Request::DirectoryPart { path: "a", offset: 12 }, b"a\x0012\0"),
            (Request::SetPermissions { path: "a", permissions: &permissions }, b"a\0n1\0r0\0"),
            (Request::Watch { path: "@releaseDomain", token: 7 }, b"@releaseDomain\x007\0"),
            (Request::ResetWatches, b"\0"),
            (Request::GetDomainPath(3), b"3\0"),
            (Request::Start, b"\0"),
            (Request::Commit, b"T\0"),
            (Request::Abort, b"F\0"),
        ];
        for (request, payload) in cases {
            assert_eq!(request.payload().unwrap(), payload, "{request:?}");
        }
    }
}
