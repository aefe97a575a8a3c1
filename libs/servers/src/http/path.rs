// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a request's target to a file's path.

use alloc::string::String;
use alloc::vec::Vec;

/// The path of the file that `target` names: without the query, decoded, without a slash in front;
/// a directory's is that of its `index.html`. `None` if it leads outside of the site, or cannot be
/// a path.
pub fn decode(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let bytes = percent_decode(path.as_bytes())?;
    let mut path = String::from_utf8(bytes).ok()?;
    if path.chars().any(|character| character.is_control() || character == '\\') {
        return None;
    }
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    let is_name = |name: &str| !matches!(name, "" | "." | "..");
    path.split('/').all(is_name).then_some(path)
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hexadecimal(rest.next()?)? << 4 | hexadecimal(rest.next()?)?,
            byte => byte,
        });
    }
    Some(bytes)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| digit.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_and_directories_have_an_index() {
        for (target, path) in [
            ("/", "index.html"),
            ("/a/", "a/index.html"),
            ("/a/b.txt?query#x", "a/b.txt"),
            ("/%41%20b", "A b"),
            ("/gr%C3%BC%C3%9Fe", "grüße"),
            ("/a..b/...", "a..b/..."),
        ] {
            assert_eq!(decode(target).as_deref(), Some(path), "{target}");
        }
    }

    #[test]
    fn what_leads_outside_or_is_no_path_is_refused() {
        for target in [
            "",
            "a",
            "*",
            "/..",
            "/a/../b",
            "/%2e%2e/a",
            "/./a",
            "//",
            "/a//b",
            "/a%00",
            "/%0d%0a",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "/a\\b",
            "/a%5cb",
            "http://host/",
        ] {
            assert_eq!(decode(target), None, "{target}");
        }
    }
}
