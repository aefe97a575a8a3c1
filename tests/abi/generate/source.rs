// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the sources of `xen-sys`: every public item, and the header each module cites.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::ext::IdentExt;

/// All of `xen-sys`.
pub struct Bindings {
    /// Headers cited by the modules, below `xen/include/public/`.
    pub headers: BTreeSet<String>,
    /// Every public item, in the order of the sources.
    pub items: Vec<Item>,
}

/// One public item.
pub struct Item {
    /// Its name, without `r#`.
    pub name: String,
    /// How Rust refers to it from outside of its crate.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// What an item is.
pub enum Kind {
    /// A constant of an integer type.
    Integer,
    /// A constant of type `&str`.
    Text,
    /// A constant array of so many bytes; in C the text of an assembler directive.
    Bytes(usize),
    /// A constant array of so many pairs of a number and a text; in C an array of structures with
    /// `errnum` and `errstring`.
    Errors(usize),
    /// A structure.
    Structure(Vec<Field>),
    /// A name for another type.
    Alias {
        /// Whether that is a signed integer.
        signed: bool,
    },
    /// A function; the widths of its parameters in bits.
    Function(Vec<u32>),
}

/// A field of a structure.
pub struct Field {
    /// Its name, without `r#`.
    pub name: String,
    /// Its name as Rust writes it.
    pub rust_name: String,
    /// Whether it is a signed integer.
    pub signed: bool,
    /// Whether it stands for what follows the structure: an array of length 0.
    pub flexible: bool,
}

impl Field {
    /// Whether C has no name for it because its compiler puts it there.
    pub fn is_padding(&self) -> bool {
        self.name.starts_with("_padding")
    }
}

/// Reads the crate whose `lib.rs` is in `folder`.
pub fn read(folder: &Path) -> Result<Bindings, String> {
    let mut reader = Reader::default();
    reader.module(&folder.join("lib.rs"), folder, "xen_sys")?;
    reader.finish()
}

/// An item on the way to become an [`Item`]: the types are not resolved yet.
struct Found {
    name: String,
    path: String,
    item: syn::Item,
}

#[derive(Default)]
struct Reader {
    headers: BTreeSet<String>,
    found: Vec<Found>,
    aliases: BTreeMap<String, syn::Type>,
    /// Structures that `layout!` checks.
    checked: BTreeSet<String>,
}

impl Reader {
    /// Reads the module in `file`, whose own modules are in `folder`.
    fn module(&mut self, file: &Path, folder: &Path, path: &str) -> Result<(), String> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let before = self.found.len();
        for item in parsed.items {
            if let syn::Item::Mod(module) = &item {
                if is_public(&module.vis) {
                    let name = module.ident.to_string();
                    self.module(
                        &folder.join(&name).with_extension("rs"),
                        &folder.join(&name),
                        &format!("{path}::{name}"),
                    )?;
                }
            } else {
                self.item(item, path)?;
            }
        }
        if self.found[before..].iter().any(|found| found.path.rsplit_once("::").map(|p| p.0) == Some(path)) {
            let header = cited_header(&text)
                .ok_or_else(|| format!("{}: cites no header under xen/include/public/", file.display()))?;
            self.headers.insert(header);
        }
        Ok(())
    }

    fn item(&mut self, item: syn::Item, path: &str) -> Result<(), String> {
        let (visibility, ident) = match &item {
            syn::Item::Const(item) => (&item.vis, &item.ident),
            syn::Item::Struct(item) => (&item.vis, &item.ident),
            syn::Item::Type(item) => (&item.vis, &item.ident),
            syn::Item::Fn(item) => (&item.vis, &item.sig.ident),
            syn::Item::Use(item) if !is_public(&item.vis) => return Ok(()),
            syn::Item::Macro(item) if item.mac.path.is_ident("layout") => {
                self.checked.extend(item.mac.tokens.clone().into_iter().next().map(|name| name.to_string()));
                return Ok(());
            }
            _ => return Err(format!("{path}: an item of a kind the ABI test does not know")),
        };
        if !is_public(visibility) {
            return Ok(());
        }
        let name = ident.unraw().to_string();
        if let syn::Item::Type(alias) = &item {
            self.aliases.insert(name.clone(), (*alias.ty).clone());
        }
        if self.found.iter().any(|found| found.name == name) {
            return Err(format!("{path}: there is another {name}"));
        }
        self.found.push(Found { path: format!("{path}::{ident}"), name, item });
        Ok(())
    }

