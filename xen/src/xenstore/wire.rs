// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages: `struct xsd_sockmsg` of `xen/include/public/io/xs_wire.h`, then its payload.

use alloc::vec::Vec;

use xen_sys::io::xs_wire::*;

use super::error::{Disconnect, Error, Result};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:ident,)*) => {
        /// What a message is about: those of the `XS_*` types that a guest sends or gets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// The number on the wire.
            pub const fn number(self) -> u32 {
                match self { $(Self::$variant => $number,)* }
            }
        }
    };
}

kinds! {
    /// List a node's children.
    Directory = XS_DIRECTORY,
    /// Read a node.
    Read = XS_READ,
    /// Read a node's permissions.
    GetPermissions = XS_GET_PERMS,
    /// Watch a node.
    Watch = XS_WATCH,
    /// Stop watching a node.
    Unwatch = XS_UNWATCH,
    /// Start a transaction.
    TransactionStart = XS_TRANSACTION_START,
    /// Commit or drop a transaction.
    TransactionEnd = XS_TRANSACTION_END,
    /// The home of a domain.
    GetDomainPath = XS_GET_DOMAIN_PATH,
    /// Write a node.
    Write = XS_WRITE,
    /// Make an empty node.
    MakeDirectory = XS_MKDIR,
    /// Remove a node and all below it.
    Remove = XS_RM,
    /// Set a node's permissions.
    SetPermissions = XS_SET_PERMS,
    /// From xenstored: a watched node changed.
    WatchEvent = XS_WATCH_EVENT,
    /// From xenstored: a request failed.
    Error = XS_ERROR,
    /// Drop all watches and transactions of the caller.
    ResetWatches = XS_RESET_WATCHES,
    /// List a node's children piece by piece.
    DirectoryPart = XS_DIRECTORY_PART,
}

/// What every message starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of message: [`Kind::number`], or anything in a message from outside.
    pub kind: u32,
    /// The guest's number for the request, repeated in the answer; 0 in watch events.
    pub request: u32,
    /// The transaction, 0 outside of any.
    pub transaction: u32,
    /// Bytes of payload that follow.
    pub length: u32,
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = size_of::<xsd_sockmsg>();

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// [`Disconnect::Message`] if it announces more payload than a message may have.
    pub fn decode(bytes: [u8; Self::SIZE]) -> core::result::Result<Self, Disconnect> {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let header = Self { kind: word(), request: word(), transaction: word(), length: word() };
        if header.length as usize > XENSTORE_PAYLOAD_MAX {
            Err(Disconnect::Message(header.length))
        } else {
            Ok(header)
        }
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let words = [self.kind, self.request, self.transaction, self.length];
        let places = bytes.as_chunks_mut::<4>().0;
        places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
        bytes
    }
}

/// A message to xenstored.
///
/// # Errors
///
/// [`Error::TooLong`] if the payload has more than 4096 bytes: xenstored would end the connection.
pub(super) fn message(kind: Kind, request: u32, transaction: u32, payload: &[u8]) -> Result<Vec<u8>> {
    if payload.len() > XENSTORE_PAYLOAD_MAX {
        return Err(Error::TooLong(payload.len()));
    }
    let header = Header { kind: kind.number(), request, transaction, length: payload.len() as u32 };
    Ok([&header.encode(), payload].concat())
}

/// A message that is arriving in pieces.
#[derive(Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
}

impl Incoming {
    /// Whether no message has arrived in part.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes from the front of `stream` what belongs to the message. Returns the message when it
    /// is complete; `None` when the stream is used up before.
    pub(super) fn take(
        &mut self,
        stream: &mut &[u8],
    ) -> core::result::Result<Option<(Header, Vec<u8>)>, Disconnect> {
        if !self.fill(stream, Header::SIZE) {
            return Ok(None);
        }
        let Some(header) = self.bytes.first_chunk() else { return Ok(None) };
        let header = Header::decode(*header)?;
        if !self.fill(stream, Header::SIZE + header.length as usize) {
            return Ok(None);
        }
        let payload = self.bytes.split_off(Header::SIZE);
        self.bytes.clear();
        Ok(Some((header, payload)))
    }

    /// Whether `size` bytes have arrived, after taking what is missing.
    fn fill(&mut self, stream: &mut &[u8], size: usize) -> bool {
        let missing = size.saturating_sub(self.bytes.len()).min(stream.len());
        let (taken, rest) = stream.split_at(missing);
        self.bytes.extend_from_slice(taken);
        *stream = rest;
        self.bytes.len() >= size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_four_little_endian_words() {
        let header = Header { kind: 2, request: 0x0403_0201, transaction: 9, length: 4096 };
        let bytes = [2, 0, 0, 0, 1, 2, 3, 4, 9, 0, 0, 0, 0, 16, 0, 0];
        assert_eq!(header.encode(), bytes);
        assert_eq!(Header::decode(bytes), Ok(header));
    }

    #[test]
    fn a_payload_of_more_than_4096_bytes_is_neither_sent_nor_read() {
        let header = Header { kind: 2, request: 1, transaction: 0, length: 4097 };
        assert_eq!(Header::decode(header.encode()), Err(Disconnect::Message(4097)));
        assert_eq!(message(Kind::Write, 1, 0, &[0; 4097]), Err(Error::TooLong(4097)));
        assert_eq!(message(Kind::Write, 1, 0, &[0; 4096]).map(|bytes| bytes.len()), Ok(4112));
    }

    #[test]
    fn messages_arrive_whole_however_the_stream_is_cut() {
        let messages: Vec<_> =
            (0..3u8).map(|i| message(Kind::Read, i.into(), 0, &[i; 40]).unwrap()).collect();
        let stream = messages.concat();
        for size in 1..stream.len() {
            let mut incoming = Incoming::default();
            let mut arrived = 0;
            for mut piece in stream.chunks(size) {
                while let Some((header, payload)) = incoming.take(&mut piece).unwrap() {
                    assert_eq!((header.request, payload), (arrived, vec![arrived as u8; 40]));
                    arrived += 1;
                }
            }
            assert_eq!(arrived, 3);
        }
    }
}
