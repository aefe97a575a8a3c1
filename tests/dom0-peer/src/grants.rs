// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants both ways: pages of the guest's, kept longer than it likes, and pages for the guest.

use anyhow::{Context, Result, ensure};

use crate::guest::Guest;
use crate::page::{Access, Page};

/// Uses two pages of the guest's, then lets it use two of ours.
pub(crate) fn share(guest: &mut Guest) -> Result<()> {
    use_pages_of_the_guest(guest)?;
    lend_pages_to_the_guest(guest)
}

/// The guest says a reference for reading and one for writing; both pages stay mapped until it
/// says that they are missed.
fn use_pages_of_the_guest(guest: &mut Guest) -> Result<()> {
    let [to_read, to_write] = references(&guest.hear("grants")?)?;
    let refused = Page::of_guest(guest.domain, to_read, Access::ReadWrite);
    ensure!(refused.is_err(), "a page that was granted for reading could be mapped for writing");
    let first = Page::of_guest(guest.domain, to_read, Access::Read)?;
    let second = Page::of_guest(guest.domain, to_write, Access::ReadWrite)?;
    println!("the guest's pages say {:?} and {:?}", first.text(), second.text());
    second.write(0, b"written by dom0\0");
    guest.tell("mapped", "1")?;
    guest.hear("missed")?;
    drop((first, second));
    guest.tell("unmapped", "1")
}

/// Says a reference for reading and one for writing, and looks at what the guest wrote.
pub(crate) fn lend_pages_to_the_guest(guest: &mut Guest) -> Result<()> {
    let (to_read, first) = Page::for_guest(guest.domain, Access::Read)?;
    let (to_write, second) = Page::for_guest(guest.domain, Access::ReadWrite)?;
    to_read.write(0, b"for reading\0");
    to_write.write(0, b"for writing\0");
    guest.tell("lent", &format!("{first} {second}"))?;
    guest.hear("done")?;
    println!("our pages say {:?} and {:?}", to_read.text(), to_write.text());
    ensure!(to_read.text() == "for reading", "the guest wrote to a page that it may only read");
    Ok(())
}

fn references(text: &str) -> Result<[u32; 2]> {
    let (first, second) = text.split_once(' ').with_context(|| format!("{text:?} are no two grants"))?;
    Ok([first.parse()?, second.parse()?])
}
