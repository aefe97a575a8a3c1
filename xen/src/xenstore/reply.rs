// SPDX-License-Identifier: MIT OR Apache-2.0
//! What xenstored answers: reading payloads that may hold anything.

use alloc::vec::Vec;

use super::refusal::Refusal;

/// The strings of a payload, without their NULs; `None` if the last one has no NUL.
pub(super) fn strings(payload: &[u8]) -> Option<Vec<&str>> {
    let Some((last, strings)) = payload.split_last() else { return Some(Vec::new()) };
    if *last != 0 {
        return None;
    }
    strings.split(|byte| *byte == 0).map(|string| core::str::from_utf8(string).ok()).collect()
}

/// The only string of a payload.
pub(super) fn string(payload: &[u8]) -> Option<&str> {
    match strings(payload)?.as_slice() {
        [string] => Some(string),
        _ => None,
    }
}

/// The number that is a payload's only string: the id of a transaction.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    let digits = string(payload)?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Path and token of a watch event.
pub(super) fn watch_event(payload: &[u8]) -> Option<(&str, &str)> {
    match strings(payload)?.as_slice() {
        [path, token] => Some((path, token)),
        _ => None,
    }
}

/// Why a request was refused; the name may lack its NUL.
pub(super) fn refusal(payload: &[u8]) -> Refusal {
    Refusal::from_name(payload.split(|byte| *byte == 0).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_need_their_nuls() {
        assert_eq!(strings(b""), Some(vec![]));
        assert_eq!(strings(b"\0"), Some(vec![""]));
        assert_eq!(strings(b"a\0bc\0"), Some(vec!["a", "bc"]));
        assert_eq!(strings(b"a\0bc"), None);
        assert_eq!(strings(b"\xff\0"), None);
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(number(b"4294967295\0"), Some(u32::MAX));
        for payload in [&b""[..], b"\0", b"+1\0", b"-1\0", b"4294967296\0", b"1", b"1\x002\0"] {
            assert_eq!(number(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn an_event_is_a_path_and_a_token() {
        assert_eq!(watch_event(b"a/b\x001\0"), Some(("a/b", "1")));
        assert_eq!(watch_event(b"a/b\0"), None);
        assert_eq!(watch_event(b"a\0b\0c\0"), None);
    }
}
