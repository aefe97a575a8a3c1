// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the Rust table of what `xen-sys` says, under the names the C program prints.

use crate::source::{Bindings, Item, Kind};
use crate::spelling;

/// The table, as the source of two constants.
pub fn table(bindings: &Bindings) -> Result<String, String> {
    let mut integers = String::new();
    let mut texts = String::new();
    for item in &bindings.items {
        facts(item, &mut integers, &mut texts)?;
    }
    Ok(format!(
        "#[allow(clippy::unnecessary_cast, reason = \"one form of line for all types\")]\n\
         const INTEGERS: &[(&str, i128)] = &[\n{integers}];\n\
         const TEXTS: &[(&str, &str)] = &[\n{texts}];\n"
    ))
}

fn facts(item: &Item, integers: &mut String, texts: &mut String) -> Result<(), String> {
    let Item { name, path, kind } = item;
    let mut integer = |key: String, expression: String| {
        integers.push_str(&format!("    ({key:?}, ({expression}) as i128),\n"));
    };
    match kind {
        Kind::Integer => integer(name.clone(), path.clone()),
        Kind::Text => texts.push_str(&format!("    ({name:?}, {path}),\n")),
        Kind::Bytes(length) => {
            for index in 0..*length {
                integer(format!("{name}[{index}]"), format!("{path}[{index}]"));
            }
            integer(format!("{name}: length"), format!("{path}.len()"));
        }
        Kind::Errors(length) => {
            for index in 0..*length {
                integer(format!("{name}[{index}]: number"), format!("{path}[{index}].0"));
                texts.push_str(&format!("    (\"{name}[{index}]: text\", {path}[{index}].1),\n"));
            }
            integer(format!("{name}: length"), format!("{path}.len()"));
        }
        Kind::Structure(fields) => {
            integer(format!("{name}: size"), format!("size_of::<{path}>()"));
            integer(format!("{name}: alignment"), format!("align_of::<{path}>()"));
            for field in fields.iter().filter(|field| !field.is_padding()) {
                let (key, rust) = (format!("{name}.{}", field.name), &field.rust_name);
                integer(format!("{key}: offset"), format!("core::mem::offset_of!({path}, {rust})"));
                let projection = format!("|value: &{path}| &value.{rust}");
                if field.flexible {
                    integer(format!("{key}: element size"), format!("element_size({projection})"));
                } else {
                    integer(format!("{key}: size"), format!("field_size({projection})"));
                }
                integer(format!("{key}: signed"), u8::from(field.signed).to_string());
            }
        }
        Kind::Alias { signed } => {
            integer(format!("{name}: size"), format!("size_of::<{path}>()"));
            integer(format!("{name}: alignment"), format!("align_of::<{path}>()"));
            integer(format!("{name}: signed"), u8::from(*signed).to_string());
        }
        Kind::Function(parameters) => {
            for (rust, _) in spelling::arguments(name, parameters)? {
                integer(format!("{name}({rust})"), format!("{path}({rust})"));
            }
        }
    }
    Ok(())
}
