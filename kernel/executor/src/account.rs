// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each task has cost its vCPU, for people who ask a guest what it does.

use core::mem::replace;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use spin::Mutex;

/// The account of a place for tasks, which has one after the other.
#[derive(Debug, Default)]
pub struct Account {
    owner: Mutex<Option<Owner>>,
    /// Written by the vCPU of the task only.
    polls: AtomicU64,
    ticks: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    id: u64,
    name: &'static str,
    vcpu: u32,
}

/// A task, and what it has cost so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Which task it is: later ones have higher numbers.
    pub id: u64,
    /// The name of its type, which contains that of its function.
    pub name: &'static str,
    /// The vCPU that it runs on.
    pub vcpu: u32,
    /// How often it was polled.
    pub polls: u64,
    /// How long its polls took, in ticks of the time-stamp counter.
    pub ticks: u64,
}

impl Account {
    /// Of no task yet.
    pub const fn new() -> Self {
        Self { owner: Mutex::new(None), polls: AtomicU64::new(0), ticks: AtomicU64::new(0) }
    }

    /// Begins anew, for task `id`.
    pub fn open(&self, id: u64, name: &'static str, vcpu: u32) {
        let mut owner = self.owner.lock();
        self.polls.store(0, Ordering::Relaxed);
        self.ticks.store(0, Ordering::Relaxed);
        *owner = Some(Owner { id, name, vcpu });
    }

    /// The task has ended.
    pub fn close(&self) {
        *self.owner.lock() = None;
    }

    /// Adds a poll. To be called on the task's vCPU, so that no atomic addition is needed.
    pub fn add_poll(&self, ticks: u64) {
        let add = |to: &AtomicU64, more| {
            to.store(to.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.polls, 1);
        add(&self.ticks, ticks);
    }

    /// The name of the task, unless another one is just beginning or ending here: waits for no lock, so that
    /// it may be called from a non-maskable interrupt.
    pub fn try_name(&self) -> Option<&'static str> {
        self.owner.try_lock()?.map(|owner| owner.name)
    }

    /// What the task has cost; `None` without one.
    pub fn read(&self) -> Option<Cost> {
        let owner = self.owner.lock();
        let Owner { id, name, vcpu } = (*owner)?;
        let (polls, ticks) = (self.polls.load(Ordering::Relaxed), self.ticks.load(Ordering::Relaxed));
        Some(Cost { id, name, vcpu, polls, ticks })
    }
}

/// How long `ticks` last, if as many as `all` lasted for `elapsed` nanoseconds.
pub fn duration(ticks: u64, all: u64, elapsed: u64) -> Duration {
    let nanoseconds = u128::from(elapsed) * u128::from(ticks) / u128::from(all.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// The name of a function out of that of a future's type: without what is generic in it, and without the
/// mark of the compiler's for a future.
pub fn short_name(name: &'static str) -> impl Iterator<Item = char> {
    let name = name.trim_end_matches("::{{closure}}");
    // `<A as B>::f` would lose all but `::f`.
    let is_qualified = name.starts_with('<');
    let (mut depth, mut previous) = (0_usize, ' ');
    name.chars().filter(move |character| {
        let is_arrow = replace(&mut previous, *character) == '-';
        match character {
            _ if is_qualified => return true,
            '<' => depth += 1,
            '>' if !is_arrow => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn an_account_has_the_polls_of_its_task_and_none_of_the_one_before() {
        let account = Account::new();
        assert_eq!(account.read(), None);
        account.open(7, "first", 1);
        account.add_poll(100);
        account.add_poll(20);
        assert_eq!(account.read(), Some(Cost { id: 7, name: "first", vcpu: 1, polls: 2, ticks: 120 }));
        account.close();
        assert_eq!(account.read(), None);
        account.open(9, "second", 0);
        assert_eq!(account.read(), Some(Cost { id: 9, name: "second", vcpu: 0, polls: 0, ticks: 0 }));
    }

    #[test]
    fn a_name_that_is_being_changed_is_not_waited_for() {
        let account = Account::new();
        assert_eq!(account.try_name(), None);
        account.open(1, "task", 0);
        let changing = account.owner.lock();
        assert_eq!(account.try_name(), None);
        drop(changing);
        assert_eq!(account.try_name(), Some("task"));
    }

    #[test]
    fn a_task_has_its_share_of_the_time() {
        assert_eq!(duration(250, 1000, 1 << 30), Duration::from_nanos(1 << 28));
        assert_eq!(duration(2000, 1000, 300), Duration::from_nanos(600));
        assert_eq!(duration(5, 0, 0), Duration::ZERO);
        assert_eq!(duration(u64::MAX, 1, u64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn short_names_have_no_generics() {
        let short = |name| short_name(name).collect::<String>();
        assert_eq!(short("prism::console::flush_kept::{{closure}}"), "prism::console::flush_kept");
        assert_eq!(short("a::run<b::C<d::E>, f>::{{closure}}::{{closure}}"), "a::run");
        assert_eq!(short("a::run<fn(b) -> c, d>::{{closure}}"), "a::run");
        assert_eq!(short("a::B<c>::run::{{closure}}"), "a::B::run");
        assert_eq!(short("<a::B as c::D>::run::{{closure}}"), "<a::B as c::D>::run");
        assert_eq!(short("a>b<"), "ab");
    }
}
