// SPDX-License-Identifier: MIT OR Apache-2.0
//! A frontend of dom0's that does anything, by a seed, to a driver domain; honest ones in between have to
//! be served.

mod device;
mod vbd;
mod vif;

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::adversary::Random;
use crate::guest::Guest;
use device::{Device, state};
use vbd::VbdFront;
use vif::VifFront;

/// Moves of a game, at most: the backend ends most of them earlier.
const LENGTH: u32 = 200;

/// Games between two honest frontends.
const GAMES: u64 = 10;

/// Moves between two looks at whether the backend still plays.
const LOOK: u32 = 16;

/// How long the backend may take for a step of the handshake, or an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Disks.
    Vbd,
    /// Interfaces.
    Vif,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "vbd" => Self::Vbd,
            "vif" => Self::Vif,
            _ => bail!("{text:?} is neither vbd nor vif"),
        })
    }
}

/// The rings of a frontend, and what they are used for.
trait Front: Sized {
    /// The directory's name.
    const CLASS: &str;
    /// The state of a frontend that has told where its rings are.
    const PUBLISHED: u32;
    /// Keys by which the toolstack configures the backend.
    const CONFIGURED: &[(&str, &str)];

    /// Makes rings, and tells where they are.
    fn publish(backend: &mut Guest, device: &Device) -> Result<Self>;

    /// Makes a move.
    fn play(&mut self, backend: &mut Guest, device: &Device, random: &mut Random) -> Result<()>;

    /// Is served as anybody is.
    fn be_served(&mut self, random: &mut Random) -> Result<()>;
}

/// Plays games of the seeds from `seed` on against the driver domain, until there were so many moves.
pub(crate) fn play(backend: &mut Guest, kind: Kind, seed: u64, moves: u64) -> Result<()> {
    match kind {
        Kind::Vbd => play_as::<VbdFront>(backend, seed, moves),
        Kind::Vif => play_as::<VifFront>(backend, seed, moves),
    }
}

fn play_as<F: Front>(backend: &mut Guest, seed: u64, moves: u64) -> Result<()> {
    let (mut made, mut next) = (0, seed);
    while made < moves {
        let played = game::<F>(backend, &mut Random::new(next));
        made += u64::from(played.with_context(|| {
            format!(
                "game {next} went wrong: `prism-peer front {} {} {next} 1` plays it again",
                F::CLASS,
                backend.domain
            )
        })?);
        next += 1;
        if (next - seed).is_multiple_of(GAMES) || made >= moves {
            let served = honest::<F>(backend, &mut Random::new(next));
            served.with_context(|| format!("an honest frontend is not served after game {}", next - 1))?;
        }
    }
    println!("front {}, seeds {seed} to {}: {made} moves made", F::CLASS, next - 1);
    Ok(())
}

/// Makes moves until there were enough, or the backend has had enough; how many there were.
fn game<F: Front>(backend: &mut Guest, random: &mut Random) -> Result<u32> {
    let device = Device::make(backend, F::CLASS, F::CONFIGURED)?;
    let mut made = 0;
    ensure!(device.until(backend, &[state::INIT_WAIT])?, "the device is not offered");
    let mut front = F::publish(backend, &device)?;
    device.be(backend, F::PUBLISHED)?;
    ensure!(device.until(backend, &[state::CONNECTED])?, "the backend does not connect");
    while made < LENGTH && (!made.is_multiple_of(LOOK) || device.backend_state(backend)? == state::CONNECTED)
    {
        front.play(backend, &device, random)?;
        made += 1;
    }
    // It goes as it likes: closed, gone with its rings still in use, or with a last word that makes no sense.
    match random.below(3) {
        0 => device.be(backend, state::CLOSED)?,
        1 => drop(front),
        _ => device.be(backend, random.below(20) as u32)?,
    }
    device.remove(backend)?;
    Ok(made)
}

/// Connects, is served, and goes, as frontends do.
fn honest<F: Front>(backend: &mut Guest, random: &mut Random) -> Result<()> {
    let device = Device::make(backend, F::CLASS, F::CONFIGURED)?;
    ensure!(device.until(backend, &[state::INIT_WAIT])?, "the device is not offered");
    let mut front = F::publish(backend, &device)?;
    device.be(backend, F::PUBLISHED)?;
    ensure!(device.until(backend, &[state::CONNECTED])?, "the backend does not connect");
    device.be(backend, state::CONNECTED)?;
    front.be_served(random)?;
    device.be(backend, state::CLOSED)?;
    device.remove(backend)
}

/// A number that is small, large, or anything.
fn number(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.below(8),
        1 => random.below(2100),
        2 => random.below(1 << 33),
        _ => random.next(),
    }
}
