// SPDX-License-Identifier: MIT OR Apache-2.0
//! Works with a peer in dom0, honest or hostile, that `peer=` names. The peer's side is in `tests/dom0-peer`.
#![no_std]
#![no_main]

extern crate alloc;

mod events;
mod grants;
mod lies;
mod limits;
mod steady;
mod talk;
mod transactions;
mod watches;

use prism::{Context, Verdict, println};

use talk::Peer;

prism::app!(main, params: ["peer"]);

async fn main(context: Context) -> prism::Result<Verdict> {
    let Some(store) = context.store() else {
        println!("there is no xenstore here");
        return Ok(Verdict::Skip);
    };
    let peer = Peer { store };
    println!("ready for a peer");
    let good = match context.command_line().get("peer") {
        Some("echo") => events::echoed(&context, &peer, 20, 500).await,
        Some("storm") => events::stormed(&context, &peer).await,
        Some("grants") => grants::shared(&peer).await,
        Some("add") => transactions::add_beside_others(&context, &peer).await,
        Some("flood") => watches::flooded(&peer).await,
        Some("lie") => lies::told(store).await,
        Some("steady") => steady::kept_up(&peer).await,
        Some("quotas") => limits::of_xenstore(store).await,
        Some("ports") => limits::of_ports(store).await,
        _ => Err("peer= is none of echo, storm, grants, add, flood, lie, steady, quotas, ports".into()),
    }?;
    Ok(if good { Verdict::Success } else { Verdict::Failure })
}
