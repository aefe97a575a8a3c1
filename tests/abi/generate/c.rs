// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the C program that prints what the headers say: one line per fact, name and value
//! separated by a tab, or the name of an item and [`MISSING`](crate::newer::MISSING).

use crate::newer::{MISSING, NEWER};
use crate::source::{Bindings, Item, Kind};
use crate::spelling;

const START: &str = r#"#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define INTEGER(name, value)                                   \
    do {                                                       \
        __auto_type v = (value);                               \
        if (v < 0)                                             \
            printf("%s\t%lld\n", name, (long long)v);          \
        else                                                   \
            printf("%s\t%llu\n", name, (unsigned long long)v); \
    } while (0)
#define TEXT(name, value) printf("%s\t%s\n", name, value)
#define SIGNED(value) \
    _Generic((value), signed char: 1, short: 1, int: 1, long: 1, long long: 1, default: 0)
"#;

/// The program.
pub fn program(bindings: &Bindings) -> Result<String, String> {
    let mut text = String::from(START);
    // xen.h first: some headers rely on it.
    text.push_str("#include <xen/xen.h>\n");
    for header in &bindings.headers {
        text.push_str(&format!("#include <xen/{header}>\n"));
    }
    for item in &bindings.items {
        if let Kind::Bytes(_) = item.kind {
            text.push_str(&assembled(&item.name));
        }
    }
    text.push_str("\nint main(void)\n{\n");
    for item in &bindings.items {
        text.push_str(&guarded(&item.name, &facts(item)?));
    }
    text.push_str("    return 0;\n}\n");
    Ok(text)
}

/// Places the bytes of an assembler directive between two symbols.
fn assembled(name: &str) -> String {
    format!(
        "\n__asm__(\".pushsection .rodata\\nbytes_{name}: \" {name} \"\\nend_{name}:\\n.popsection\");\n\
         extern const unsigned char bytes_{name}[], end_{name}[];\n"
    )
}

/// Lets headers that are too old for an item compile.
fn guarded(name: &str, facts: &str) -> String {
    match NEWER.iter().find(|newer| newer.name == name) {
        Some(newer) => {
            let guard = newer.sign;
            format!("#ifdef {guard}\n{facts}#else\n    TEXT(\"{name}\", \"{MISSING}\");\n#endif\n")
        }
        None => facts.to_owned(),
    }
}

fn facts(item: &Item) -> Result<String, String> {
    let name = &item.name;
    Ok(match &item.kind {
        Kind::Integer => integer(name, &spelling::constant(name)),
        Kind::Text => format!("    TEXT(\"{name}\", {});\n", spelling::constant(name)),
        Kind::Bytes(length) => (0..*length)
            .map(|index| integer(&format!("{name}[{index}]"), &format!("bytes_{name}[{index}]")))
            .chain([integer(&format!("{name}: length"), &format!("end_{name} - bytes_{name}"))])
            .collect(),
        Kind::Errors(length) => (0..*length)
            .map(|index| {
                integer(&format!("{name}[{index}]: number"), &format!("{name}[{index}].errnum"))
                    + &format!("    TEXT(\"{name}[{index}]: text\", {name}[{index}].errstring);\n")
            })
            .chain([integer(&format!("{name}: length"), &format!("sizeof({name}) / sizeof({name}[0])"))])
            .collect(),
        Kind::Structure(fields) => {
            let ctype = spelling::ctype(item);
            let mut text = size_and_alignment(item);
            for field in fields.iter().filter(|field| !field.is_padding()) {
                let c = spelling::field(name, &field.name);
                let key = format!("{name}.{}", field.name);
                text.push_str(&integer(&format!("{key}: offset"), &format!("offsetof({ctype}, {c})")));
                text.push_str(&if field.flexible {
                    integer(&format!("{key}: element size"), &format!("sizeof((({ctype} *)0)->{c}[0])"))
                } else {
                    integer(&format!("{key}: size"), &format!("sizeof((({ctype} *)0)->{c})"))
                });
                text.push_str(&integer(&format!("{key}: signed"), &format!("SIGNED((({ctype} *)0)->{c})")));
            }
            text
        }
        Kind::Alias { .. } => {
            size_and_alignment(item)
                + &integer(&format!("{name}: signed"), &format!("SIGNED(*({} *)0)", spelling::ctype(item)))
        }
        Kind::Function(parameters) => spelling::arguments(name, parameters)?
            .iter()
            .map(|(rust, c)| integer(&format!("{name}({rust})"), &format!("{name}({c})")))
            .collect(),
    })
}

fn size_and_alignment(item: &Item) -> String {
    let name = &item.name;
    integer(&format!("{name}: size"), &spelling::size(item))
        + &integer(&format!("{name}: alignment"), &format!("_Alignof({})", spelling::ctype(item)))
}

fn integer(key: &str, expression: &str) -> String {
    format!("    INTEGER(\"{key}\", {expression});\n")
}
