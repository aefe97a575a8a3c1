// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file's clusters, as runs of neighbours.

use alloc::vec::Vec;
use core::fmt;

/// Runs that are remembered: 6 KiB. Of a file that has more, those that were found first are looked for again
/// when they are needed again.
const MAX: usize = 512;

/// Entries of the table that are looked at before whoever asked may do something else. A file can have
/// millions, each far from the next.
const STEPS: u32 = 4096;

/// A file's clusters, as runs of neighbours: those that were needed so far.
pub struct Runs {
    first: u32,
    /// Clusters that the file has.
    clusters: u32,
    /// In order, without gaps.
    runs: Vec<Run>,
    jumps: Jumps,
}

/// Clusters that are neighbours.
#[derive(Clone, Copy)]
struct Run {
    /// Clusters of the file before it.
    index: u32,
    start: u32,
    count: u32,
}

/// What tells a chain that loops: where a jump led, which is compared with those that follow, and replaced
/// when there were twice as many (Brent's algorithm). It costs the same however long the chain is, and a loop
/// is found after a few rounds: until then the file is one that repeats itself.
#[derive(Default)]
struct Jumps {
    count: u32,
    remembered: u32,
}

impl Jumps {
    /// Whether the chain was here before, as far as can be told now.
    fn is_known(&mut self, start: u32) -> bool {
        let is_known = self.remembered == start;
        self.count = self.count.saturating_add(1);
        if self.count.is_power_of_two() {
            self.remembered = start;
        }
        is_known
    }
}

/// Neighbours among a file's clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first one's number.
    pub cluster: u32,
    /// How many, one at least.
    pub count: u32,
}

/// Why a cluster was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The chain leads back to where it was.
    Loop,
    /// The chain ends before the file does.
    Short,
    /// There is no memory.
    NoMemory,
    /// The table could not be read, or says nothing that makes sense.
    Table(E),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop => f.write_str("the file's chain of clusters is a loop"),
            Self::Short => f.write_str("the file's chain of clusters is shorter than the file"),
            Self::NoMemory => f.write_str("no memory is left for the places of the file's clusters"),
            Self::Table(error) => error.fmt(f),
        }
    }
}

impl Runs {
    /// Those of a file that begins with cluster `first` and has so many of them.
    pub fn new(first: u32, clusters: u32) -> Self {
        Self { first, clusters, runs: Vec::new(), jumps: Jumps::default() }
    }

    /// Cluster `index` of the file, counted from 0, and up to `wanted` with the neighbours behind it. `next`
    /// tells what the table has for a cluster: the next one, or `None` at the end. It is asked a few thousand
    /// times at most; `None` is the answer if that was not enough, and the next call goes on from there.
    ///
    /// # Errors
    ///
    /// [`Error`]; `Short` for a cluster that the file does not have.
    pub fn find<E>(
        &mut self,
        index: u32,
        wanted: u32,
        mut next: impl FnMut(u32) -> Result<Option<u32>, E>,
    ) -> Result<Option<Extent>, Error<E>> {
        if index >= self.clusters {
            return Err(Error::Short);
        }
        if self.runs.first().is_none_or(|run| run.index > index) {
            self.runs.clear();
            self.jumps = Jumps { count: 0, remembered: self.first };
            self.push(Run { index: 0, start: self.first, count: 1 })?;
        }
        for _ in 0..STEPS {
            if self.known() <= index {
                self.step(&mut next)?;
                continue;
            }
            let (at, extent) = self.extent(index).ok_or(Error::Short)?;
            let is_last = at + 1 == self.runs.len();
            if !is_last || extent.count >= wanted || self.known() == self.clusters {
                return Ok(Some(Extent { count: extent.count.min(wanted.max(1)), ..extent }));
            }
            // What is wrong behind what was asked for is told when that is asked for.
            if self.step(&mut next).is_err() {
                return Ok(Some(extent));
            }
        }
        // What there is of it is enough.
        Ok(self.extent(index).map(|(_, extent)| Extent { count: extent.count.min(wanted.max(1)), ..extent }))
    }

