// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a request asks for, and of whom: RFC 9112 section 3.

use super::response::Status;

/// The part of a request's target from the path on: proxies' clients put the scheme and the host before it.
/// There is one site here, whatever its name.
///
/// # Errors
///
/// [`Status::BadRequest`] if there is no host in what has a scheme.
pub(super) fn without_host(target: &str) -> Result<&str, Status> {
    let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let Some(rest) = scheme.and_then(|_| target.get(7..)) else { return Ok(target) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    match !host.is_empty() && is_host(host.as_bytes()) {
        true if path.starts_with('/') => Ok(path),
        true => Ok("/"),
        false => Err(Status::BadRequest),
    }
}

/// Whether a `Host` field can mean a host, and a port: RFC 3986, section 3.2.2. It may be empty.
pub(super) fn is_host(field: &[u8]) -> bool {
    field.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_target_is_left_out() {
        for (target, path) in [
            ("/a", "/a"),
            ("http://host/a?b", "/a?b"),
            ("HTTP://[2001:db8::1]:80/", "/"),
            ("http://host", "/"),
            ("http://host?query", "/"),
            ("*", "*"),
            ("https://host/", "https://host/"),
        ] {
            assert_eq!(without_host(target), Ok(path), "{target}");
        }
    }

    #[test]
    fn what_has_no_proper_host_is_a_bad_request() {
        for target in ["http://", "http:///a", "http://user@host/", "http://a b/", "http://?x"] {
            assert_eq!(without_host(target), Err(Status::BadRequest), "{target}");
        }
    }
}
