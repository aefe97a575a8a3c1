// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_listener::Slots;
use prism_servers::http::{Connection, Method, Request, Server, Status};

use crate::client::{Client, Damaged, Turns, ask, body, field, get, serve, serve_site, site, status};

#[test]
fn a_file_comes_with_its_length_type_and_tag() {
    let answer = get("/", "");
    assert_eq!((status(&answer), body(&answer)), (200, "<p>Hello</p>"));
    assert_eq!(field(&answer, "Content-Length"), Some("12"));
    assert_eq!(field(&answer, "Content-Type"), Some("text/html; charset=utf-8"));
    assert!(field(&answer, "ETag").is_some_and(|tag| tag.len() == 18));
    assert_eq!(field(&answer, "Connection"), None);
}

#[test]
fn a_file_larger_than_a_piece_comes_whole() {
    let answer = get("/large.bin", "");
    assert_eq!(field(&answer, "Content-Length"), Some("100000"));
    assert!(body(&answer).len() == 100_000 && body(&answer).bytes().all(|byte| byte == 7));
}

#[test]
fn head_is_answered_as_get_but_for_the_body() {
    let answer = ask("HEAD /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer, get("/ten.txt", "").replace("0123456789", ""));
    // Parts are of what GET gets.
    assert_eq!(answer, ask("HEAD /ten.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=2-4\r\n\r\n"));
    let missing = ask("HEAD /missing HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((status(&missing), body(&missing)), (404, ""));
}

#[test]
fn a_part_of_a_file_can_be_had() {
    let answer = get("/ten.txt", "Range: bytes=2-4\r\n");
    assert_eq!((status(&answer), body(&answer)), (206, "234"));
    assert_eq!(field(&answer, "Content-Range"), Some("bytes 2-4/10"));
    assert_eq!(field(&answer, "Content-Length"), Some("3"));
    assert_eq!(body(&get("/ten.txt", "Range: bytes=-2\r\n")), "89");
    assert_eq!(body(&get("/ten.txt", "Range: bytes=7-100\r\n")), "789");
}

#[test]
fn unsatisfiable_range_reports_the_length() {
    let answer = get("/ten.txt", "Range: bytes=10-\r\n");
    assert_eq!(
        (status(&answer), field(&answer, "Content-Range"), body(&answer)),
        (416, Some("bytes */10"), "")
    );
    assert_eq!(status(&get("/empty", "Range: bytes=0-\r\n")), 416);
}

#[test]
fn several_parts_are_not_understood_and_all_is_sent() {
    let answer = get("/ten.txt", "Range: bytes=0-1,4-5\r\n");
    assert_eq!((status(&answer), body(&answer)), (200, "0123456789"));
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let first = get("/ten.txt", "");
    let tag = field(&first, "ETag").unwrap();
    for tags in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = get("/ten.txt", &format!("If-None-Match: {tags}\r\n"));
        assert_eq!((status(&answer), body(&answer), field(&answer, "ETag")), (304, "", Some(tag)), "{tags}");
    }
    assert_eq!(status(&get("/ten.txt", "If-None-Match: \"x\"\r\n")), 200);
}

#[test]
fn a_part_of_a_file_that_has_changed_is_the_whole_file() {
    let first = get("/ten.txt", "");
    let tag = field(&first, "ETag").unwrap();
    let same = get("/ten.txt", &format!("Range: bytes=1-1\r\nIf-Range: {tag}\r\n"));
    assert_eq!((status(&same), body(&same)), (206, "1"));
    for field in ["\"x\"".to_owned(), format!("W/{tag}"), "*".to_owned()] {
        let other = get("/ten.txt", &format!("Range: bytes=1-1\r\nIf-Range: {field}\r\n"));
        assert_eq!((status(&other), body(&other)), (200, "0123456789"), "{field}");
    }
}

#[test]
fn a_connection_serves_one_request_after_the_other_in_order() {
    let one = "GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = ask(&format!(
        "{one}\r\n{}HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n{one}",
        one.repeat(99)
    ));
    assert_eq!(answer.matches("0123456789").count(), 100);
    assert!(answer.ends_with("Connection: close\r\n\r\n"));
}

