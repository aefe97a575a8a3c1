// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parts of files: RFC 9110 section 14.

/// One range of bytes, as a client asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From a byte to the last one asked for, both included.
    FromTo(u64, u64),
    /// From a byte to the end.
    From(u64),
    /// So many bytes at the end.
    Last(u64),
}

/// What a range is of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Satisfied {
    /// The first byte.
    pub start: u64,
    /// Bytes; not 0.
    pub length: u64,
}

impl Range {
    /// The range in a `Range` field. `None` if it makes no sense, is in other units, or is several:
    /// a server may ignore those.
    pub fn parse(field: &str) -> Option<Self> {
        let (first, last) = field.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(Self::FromTo(first, last)),
            (Some(first), None) if last.is_empty() => Some(Self::From(first)),
            (None, Some(last)) if first.is_empty() => Some(Self::Last(last)),
            _ => None,
        }
    }

    /// What it is of a file of `length` bytes; `None` if nothing.
    pub fn of(self, length: u64) -> Option<Satisfied> {
        let (start, end) = match self {
            Self::FromTo(first, last) => (first, last.saturating_add(1).min(length)),
            Self::From(first) => (first, length),
            Self::Last(count) => (length.saturating_sub(count), length),
        };
        (start < end).then(|| Satisfied { start, length: end - start })
    }
}

/// Digits only.
pub(super) fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(field: &str, length: u64) -> Option<(u64, u64)> {
        Range::parse(field)?.of(length).map(|part| (part.start, part.length))
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        assert_eq!(of("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(of("bytes=2-5", 10), Some((2, 4)));
        assert_eq!(of("bytes=2-500", 10), Some((2, 8)));
        assert_eq!(of("bytes=9-", 10), Some((9, 1)));
        assert_eq!(of("bytes=-3", 10), Some((7, 3)));
        assert_eq!(of("bytes=-30", 10), Some((0, 10)));
        assert_eq!(of("bytes=0-18446744073709551615", 10), Some((0, 10)));
    }

    #[test]
    fn a_range_of_nothing_is_not_satisfied() {
        for field in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert!(Range::parse(field).is_some());
            assert_eq!(of(field, 10), None, "{field}");
        }
        assert_eq!(of("bytes=-5", 0), None);
    }

    #[test]
    fn invalid_values_are_ignored() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=+1-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=a-b",
            "bytes=18446744073709551616-",
            "bytes=0x1-",
        ] {
            assert_eq!(Range::parse(field), None, "{field}");
        }
    }
}
