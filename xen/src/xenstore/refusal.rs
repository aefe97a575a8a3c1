// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reasons xenstored gives for not doing what it was asked: names on the wire, not numbers.

use core::fmt;

use super::excerpt::Excerpt;

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why xenstored refused (`xsd_errors` of `io/xs_wire.h`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[$doc])* #[doc = concat!("(`", $name, "`)")] $variant,)*
            /// For a reason that is not in the list.
            Other(Excerpt),
        }

        impl Refusal {
            /// The refusal called `name` on the wire, without its NUL.
            pub fn from_name(name: &[u8]) -> Self {
                $(if name == $name.as_bytes() { return Self::$variant; })*
                Self::Other(Excerpt::of(name))
            }

            /// The name on the wire; `None` if it is none of the known ones.
            pub fn name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)*
                    Self::Other(_) => None,
                }
            }

            /// All that have a name of their own.
            #[cfg(test)]
            const NAMED: &[Self] = &[$(Self::$variant),*];
        }
    };
}

refusals! {
    /// The request makes no sense to xenstored.
    Invalid = "EINVAL",
    /// This domain may not touch that node.
    Access = "EACCES",
    /// It exists already: a watch with that path and token.
    Exists = "EEXIST",
    /// It is a directory.
    IsDirectory = "EISDIR",
    /// There is no such node, or no such transaction.
    NotFound = "ENOENT",
    /// xenstored has no memory left.
    NoMemory = "ENOMEM",
    /// A quota is used up: nodes, watches, transactions, the size of a node.
    NoSpace = "ENOSPC",
    /// xenstored cannot reach its own data.
    Io = "EIO",
    /// It has children.
    NotEmpty = "ENOTEMPTY",
    /// xenstored does not know this kind of request.
    Unsupported = "ENOSYS",
    /// xenstored does not change anything at the moment.
    ReadOnly = "EROFS",
    /// It is in use.
    Busy = "EBUSY",
    /// The transaction collided with another writer, and can be tried again.
    Again = "EAGAIN",
    /// The domain is connected already.
    IsConnected = "EISCONN",
    /// The answer would be too long.
    TooBig = "E2BIG",
    /// Only for privileged domains, or only for the node's owner.
    NotPermitted = "EPERM",
    /// A quota is used up, in oxenstored's word for it.
    Quota = "EQUOTA",
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(name) => write!(f, "the unknown error {name}"),
            known => f.write_str(known.name().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xen_sys::io::xs_wire::xsd_errors;

    #[test]
    fn every_error_of_the_header_has_a_name_of_its_own() {
        for (_, name) in xsd_errors {
            assert_eq!(Refusal::from_name(name.as_bytes()).name(), Some(name));
        }
        assert_eq!(Refusal::NAMED.len(), xsd_errors.len() + 1);
        assert_eq!(Refusal::from_name(b"EQUOTA"), Refusal::Quota);
    }

    #[test]
    fn an_unknown_error_keeps_its_name_for_the_reader() {
        let refusal = Refusal::from_name(b"EWHAT\x07");
        assert_eq!(refusal.name(), None);
        assert_eq!(refusal.to_string(), r#"the unknown error "EWHAT\x07""#);
    }
}
