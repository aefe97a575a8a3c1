// SPDX-License-Identifier: MIT OR Apache-2.0
use crate::client::{ask, field, get, status};

#[test]
fn a_file_that_is_not_there_is_not_found() {
    for target in ["/missing", "/../etc/passwd", "/%2e%2e/x", "/a%00", "*", "http://x/"] {
        let answer = get(target, "");
        assert_eq!(status(&answer), 404, "{target}");
        assert_eq!(field(&answer, "Connection"), None, "the next request can be told from this one");
    }
}

#[test]
fn methods_that_are_known_are_refused_otherwise_than_unknown_ones() {
    let answer = ask("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((status(&answer), field(&answer, "Allow")), (405, Some("GET, HEAD")));
    assert_eq!(status(&ask("BREW / HTTP/1.1\r\nHost: x\r\n\r\n")), 501);
}

#[test]
fn content_is_refused_and_ends_the_connection() {
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = get("/", fields);
        assert_eq!((status(&answer), field(&answer, "Connection")), (413, Some("close")), "{fields}");
    }
    assert_eq!(status(&get("/", "Content-Length: 0\r\n")), 200);
}

#[test]
fn what_two_servers_could_understand_in_two_ways_is_a_bad_request() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET\r\n\r\n",
        "\0\0\0\0",
    ] {
        assert_eq!(status(&ask(request)), 400, "{request:?}");
    }
    assert_eq!(status(&ask("GET / HTTP/2.0\r\nHost: x\r\n\r\n")), 505);
}
