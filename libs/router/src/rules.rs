// SPDX-License-Identifier: MIT OR Apache-2.0
//! Firewall rules: what may open a connection. They are words like those of a command line.
//!
//! ```text
//! accept=in,tcp,to,10.137.0.5,port,22     drop=out,to,10.0.0.0/8     reject=out,udp,port,1000-2000
//! redirect=tcp,8080,10.137.0.5,80
//! ```
//!
//! The first rule that fits decides, as in a chain of nftables. Without one, guests may open connections to
//! the network, and nobody may open any to a guest; `redirect` lets in what it redirects.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::tuple::{End, Protocol, Tuple};

/// Rules at most.
const MOST: usize = 128;
/// What rules begin with.
const NAMES: [&str; 4] = ["accept", "drop", "reject", "redirect"];
/// Characters of a rule that an error shows at most.
const SHOWN: usize = 100;

/// Which way a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// From a guest to the network.
    Out,
    /// From the network to a guest.
    In,
    /// From a guest to another one.
    Between,
}

/// What a rule has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The connection is let through.
    Accept,
    /// Its packets are lost.
    Drop,
    /// The same, and the sender is told.
    Reject,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// One of them.
    pub address: IpAddr,
    /// How many bits of all are the same: 32 at most with IPv4, 128 with IPv6.
    pub prefix: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    action: Action,
    path: Path,
    protocol: Option<Protocol>,
    from: Option<Network>,
    to: Option<Network>,
    ports: Option<RangeInclusive<u16>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Redirect {
    protocol: Protocol,
    port: u16,
    to: End,
}

/// All rules, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
    redirects: Vec<Redirect>,
}

/// A rule that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    rule: String,
    expected: &'static str,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.rule.chars().take(SHOWN).collect();
        write!(f, "rule {shown:?}: {} expected", self.expected)
    }
}

impl core::error::Error for RuleError {}

impl Network {
    /// What `ADDRESS` or `ADDRESS/PREFIX` means.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix)),
            None => (text.parse().ok()?, None),
        };
        let bits = bits(address);
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => bits,
        };
        (prefix <= bits).then_some(Self { address, prefix })
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = u32::from(bits(self.address).saturating_sub(self.prefix));
        let rest = |number: u128| number.checked_shr(shift).unwrap_or(0);
        self.address.is_ipv4() == address.is_ipv4() && rest(number(self.address)) == rest(number(address))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Rules {
    /// Those of the words, each with its name and its value, that are rules; others are none of ours.
    ///
    /// # Errors
    ///
    /// [`RuleError`] if one makes no sense, or there are more than 128.
    pub fn parse<'a>(words: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RuleError> {
        let mut rules = Self::default();
        for (name, value) in words {
            let error = |expected| RuleError { rule: [name, "=", value].concat(), expected };
            if rules.rules.len() + rules.redirects.len() >= MOST {
                return Err(error("no more than 128 rules"));
            }
            let action = match name {
                "accept" => Action::Accept,
                "drop" => Action::Drop,
                "reject" => Action::Reject,
                "redirect" => {
                    rules.redirects.push(Redirect::parse(value).map_err(error)?);
                    continue;
                }
                _ => continue,
            };
            rules.rules.push(Rule::parse(action, value).map_err(error)?);
        }
        Ok(rules)
    }

    /// The same where nothing but rules may stand.
    ///
    /// # Errors
    ///
    /// [`RuleError`], for another word, too.
    pub fn parse_all<'a>(words: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Result<Self, RuleError> {
        match words.clone().find(|(name, _)| !NAMES.contains(name)) {
            Some((name, _)) => {
                Err(RuleError { rule: name.into(), expected: "accept, drop, reject or redirect" })
            }
            None => Self::parse(words),
        }
    }

    /// What becomes of a connection. `is_redirected` if the network was told of another address.
    pub(crate) fn decide(&self, path: Path, tuple: &Tuple, is_redirected: bool) -> Action {
        let default = if path == Path::Out || is_redirected { Action::Accept } else { Action::Drop };
        self.rules.iter().find(|rule| rule.fits(path, tuple)).map_or(default, |rule| rule.action)
    }

    /// Where to what the network sends to `port` goes.
    pub(crate) fn redirect(&self, protocol: Protocol, port: u16) -> Option<End> {
        let fits = |redirect: &&Redirect| redirect.protocol == protocol && redirect.port == port;
        self.redirects.iter().find(fits).map(|redirect| redirect.to)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rules.len() + self.redirects.len()
    }
}

