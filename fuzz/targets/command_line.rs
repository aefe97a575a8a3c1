// SPDX-License-Identifier: MIT OR Apache-2.0

use std::net::IpAddr;

use prism_boot::command_line::{Addressing, INTERFACES, KERNEL_OPTIONS, Word};
use prism_boot::{CommandLine, Text};
use prism_fuzz::check_line;
use prism_fuzz::fuzz_target;

fuzz_target!(|input: (&[u8], &str)| {
    let (bytes, more) = input;
    let mut line = CommandLine::from(Text::from_bytes(bytes));
    check(&line);
    line.append(more);
    check(&line);
});

fn check(line: &CommandLine) {
    for word in line.words() {
        check_word(line, word);
    }
    for word in line.unknown(&["a", "b=c"]) {
        assert!(word.name != "a" && KERNEL_OPTIONS.iter().all(|option| option.name != word.name));
    }
    let errors = [
        line.log_level().err(),
        line.hypercall_method().err(),
        line.console_sinks().err(),
        line.event_abi().err(),
        line.irqchip_limit().err(),
    ];
    errors.iter().flatten().for_each(check_line);
    for slot in line.virtio_slots() {
        match slot {
            Ok(slot) => assert!(slot.range.start() != 0 && slot.range.len() <= 1 << 20 && slot.line < 1024),
            Err(error) => check_line(&error),
        }
    }
    (0..=INTERFACES).for_each(|index| check_addressing(line, index));
    if let Ok(Some(sinks)) = line.console_sinks() {
        assert!(!sinks.is_empty());
    }
}

fn check_word(line: &CommandLine, word: Word<'_>) {
    let quoted = line.as_str().contains('"');
    assert!(quoted || !word.name.contains(' ') && !word.name.is_empty() || word.value.is_some());
    assert!(line.has(word.name));
    let last = line.words().filter(|other| other.name == word.name).last();
    assert_eq!(line.get(word.name), last.and_then(|last| last.value));
    if let Ok(Some(number)) = line.number(word.name) {
        assert_eq!(line.size(word.name), Ok(Some(number)));
    }
    for error in [line.flag(word.name).err(), line.number(word.name).err(), line.size(word.name).err()] {
        error.iter().for_each(check_line);
    }
}

fn check_addressing(line: &CommandLine, index: usize) {
    match line.addressing(index) {
        Err(error) => check_line(&error),
        Ok(Addressing::Dynamic) => {}
        Ok(Addressing::Static(found)) => {
            let others = [found.gateway, found.dns];
            assert!(others.iter().flatten().all(|other| other.is_ipv4() == found.address.is_ipv4()));
            assert!(found.prefix <= if found.address.is_ipv4() { 32 } else { 128 });
            let unusable = |address: IpAddr| address.is_unspecified() || address.is_multicast();
            assert!(!others.into_iter().flatten().chain([found.address]).any(unusable));
        }
    }
}
