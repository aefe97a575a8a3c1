// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a backend can do, well or badly: a move, as data and as a line of text.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// A step of a backend's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The device is taken away, and another one is made.
    Renew,
    /// Offers the device, as a backend does: `InitWait`.
    Offer,
    /// Connects to the rings that the frontend has published.
    Connect,
    /// Closes the device and lets go of its rings.
    Close,
    /// Offers the device again, without closing it: the rings stay mapped, and so does all that was kept.
    Restart,
    /// Claims to be in this state.
    State(u32),
    /// Writes a key.
    Key(String, String),
    /// Writes 2 KiB of all bytes to a key.
    Binary(String),
    /// Removes a key.
    Remove(String),
    /// Removes the backend's directory.
    Vanish,
    /// Writes a node below the guest's home, where the toolstack writes.
    Node(String, String),
    /// Writes 2 KiB of all bytes there.
    Bytes(String),
    /// Removes what was written there.
    Forget(String),
    /// Makes so many directories of devices at once, with nothing in them but a backend that is nowhere.
    Crowd(u32),
    /// Adds to an index of the console's ring.
    Console(ConsoleWord, u32),
    /// Types random bytes, of this seed.
    Type(u64),
    /// Makes the console's indices right.
    Settle,
    /// Does so many requests well.
    Serve(u32),
    /// Does the next request, but another number is in this field of the response.
    Answer(Field, u64),
    /// Answers with the id of an earlier response.
    Stale,
    /// Gives the same response twice.
    Twice,
    /// Takes the next request, and never answers it.
    Swallow,
    /// Answers a packet of the guest's, but another number is in this field of the response.
    Sent(Field, u64),
    /// Receives a packet of random content, of this seed.
    Frame(u64),
    /// Receives a packet in so many parts.
    Parts(u32),
    /// Receives a part that says that more follow; none do.
    Unfinished,
    /// Receives a packet with extra information: its type, its flags, and what it says of segments: their
    /// size and kind.
    Extra(u8, u8, u16, u8),
    /// Answers with an entry full of random bytes, of this seed.
    Garbage(u64),
    /// Overwrites the response so many times after it was published.
    Rewrite(u32),
    /// Claims so many responses more than there are.
    Index(u32),
    /// Adds to a word of the ring's head.
    Word(Word, u32),
    /// Answers, and keeps the pages mapped for good.
    Keep,
    /// Answers, then writes so often to the pages, and only then lets go of them.
    Late(u32),
    /// So many events for nothing.
    Storm(u32),
    /// Does nothing for so many milliseconds.
    Silence(u32),
}

/// Declares an enumeration whose values have names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$line:meta])* $value:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$line])* $value),* }

        impl $name {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$value),*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$value => $text),* })
            }
        }

        impl std::str::FromStr for $name {
            type Err = anyhow::Error;

            fn from_str(text: &str) -> anyhow::Result<Self> {
                let found = Self::ALL.iter().find(|value| value.to_string() == text);
                found.copied().ok_or_else(|| anyhow::anyhow!("{text:?} is no {}", stringify!($name)))
            }
        }
    };
}

named! {
    /// A field of a response.
    Field {
        /// Which request it answers.
        Id = "id",
        /// What was asked for.
        Operation = "operation",
        /// How it went; of a packet that is received, its length.
        Status = "status",
        /// Where a packet begins in its page.
        Offset = "offset",
        /// What is said of a packet.
        Flags = "flags",
    }
}

named! {
    /// A word in a ring's head.
    Word {
        /// Requests made: the frontend's.
        RequestsMade = "req_prod",
        /// Where the backend wants an event.
        RequestEvent = "req_event",
        /// Responses made.
        ResponsesMade = "rsp_prod",
        /// Where the frontend wants an event: the frontend's.
        ResponseEvent = "rsp_event",
    }
}