    fn finish(self) -> Result<Bindings, String> {
        let items = self
            .found
            .iter()
            .map(|found| {
                let kind = self.kind(&found.item).map_err(|message| format!("{}: {message}", found.path))?;
                Ok(Item { name: found.name.clone(), path: found.path.clone(), kind })
            })
            .collect::<Result<_, String>>()?;
        Ok(Bindings { headers: self.headers, items })
    }

    fn kind(&self, item: &syn::Item) -> Result<Kind, String> {
        match item {
            syn::Item::Const(item) => self.constant(&item.ty),
            syn::Item::Struct(item) if !self.checked.contains(&item.ident.to_string()) => {
                Err("a structure without a layout! that checks it".into())
            }
            syn::Item::Struct(item) => item
                .fields
                .iter()
                .map(|field| self.field(field))
                .collect::<Result<_, _>>()
                .map(Kind::Structure),
            syn::Item::Type(item) => Ok(Kind::Alias { signed: self.is_signed(&item.ty) }),
            syn::Item::Fn(item) => item
                .sig
                .inputs
                .iter()
                .map(|input| self.parameter(input))
                .collect::<Result<_, _>>()
                .map(Kind::Function),
            _ => Err("not an item to compare".into()),
        }
    }

    fn constant(&self, ty: &syn::Type) -> Result<Kind, String> {
        match ty {
            syn::Type::Reference(_) => Ok(Kind::Text),
            syn::Type::Array(array) => match &*array.elem {
                syn::Type::Tuple(_) => length(&array.len).map(Kind::Errors),
                element if self.integer(element).as_deref() == Some("u8") => {
                    length(&array.len).map(Kind::Bytes)
                }
                _ => Err("a constant array of this type".into()),
            },
            ty if self.integer(ty).is_some() => Ok(Kind::Integer),
            _ => Err("a constant of this type".into()),
        }
    }

    fn field(&self, field: &syn::Field) -> Result<Field, String> {
        let ident = field.ident.as_ref().ok_or("a field without a name")?;
        if !is_public(&field.vis) {
            return Err(format!("the field {ident} is not public"));
        }
        Ok(Field {
            name: ident.unraw().to_string(),
            rust_name: ident.to_string(),
            signed: self.is_signed(&field.ty),
            flexible: matches!(&field.ty, syn::Type::Array(array) if length(&array.len) == Ok(0)),
        })
    }

    fn parameter(&self, input: &syn::FnArg) -> Result<u32, String> {
        let syn::FnArg::Typed(input) = input else { return Err("a method".into()) };
        match self.integer(&input.ty).as_deref() {
            Some("u8") => Ok(8),
            Some("u32") => Ok(32),
            Some("u64" | "usize") => Ok(64),
            _ => Err("a parameter of this type".into()),
        }
    }

    /// The name of the integer type that `ty` is, through aliases.
    fn integer(&self, ty: &syn::Type) -> Option<String> {
        let syn::Type::Path(path) = ty else { return None };
        let name = path.path.segments.last()?.ident.to_string();
        match self.aliases.get(&name) {
            Some(other) => self.integer(other),
            None => INTEGERS.contains(&name.as_str()).then_some(name),
        }
    }

    fn is_signed(&self, ty: &syn::Type) -> bool {
        self.integer(ty).is_some_and(|name| name.starts_with('i'))
    }
}

const INTEGERS: [&str; 9] = ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64"];

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

fn length(expression: &syn::Expr) -> Result<usize, String> {
    match expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => {
            number.base10_parse().map_err(|error| error.to_string())
        }
        _ => Err("an array whose length is not a plain number".into()),
    }
}

/// The header named in the line `Source:` of a module's documentation.
fn cited_header(text: &str) -> Option<String> {
    let documentation = text.lines().filter(|line| line.starts_with("//!")).collect::<String>();
    let (_, citation) = documentation.split_once("Source:")?;
    let (_, header) = citation.split_once("`xen/include/public/")?;
    let (header, _) = header.split_once('`')?;
    header.ends_with(".h").then(|| header.to_owned())
}