impl Rule {
    fn parse(action: Action, text: &str) -> Result<Self, &'static str> {
        let mut words = words(text);
        let path = match words.next() {
            Some("out") => Path::Out,
            Some("in") => Path::In,
            Some("between") => Path::Between,
            _ => return Err("in, out or between"),
        };
        let mut rule = Self { action, path, protocol: None, from: None, to: None, ports: None };
        while let Some(word) = words.next() {
            match word {
                "from" => rule.from = Some(network(words.next())?),
                "to" => rule.to = Some(network(words.next())?),
                "port" => rule.ports = Some(ports(words.next())?),
                _ => rule.protocol = Some(protocol(word)?),
            }
        }
        if rule.ports.is_some() && !matches!(rule.protocol, Some(Protocol::Tcp | Protocol::Udp)) {
            return Err("tcp or udp with a port");
        }
        Ok(rule)
    }

    fn fits(&self, path: Path, tuple: &Tuple) -> bool {
        self.path == path
            && self.protocol.is_none_or(|protocol| protocol == tuple.protocol)
            && self.from.is_none_or(|network| network.contains(tuple.source.address))
            && self.to.is_none_or(|network| network.contains(tuple.destination.address))
            && self.ports.as_ref().is_none_or(|ports| ports.contains(&tuple.destination.port))
    }
}

impl Redirect {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "tcp or udp, a port, an IPv4 address, and a port if it is another one";
        let mut words = words(text);
        let protocol = match words.next() {
            Some("tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            _ => return Err(FORM),
        };
        let port = port(words.next().ok_or(FORM)?).ok_or(FORM)?;
        let address = words.next().and_then(|word| word.parse().ok()).filter(IpAddr::is_ipv4).ok_or(FORM)?;
        let to = match words.next() {
            Some(word) => self::port(word).ok_or(FORM)?,
            None => port,
        };
        if words.next().is_some() {
            return Err(FORM);
        }
        Ok(Self { protocol, port, to: End { address, port: to } })
    }
}

/// Commas or blanks separate them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

fn protocol(word: &str) -> Result<Protocol, &'static str> {
    match word {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "icmp" => Ok(Protocol::Icmp),
        _ => Err("tcp, udp, icmp, from, to or port"),
    }
}

fn network(word: Option<&str>) -> Result<Network, &'static str> {
    word.and_then(Network::parse).ok_or("an address or ADDRESS/PREFIX behind from and to")
}

fn ports(word: Option<&str>) -> Result<RangeInclusive<u16>, &'static str> {
    const FORM: &str = "a port from 1 to 65535, or two with a - between, behind port";
    let word = word.ok_or(FORM)?;
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (port(first).ok_or(FORM)?, port(last).ok_or(FORM)?);
    if first <= last { Ok(first..=last) } else { Err(FORM) }
}

