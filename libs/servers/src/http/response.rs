// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heads of answers.

use alloc::string::String;
use core::fmt::Write;

use super::date::Date;

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
    PreconditionFailed = 412,
    ContentTooLarge = 413,
    UriTooLong = 414,
    RangeNotSatisfiable = 416,
    HeaderFieldsTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    ServiceUnavailable = 503,
    VersionNotSupported = 505,
}

impl Status {
    /// All of them, in order.
    pub const ALL: [Self; 16] = [
        Self::Ok,
        Self::PartialContent,
        Self::NotModified,
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::PreconditionFailed,
        Self::ContentTooLarge,
        Self::UriTooLong,
        Self::RangeNotSatisfiable,
        Self::HeaderFieldsTooLarge,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::ServiceUnavailable,
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
            Self::PreconditionFailed => "Precondition Failed",
            Self::ContentTooLarge => "Content Too Large",
            Self::UriTooLong => "URI Too Long",
            Self::RangeNotSatisfiable => "Range Not Satisfiable",
            Self::HeaderFieldsTooLarge => "Request Header Fields Too Large",
            Self::InternalServerError => "Internal Server Error",
            Self::NotImplemented => "Not Implemented",
            Self::ServiceUnavailable => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// What becomes of a connection after an answer: RFC 9112 section 9.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It ends.
    Close,
    /// It stays open, as by HTTP/1.1 it does without a word.
    Persistent,
    /// It stays open, which a client of HTTP/1.0 has to be told.
    KeepAlive,
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

    pub(super) fn finish(self, connection: Connection, date: Option<Date>) -> String {
        let dated = match date {
            Some(date) => self.field("Date", date),
            None => self,
        };
        let mut head = match connection {
            Connection::Close => dated.field("Connection", "close"),
            Connection::Persistent => dated,
            Connection::KeepAlive => dated.field("Connection", "keep-alive"),
        };
        head.text.push_str("\r\n");
        head.text
    }
}
