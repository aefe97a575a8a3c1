// SPDX-License-Identifier: MIT OR Apache-2.0
//! What C writes otherwise than by our name. Everything else is found by the name alone.

use crate::newer::NEWER;
use crate::source::{Bindings, Item, Kind};

/// Types that are not `struct <name>`, or for an alias not `<name>`.
const TYPES: &[(&str, &str)] = &[
    // A macro with an argument.
    ("XEN_GUEST_HANDLE", "XEN_GUEST_HANDLE(void)"),
    // A union, and the structures without a name in it.
    ("grant_entry_v2", "union grant_entry_v2"),
    ("grant_entry_v2_full_page", "__typeof__(((union grant_entry_v2 *)0)->full_page)"),
    ("grant_entry_v2_sub_page", "__typeof__(((union grant_entry_v2 *)0)->sub_page)"),
    ("grant_entry_v2_transitive", "__typeof__(((union grant_entry_v2 *)0)->transitive)"),
    // Structures without a name.
    ("vcpu_guest_context_fpu_ctxt", "__typeof__(((struct vcpu_guest_context *)0)->fpu_ctxt)"),
    ("start_info_console_domU", "__typeof__(((struct start_info *)0)->console.domU)"),
    ("start_info_console_dom0", "__typeof__(((struct start_info *)0)->console.dom0)"),
    ("netif_extra_info_gso", "__typeof__(((struct netif_extra_info *)0)->u.gso)"),
    ("netif_extra_info_mcast", "__typeof__(((struct netif_extra_info *)0)->u.mcast)"),
    ("netif_extra_info_hash", "__typeof__(((struct netif_extra_info *)0)->u.hash)"),
    ("physdev_pci_device_add_physfn", "__typeof__(((struct physdev_pci_device_add *)0)->physfn)"),
    ("xen_uuid_t", "xen_uuid_t"),
    // One structure in C, with a union of both register sets.
    ("vcpu_hvm_context_x86_32", "struct vcpu_hvm_context"),
    ("vcpu_hvm_context_x86_64", "struct vcpu_hvm_context"),
    // The common start of every ring; this one's entries ask for no wider alignment.
    ("sring", "struct netif_tx_sring"),
];

/// Sizes that are not `sizeof` of the type.
const SIZES: &[(&str, &str)] = &[("sring", "offsetof(struct netif_tx_sring, ring)")];

/// Fields, as `<structure>.<field>`, that are not `<field>`.
const FIELDS: &[(&str, &str)] = &[
    ("start_info.console", "console.domU"),
    ("vcpu_hvm_context_x86_32.cpu_regs", "cpu_regs.x86_32"),
    ("vcpu_hvm_context_x86_64.cpu_regs", "cpu_regs.x86_64"),
];

/// Constants that are not `<name>`.
const CONSTANTS: &[(&str, &str)] = &[
    // A pointer.
    ("machine_to_phys_mapping", "(unsigned long)machine_to_phys_mapping"),
];

/// Functions with more than one parameter, or that in C are not given numbers: arguments in Rust,
/// and in C.
const ARGUMENTS: &[(&str, &[(&str, &str)])] = &[
    ("TI_GET_DPL", &[("6", "&(struct trap_info){ .flags = 6 }")]),
    ("TI_GET_IF", &[("7", "&(struct trap_info){ .flags = 7 }"), ("3", "&(struct trap_info){ .flags = 3 }")]),
    ("TI_SET_DPL", &[("4, 3", "&(struct trap_info){ .flags = 4 }, 3")]),
    (
        "TI_SET_IF",
        &[("3, 2", "&(struct trap_info){ .flags = 3 }, 2"), ("3, 0", "&(struct trap_info){ .flags = 3 }, 0")],
    ),
    (
        "MASK_XENCONS_IDX",
        &[
            ("1500, 1024", "1500U, ((struct xencons_interface *)0)->in"),
            ("5000, 2048", "5000U, ((struct xencons_interface *)0)->out"),
        ],
    ),
    (
        "__CONST_RING_SIZE",
        &[
            ("size_of::<xen_sys::io::blkif::blkif_request>() as u32, 4096", "blkif, 4096"),
            ("size_of::<xen_sys::io::blkif::blkif_request>() as u32, 65536", "blkif, 65536"),
            ("size_of::<xen_sys::io::netif::netif_tx_request>() as u32, 4096", "netif_tx, 4096"),
            ("size_of::<xen_sys::io::netif::netif_rx_response>() as u32, 4096", "netif_rx, 4096"),
        ],
    ),
];

