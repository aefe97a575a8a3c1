// SPDX-License-Identifier: MIT OR Apache-2.0
use crate::client::{ask, body, field, get, status};

#[test]
fn a_file_that_is_not_there_is_not_found() {
    for target in ["/missing", "/../etc/passwd", "/%2e%2e/x", "/a%00", "*", "http://x/missing", "https://x/"]
    {
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
fn a_target_may_have_the_host_in_front() {
    for target in ["http://x/ten.txt", "HTTP://[2001:db8::1]:80/ten.txt?query"] {
        assert_eq!(body(&get(target, "")), "0123456789", "{target}");
    }
    assert_eq!(body(&get("http://x", "")), "<p>Hello</p>");
    assert_eq!(status(&get("http:///ten.txt", "")), 400);
}

#[test]
fn a_method_that_is_refused_is_so_whatever_follows() {
    for method in ["POST", "PUT"] {
        let answer = ask(&format!("{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"));
        assert_eq!((status(&answer), field(&answer, "Connection")), (405, Some("close")));
    }
}

#[test]
fn a_client_that_waits_for_a_word_before_it_goes_on_gets_its_answer() {
    let answer = get("/ten.txt", "Expect: 100-continue\r\n");
    assert_eq!((status(&answer), body(&answer)), (200, "0123456789"));
    let answer = get("/ten.txt", "Expect: 100-continue\r\nContent-Length: 5\r\n");
    assert_eq!((status(&answer), field(&answer, "Connection")), (413, Some("close")));
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
        "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET\r\n\r\n",
        "\0\0\0\0",
    ] {
        assert_eq!(status(&ask(request)), 400, "{request:?}");
    }
    assert_eq!(status(&get("/", "Transfer-Encoding: gzip, chunked\r\n")), 501);
    assert_eq!(status(&ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), 505);
    assert_eq!(status(&ask("GET / HTTP/2.0\r\nHost: x\r\n\r\n")), 505);
}
