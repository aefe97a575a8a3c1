// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a boot shows beside what it is named for: tests that share a guest, each counted by its own name.

use crate::env::Env;
use crate::suite::Choice;

/// A test that needs no boot of its own.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// A sentence.
    pub name: &'static str,
    /// Where: some of the boot's environments.
    pub envs: &'static [Env],
    /// Where it is done only when asked for.
    pub long_envs: &'static [Env],
    /// Words that have the guest do it.
    pub words: &'static str,
    /// What is done beside the guest for it, behind the boot's own command; ends with status 0 and without
    /// saying so if all is well.
    pub script: &'static str,
    /// Texts that must be told.
    pub texts: &'static [&'static str],
}

impl Part {
    /// A test that has to be chosen by nothing.
    pub const fn new(name: &'static str, envs: &'static [Env]) -> Self {
        Self { name, envs, long_envs: &[], words: "", script: "", texts: &[] }
    }

    /// The same in these environments, too, but only when asked for.
    pub const fn long_envs(self, long_envs: &'static [Env]) -> Self {
        Self { long_envs, ..self }
    }

    /// The same, but these words have the guest do it.
    pub const fn words(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    /// The same, but this is done beside the guest.
    pub const fn script(self, script: &'static str) -> Self {
        Self { script, ..self }
    }

    /// The same, but these texts must be told.
    pub const fn telling(self, texts: &'static [&'static str]) -> Self {
        Self { texts, ..self }
    }

    /// Its name in this environment.
    pub fn name_in(&self, env: Env) -> String {
        format!("{}/{}", self.name, env.name())
    }

    /// Whether it is there at all, however long the run may be.
    pub fn is_in(&self, env: Env) -> bool {
        self.envs.contains(&env) || self.long_envs.contains(&env)
    }

    /// Whether it is chosen, given whether its boot is by its own name, and is a long test.
    pub fn is_chosen(&self, env: Env, choice: &Choice, boot: bool, long: bool) -> bool {
        let normal = self.envs.contains(&env) && !long;
        match choice {
            Choice::Quick | Choice::All => normal,
            Choice::Long => self.is_in(env) && !normal,
            Choice::Matching(_) => self.is_in(env) && (boot || choice.has(&self.name_in(env))),
        }
    }

    /// The script, which notes down how it ended.
    pub fn noting(&self) -> String {
        let Self { name, script, .. } = self;
        format!(
            "(\n{script}\n)\n[ $? -eq 0 ] && echo '{OK}{name}' || {{ echo 'FAILED: {name}'; parts=1; }}\n"
        )
    }

    /// What is wrong with it, given all that was told.
    pub fn faults(&self, told: impl Fn(&str) -> bool) -> Vec<String> {
        let noted = (!self.script.is_empty()).then(|| format!("{OK}{}\n", self.name));
        let texts = self.texts.iter().map(|&text| text.to_owned()).chain(noted);
        texts.filter(|text| !told(text)).map(|text| format!("it does not tell: {text}")).collect()
    }
}

/// What is written before the name of a script that went well.
const OK: &str = "ok: ";

/// The command of a boot, and those of its parts behind it, whatever came of it. None of them is an operand
/// of `&&` or `||`, where the shell would not obey its `set -e`.
pub(super) fn together<'a>(command: &str, parts: impl Iterator<Item = &'a Part>) -> String {
    let scripts: String = parts.map(Part::noting).collect();
    format!("(\n{command}\n)\nparts=$?\n{scripts}exit $parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part =
        Part::new("b", &[Env::Pv]).long_envs(&[Env::Pvh]).script("[ -e /nowhere ]").telling(&["seen"]);

    #[test]
    fn a_part_is_chosen_with_its_boot_or_alone() {
        assert!(PART.is_chosen(Env::Pv, &Choice::All, false, false));
        assert!(!PART.is_chosen(Env::Pvh, &Choice::All, false, false));
        assert!(PART.is_chosen(Env::Pvh, &Choice::Long, false, false));
        assert!(!PART.is_chosen(Env::Pv, &Choice::Long, false, false));
        let word = |word: &str| Choice::Matching(vec![word.to_owned()]);
        assert!(PART.is_chosen(Env::Pv, &word("a"), true, false));
        assert!(PART.is_chosen(Env::Pv, &word("b/pv"), false, false));
        assert!(!PART.is_chosen(Env::Pv, &word("c"), false, false));
        assert!(!PART.is_chosen(Env::Kvm, &word("b"), true, false));
    }

    #[test]
    fn a_part_that_fails_keeps_neither_its_name_nor_the_others_from_being_told() {
        let bad = Part { script: "set -e\nfalse\ntrue", ..PART };
        let good = Part { name: "c", script: "true", ..PART };
        let shell = |command: &str| {
            let output = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        };
        let (success, told) = shell(&together("set -e\necho first\nfalse\ntrue", [bad, good].iter()));
        assert_eq!((success, told.as_str()), (false, "first\nFAILED: b\nok: c\n"));
        assert_eq!(good.faults(|text| told.contains(text)), ["it does not tell: seen"]);
        assert_eq!(PART.faults(|text| told.contains(text) || text == "seen"), ["it does not tell: ok: b\n"]);
        assert!(shell(&together("true", [good].iter())).0);
        assert!(!shell(&together("set -e\nfalse\ntrue", [good].iter())).0);
    }
}
