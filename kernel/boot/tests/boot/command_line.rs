// SPDX-License-Identifier: MIT OR Apache-2.0
use core::time::Duration;

use prism_boot::CommandLine;
use prism_boot::command_line::{
    ConsoleSinks, EventAbi, HypercallMethod, IrqChipLimit, KERNEL_OPTIONS, LogLevel, PvLevel, Words,
};
use proptest::prelude::*;

fn words(text: &str) -> Vec<(&str, Option<&str>)> {
    Words::new(text).map(|word| (word.name, word.value)).collect()
}

#[test]
fn any_number_of_blanks_separates_words() {
    assert_eq!(words("  a b=1\t c= "), [("a", None), ("b", Some("1")), ("c", Some(""))]);
}

#[test]
fn quotes_keep_blanks_in_a_word_and_are_not_part_of_it() {
    assert_eq!(words(r#"a="b c" "d e" "f=g h""#), [("a", Some("b c")), ("d e", None), ("f", Some("g h"))]);
}

#[test]
fn an_open_quote_lasts_to_the_end() {
    assert_eq!(words(r#"a="b c d"#), [("a", Some("b c d"))]);
}

#[test]
fn a_value_may_hold_an_equals_sign() {
    assert_eq!(words("root=UUID=1"), [("root", Some("UUID=1"))]);
}

#[test]
fn the_last_word_of_a_name_holds() {
    let line = CommandLine::from("level=1 level=2");
    assert_eq!(line.get("level"), Some("2"));
}

#[test]
fn a_bare_word_is_there_but_has_no_value() {
    let line = CommandLine::from("verbose");
    assert_eq!((line.has("verbose"), line.get("verbose"), line.has("quiet")), (true, None, false));
}

#[test]
fn flags_are_switched_by_the_bare_word_or_by_a_value() {
    let line = CommandLine::from("a b=on c=0 d=maybe");
    assert_eq!(line.flag("a"), Ok(true));
    assert_eq!(line.flag("b"), Ok(true));
    assert_eq!(line.flag("c"), Ok(false));
    assert_eq!(line.flag("missing"), Ok(false));
    let error = line.flag("d").unwrap_err();
    assert_eq!(error.to_string(), "d=maybe is not understood; give on or off");
}

#[test]
fn numbers_are_decimal_or_hexadecimal_and_unsigned() {
    let line = CommandLine::from("a=10 b=0xfF c=+1 d=-1 e= f=18446744073709551616 g");
    assert_eq!(line.number("a"), Ok(Some(10)));
    assert_eq!(line.number("b"), Ok(Some(255)));
    assert_eq!(line.number("missing"), Ok(None));
    for name in ["c", "d", "e", "f", "g"] {
        assert!(line.number(name).is_err(), "{name}");
    }
}

#[test]
fn sizes_have_units_and_do_not_overflow() {
    let line = CommandLine::from("a=4K b=2M c=1G d=12 e=17179869184G f=K");
    assert_eq!(line.size("a"), Ok(Some(4 << 10)));
    assert_eq!(line.size("b"), Ok(Some(2 << 20)));
    assert_eq!(line.size("c"), Ok(Some(1 << 30)));
    assert_eq!(line.size("d"), Ok(Some(12)));
    assert!(line.size("e").is_err());
    assert!(line.size("f").is_err());
}

#[test]
fn kernel_options_are_typed() {
    let line = CommandLine::from("loglevel=debug hypercall=page console=pv,serial events=2l");
    assert_eq!(line.log_level(), Ok(Some(LogLevel::Debug)));
    assert_eq!(line.hypercall_method(), Ok(Some(HypercallMethod::Page)));
    assert_eq!(line.console_sinks(), Ok(Some(ConsoleSinks::PV | ConsoleSinks::SERIAL)));
    assert_eq!(line.event_abi(), Ok(Some(EventAbi::TwoLevel)));
    assert_eq!(CommandLine::from("").log_level(), Ok(None));
    assert_eq!(CommandLine::from("blk.poll_us=50").block_poll(), Ok(Some(Duration::from_micros(50))));
    assert!(CommandLine::from("blk.poll_us=10001").block_poll().is_err());
    assert_eq!(CommandLine::from("net.poll_us=10000").network_poll(), Ok(Some(Duration::from_millis(10))));
    assert!(CommandLine::from("net.poll_us=").network_poll().is_err());
}

#[test]
fn an_invalid_option_names_the_valid_values() {
    let line = CommandLine::from("loglevel=loud console=pv,, hypercall events=3l");
    let error = line.log_level().unwrap_err().to_string();
    assert_eq!(error, "loglevel=loud is not understood; give off, error, warn, info, debug or trace");
    assert!(line.console_sinks().is_err());
    assert!(line.hypercall_method().is_err());
    assert!(line.event_abi().is_err());
}

#[test]
fn every_kernel_option_accepts_the_values_it_documents() {
    // That one documents a form; its tests are `virtio_mmio`'s.
    for option in KERNEL_OPTIONS.iter().filter(|option| option.name != "virtio_mmio.device") {
        for value in option.values.split([' ', ',']).filter(|word| word.len() > 1) {
            if ["or", "and", "list", "of", "parted", "by", "commas", "to", "microseconds"].contains(&value) {
                continue;
            }
            let line = CommandLine::from(format!("{}={value}", option.name).as_str());
            let accepted = line.log_level().is_ok()
                && line.hypercall_method().is_ok()
                && line.console_sinks().is_ok()
                && line.block_poll().is_ok()
                && line.network_poll().is_ok()
                && line.event_abi().is_ok()
                && line.irqchip_limit().is_ok()
                && line.upcall_limit().is_ok()
                && line.entropy_limit().is_ok()
                && line.pv_level().is_ok();
            assert!(accepted, "{}={value}", option.name);
        }
    }
}

#[test]
fn every_console_is_among_the_values_that_are_documented() {
    let option = KERNEL_OPTIONS.iter().find(|option| option.name == "console").unwrap();
    let sinks = option.values.split([' ', ',']).filter_map(|value| {
        CommandLine::from(format!("console={value}").as_str()).console_sinks().ok().flatten()
    });
    assert_eq!(sinks.collect::<ConsoleSinks>(), ConsoleSinks::all());
}

#[test]
fn options_of_an_old_name_still_work_and_are_told_of() {
    let line = CommandLine::from("rung=hvm lines=pic");
    assert_eq!(line.pv_level(), Ok(Some(PvLevel::Hvm)));
    assert_eq!(line.irqchip_limit(), Ok(Some(IrqChipLimit::Pic)));
    assert_eq!(line.renamed(&[]).collect::<Vec<_>>(), [("rung", "pv_level"), ("lines", "irqchip")]);
    assert_eq!(line.unknown(&[]).count(), 0, "they are known");
    assert_eq!(line.renamed(&["lines"]).count(), 1, "the other one is the application's");
}

#[test]
fn an_option_of_the_new_name_holds_whatever_the_old_one_says() {
    let line = CommandLine::from("pv_level=fv rung=hvm");
    assert_eq!(line.pv_level(), Ok(Some(PvLevel::Fv)));
    assert_eq!(CommandLine::from("pv_level=fv").renamed(&[]).count(), 0);
    assert_eq!(CommandLine::from("rung=tall").pv_level().unwrap_err().name, "rung");
}

#[test]
fn words_that_monitors_add_are_not_unknown() {
    let line = CommandLine::from("virtio_mmio.device=512@0xfeb00000:5 virtio_mmio.device=?");
    assert_eq!(line.unknown(&[]).count(), 0);
}

#[test]
fn unknown_words_are_those_of_neither_kernel_nor_application() {
    let line = CommandLine::from("loglevel=info port=80 prot=80 x");
    let unknown: Vec<_> = line.unknown(&["port"]).map(|word| word.name).collect();
    assert_eq!(unknown, ["prot", "x"]);
}

#[test]
fn the_image_path_some_loaders_put_first_is_not_unknown() {
    let line = CommandLine::from("/boot/prism.elf other/path");
    let unknown: Vec<_> = line.unknown(&[]).map(|word| word.name).collect();
    assert_eq!(unknown, ["other/path"]);
}

#[test]
fn more_words_can_be_appended() {
    let mut line = CommandLine::default();
    line.append("a=1");
    line.append("");
    line.append("a=2");
    assert_eq!((line.as_str(), line.get("a")), ("a=1 a=2", Some("2")));
}

#[test]
fn a_line_that_is_too_long_is_truncated() {
    let line = CommandLine::from("x".repeat(3000).as_str());
    assert!(line.truncated());
    assert_eq!(line.as_str().len(), 2048);
}

proptest! {
    #[test]
    fn words_without_quotes_are_what_split_whitespace_makes(text in "[a-c= ]{0,40}") {
        let expected: Vec<_> = text
            .split_whitespace()
            .map(|word| word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value))))
            .collect();
        prop_assert_eq!(words(&text), expected);
    }

    #[test]
    fn any_text_can_be_asked_anything(text in "\\PC*") {
        let line = CommandLine::from(text.as_str());
        for word in line.words() {
            prop_assert!(line.has(word.name));
        }
        let _ = (line.log_level(), line.block_poll(), line.console_sinks(), line.hypercall_method(), line.size("a"), line.flag("a"));
    }
}
