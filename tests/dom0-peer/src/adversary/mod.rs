// SPDX-License-Identifier: MIT OR Apache-2.0
//! The adversary: a backend that works until its list of moves says otherwise. A list is made of a seed, or
//! read from a file; a list that a guest does not survive can be shortened.
//!
//! What the guest does beside it is to count in `data/pulse`, in as many numbers as it has things to show:
//! all of them have to grow after each game.

mod bus;
mod console;
mod game;
mod link;
mod moves;
mod player;
mod random;
mod ring;
mod seat;
mod shorten;
mod vbd;
mod vif;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::guest::Guest;
pub(crate) use bus::state;
pub(crate) use game::Kind;
use game::game;
pub(crate) use moves::Word;
use moves::{Move, parse, text};
use player::Player;
pub(crate) use random::Random;
pub(crate) use ring::{Ring, u64_at};

/// Moves of a game.
const LENGTH: usize = 40;

/// How long the guest may take until all its numbers have grown.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is long for a move: then the guest is looked at.
const LONG: Duration = Duration::from_secs(20);

/// Pages that a hoarder stops at.
const HOARD: usize = 3000;

/// Plays games of the seeds from `seed` on, until there were so many moves.
pub(crate) fn play(guest: &mut Guest, kind: Kind, seed: u64, moves: u64) -> Result<()> {
    let mut player = Player::new(kind);
    let mut next = seed;
    let mut played = Ok(());
    while player.tally.made < moves && played.is_ok() {
        // Progress, for who watches.
        println!("game {next}, after {} moves", player.tally.made);
        played = one_game(guest, &mut player, &game(kind, next, LENGTH)).with_context(|| {
            format!(
                "game {next} went wrong: `prism-peer moves {kind} {next}` has its moves, `replay` plays them again"
            )
        });
        next += 1;
    }
    let played = played.and_then(|()| goes_on(guest));
    finish(guest, &mut player, &format!("{kind}, seeds {seed} to {}", next - 1))?;
    played
}

/// Plays the moves of a file.
pub(crate) fn replay(guest: &mut Guest, kind: Kind, file: &str) -> Result<()> {
    let moves = read(file)?;
    let mut player = Player::new(kind);
    let played = one_game(guest, &mut player, &moves).and_then(|()| goes_on(guest));
    finish(guest, &mut player, file)?;
    played
}

/// Keeps pages of connection after connection.
pub(crate) fn hoard(guest: &mut Guest, kind: Kind) -> Result<()> {
    let mut player = Player::new(kind);
    let before = pulse(guest)?;
    let told = player.hoard(guest, HOARD)?;
    println!("{told}");
    go_on(guest, &before)?;
    finish(guest, &mut player, "hoard")
}

/// Writes the moves of so many seeds' games, from `seed` on.
pub(crate) fn list(kind: Kind, seed: u64, count: u64) {
    for seed in (seed..).take_while(|next| next - seed < count) {
        print!("{}", text(&game(kind, seed, LENGTH)));
    }
}

/// Shortens the list in `file` as long as `command`, which gets the path of a list as its last word, ends
/// with status 0: the guest does not survive that list.
pub(crate) fn shorten(file: &str, command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().context("what plays a list, and says if it fails?")?;
    let shorter = format!("{file}.shorter");
    let mut tries = 0;
    let fails = |moves: &[Move]| -> Result<bool> {
        tries += 1;
        fs::write(&shorter, text(moves))?;
        Ok(Command::new(program).args(arguments).arg(&shorter).status()?.success())
    };
    let moves = shorten::shorten(&read(file)?, fails)?;
    fs::write(&shorter, text(&moves))?;
    println!("{} moves are left after {tries} tries; they are in {shorter}", moves.len());
    Ok(())
}

fn read(file: &str) -> Result<Vec<Move>> {
    parse(&fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?)
}

/// Plays a list, with a new device at first, and looks whether all else in the guest has gone on since it
/// began.
fn one_game(guest: &mut Guest, player: &mut Player, moves: &[Move]) -> Result<()> {
    let before = pulse(guest)?;
    player.begin(guest)?;
    for play in moves {
        let begun = Instant::now();
        player.play(guest, play).with_context(|| format!("the move \"{play}\""))?;
        // Not after forty moves that nobody takes part in.
        if begun.elapsed() >= LONG {
            goes_on(guest)?;
        }
    }
    player.tidy_up(guest)?;
    go_on(guest, &before)
}

/// Leaves the guest, and says what was done.
fn finish(guest: &mut Guest, player: &mut Player, what: &str) -> Result<()> {
    let (tally, begun) = (player.tally, player.begun);
    println!(
        "{what}: {} moves made in {} s, {} of them waiting; {} had nobody to play with; {} devices, \
         {} connections, {} pages kept",
        tally.made,
        begun.elapsed().as_secs(),
        tally.waited.as_secs(),
        tally.idle,
        tally.devices,
        tally.connections,
        player.kept()
    );
    player.leave(guest)
}

/// The guest's numbers.
fn pulse(guest: &mut Guest) -> Result<Vec<u64>> {
    let path = guest.path("data/pulse");
    match guest.store.read(&path)? {
        Some(value) if !value.is_empty() => numbers(&value),
        _ => numbers(&guest.store.wait_for(&path, PATIENCE)?),
    }
}

/// Waits until the guest has gone on from where it is now.
fn goes_on(guest: &mut Guest) -> Result<()> {
    let now = pulse(guest)?;
    go_on(guest, &now)
}

/// Waits until all numbers are larger than `before`.
fn go_on(guest: &mut Guest, before: &[u64]) -> Result<()> {
    let path = guest.path("data/pulse");
    let has_grown = |value: Option<&str>| value.is_some_and(|value| all_larger(value, before));
    // Mostly it has, in the time that a game takes.
    if has_grown(guest.store.read(&path)?.as_deref()) {
        return Ok(());
    }
    let grown = guest.store.wait_until(&path, PATIENCE, has_grown)?;
    if grown.is_none() {
        let now = guest.store.read(&path)?.unwrap_or_default();
        ensure!(false, "the guest does not go on: {before:?} before, {now:?} now");
    }
    Ok(())
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    let numbers = text.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>();
    numbers.with_context(|| format!("{text:?} are no numbers"))
}

fn all_larger(now: &str, before: &[u64]) -> bool {
    numbers(now).is_ok_and(|now| {
        now.len() == before.len() && now.iter().zip(before).all(|(now, before)| now > before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_goes_on_if_all_that_it_does_goes_on() {
        assert!(all_larger("5 6", &[4, 5]));
        assert!(!all_larger("5 5", &[4, 5]));
        assert!(!all_larger("5", &[4, 5]));
        assert!(!all_larger("5 x", &[4, 5]));
    }
}
