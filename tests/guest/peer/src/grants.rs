// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants in both directions: dom0 keeps pages of ours mapped too long, and we use pages of dom0's.

use alloc::format;
use alloc::string::String;

use prism::grant::{self, Foreign, OwnPage, table};
use prism::xen::DomainId;
use prism::xen::grant::copy::{self, Request};
use prism::xen::grant::{Access, Error, Granted, ReadOnly, ReadWrite, Reference, Table};
use prism::{memory, println};

use crate::talk::Peer;

const DOM0: DomainId = DomainId(0);

pub(crate) async fn shared(peer: &Peer) -> prism::Result<bool> {
    let table = table().ok_or("there is no grant table here")?;
    let lent = lend(peer, table).await?;
    let used = use_pages_of_the_peer(peer).await?;
    println!("{}", table.report());
    Ok(lent && used && table.report().is_idle())
}

/// Lets the peer map two pages, and takes them back while it has them, and after.
async fn lend(peer: &Peer, table: &'static Table<OwnPage>) -> prism::Result<bool> {
    let to_read = grant::<ReadOnly>(table, b"to be read\0")?;
    let to_write = grant::<ReadWrite>(table, b"to be written\0")?;
    peer.tell("grants", &format!("{} {}", to_read.reference(), to_write.reference())).await?;
    peer.hear("mapped").await?;
    let mut text = [0; 15];
    to_write.read(0, &mut text)?;
    println!("the peer left: {}", String::from_utf8_lossy(&text));

    let kept = to_read.end().is_err() & to_write.end().is_err();
    let held = table.report().quarantined;
    let early = table.retry_quarantine();
    println!("{held} pages in quarantine, {early} came back early");
    peer.tell("missed", "1").await?;
    peer.hear("unmapped").await?;
    let back = table.retry_quarantine();
    println!("{back} pages came back");
    Ok(&text == b"written by dom0" && kept && (held, early, back) == (2, 0, 2))
}

fn grant<A: Access>(
    table: &'static Table<OwnPage>,
    text: &[u8],
) -> prism::Result<Granted<'static, OwnPage, A>> {
    let page = OwnPage::new().ok_or("no memory")?;
    let granted = table.try_grant(page, DOM0)?;
    granted.write(0, text)?;
    Ok(granted)
}

/// Maps and copies two pages of the peer's, as far as it permits and no further.
async fn use_pages_of_the_peer(peer: &Peer) -> prism::Result<bool> {
    let references = peer.hear("lent").await?;
    let (to_read, to_write) = references.split_once(' ').ok_or("the peer names no two grants")?;
    let (to_read, to_write) = (reference(to_read)?, reference(to_write)?);
    let mut good = mapped(to_read, to_write)?;
    good &= copied(to_read, to_write)?;
    good &= is_refused(grant::map::<ReadWrite>(DOM0, to_read));
    good &= is_refused(grant::map::<ReadOnly>(DOM0, reference("40000")?));
    good &= no_room_is_lost(to_read)?;
    peer.tell("done", "1").await?;
    Ok(good)
}

fn mapped(to_read: Reference, to_write: Reference) -> prism::Result<bool> {
    let first: Foreign<ReadOnly> = grant::map(DOM0, to_read)?;
    let second: Foreign<ReadWrite> = grant::map(DOM0, to_write)?;
    let mut texts = [[0; 11]; 2];
    first.read(0, &mut texts[0])?;
    second.read(0, &mut texts[1])?;
    second.write(0, b"mapped and written\0")?;
    println!("mapped: {}, {}", String::from_utf8_lossy(&texts[0]), String::from_utf8_lossy(&texts[1]));
    Ok(texts == [*b"for reading", *b"for writing"])
}

/// Copies the first page of the peer's into one of ours, and from there behind the text in the
/// second; the first cannot be copied to.
fn copied(to_read: Reference, to_write: Reference) -> prism::Result<bool> {
    let foreign = |reference, offset| copy::Foreign { domain: DOM0, reference, offset };
    let mut page = OwnPage::new().ok_or("no memory")?;
    let outcomes = [
        one_copy(Request::from_grant(foreign(to_read, 0), &mut page, 64, 11)?)?,
        one_copy(Request::to_grant(&page, 64, foreign(to_write, 7), 11)?)?,
        one_copy(Request::to_grant(&page, 64, foreign(to_read, 0), 11)?)?,
    ];
    println!("copied: {outcomes:?}");
    Ok(matches!(outcomes, [Ok(()), Ok(()), Err(Error::Failed(_))]))
}

fn one_copy(request: Request<'_>) -> prism::Result<Result<(), Error>> {
    let mut requests = [request];
    grant::copy(&mut requests)?;
    Ok(requests[0].outcome().ok_or("the copy was not tried")?)
}

fn is_refused<A: Access>(mapping: Result<Foreign<A>, Error>) -> bool {
    match mapping {
        Err(error) => {
            println!("refused, as it should be: {error}");
            true
        }
        Ok(_) => {
            println!("mapped what is not granted");
            false
        }
    }
}

/// Maps a page many times over.
fn no_room_is_lost(reference: Reference) -> prism::Result<bool> {
    let free = memory::usage().free;
    for _ in 0..100 {
        drop(grant::map::<ReadOnly>(DOM0, reference)?);
    }
    let lost = free.saturating_sub(memory::usage().free);
    println!("mapped a hundred times, {lost} bytes lost");
    Ok(lost == 0)
}

fn reference(number: &str) -> prism::Result<Reference> {
    Reference::new(number.parse()?).ok_or_else(|| "reference 0".into())
}
