// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heads of requests.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use httparse::{EMPTY_HEADER, Error, Header};

use super::path;
use super::range::{self, Range};
use super::response::{Connection, Status};
use super::target;

/// Fields that a request can have.
const MAX_FIELDS: usize = 48;

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
    /// The tags of what the client wants, and nothing else.
    pub if_match: Option<String>,
    /// The tags of what the client has already.
    pub if_none_match: Option<String>,
    /// What becomes of the connection after the answer.
    pub connection: Connection,
}

impl Request {
    /// Parses the head of a request at the beginning of `bytes`, and returns it with its length;
    /// `None` if it is not all there.
    ///
    /// # Errors
    ///
    /// The status that says what is wrong. Where the next request begins is unknown then.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Status> {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
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
        fields.check_host(version)?;
        let content = fields.content(version)?;
        let method = parse_method(method)?;
        if content == Content::Some {
            return Err(Status::ContentTooLarge);
        }
        let request = Self {
            method,
            path: path::decode(target::without_host(target)?),
            // There are parts of what GET gets only: RFC 9110 section 14.2.
            range: fields.text("range").filter(|_| method == Method::Get).and_then(Range::parse),
            if_range: fields.text("if-range").map(str::to_string),
            if_match: fields.list("if-match"),
            if_none_match: fields.list("if-none-match"),
            connection: fields.connection(version),
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

    /// All fields of this name as one, as far as they are text; `None` if there are none.
    fn list(&self, name: &'static str) -> Option<String> {
        let all: Vec<&str> = self.all(name).filter_map(|value| core::str::from_utf8(value).ok()).collect();
        self.all(name).next().map(|_| all.join(","))
    }

    /// Whether a list has this word.
    fn says(&self, name: &'static str, word: &str) -> bool {
        let values = self.all(name).filter_map(|value| core::str::from_utf8(value).ok());
        values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case(word))
    }

    /// RFC 9112 section 3.2.
    fn check_host(&self, version: u8) -> Result<(), Status> {
        let is_enough = match self.all("host").count() {
            0 => version == 0,
            1 => self.all("host").all(target::is_host),
            _ => false,
        };
        if is_enough { Ok(()) } else { Err(Status::BadRequest) }
    }

    /// What follows the head, and whether both sides understand it alike: RFC 9112 section 6. We take no
    /// content.
    fn content(&self, version: u8) -> Result<Content, Status> {
        let mut content = Content::None;
        for length in self.all("content-length") {
            match core::str::from_utf8(length).ok().and_then(range::number) {
                Some(0) => {}
                Some(_) => content = Content::Some,
                None => return Err(Status::BadRequest),
            }
        }
        let Some(codings) = self.list("transfer-encoding") else { return Ok(content) };
        let is_chunked = |coding: &str| coding.trim().eq_ignore_ascii_case("chunked");
        let is_clear = version == 1 && self.all("content-length").next().is_none();
        let ends_clearly = codings.rsplit(',').next().is_some_and(is_chunked);
        match codings.split(',').filter(|coding| !is_chunked(coding)).count() {
            _ if !is_clear || !ends_clearly => Err(Status::BadRequest),
            0 => Ok(Content::Some),
            _ => Err(Status::NotImplemented),
        }
    }

    fn connection(&self, version: u8) -> Connection {
        let says = |word| self.says("connection", word);
        match version {
            _ if says("close") => Connection::Close,
            0 if says("keep-alive") => Connection::KeepAlive,
            0 => Connection::Close,
            _ => Connection::Persistent,
        }
    }
}

/// Whether something follows a head.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    None,
    Some,
}