/// The C type of a structure or alias.
pub fn ctype(item: &Item) -> String {
    entry(TYPES, &item.name).unwrap_or_else(|| match item.kind {
        Kind::Structure(_) => format!("struct {}", item.name),
        _ => item.name.clone(),
    })
}

/// The C expression for the size of a structure or alias.
pub fn size(item: &Item) -> String {
    entry(SIZES, &item.name).unwrap_or_else(|| format!("sizeof({})", ctype(item)))
}

/// The C name of a field.
pub fn field(structure: &str, field: &str) -> String {
    entry(FIELDS, &format!("{structure}.{field}")).unwrap_or_else(|| field.to_owned())
}

/// The C expression for a constant.
pub fn constant(name: &str) -> String {
    entry(CONSTANTS, name).unwrap_or_else(|| name.to_owned())
}

/// Arguments to try a function with, in Rust and in C.
pub fn arguments(name: &str, parameters: &[u32]) -> Result<Vec<(String, String)>, String> {
    if let Some((_, listed)) = ARGUMENTS.iter().find(|(function, _)| *function == name) {
        return Ok(listed.iter().map(|(rust, c)| ((*rust).to_owned(), (*c).to_owned())).collect());
    }
    match parameters {
        [32] => Ok([0_u32, 1, 5, 300, 0x1234_5678].map(|n| (n.to_string(), format!("{n}U"))).into()),
        [64] => Ok([0_u64, 1, 5, 300, 0x1_2345_6789].map(|n| (n.to_string(), format!("{n}UL"))).into()),
        _ => Err(format!("{name}: say in generate/spelling.rs which arguments to try it with")),
    }
}

fn entry(table: &[(&str, &str)], name: &str) -> Option<String> {
    table.iter().find(|(ours, _)| *ours == name).map(|(_, c)| (*c).to_owned())
}

/// Refuses entries of the tables, and of the newer items, that match nothing in `xen-sys`.
pub fn check(bindings: &Bindings) -> Result<(), String> {
    let has = |name: &str, wanted: fn(&Kind) -> bool| {
        bindings.items.iter().any(|item| item.name == name && wanted(&item.kind))
    };
    let has_field = |name: &str| {
        let (structure, field) = name.split_once('.').unwrap_or_default();
        bindings.items.iter().any(|item| match &item.kind {
            Kind::Structure(fields) => item.name == structure && fields.iter().any(|own| own.name == field),
            _ => false,
        })
    };
    let is_type = |kind: &Kind| matches!(kind, Kind::Structure(_) | Kind::Alias { .. });
    let unmatched = names(TYPES)
        .filter(|name| !has(name, is_type))
        .chain(names(SIZES).filter(|name| !has(name, is_type)))
        .chain(names(FIELDS).filter(|name| !has_field(name)))
        .chain(names(CONSTANTS).filter(|name| !has(name, |kind| matches!(kind, Kind::Integer))))
        .chain(names(ARGUMENTS).filter(|name| !has(name, |kind| matches!(kind, Kind::Function(_)))))
        .chain(NEWER.iter().map(|newer| newer.name).filter(|name| !has(name, |_| true)))
        .collect::<Vec<_>>();
    if unmatched.is_empty() {
        return Ok(());
    }
    Err(format!(
        "xen-sys has no {}: remove it from generate/spelling.rs or src/newer.rs",
        unmatched.join(", ")
    ))
}

fn names<T>(table: &'static [(&'static str, T)]) -> impl Iterator<Item = &'static str> {
    table.iter().map(|(name, _)| *name)
}