named! {
    /// An index of the console's ring.
    ConsoleWord {
        /// What was typed and taken: the guest's.
        InputTaken = "in_cons",
        /// What was typed.
        InputMade = "in_prod",
        /// What was written and taken.
        OutputTaken = "out_cons",
        /// What was written: the guest's.
        OutputMade = "out_prod",
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renew => f.write_str("renew"),
            Self::Offer => f.write_str("offer"),
            Self::Connect => f.write_str("connect"),
            Self::Close => f.write_str("close"),
            Self::Restart => f.write_str("restart"),
            Self::State(state) => write!(f, "state {state}"),
            // As Rust has it, with quotes: values may be empty, and have spaces.
            Self::Key(name, value) => write!(f, "key {name} {value:?}"),
            Self::Binary(name) => write!(f, "binary {name}"),
            Self::Remove(name) => write!(f, "remove {name}"),
            Self::Vanish => f.write_str("vanish"),
            Self::Node(path, value) => write!(f, "node {path} {value:?}"),
            Self::Bytes(path) => write!(f, "bytes {path}"),
            Self::Forget(path) => write!(f, "forget {path}"),
            Self::Crowd(count) => write!(f, "crowd {count}"),
            Self::Console(word, distance) => write!(f, "console {word} {distance}"),
            Self::Type(seed) => write!(f, "type {seed}"),
            Self::Settle => f.write_str("settle"),
            Self::Serve(count) => write!(f, "serve {count}"),
            Self::Answer(field, value) => write!(f, "answer {field} {value}"),
            Self::Stale => f.write_str("stale"),
            Self::Twice => f.write_str("twice"),
            Self::Swallow => f.write_str("swallow"),
            Self::Sent(field, value) => write!(f, "sent {field} {value}"),
            Self::Frame(seed) => write!(f, "frame {seed}"),
            Self::Parts(count) => write!(f, "parts {count}"),
            Self::Unfinished => f.write_str("unfinished"),
            Self::Extra(kind, flags, size, protocol) => write!(f, "extra {kind} {flags} {size} {protocol}"),
            Self::Garbage(seed) => write!(f, "garbage {seed}"),
            Self::Rewrite(times) => write!(f, "rewrite {times}"),
            Self::Index(distance) => write!(f, "index {distance}"),
            Self::Word(word, value) => write!(f, "word {word} {value}"),
            Self::Keep => f.write_str("keep"),
            Self::Late(times) => write!(f, "late {times}"),
            Self::Storm(count) => write!(f, "storm {count}"),
            Self::Silence(milliseconds) => write!(f, "silence {milliseconds}"),
        }
    }
}

impl FromStr for Move {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let (name, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let number = || rest.parse().with_context(|| format!("{line:?} has no number of 32 bits"));
        let two = || rest.split_once(' ').with_context(|| format!("{line:?} has not two words"));
        Ok(match name {
            "renew" => Self::Renew,
            "offer" => Self::Offer,
            "connect" => Self::Connect,
            "close" => Self::Close,
            "restart" => Self::Restart,
            "state" => Self::State(number()?),
            "key" | "node" => {
                let (key, value) = two()?;
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                let value = value.with_context(|| format!("{line:?} has no quotes"))?.into();
                if name == "key" { Self::Key(key.into(), value) } else { Self::Node(key.into(), value) }
            }
            "bytes" => Self::Bytes(rest.into()),
            "forget" => Self::Forget(rest.into()),
            "crowd" => Self::Crowd(number()?),
            "console" => {
                let (word, distance) = two()?;
                Self::Console(word.parse()?, distance.parse()?)
            }
            "type" => Self::Type(rest.parse()?),
            "settle" => Self::Settle,
            "binary" => Self::Binary(rest.into()),
            "remove" => Self::Remove(rest.into()),
            "vanish" => Self::Vanish,
            "serve" => Self::Serve(number()?),
            "answer" => {
                let (field, value) = two()?;
                Self::Answer(field.parse()?, value.parse()?)
            }
            "sent" => {
                let (field, value) = two()?;
                Self::Sent(field.parse()?, value.parse()?)
            }
            "frame" => Self::Frame(rest.parse()?),
            "parts" => Self::Parts(number()?),
            "unfinished" => Self::Unfinished,
            "extra" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let &[kind, flags, size, protocol] = &words[..] else {
                    bail!("{line:?} has not four numbers")
                };
                Self::Extra(kind.parse()?, flags.parse()?, size.parse()?, protocol.parse()?)
            }
            "stale" => Self::Stale,
            "twice" => Self::Twice,
            "swallow" => Self::Swallow,
            "garbage" => Self::Garbage(rest.parse()?),
            "rewrite" => Self::Rewrite(number()?),
            "index" => Self::Index(number()?),
            "word" => {
                let (word, value) = two()?;
                Self::Word(word.parse()?, value.parse()?)
            }
            "keep" => Self::Keep,
            "late" => Self::Late(number()?),
            "storm" => Self::Storm(number()?),
            "silence" => Self::Silence(number()?),
            _ => bail!("{line:?} is no move"),
        })
    }
}

pub(crate) use named;

/// The moves of a text: one a line. Empty lines and those that begin with `#` are none.
pub(crate) fn parse(text: &str) -> Result<Vec<Move>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::parse).collect()
}

/// The text of moves.
pub(crate) fn text(moves: &[Move]) -> String {
    moves.iter().map(|play| format!("{play}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adversary::game::{Kind, game};

    #[test]
    fn a_list_is_the_same_after_it_was_written_and_read() {
        for (kind, seed) in Kind::ALL.iter().flat_map(|kind| (0..500).map(move |seed| (*kind, seed))) {
            let moves = game(kind, seed, 40);
            assert_eq!(parse(&text(&moves)).unwrap(), moves, "{kind} {seed}");
        }
    }

    #[test]
    fn what_is_no_move_is_an_error() {
        for line in
            ["jump", "state", "state x", "state 4294967296", "answer size 4", "key sectors", "key a b"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(parse("# nothing\n\n  renew \n").unwrap(), [Move::Renew]);
    }
}