    /// Clusters of the file that are known, from the first run that is remembered on.
    fn known(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.index + run.count)
    }

    /// The place of the run that cluster `index` is in, and what there is of it from there on.
    fn extent(&self, index: u32) -> Option<(usize, Extent)> {
        let at = self.runs.partition_point(|run| run.index <= index).checked_sub(1)?;
        let run = self.runs.get(at)?;
        let skipped = index - run.index;
        Some((at, Extent { cluster: run.start + skipped, count: run.count.checked_sub(skipped)? }))
    }

    /// Finds one cluster more.
    fn step<E>(&mut self, next: &mut impl FnMut(u32) -> Result<Option<u32>, E>) -> Result<(), Error<E>> {
        let Some(last) = self.runs.last_mut() else { return Err(Error::Short) };
        let end = last.start.saturating_add(last.count);
        match next(end - 1).map_err(Error::Table)? {
            None => Err(Error::Short),
            Some(cluster) if cluster == end => {
                last.count += 1;
                Ok(())
            }
            Some(start) => {
                let index = last.index + last.count;
                if self.jumps.is_known(start) {
                    return Err(Error::Loop);
                }
                self.push(Run { index, start, count: 1 })
            }
        }
    }

    fn push<E>(&mut self, run: Run) -> Result<(), Error<E>> {
        if self.runs.len() >= MAX {
            self.runs.drain(..MAX / 2);
        }
        self.runs.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.runs.push(run);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Result<Extent, Error<()>>;

    /// A table that chains these clusters.
    fn table(chain: &[u32]) -> impl Fn(u32) -> Result<Option<u32>, ()> {
        move |cluster| {
            let at = chain.iter().position(|known| *known == cluster).ok_or(())?;
            Ok(chain.get(at + 1).copied())
        }
    }

    fn extent(cluster: u32, count: u32) -> Found {
        Ok(Extent { cluster, count })
    }

    impl Runs {
        /// What [`find`](Self::find) finds in the end.
        fn found(
            &mut self,
            index: u32,
            wanted: u32,
            mut next: impl FnMut(u32) -> Result<Option<u32>, ()>,
        ) -> Found {
            loop {
                if let Some(extent) = self.find(index, wanted, &mut next)? {
                    return Ok(extent);
                }
            }
        }
    }

    #[test]
    fn neighbours_are_one_extent() {
        let chain = [10, 11, 12, 20, 21, 5];
        let mut runs = Runs::new(10, 6);
        assert_eq!(runs.found(0, 100, table(&chain)), extent(10, 3));
        assert_eq!(runs.found(4, 100, table(&chain)), extent(21, 1));
        assert_eq!(runs.found(5, 1, table(&chain)), extent(5, 1));
        assert_eq!(runs.found(1, 1, table(&chain)), extent(11, 1));
        assert_eq!(runs.found(6, 1, table(&chain)), Err(Error::Short));
    }

    #[test]
    fn no_more_of_the_table_is_read_than_is_needed() {
        let mut reads = 0;
        let mut runs = Runs::new(2, u32::MAX);
        let next = |cluster: u32| -> Result<Option<u32>, ()> {
            reads += 1;
            Ok(Some(cluster + 1))
        };
        assert_eq!(runs.found(0, 16, next), extent(2, 16));
        assert_eq!((reads, runs.runs.len()), (15, 1));
    }

    #[test]
    fn a_chain_that_loops_is_an_error_soon_after_it_leads_back() {
        let next = |cluster: u32| -> Result<Option<u32>, ()> {
            Ok(Some(if cluster == 14 { 12 } else { cluster + 1 }))
        };
        let mut runs = Runs::new(10, 1000);
        assert_eq!(runs.found(0, 1000, next), extent(10, 5));
        assert_eq!(runs.found(5, 1000, next), extent(12, 3), "it may be a file that repeats itself, so far");
        assert_eq!(runs.found(8, 1, next), Err(Error::Loop));
        assert_eq!(Runs::new(7, 2).found(1, 1, |_| Ok(Some(7))), Err(Error::Loop));
    }

    #[test]
    fn a_loop_of_more_runs_than_are_remembered_is_an_error() {
        // No two clusters are neighbours.
        let next = |cluster: u32| -> Result<Option<u32>, ()> { Ok(Some((cluster + 2) % 10_000)) };
        assert_eq!(Runs::new(2, u32::MAX).found(1_000_000, 1, next), Err(Error::Loop));
    }

    #[test]
    fn the_way_to_a_far_cluster_is_gone_in_pieces() {
        for distance in [1, 2] {
            let mut runs = Runs::new(2, u32::MAX);
            let mut rests = 0;
            let extent = loop {
                let mut reads = 0;
                let next = |cluster: u32| -> Result<Option<u32>, ()> {
                    reads += 1;
                    Ok(Some(cluster + distance))
                };
                let extent = runs.find(1_000_000, 1, next).unwrap();
                assert!(reads <= STEPS);
                match extent {
                    Some(extent) => break extent,
                    None => rests += 1,
                }
            };
            assert_eq!((extent.cluster, rests), (2 + distance * 1_000_000, 1_000_000 / STEPS));
        }
    }

    #[test]
    fn a_chain_that_is_too_short_is_an_error_where_it_ends() {
        let chain = [10, 11];
        let mut runs = Runs::new(10, 5);
        assert_eq!(runs.found(0, 5, table(&chain)), extent(10, 2));
        assert_eq!(runs.found(2, 1, table(&chain)), Err(Error::Short));
        assert_eq!(runs.found(0, 1, table(&[])), extent(10, 1));
    }

    #[test]
    fn runs_are_forgotten_when_there_are_many_and_found_again() {
        // No two clusters are neighbours.
        let next = |cluster: u32| -> Result<Option<u32>, ()> { Ok(Some(cluster + 2)) };
        let mut runs = Runs::new(2, 12_000);
        assert_eq!(runs.found(11_999, 1, next), extent(2 + 2 * 11_999, 1));
        assert!(runs.runs.len() <= MAX);
        assert_eq!(runs.found(0, 1, next), extent(2, 1));
        assert_eq!(runs.found(5_000, 1, next), extent(10_002, 1));
    }
}
