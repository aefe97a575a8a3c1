// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heads of answers.

use alloc::string::String;
use core::fmt::Write;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of RFC 9110, section 15")]
pub enum Status {
    Ok = 200,
    PartialContent = 206,
    NotModified = 304,
    BadRequest = 400,
    NotFound = 404,
    MethodNotAllowed = 405,
    RequestTimeout = 408,
    ContentTooLarge = 413,
    RangeNotSatisfiable = 416,
    HeaderFieldsTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    VersionNotSupported = 505,
}

impl Status {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::PartialContent,
        Self::NotModified,
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ContentTooLarge,
        Self::RangeNotSatisfiable,
        Self::HeaderFieldsTooLarge,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::VersionNotSupported,
    ];

    /// The number, 200 to 599.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The words for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::PartialContent => "Partial Content",
            Self::NotModified => "Not Modified",
            Self::BadRequest => "Bad Request",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::ContentTooLarge => "Content Too Large",
            Self::RangeNotSatisfiable => "Range Not Satisfiable",
            Self::HeaderFieldsTooLarge => "Request Header Fields Too Large",
            Self::InternalServerError => "Internal Server Error",
            Self::NotImplemented => "Not Implemented",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// The head of an answer, as it is written.
pub(super) struct Head {
    text: String,
}

impl Head {
    pub(super) fn new(status: Status) -> Self {
        let mut head = Self { text: String::with_capacity(256) };
        // Writing to a string does not fail.
        let _ = write!(head.text, "HTTP/1.1 {} {}\r\nServer: prism\r\n", status.code(), status.reason());
        head
    }

    /// Adds a field. The value must not hold line ends.
    pub(super) fn field(mut self, name: &str, value: impl core::fmt::Display) -> Self {
        let _ = write!(self.text, "{name}: {value}\r\n");
        self
    }

    pub(super) fn finish(mut self, persistent: bool) -> String {
        if !persistent {
            self.text.push_str("Connection: close\r\n");
        }
        self.text.push_str("\r\n");
        self.text
    }
}
