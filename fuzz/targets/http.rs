// SPDX-License-Identifier: MIT OR Apache-2.0

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use futures::executor::block_on;
use prism_fuzz::fuzz_target;
use prism_listener::Slots;
use prism_servers::clock::Clock;
use prism_servers::http::{Files, Request, Server, Status};

/// A client that says these pieces, and closes.
struct Client<'a> {
    pieces: std::slice::Iter<'a, Vec<u8>>,
    rest: &'a [u8],
    heard: Vec<u8>,
}

impl ErrorType for Client<'_> {
    type Error = Infallible;
}

impl Read for Client<'_> {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        while self.rest.is_empty() {
            let Some(piece) = self.pieces.next() else { return Ok(0) };
            self.rest = piece;
        }
        let length = self.rest.len().min(into.len());
        let (now, later) = self.rest.split_at(length);
        into[..length].copy_from_slice(now);
        self.rest = later;
        Ok(length)
    }
}

impl Write for Client<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.heard.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A clock that never strikes: everything here is ready at once.
struct Still;

impl Clock for Still {
    fn pause(&self, _: Duration) -> impl Future<Output = ()> {
        std::future::pending()
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    for piece in &pieces {
        check_request(piece);
    }
    let server = Server::new(Files::new(&[("index.html", b"0123456789")]), Still);
    let mut client = Client { pieces: pieces.iter(), rest: &[], heard: Vec::new() };
    block_on(server.serve(&mut client, &Slots::new(1).take()));
    assert_eq!(server.metrics.open(), 0);
    let answers: u64 = Status::ALL.iter().map(|status| server.metrics.answers(*status)).sum();
    assert_eq!(answers == 0, client.heard.is_empty());
    assert!(client.heard.is_empty() || client.heard.starts_with(b"HTTP/1.1 "));
});

fn check_request(bytes: &[u8]) {
    let Ok(Some((request, length))) = Request::parse(bytes) else { return };
    assert!(length <= bytes.len());
    assert_eq!(
        Request::parse(&bytes[..length]),
        Ok(Some((request.clone(), length))),
        "what follows does not matter"
    );
    if let Some(path) = request.path {
        assert!(!path.starts_with('/') && path.split('/').all(|name| !matches!(name, "" | "." | "..")));
        assert!(!path.chars().any(char::is_control) && path.len() <= bytes.len() + "index.html".len());
    }
}
