// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts that repeat each other's parts, by rules: a pair of symbols that is often there becomes a symbol
//! itself, again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A character below [`FIRST_RULE`], or a rule.
pub(super) type Symbol = u16;

/// The symbol of the first rule.
pub(super) const FIRST_RULE: Symbol = 0x80;

/// How many rules there may be: what two bytes of a name can tell from each other.
const MOST: usize = 64 + 64 * 255;

/// How deep rules may lie in each other: the kernel's reader has room for so many.
const DEPTH: u8 = 24;

/// How often a pair has to be there to become a rule, which takes four bytes.
const LEAST: u32 = 4;

/// Texts by rules.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    /// Each consists of characters and of rules before it. Those that are used most are the first ones.
    pub(super) rules: Vec<[Symbol; 2]>,
    /// How deep they are.
    depths: Vec<u8>,
    /// The texts.
    pub(super) texts: Vec<Vec<Symbol>>,
}

impl Grammar {
    /// Finds rules for these texts. What is not ASCII in them, or is a zero, becomes a question mark.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let plain =
            |character: char| if matches!(character, '\x01'..='\x7f') { character as Symbol } else { 0x3f };
        let texts = texts.map(|text| text.chars().map(plain).collect()).collect();
        let mut grammar = Self { texts, ..Self::default() };
        loop {
            let fresh = grammar.round();
            if fresh.is_empty() {
                return grammar;
            }
            grammar.texts.iter_mut().for_each(|text| *text = replaced(text, &fresh));
        }
    }

    /// Makes rules of the pairs that are there most often now, none of which can overlap another one, so that
    /// all of them are replaced at once.
    fn round(&mut self) -> HashMap<[Symbol; 2], Symbol> {
        let mut counts: HashMap<[Symbol; 2], u32> = HashMap::new();
        for text in &self.texts {
            text.array_windows().for_each(|pair| *counts.entry(*pair).or_default() += 1);
        }
        // Sorted: the same texts give the same rules.
        let counts: BTreeMap<[Symbol; 2], u32> = counts
            .into_iter()
            .filter(|(pair, count)| *count >= LEAST && self.depth(*pair) <= DEPTH)
            .collect();
        let mut candidates: Vec<([Symbol; 2], u32)> = counts.into_iter().collect();
        candidates.sort_by_key(|(_, count)| u32::MAX - count);
        let enough = candidates.first().map_or(0, |(_, count)| count / 2);
        let (mut firsts, mut seconds) = (BTreeSet::new(), BTreeSet::new());
        let mut fresh = HashMap::new();
        for ([first, second], count) in candidates {
            if count < enough || self.rules.len() == MOST {
                break;
            }
            if seconds.contains(&first) || firsts.contains(&second) {
                continue;
            }
            firsts.insert(first);
            seconds.insert(second);
            fresh.insert([first, second], FIRST_RULE + self.rules.len() as Symbol);
            self.depths.push(self.depth([first, second]));
            self.rules.push([first, second]);
        }
        fresh
    }

    /// How deep a rule for this pair would be.
    fn depth(&self, pair: [Symbol; 2]) -> u8 {
        let of =
            |symbol: Symbol| symbol.checked_sub(FIRST_RULE).map_or(0, |rule| self.depths[usize::from(rule)]);
        1 + of(pair[0]).max(of(pair[1]))
    }
}

fn replaced(text: &[Symbol], rules: &HashMap<[Symbol; 2], Symbol>) -> Vec<Symbol> {
    let mut new = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let rule = behind.first().and_then(|second| rules.get(&[*first, *second]));
        new.push(*rule.unwrap_or(first));
        rest = if rule.is_some() { &behind[1..] } else { behind };
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_out(grammar: &Grammar, symbol: Symbol) -> String {
        match symbol.checked_sub(FIRST_RULE) {
            None => char::from(symbol as u8).to_string(),
            Some(rule) => {
                grammar.rules[usize::from(rule)].map(|symbol| written_out(grammar, symbol)).concat()
            }
        }
    }

    #[test]
    fn texts_are_shorter_and_can_be_written_out_again() {
        let texts: Vec<String> = (0..40).map(|number| format!("a::b::Long<aaaa>::number_{number}")).collect();
        let grammar = Grammar::of(texts.iter().map(String::as_str));
        let again =
            grammar.texts.iter().map(|text| text.iter().map(|one| written_out(&grammar, *one)).collect());
        assert_eq!(again.collect::<Vec<String>>(), texts);
        let symbols: usize = grammar.texts.iter().map(Vec::len).sum();
        assert!(symbols <= 4 * texts.len(), "{symbols} symbols");
        for (rule, symbols) in (FIRST_RULE..).zip(&grammar.rules) {
            assert!(symbols.iter().all(|symbol| *symbol < rule));
        }
    }

    #[test]
    fn rules_are_not_deeper_than_the_kernel_reads() {
        let grammar = Grammar::of(std::iter::repeat_n("x".repeat(500).as_str(), 9));
        assert!(grammar.depths.iter().all(|depth| *depth <= DEPTH));
        let long: String = ('a'..='z').chain('A'..='Z').collect();
        let growing: Vec<&str> = (2..=52).flat_map(|end| std::iter::repeat_n(&long[..end], 9)).collect();
        let grammar = Grammar::of(growing.into_iter());
        assert!(grammar.depths.iter().all(|depth| *depth <= DEPTH));
    }

    #[test]
    fn what_is_not_ascii_becomes_a_question_mark() {
        assert_eq!(Grammar::of(["a\u{e9}\0"].into_iter()).texts, [[0x61, 0x3f, 0x3f]]);
    }
}