fn port(word: &str) -> Option<u16> {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|port| is_number && *port != 0)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Between => "between",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(protocol: Protocol, from: &str, to: &str, port: u16) -> Tuple {
        let end = |text: &str, port| End { address: text.parse().unwrap(), port };
        Tuple { protocol, source: end(from, 40_000), destination: end(to, port) }
    }

    #[test]
    fn without_rules_guests_go_out_and_nothing_comes_in() {
        let rules = Rules::parse([("mode", "route")]).unwrap();
        let ssh = tuple(Protocol::Tcp, "10.137.0.5", "192.0.2.1", 22);
        assert_eq!(rules.decide(Path::Out, &ssh, false), Action::Accept);
        assert_eq!(rules.decide(Path::In, &ssh, false), Action::Drop);
        assert_eq!(rules.decide(Path::Between, &ssh, false), Action::Drop);
        assert_eq!(rules.decide(Path::In, &ssh, true), Action::Accept);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let words = [
            ("accept", "out,to,10.1.0.0/16"),
            ("reject", "out,tcp,port,20-25"),
            ("drop", "out,from,10.137.0.6,to,10.0.0.0/8"),
            ("drop", "out udp to 2001:db8::/32"),
        ];
        let rules = Rules::parse(words).unwrap();
        let cases = [
            (Protocol::Tcp, "10.137.0.5", "10.1.2.3", 22, Action::Accept),
            (Protocol::Tcp, "10.137.0.5", "10.2.2.3", 22, Action::Reject),
            (Protocol::Tcp, "10.137.0.5", "10.2.2.3", 26, Action::Accept),
            (Protocol::Udp, "10.137.0.6", "10.2.2.3", 22, Action::Drop),
            (Protocol::Udp, "10.137.0.6", "11.2.2.3", 22, Action::Accept),
            (Protocol::Udp, "2001:db8:1::2", "2001:db8::1", 53, Action::Drop),
            (Protocol::Tcp, "2001:db8:1::2", "2001:db8::1", 53, Action::Accept),
        ];
        for (protocol, from, to, port, action) in cases {
            let tuple = tuple(protocol, from, to, port);
            assert_eq!(rules.decide(Path::Out, &tuple, false), action, "{tuple:?}");
        }
    }

    #[test]
    fn a_redirect_is_of_its_protocol_and_port() {
        let rules = Rules::parse([("redirect", "tcp,8080,10.137.0.5,80")]).unwrap();
        let to = End { address: [10, 137, 0, 5].into(), port: 80 };
        assert_eq!(rules.redirect(Protocol::Tcp, 8080), Some(to));
        assert_eq!(rules.redirect(Protocol::Udp, 8080), None);
        assert_eq!(rules.redirect(Protocol::Tcp, 80), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_named() {
        for (name, value) in [
            ("accept", ""),
            ("accept", "up"),
            ("drop", "out,port,80"),
            ("drop", "out,tcp,port,0"),
            ("drop", "out,tcp,port,9-8"),
            ("drop", "out,tcp,port,+9"),
            ("drop", "out,to,10.0.0.0/33"),
            ("drop", "out,to"),
            ("drop", "out,sctp"),
            ("redirect", "tcp,80"),
            ("redirect", "icmp,80,10.137.0.5"),
            ("redirect", "tcp,80,::1"),
            ("redirect", "tcp,80,10.137.0.5,81,82"),
        ] {
            let error = Rules::parse([(name, value)]).unwrap_err();
            assert!(error.to_string().contains(&[name, "=", value].concat()), "{error}");
        }
        assert!(Rules::parse([("drop", "out"); MOST + 1]).is_err());
        assert!(Rules::parse_all([("drop", "out"), ("mode", "route")].into_iter()).is_err());
        assert_eq!(Rules::parse_all([("drop", "out")].into_iter()), Rules::parse([("drop", "out")]));
        let long = "x".repeat(5000);
        assert!(Rules::parse_all([(&long[..], "")].into_iter()).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_alike() {
        let network = Network::parse("10.128.0.0/9").unwrap();
        assert!(network.contains([10, 255, 0, 1].into()) && !network.contains([10, 127, 0, 1].into()));
        let all = Network::parse("::/0").unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()) && !all.contains([10, 0, 0, 1].into()));
        assert_eq!(Network::parse("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
    }
}
