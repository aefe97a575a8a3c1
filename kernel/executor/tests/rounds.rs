// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rounds with tasks that ask for the past, wake themselves and each other, and keep the vCPU: in each round
//! every event, due timer and ready task is reached exactly once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use embassy_executor::raw::{Executor, TaskStorage};
use prism_executor::round::{Vcpu, round};
use prism_executor::spin::Credit;
use prism_executor::timers::Timers;
use proptest::prelude::*;

/// What a task does when it is polled.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Asks to be woken so many nanoseconds ago.
    AskForThePast(u64),
    /// Waits for a time so many nanoseconds ahead.
    Sleep(u64),
    WakeItself,
    /// Wakes the task with this number, then waits for it to do the same.
    Wake(usize),
    /// Waits for the event of this number.
    Await(usize),
    /// Keeps the vCPU for so many nanoseconds, then asks for another turn.
    Compute(u64),
}

/// A machine with a clock that only stands or is moved, and a model of what must happen.
struct World {
    executor: &'static Executor,
    ready: AtomicBool,
    clock: Cell<u64>,
    timers: RefCell<Timers>,
    credit: Credit,
    /// Tasks that wait for an event, by its number.
    waiting: RefCell<BTreeMap<usize, Vec<usize>>>,
    arrived: RefCell<BTreeSet<usize>>,
    wakers: RefCell<BTreeMap<usize, Waker>>,
    /// Tasks that were polled in this round, in order.
    polled: RefCell<Vec<usize>>,
    /// The model: tasks that are ready, and when others want to be woken.
    model_ready: RefCell<BTreeSet<usize>>,
    model_timers: RefCell<BTreeMap<usize, u64>>,
}

impl World {
    fn new() -> Rc<Self> {
        Rc::new_cyclic(|this: &std::rc::Weak<Self>| {
            let context = this.as_ptr().cast_mut().cast();
            Self {
                executor: Box::leak(Box::new(Executor::new(context))),
                ready: AtomicBool::new(false),
                clock: Cell::new(1_000_000),
                timers: RefCell::default(),
                credit: Credit::new(),
                waiting: RefCell::default(),
                arrived: RefCell::default(),
                wakers: RefCell::default(),
                polled: RefCell::default(),
                model_ready: RefCell::default(),
                model_timers: RefCell::default(),
            }
        })
    }

    fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let storage: &'static TaskStorage<Pin<Box<dyn Future<Output = ()>>>> =
            Box::leak(Box::new(TaskStorage::new()));
        let token = storage.spawn(move || Box::pin(task) as _).unwrap_or_else(|_| panic!("it is new"));
        self.executor.spawner().spawn(token);
    }

    fn spawn_script(self: &Rc<Self>, number: usize, script: Vec<Act>) {
        let world = Rc::clone(self);
        let mut acts = script.into_iter().cycle();
        self.model_ready.borrow_mut().insert(number);
        self.spawn(poll_fn(move |context| {
            world.polled.borrow_mut().push(number);
            // Whoever woke it in this round did so before: this is the turn for that.
            world.model_ready.borrow_mut().remove(&number);
            world.wakers.borrow_mut().insert(number, context.waker().clone());
            if let Some(act) = acts.next() {
                world.act(number, act, context);
            }
            Poll::Pending
        }));
    }

    fn act(&self, number: usize, act: Act, context: &mut Context<'_>) {
        let now = self.clock.get();
        match act {
            Act::AskForThePast(ago) => self.schedule(number, now - ago, context.waker()),
            Act::Sleep(time) => self.schedule(number, now + time, context.waker()),
            Act::WakeItself => self.wake(number),
            Act::Wake(other) => self.wake(other),
            Act::Await(event) => self.waiting.borrow_mut().entry(event).or_default().push(number),
            Act::Compute(time) => {
                self.clock.set(now + time);
                self.wake(number);
            }
        }
    }

    fn schedule(&self, number: usize, at: u64, waker: &Waker) {
        self.timers.borrow_mut().schedule(at, waker);
        let mut timers = self.model_timers.borrow_mut();
        timers.entry(number).and_modify(|before| *before = at.min(*before)).or_insert(at);
    }

    fn wake(&self, number: usize) {
        if let Some(waker) = self.wakers.borrow().get(&number) {
            waker.wake_by_ref();
            self.model_ready.borrow_mut().insert(number);
        }
    }

    /// The tasks that the next round must reach, by the model.
    fn expected(&self) -> BTreeSet<usize> {
        let mut expected = std::mem::take(&mut *self.model_ready.borrow_mut());
        let now = self.clock.get();
        let mut timers = self.model_timers.borrow_mut();
        expected.extend(timers.iter().filter(|(_, at)| **at <= now).map(|(task, _)| *task));
        timers.retain(|_, at| *at > now);
        let (arrived, waiting) = (self.arrived.borrow(), self.waiting.borrow());
        expected.extend(arrived.iter().filter_map(|event| waiting.get(event)).flatten());
        expected
    }

    /// A round; returns the tasks that were polled, in order.
    fn round(&self) -> Vec<usize> {
        round(self);
        std::mem::take(&mut *self.polled.borrow_mut())
    }
}

