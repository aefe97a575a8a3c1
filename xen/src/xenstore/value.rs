// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of nodes: text that somebody else wrote, read with suspicion.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use super::excerpt::Excerpt;

/// The value of a node, and the node's path for the message when the value is not what it should
/// be.
///
/// ```
/// use xen::xenstore::Value;
/// let value = Value::new("backend/sectors", *b"2048");
/// assert_eq!(value.integer(1..=u64::MAX / 512)?, 2048);
/// # Ok::<(), xen::xenstore::value::Unreadable>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    path: String,
    bytes: Vec<u8>,
}

impl Value {
    /// The value of the node at `path`.
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into() }
    }

    /// The value as it is: anything.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value as text, which may be empty.
    ///
    /// # Errors
    ///
    /// [`Expected::Text`] if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Unreadable> {
        core::str::from_utf8(&self.bytes).map_err(|_| self.unreadable(Expected::Text))
    }

    /// The value as a decimal number in `range`: digits and nothing else.
    ///
    /// # Errors
    ///
    /// [`Expected::Integer`] if it is anything else, or outside the range.
    pub fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Unreadable> {
        let number = decimal(&self.bytes).filter(|number| range.contains(number));
        number.ok_or_else(|| self.unreadable(Expected::Integer { least: *range.start(), most: *range.end() }))
    }

    /// The value as a switch: `0` or `1`.
    ///
    /// # Errors
    ///
    /// [`Expected::Integer`] if it is anything else.
    pub fn flag(&self) -> Result<bool, Unreadable> {
        Ok(self.integer(0..=1)? == 1)
    }

    /// The value as a port number, grant reference or the like.
    ///
    /// # Errors
    ///
    /// [`Expected::Integer`] if it is anything else.
    pub fn word(&self) -> Result<u32, Unreadable> {
        Ok(self.integer(0..=u32::MAX.into())? as u32)
    }

    /// The value as the address of a network device: six pairs of hexadecimal digits with colons
    /// between them. A group address is not one.
    ///
    /// # Errors
    ///
    /// [`Expected::Mac`] if it is anything else.
    pub fn mac(&self) -> Result<[u8; 6], Unreadable> {
        let address = mac(&self.bytes).filter(|[first, ..]| first & 1 == 0);
        address.ok_or_else(|| self.unreadable(Expected::Mac))
    }

    /// The value as the absolute path of a node.
    ///
    /// # Errors
    ///
    /// [`Expected::AbsolutePath`] if it is anything else.
    pub fn absolute_path(&self) -> Result<&str, Unreadable> {
        let path = core::str::from_utf8(&self.bytes).ok();
        let path = path.filter(|path| path.starts_with('/') && super::path::check(path).is_ok());
        path.ok_or_else(|| self.unreadable(Expected::AbsolutePath))
    }

    pub(super) fn unreadable(&self, expected: Expected) -> Unreadable {
        Unreadable { path: self.path.clone(), value: Excerpt::of(&self.bytes), expected }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.path, Excerpt::of(&self.bytes))
    }
}

/// A value that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    path: String,
    value: Excerpt,
    expected: Expected,
}

/// What a value should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// UTF-8.
    Text,
    /// A decimal number within limits.
    Integer {
        /// The smallest one allowed.
        least: u64,
        /// The largest one allowed.
        most: u64,
    },
    /// The address of one network device, `00:16:3e:01:02:03`.
    Mac,
    /// The absolute path of a node.
    AbsolutePath,
}

impl Unreadable {
    /// What the value should have been.
    pub fn expected(&self) -> Expected {
        self.expected
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, should be {}", self.path.escape_default(), self.value, self.expected)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Integer { least, most } => write!(f, "a number from {least} to {most}"),
            Self::Mac => f.write_str("a network address such as 00:16:3e:01:02:03"),
            Self::AbsolutePath => f.write_str("an absolute xenstore path"),
        }
    }
}

impl core::error::Error for Unreadable {}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

fn mac(text: &[u8]) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut pairs = text.split(|byte| *byte == b':');
    for place in &mut address {
        let [high, low] = pairs.next()?.as_array()?;
        *place = (hexadecimal(*high)? << 4) | hexadecimal(*low)?;
    }
    pairs.next().is_none().then_some(address)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| digit.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> Value {
        Value::new("backend/key", bytes)
    }

    #[test]
    fn integers_are_digits_in_range_and_nothing_else() {
        assert_eq!(value(b"007").integer(0..=10), Ok(7));
        assert_eq!(value(b"18446744073709551615").integer(0..=u64::MAX), Ok(u64::MAX));
        let hostile: [&[u8]; 11] = [
            b"",
            b"-1",
            b"+1",
            b" 1",
            b"1 ",
            b"1\0",
            b"0x1",
            b"1e3",
            b"18446744073709551616",
            b"11",
            &[b'9'; 2048],
        ];
        for bytes in hostile {
            assert!(value(bytes).integer(0..=10).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_flag_is_zero_or_one() {
        assert_eq!((value(b"0").flag(), value(b"1").flag()), (Ok(false), Ok(true)));
        assert!(value(b"2").flag().is_err() && value(b"true").flag().is_err());
    }

    #[test]
    fn a_mac_is_six_pairs_for_one_device() {
        assert_eq!(value(b"00:16:3E:0a:ff:00").mac(), Ok([0, 0x16, 0x3e, 0x0a, 0xff, 0]));
        let hostile: [&[u8]; 6] = [
            b"",
            b"00:16:3e:0a:ff",
            b"00:16:3e:0a:ff:00:11",
            b"00:16:3e:0a:ff:g0",
            b"0:16:3e:0a:ff:000",
            b"01:00:5e:00:00:01",
        ];
        for bytes in hostile {
            assert!(value(bytes).mac().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn paths_must_be_absolute_and_allowed() {
        assert_eq!(
            value(b"/local/domain/0/backend/vbd/1").absolute_path(),
            Ok("/local/domain/0/backend/vbd/1")
        );
        for bytes in [&b"backend"[..], b"", b"/a//b", b"/a\0", b"/\xff", b"@releaseDomain"] {
            assert!(value(bytes).absolute_path().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_message_names_path_and_value_whatever_they_are() {
        let error = value(b"12\x1b[2J").integer(1..=8).unwrap_err();
        assert_eq!(error.to_string(), r#"backend/key is "12\x1b[2J", should be a number from 1 to 8"#);
    }
}
