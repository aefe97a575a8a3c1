// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heads of requests.

use alloc::string::{String, ToString};

use httparse::{EMPTY_HEADER, Error, Header};

use super::path;
use super::range::{self, Range};
use super::response::Status;

/// Fields that a request can have.
const MOST_FIELDS: usize = 48;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Send the file.
    Get,
    /// Send what would stand before the file.
    Head,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// The path of the file, as [`decode`](super::decode) makes it; `None` if there can be no such
    /// file.
    pub path: Option<String>,
    /// The part that is wanted.
    pub range: Option<Range>,
    /// The tag of the file that the part is wanted of; of any other, all is.
    pub if_range: Option<String>,
    /// The tags of what the client has already.
    pub if_none_match: Option<String>,
    /// Whether the connection stays open for another request.
    pub persistent: bool,
}

impl Request {
    /// Parses the head of a request at the beginning of `bytes`, and returns it with its length;
    /// `None` if it is not all there.
    ///
    /// # Errors
    ///
    /// The status that says what is wrong. Where the next request begins is unknown then.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Status> {
        let mut fields = [EMPTY_HEADER; MOST_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(Error::TooManyHeaders) => return Err(Status::HeaderFieldsTooLarge),
            Err(Error::Version) => return Err(Status::VersionNotSupported),
            Err(_) => return Err(Status::BadRequest),
        };
        let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
            return Err(Status::BadRequest);
        };
        let fields = Fields(head.headers);
        fields.check(version)?;
        let request = Self {
            method: parse_method(method)?,
            path: path::decode(target),
            range: fields.text("range").and_then(Range::parse),
            if_range: fields.text("if-range").map(str::to_string),
            if_none_match: fields.text("if-none-match").map(str::to_string),
            persistent: fields.persistent(version),
        };
        Ok(Some((request, length)))
    }
}

fn parse_method(method: &str) -> Result<Method, Status> {
    match method {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => {
            Err(Status::MethodNotAllowed)
        }
        _ => Err(Status::NotImplemented),
    }
}

struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The first field of this name, if it is text.
    fn text(&self, name: &'static str) -> Option<&'a str> {
        core::str::from_utf8(self.all(name).next()?).ok()
    }

    /// What must hold for the connection to be understood alike on both sides: RFC 9112 sections
    /// 3.2 and 6. We take no content.
    fn check(&self, version: u8) -> Result<(), Status> {
        if version == 1 && self.all("host").count() != 1 {
            return Err(Status::BadRequest);
        }
        if self.all("transfer-encoding").next().is_some() {
            return Err(Status::ContentTooLarge);
        }
        for length in self.all("content-length") {
            match core::str::from_utf8(length).ok().and_then(range::number) {
                Some(0) => {}
                Some(_) => return Err(Status::ContentTooLarge),
                None => return Err(Status::BadRequest),
            }
        }
        Ok(())
    }

    fn persistent(&self, version: u8) -> bool {
        let says = |word: &str| {
            let options = self.all("connection").filter_map(|value| core::str::from_utf8(value).ok());
            options.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case(word))
        };
        if version == 0 { says("keep-alive") } else { !says("close") }
    }
}
