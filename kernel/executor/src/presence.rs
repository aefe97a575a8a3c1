// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a vCPU is there, and how many tasks keep it there.
//!
//! ```text
//!            ask_to_leave           leave (no tasks)
//!   online ---------------> leaving ---------------> offline
//!      ^                       |                        |
//!      +-------- stay ---------+                        |
//!      +------------------- come_back ------------------+
//! ```
//!
//! All of it is one number, so that no task is started on a vCPU in the moment in which it goes.

use core::sync::atomic::{AtomicU32, Ordering};

/// It is asked to leave.
const LEAVING: u32 = 1 << 31;
/// It is off.
const OFFLINE: u32 = 1 << 30;
/// It has tasks that nobody counts.
const UNCOUNTED: u32 = 1 << 29;
/// The number of tasks.
const TASKS: u32 = UNCOUNTED - 1;

/// The presence of a vCPU, and the number of its tasks.
#[derive(Debug, Default)]
pub struct Presence(AtomicU32);

/// What keeps a vCPU from leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// So many tasks: a task stays on its vCPU.
    Tasks(u32),
    /// Tasks of which nobody knows whether they have ended.
    Uncounted,
}

impl Presence {
    /// A vCPU that is online, without tasks.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// Changes the number, unless `change` has nothing against it; whether it did.
    fn update(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change).is_ok()
    }

    /// How many tasks are there.
    pub fn tasks(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & TASKS
    }

    /// Whether it runs tasks: it is online, or leaving.
    pub fn is_online(&self) -> bool {
        self.get() & OFFLINE == 0
    }

    /// Whether new tasks may be put there.
    pub fn is_open(&self) -> bool {
        self.get() & (OFFLINE | LEAVING) == 0
    }

    /// Whether it is asked to leave, and has not left.
    pub fn is_leaving(&self) -> bool {
        self.get() & (OFFLINE | LEAVING) == LEAVING
    }

    /// Adds a task that somebody wants there; false if it does not take any.
    pub fn add(&self) -> bool {
        self.update(|now| (now & (OFFLINE | LEAVING) == 0).then_some(now + 1))
    }

    /// Adds a task that one of its own tasks starts: those that are bound to a vCPU which is asked to leave
    /// may need others, to come to their end. False if it is off.
    pub fn add_own(&self) -> bool {
        self.update(|now| (now & OFFLINE == 0).then_some(now + 1))
    }

    /// A task has ended.
    pub fn remove(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// It may have tasks from now on that are not [added](Self::add).
    pub fn add_uncounted(&self) {
        self.0.fetch_or(UNCOUNTED, Ordering::SeqCst);
    }

    /// What keeps it from leaving.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self.get() {
            now if now & UNCOUNTED != 0 => Some(Obstacle::Uncounted),
            now if now & TASKS != 0 => Some(Obstacle::Tasks(now & TASKS)),
            _ => None,
        }
    }

    /// Asks it to leave as soon as nothing keeps it; false if it is off.
    pub fn ask_to_leave(&self) -> bool {
        self.update(|now| (now & OFFLINE == 0).then_some(now | LEAVING))
    }

    /// It need not leave; false if it has left.
    pub fn stay(&self) -> bool {
        self.update(|now| (now & OFFLINE == 0).then_some(now & !LEAVING))
    }

    /// Whether it [would leave](Self::leave) now.
    pub fn may_leave(&self) -> bool {
        self.get() == LEAVING
    }

    /// Leaves, if it is asked to and nothing keeps it: whether it is off now. To be called by itself.
    pub fn leave(&self) -> bool {
        self.update(|now| (now == LEAVING).then_some(OFFLINE))
    }

    /// It is online again. To be called by itself.
    pub fn come_back(&self) {
        self.0.fetch_and(!(OFFLINE | LEAVING), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::sync::atomic::AtomicBool;
    use std::thread::{scope, yield_now};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vcpu_goes_when_its_last_task_has_ended_and_not_before() {
        let vcpu = Presence::new();
        assert!(vcpu.add() && vcpu.add() && !vcpu.leave());
        assert!(vcpu.ask_to_leave());
        assert_eq!((vcpu.tasks(), vcpu.obstacle()), (2, Some(Obstacle::Tasks(2))));
        assert!(vcpu.is_leaving() && vcpu.is_online() && !vcpu.is_open());
        vcpu.remove();
        assert!(!vcpu.leave() && !vcpu.may_leave());
        vcpu.remove();
        assert!(vcpu.may_leave() && vcpu.leave());
        assert!(!vcpu.is_online() && !vcpu.is_leaving() && !vcpu.is_open());
        assert!(!vcpu.leave() && !vcpu.may_leave());
    }

    #[test]
    fn nothing_new_is_put_on_a_vcpu_that_is_asked_to_leave_but_by_its_own_tasks() {
        let vcpu = Presence::new();
        vcpu.add();
        vcpu.ask_to_leave();
        assert!(!vcpu.add() && vcpu.add_own());
        assert_eq!(vcpu.tasks(), 2);
        vcpu.remove();
        vcpu.remove();
        assert!(vcpu.leave());
        assert!(!vcpu.add() && !vcpu.add_own() && !vcpu.ask_to_leave() && !vcpu.stay());
    }

    #[test]
    fn a_vcpu_that_may_stay_or_has_come_back_takes_tasks_again() {
        let vcpu = Presence::new();
        vcpu.ask_to_leave();
        assert!(vcpu.stay() && !vcpu.leave() && vcpu.is_open());
        vcpu.ask_to_leave();
        assert!(vcpu.leave());
        vcpu.come_back();
        assert!(vcpu.is_open() && !vcpu.leave() && vcpu.add());
    }

    #[test]
    fn tasks_that_nobody_counts_keep_a_vcpu_for_ever() {
        let vcpu = Presence::new();
        vcpu.add_uncounted();
        vcpu.ask_to_leave();
        assert_eq!((vcpu.obstacle(), vcpu.leave()), (Some(Obstacle::Uncounted), false));
    }

    #[test]
    fn no_task_is_started_on_a_vcpu_that_has_gone() {
        let (vcpu, done) = (Presence::new(), AtomicBool::new(false));
        let inside = AtomicBool::new(false);
        scope(|threads| {
            threads.spawn(|| {
                for _ in 0..1000 {
                    if vcpu.add() {
                        inside.store(true, Ordering::SeqCst);
                        yield_now();
                        inside.store(false, Ordering::SeqCst);
                        vcpu.remove();
                    }
                }
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                vcpu.ask_to_leave();
                if vcpu.leave() {
                    assert!(!inside.load(Ordering::SeqCst));
                    vcpu.come_back();
                }
                yield_now();
            }
        });
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Add,
        AddOwn,
        Remove,
        Ask,
        Stay,
        Leave,
        ComeBack,
    }

    proptest! {
        #[test]
        fn it_is_off_only_without_tasks_and_after_it_was_asked(
            steps in proptest::collection::vec(0..7_usize, 0..100),
        ) {
            use Step::*;
            let (vcpu, mut tasks, mut asked, mut off) = (Presence::new(), 0, false, false);
            for step in steps.into_iter().map(|index| [Add, AddOwn, Remove, Ask, Stay, Leave, ComeBack][index]) {
                match step {
                    Add => tasks += u32::from(vcpu.add()),
                    AddOwn => tasks += u32::from(vcpu.add_own()),
                    Remove if tasks != 0 => {
                        vcpu.remove();
                        tasks -= 1;
                    }
                    Remove => {}
                    Ask => asked |= vcpu.ask_to_leave(),
                    Stay => asked &= !vcpu.stay(),
                    Leave => {
                        let may = vcpu.may_leave();
                        let left = vcpu.leave();
                        prop_assert_eq!(may, left);
                        prop_assert_eq!(left, asked && !off && tasks == 0);
                        off |= left;
                    }
                    ComeBack => {
                        vcpu.come_back();
                        (off, asked) = (false, false);
                    }
                }
                prop_assert_eq!((vcpu.tasks(), vcpu.is_online()), (tasks, !off));
                prop_assert_eq!(vcpu.is_leaving(), asked && !off);
                prop_assert!(!off || tasks == 0);
            }
        }
    }
}
