// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody may have meant by a name that does not exist.

/// What to say about a name that none of the `names` is.
pub fn unknown<'a>(what: &str, name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let guess = nearest(name, names).map(|guess| format!(", did you mean {guess}?"));
    format!("unknown {what} {name}{} (scripts/run --list names all)", guess.unwrap_or_default())
}

/// The name most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.into_iter().map(|name| (distance(word, name), name));
    let (best, name) =
        distances.min_by_key(|(distance, name)| (*distance, name.len().abs_diff(word.len())))?;
    (best <= word.len().max(name.len()) / 2).then_some(name)
}

/// How many letters must be put in, left out, exchanged or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let exchange = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = exchange.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = cost;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["pv", "pvh", "pvhvm", "qemu-xen"];

    #[test]
    fn a_slip_finds_its_name() {
        assert_eq!(nearest("phv", NAMES), Some("pvh"));
        assert_eq!(nearest("pvhvn", NAMES), Some("pvhvm"));
        assert_eq!(nearest("qemuxen", NAMES), Some("qemu-xen"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(nearest("vmware", NAMES), None);
        assert_eq!(nearest("x", []), None);
    }
}
