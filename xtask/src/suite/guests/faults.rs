// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that do what must not be done: each must end as a crash, with a report that names the
//! cause and the function.

use super::GuestTest;
use crate::env::Env;

/// The topic's tests. What the page tables forbid is tried where they are made in different ways; what the
/// processor or Rust notices, in one place.
pub(super) const TESTS: &[GuestTest] = &[
    fault("writing_to_code_is_a_crash", "fault=write-text", &["fault::write_text"]),
    fault("writing_to_a_constant_is_a_crash", "fault=write-constant", &["fault::write_constant"]),
    fault("jumping_to_data_is_a_crash", "fault=jump-data", &["fault::jump_data"]),
    fault("reading_address_0_is_a_crash", "fault=null", &["fault::read_null"]),
    fault("overflowing_the_stack_is_a_crash", "fault=stack-overflow", &["fault::overflow_stack"]),
    fault("dividing_by_zero_is_a_crash", "fault=divide", &["division by zero", "fault::divide"]).in_pvh(),
    fault("an_invalid_opcode_is_a_crash", "fault=invalid-opcode", &["fault::invalid_opcode"]).in_pv(),
    fault("a_panic_is_a_crash", "fault=panic", &["index out of bounds", "fault::panic_on_purpose"]).in_pvh(),
    // Of a domain that cannot be migrated. Of a PVH one the toolstack tries each frame up to 4 GiB.
    fault("a_crashed_domain_is_dumped_and_destroyed", "fault=panic", &["fault::panic_on_purpose", "dumped"])
        .envs(&[])
        .long_envs(&[Env::Pv])
        .memory(16)
        .settings(&["on_crash = \"coredump-destroy\"", "nomigrate = 1"])
        .after(DUMPED),
];

/// Waits until a crashed domain is gone, and looks at what is left of it.
const DUMPED: &str = "d=/var/lib/xen/dump; mkdir -p $d; rm -f $d/*; xl unpause $DOMID
i=0; while xl domid $GUEST >/dev/null 2>&1; do [ $i -lt 600 ] || exit 1; sleep 0.2; i=$((i + 1)); done
bytes=$(stat -c %s $d/*$GUEST*) && [ \"$bytes\" -gt 16000000 ] && echo \"$bytes bytes dumped\"; status=$?
rm -f $d/*
exit $status";

const fn fault(name: &'static str, words: &'static str, texts: &'static [&'static str]) -> GuestTest {
    GuestTest::new(name, "fault")
        .in_pv_and_pvh()
        .words(words)
        .crashing()
        .telling(texts)
        .not_telling(&["came back from it"])
}