impl Vcpu for World {
    fn take_events(&self) -> u64 {
        let arrived = std::mem::take(&mut *self.arrived.borrow_mut());
        let tasks = arrived.iter().filter_map(|event| self.waiting.borrow_mut().remove(event));
        let tasks: Vec<usize> = tasks.flatten().collect();
        let wakers = self.wakers.borrow();
        tasks.iter().filter_map(|task| wakers.get(task)).for_each(Waker::wake_by_ref);
        arrived.len() as u64
    }

    fn timers<R>(&self, using: impl FnOnce(&mut Timers) -> R) -> R {
        using(&mut self.timers.borrow_mut())
    }

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn take_ready(&self) -> bool {
        self.ready.swap(false, Ordering::SeqCst)
    }

    fn poll(&self) {
        // SAFETY: called by `round` only, never by a task.
        unsafe { self.executor.poll() };
    }

    fn credit(&self) -> &Credit {
        &self.credit
    }
}

#[unsafe(export_name = "__pender")]
fn pend(context: *mut ()) {
    // SAFETY: the context is the world, of this thread, whose tasks are woken only while it is there.
    let world = unsafe { &*context.cast::<World>() };
    world.ready.store(true, Ordering::SeqCst);
}

const TASKS: usize = 6;
const EVENTS: usize = 3;

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..1_000_000u64).prop_map(Act::AskForThePast),
        (0..50_000u64).prop_map(Act::Sleep),
        Just(Act::WakeItself),
        (0..TASKS).prop_map(Act::Wake),
        (0..EVENTS).prop_map(Act::Await),
        (0..1_000_000u64).prop_map(Act::Compute),
    ]
}

fn scripts() -> impl Strategy<Value = Vec<Vec<Act>>> {
    proptest::collection::vec(proptest::collection::vec(act(), 1..6), TASKS)
}

/// What happens before each round: the clock goes on, and an event may arrive.
fn rounds() -> impl Strategy<Value = Vec<(u64, Option<usize>)>> {
    proptest::collection::vec((0..20_000u64, proptest::option::of(0..EVENTS)), 1..60)
}

proptest! {
    #[test]
    fn each_round_reaches_every_event_due_timer_and_ready_task_once(scripts in scripts(), rounds in rounds()) {
        let world = World::new();
        for (number, script) in scripts.into_iter().enumerate() {
            world.spawn_script(number, script);
        }
        for (passed, event) in rounds {
            world.clock.set(world.clock.get() + passed);
            world.arrived.borrow_mut().extend(event);
            let expected = world.expected();
            let mut polled = world.round();
            polled.sort_unstable();
            prop_assert_eq!(polled, Vec::from_iter(expected));
            prop_assert!(world.arrived.borrow().is_empty(), "an event was left");
        }
    }

    #[test]
    fn timers_of_one_round_fire_in_the_order_of_their_times(
        times in proptest::collection::btree_set(1..1_000_000u64, 1..40), seed in any::<u64>(),
    ) {
        let world = World::new();
        let mut times = Vec::from_iter(times);
        let sorted = times.clone();
        // Started in any order.
        let count = times.len();
        (0..count).for_each(|index| times.swap(index, (seed as usize).wrapping_mul(index + 7) % count));
        for time in times {
            world.spawn_script(time as usize, vec![Act::Sleep(time)]);
        }
        world.round();
        world.clock.set(3_000_000);
        prop_assert_eq!(world.round(), Vec::from_iter(sorted.iter().map(|time| *time as usize)));
    }
}

#[test]
fn an_event_is_taken_though_a_task_asks_for_the_past_for_ever() {
    let world = World::new();
    world.spawn_script(0, vec![Act::AskForThePast(1)]);
    world.spawn_script(1, vec![Act::Await(0)]);
    world.spawn_script(2, vec![Act::Sleep(100)]);
    for _ in 0..100 {
        assert!(world.round().contains(&0), "it runs in each round");
    }
    world.arrived.borrow_mut().insert(0);
    world.clock.set(2_000_000);
    let mut polled = world.round();
    polled.sort_unstable();
    assert_eq!(polled, [0, 1, 2]);
}