#[test]
fn old_clients_get_one_answer_unless_they_ask_for_more() {
    let old = "GET /ten.txt HTTP/1.0\r\n\r\n";
    assert_eq!(ask(&old.repeat(2)).matches("0123456789").count(), 1);
    let staying = "GET /ten.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let answer = ask(&staying.repeat(2));
    assert_eq!(answer.matches("0123456789").count(), 2);
    assert_eq!(field(&answer, "Connection"), Some("keep-alive"), "they would not know otherwise");
    let going = "GET /ten.txt HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n";
    assert_eq!(ask(&going.repeat(2)).matches("0123456789").count(), 1);
}

#[test]
fn a_server_that_knows_the_date_tells_it_with_every_answer() {
    let mut server = Server::new(site(), Turns);
    server.wall_clock = || Some(std::time::Duration::from_secs(784_111_777));
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /missing HTTP/1.0\r\n\r\n", "\0"] {
        let mut client = Client::saying(request);
        futures::executor::block_on(server.serve(&mut client, &Slots::new(1).take()));
        let answer = String::from_utf8(client.heard).unwrap();
        assert_eq!(field(&answer, "Date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"), "{request:?}");
    }
    assert_eq!(field(&get("/", ""), "Date"), None);
}

#[test]
fn a_file_that_is_not_the_one_that_is_wanted_is_not_sent() {
    let first = get("/ten.txt", "");
    let tag = field(&first, "ETag").unwrap();
    for tags in [tag.to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
        assert_eq!(status(&get("/ten.txt", &format!("If-Match: {tags}\r\n"))), 200, "{tags}");
    }
    for tags in [format!("W/{tag}"), "\"x\"".to_owned()] {
        assert_eq!(status(&get("/ten.txt", &format!("If-Match: {tags}\r\n"))), 412, "{tags}");
    }
    assert_eq!(status(&get("/ten.txt", &format!("If-None-Match: \"x\"\r\nIf-None-Match: {tag}\r\n"))), 304);
}

#[test]
fn a_server_that_stops_ends_connections_after_the_answer() {
    let server = Server::new(site(), Turns);
    server.stop();
    let mut client = Client::saying(&"GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3));
    futures::executor::block_on(server.serve(&mut client, &Slots::new(1).take()));
    let answer = String::from_utf8(client.heard).unwrap();
    assert_eq!(answer.matches("0123456789").count(), 1);
    assert_eq!(field(&answer, "Connection"), Some("close"));
}

#[test]
fn a_file_that_ends_too_early_breaks_the_connection_and_one_that_cannot_be_opened_does_not() {
    let mut client = Client::saying(&"GET /short HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    let answer = serve_site(Damaged, &mut client);
    assert_eq!((body(&answer), answer.matches("HTTP/1.1").count()), ("xxxxxxxxxx", 1));
    let mut client = Client::saying(&"GET /unreadable HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    assert_eq!(serve_site(Damaged, &mut client).matches("HTTP/1.1 500").count(), 2);
}

#[test]
fn what_was_done_is_counted_and_served_in_prometheuss_format() {
    let server = Server::new(site(), Turns);
    for target in ["/ten.txt", "/ten.txt", "/missing"] {
        let mut client = Client::saying(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        futures::executor::block_on(server.serve(&mut client, &Slots::new(1).take()));
    }
    let mut client = Client::saying("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    futures::executor::block_on(server.serve(&mut client, &Slots::new(1).take()));
    let answer = String::from_utf8(client.heard).unwrap();
    for line in [
        "# TYPE prism_http_responses_total counter",
        "prism_http_responses_total{code=\"200\"} 2",
        "prism_http_responses_total{code=\"404\"} 1",
        "prism_http_sent_bytes_total 30",
        "prism_http_connections_total 4",
        "prism_http_connections 1",
    ] {
        assert!(body(&answer).lines().any(|found| found == line), "{line}\n{answer}");
    }
    assert_eq!((server.metrics.open(), server.metrics.answers(Status::Ok)), (0, 3));
}

#[test]
fn a_parsed_request_says_all_that_matters() {
    let text = b"HEAD /a%20b?c HTTP/1.1\r\nhost: x\r\nRANGE: bytes=1-\r\n\r\nGET";
    let (request, length) = Request::parse(text).unwrap().unwrap();
    assert_eq!(
        (request.method, request.path.as_deref(), length),
        (Method::Head, Some("a b"), text.len() - 3)
    );
    assert_eq!((request.connection, request.range), (Connection::Persistent, None));
    assert!(request.if_none_match.is_none());
}

#[test]
fn nothing_is_said_to_a_client_that_says_nothing() {
    assert_eq!(serve(&mut Client::new([])), "");
}
